// Vercel's AI SDK at every model: OpenAI's provider by responses and by chats, Anthropic's, Google's.
//
// ROOT is the gateway without a path, KEY the client's key, MODELS the names to go through, by commas.

import assert from "node:assert";
import { createRequire } from "node:module";
import path from "node:path";

const { ROOT: root, KEY: apiKey, MODELS: models, MODULES: modules } = process.env;
const need = createRequire(path.join(modules, "x.js"));
const { generateText, streamText, generateObject, tool, stepCountIs, jsonSchema } = need("ai");
const { createOpenAI } = need("@ai-sdk/openai");
const { createAnthropic } = need("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = need("@ai-sdk/google");

const openai = createOpenAI({ baseURL: `${root}/v1`, apiKey });
const anthropic = createAnthropic({ baseURL: `${root}/v1`, apiKey });
const google = createGoogleGenerativeAI({ baseURL: `${root}/v1beta`, apiKey });
const ways = {
  responses: (name) => ({ model: openai(name), providerOptions: { openai: { store: false } } }),
  chat: (name) => ({ model: openai.chat(name) }),
  anthropic: (name) => ({ model: anthropic(name) }),
  google: (name) => ({ model: google(name) }),
};
const thinking = {
  anthropic: { anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } } },
  google: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } } },
};
const schema = (name) =>
  jsonSchema({ type: "object", properties: { [name]: { type: "string" } }, required: [name], additionalProperties: false });
const tools = {
  get_weather: tool({ description: "x", inputSchema: schema("city"), execute: async () => "21 C" }),
  find: tool({ description: "x", inputSchema: schema("q"), execute: async () => "a needle" }),
};
const words = (text) => assert.equal(text.trim().split(/\s+/).length, 16, text);

function quoted(text) {
  assert(text.includes("The tool said: ") && text.includes("21 C") && text.includes("a needle"), text);
}

const parts = {
  async plain(ask) {
    const { text, finishReason, usage } = await generateText({ ...ask, prompt: "hi" });
    words(text);
    assert.equal(finishReason, "stop");
    assert(usage.outputTokens >= 16);
    assert(usage.inputTokens > 0);
  },
  async stream(ask) {
    let failed;
    const result = streamText({ ...ask, prompt: "hi", onError: ({ error }) => (failed = error) });
    let text = "";
    for await (const piece of result.textStream) text += piece;
    if (failed) throw failed;
    words(text);
    assert((await result.usage).outputTokens >= 16);
  },
  async toolLoop(ask) {
    const loop = { ...ask, tools, prompt: "call get_weather and find", stopWhen: stepCountIs(3) };
    const whole = await generateText(loop);
    quoted(whole.text);
    assert.deepEqual(whole.steps[0].toolCalls.map((call) => call.toolName), ["get_weather", "find"]);
    let failed;
    const streamed = streamText({ ...loop, onError: ({ error }) => (failed = error) });
    await streamed.consumeStream();
    if (failed) throw failed;
    quoted(await streamed.text);
  },
  async thoughts(ask, way, model) {
    if (!thinking[way]) return;
    const whole = await generateText({
      ...ask, tools, prompt: "call get_weather and find", stopWhen: stepCountIs(3), providerOptions: thinking[way],
    });
    quoted(whole.text);
    if (!model.endsWith("chat")) assert(whole.steps[0].reasoningText, "thoughts are shown");
  },
  async structured(ask) {
    const { object } = await generateObject({ ...ask, prompt: "where?", schema: schema("city") });
    assert.equal(typeof object.city, "string");
  },
  async errors(ask, way, model) {
    const failing = ways[way](`${model.replace("at-", "")}-status=429`);
    await assert.rejects(generateText({ ...failing, maxRetries: 0, prompt: "hi" }), (error) => error.statusCode === 429);
  },
};

let failures = 0;
for (const model of models.split(",")) {
  for (const way of Object.keys(ways)) {
    for (const [name, part] of Object.entries(parts)) {
      try {
        await part({ ...ways[way](model), maxOutputTokens: 4096, maxRetries: 0 }, way, model);
        console.log("ok", name, way, model);
      } catch (error) {
        failures++;
        console.log("FAILED", name, way, model, error.message, error.responseBody ?? "", error.cause?.message ?? "");
      }
    }
  }
}
if (failures) process.exit(1);
console.log("all good");
