// Anthropic's SDK for Node.js at every model: chats, streams, tools, thoughts, images, shapes, counting, errors, the list.
//
// ROOT is the gateway without a path, KEY the client's key, MODELS the names to go through, by commas.

import assert from "node:assert";
import { CALL, CITY, KEY, PNG, RESULTS, ROOT, TOOLS, calls, go, need, quoted, words } from "./every.mjs";

const { default: Anthropic } = need("@anthropic-ai/sdk");
const client = new Anthropic({ baseURL: ROOT, apiKey: KEY, maxRetries: 0 });
const tools = Object.entries(TOOLS).map(([name, input_schema]) => ({ name, description: "x", input_schema }));
const HI = [{ role: "user", content: "hi" }];
const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const used = (message) => message.content.filter((block) => block.type === "tool_use");

async function plain(model) {
  const message = await client.messages.create({ model, max_tokens: 100, messages: HI, system: "Be brief." });
  words(textOf(message));
  assert.equal(message.stop_reason, "end_turn");
  assert(message.usage.output_tokens >= 16 && message.usage.input_tokens > 0, JSON.stringify(message.usage));
}

async function stream(model) {
  let text = "";
  const events = client.messages.stream({ model, max_tokens: 100, messages: HI }).on("text", (piece) => (text += piece));
  const message = await events.finalMessage();
  words(text);
  assert.equal(textOf(message), text);
  assert(message.usage.output_tokens >= 16 && message.usage.input_tokens > 0, JSON.stringify(message.usage));
}

async function loop(model, streamed, more) {
  const ask = (messages) => {
    const body = { model, max_tokens: 4096, messages, tools, ...more };
    return streamed ? client.messages.stream(body).finalMessage() : client.messages.create(body);
  };
  const messages = [{ role: "user", content: CALL }];
  const message = await ask(messages);
  calls(used(message).map((block) => block.name));
  assert.equal(message.stop_reason, "tool_use");
  const content = used(message).map(({ id, name }) => ({ type: "tool_result", tool_use_id: id, content: RESULTS[name] }));
  messages.push({ role: "assistant", content: message.content }, { role: "user", content });
  const answer = await ask(messages);
  quoted(textOf(answer));
  messages.push({ role: "assistant", content: answer.content }, { role: "user", content: "call find" });
  assert.equal((await ask(messages)).stop_reason, "tool_use");
  return message;
}

async function toolLoop(model) {
  await loop(model, false);
  await loop(model, true);
}

async function thoughts(model) {
  for (const streamed of [false, true]) {
    const message = await loop(model, streamed, { thinking: { type: "enabled", budget_tokens: 2048 } });
    if (!model.endsWith("chat")) assert(message.content[0].thinking, JSON.stringify(message));
  }
}

async function image(model) {
  const source = { type: "base64", media_type: "image/png", data: PNG };
  const content = [{ type: "image", source }, { type: "text", text: "what is it?" }];
  const message = await client.messages.create({ model, max_tokens: 100, messages: [{ role: "user", content }] });
  assert(textOf(message).includes("image/png"), JSON.stringify(message));
}

async function structured(model) {
  const output_config = { format: { type: "json_schema", schema: CITY } };
  const message = await client.messages.create({ model, max_tokens: 100, messages: HI, output_config });
  assert(textOf(message).startsWith('{"city":'), JSON.stringify(message));
}

async function counting(model) {
  assert((await client.messages.countTokens({ model, messages: HI })).input_tokens > 0);
}

async function errors(model) {
  const failing = { model: `${model.replace("at-", "")}-status=429`, max_tokens: 100, messages: HI };
  await assert.rejects(client.messages.create(failing), (error) => {
    assert(error instanceof Anthropic.RateLimitError, String(error));
    return error.status === 429 && error.error.error.type === "rate_limit_error";
  });
}

async function listed(model) {
  const names = [];
  for await (const one of client.models.list()) names.push(one.id);
  assert(names.includes(model), names.join(" "));
}

await go(plain, stream, toolLoop, thoughts, image, structured, counting, errors, listed);
