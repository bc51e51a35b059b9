// What a program with the OpenAI SDK for Node.js does, through the gateway at BASE_URL.
//
// Each check prints its name; the first that fails ends the script. The provider behind the gateway takes a member `sim` of
// the body, or a field `x-sim` of the head, that says how it answers.

import assert from "node:assert";
import { createRequire } from "node:module";
import path from "node:path";

const { BASE_URL: baseURL, KEY: apiKey, NARROW_KEY: narrowKey, MODULES: modules } = process.env;
const { default: OpenAI, toFile } = createRequire(path.join(modules, "x.js"))("openai");

const client = new OpenAI({ baseURL, apiKey });
const once = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "hi" }];
const ask = { model: "gpt-5", messages };

function check(name, holds) {
  assert(holds, name);
  console.log("ok", name);
}

async function raises(name, kind, status, code, act) {
  let error;
  try {
    await act();
  } catch (caught) {
    error = caught;
  }
  check(`${name}: ${error?.constructor?.name}`, error?.constructor === kind);
  check(`${name}: ${error.status} ${error.code}`, error.status === status && error.code === code);
  check(`${name}: request id`, error.requestID);
  return error;
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function chat() {
  const { data, response } = await client.chat.completions.create(ask).withResponse();
  check("chat", data.choices[0].message.content && data.usage.completion_tokens === 16);
  check("chat headers", response.headers.get("x-faregate-route") === "sim/*");
  const chunks = await collect(await client.chat.completions.create({ ...ask, stream: true }));
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  check("stream", text.split(" ").length === 16);
  check("no usage unless asked", chunks.every((chunk) => !chunk.usage && chunk.choices.length));
  const asked = { ...ask, stream: true, stream_options: { include_usage: true } };
  const last = (await collect(await client.chat.completions.create(asked))).at(-1);
  check("usage when asked", last.usage.completion_tokens === 16 && last.choices.length === 0);
  const helper = client.chat.completions.stream(ask);
  check("stream helper", (await helper.finalChatCompletion()).choices[0].message.content);
  const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];
  check("tools", (await collect(await client.chat.completions.create({ ...ask, tools, stream: true }))).length > 16);
}

async function others() {
  const vectors = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] });
  check("embeddings", vectors.data.length === 2 && vectors.data[0].embedding.length === 1536);
  check("numbers", vectors.data[0].embedding.every((n) => typeof n === "number"));
  check("legacy completions", (await client.completions.create({ model: "d", prompt: "hi" })).choices[0].text);
  const models = await collect(await client.models.list());
  check("models", models.some((model) => model.id === "sim/gpt-5" || model.id === "gpt-5"));
  const echo = await client.post("/moderations", { body: { model: "omni", input: "x", new: [1, null] } });
  check("moderations", echo.object === "echo" && echo.body.includes('"new":[1,null]'));
  const image = await client.post("/images/generations", { body: { model: "gpt-image-1", prompt: "a cat" } });
  check("images", image.target === "/v1/images/generations");
  const file = await toFile(Buffer.from('{"a":1}\n'), "a.jsonl");
  const upload = await client.files.create({ file, purpose: "batch" });
  check("files", upload.object === "echo" && upload.body.includes('{"a":1}'));
  const audio = await client.audio.transcriptions.create({ file: await toFile(Buffer.alloc(5000, "a"), "a.wav"), model: "whisper-1" });
  check("audio", JSON.stringify(audio).includes("transcriptions"));
}

async function errors() {
  const wrong = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
  await raises("wrong key", OpenAI.AuthenticationError, 401, "invalid_api_key", () => wrong.chat.completions.create(ask));
  const narrow = new OpenAI({ baseURL, apiKey: narrowKey, maxRetries: 0 });
  await raises("a model that is not allowed", OpenAI.PermissionDeniedError, 403, "model_not_allowed", () =>
    narrow.chat.completions.create({ model: "other", messages }));
  await raises("used up", OpenAI.RateLimitError, 429, "request_rate_exceeded", async () => {
    for (let n = 0; n < 2; n++) await narrow.chat.completions.create(ask);
  });
  await raises("no model", OpenAI.BadRequestError, 400, "missing_model", () => once.chat.completions.create({ messages }));
  const nowhere = new OpenAI({ baseURL: baseURL.replace("/v1", "/v9"), apiKey, maxRetries: 0 });
  await raises("no path", OpenAI.NotFoundError, 404, "unknown_path", () => nowhere.chat.completions.create(ask));
  await raises("the provider's own words", OpenAI.BadRequestError, 400, "scripted", () =>
    once.chat.completions.create({ ...ask, sim: "status=400" }));
  await raises("the provider is down", OpenAI.InternalServerError, 502, "upstream_reset", () =>
    once.chat.completions.create({ ...ask, sim: "reset_at=head" }));
  const broken = { ...ask, stream: true, sim: "tokens=50; reset_at=5000" };
  await assert.rejects(async () => collect(await once.chat.completions.create(broken)), OpenAI.APIError);
  console.log("ok a stream that is broken off");
}

async function retries() {
  // The gateway has tried twice and says not to try again; this client would.
  const keen = new OpenAI({ baseURL, apiKey, maxRetries: 3 });
  const options = { body: { model: "gpt-5" }, headers: { "x-sim": "status=500" } };
  await raises("x-should-retry: false is passed on", OpenAI.InternalServerError, 500, null, () =>
    keen.post("/audio/retry-probe", options));
}

await chat();
await others();
await errors();
await retries();
const many = await Promise.all(Array.from({ length: 20 }, () => client.chat.completions.create(ask)));
check("twenty at once", many.every((answer) => answer.choices.length));
console.log("all good");
