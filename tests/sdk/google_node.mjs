// Google's SDK for Node.js at every model: chats, streams, tools, thoughts, images, shapes, counting, errors.
//
// ROOT is the gateway without a path, KEY the client's key, MODELS the names to go through, by commas.

import assert from "node:assert";
import { CALL, CITY, KEY, PNG, RESULTS, ROOT, TOOLS, calls, go, need, quoted, words } from "./every.mjs";

const { GoogleGenAI } = need("@google/genai");
const client = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: ROOT } });
const declarations = Object.entries(TOOLS).map(([name, parametersJsonSchema]) => ({ name, description: "x", parametersJsonSchema }));
const tools = [{ functionDeclarations: declarations }];

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function plain(model) {
  const answer = await client.models.generateContent({ model, contents: "hi" });
  words(answer.text);
  assert(answer.usageMetadata.candidatesTokenCount >= 16 && answer.usageMetadata.promptTokenCount > 0);
  assert.equal(answer.candidates[0].finishReason, "STOP");
}

async function stream(model) {
  const chunks = await collect(await client.models.generateContentStream({ model, contents: "hi" }));
  words(chunks.map((chunk) => chunk.text ?? "").join(""));
  assert(chunks.length > 3 && chunks.at(-1).usageMetadata.candidatesTokenCount >= 16);
}

async function loop(model, streamed, more) {
  const ask = async (contents) => {
    const body = { model, contents, config: { tools, ...more } };
    if (!streamed) return (await client.models.generateContent(body)).candidates[0].content;
    const chunks = await collect(await client.models.generateContentStream(body));
    return { role: "model", parts: chunks.flatMap((chunk) => chunk.candidates[0].content?.parts ?? []) };
  };
  const contents = [{ role: "user", parts: [{ text: CALL }] }];
  const answer = await ask(contents);
  const called = answer.parts.filter((part) => part.functionCall).map((part) => part.functionCall);
  calls(called.map((call) => call.name));
  const parts = called.map(({ id, name }) => ({ functionResponse: { id, name, response: { result: RESULTS[name] } } }));
  contents.push(answer, { role: "user", parts });
  const last = await ask(contents);
  quoted(last.parts.filter((part) => !part.thought).map((part) => part.text ?? "").join(""));
  contents.push(last, { role: "user", parts: [{ text: "call find" }] });
  assert((await ask(contents)).parts.some((part) => part.functionCall));
  return answer;
}

async function toolLoop(model) {
  await loop(model, false);
  await loop(model, true);
}

async function thoughts(model) {
  for (const streamed of [false, true]) {
    const answer = await loop(model, streamed, { thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 } });
    if (!model.endsWith("chat")) assert(answer.parts.some((part) => part.thought && part.text), JSON.stringify(answer));
  }
}

async function chat(model) {
  const chat = client.chats.create({ model });
  words((await chat.sendMessage({ message: "hi" })).text);
  const chunks = await collect(await chat.sendMessageStream({ message: "hi again" }));
  words(chunks.map((chunk) => chunk.text ?? "").join(""));
  words((await chat.sendMessage({ message: "and again" })).text);
}

async function image(model) {
  const parts = [{ inlineData: { mimeType: "image/png", data: PNG } }, { text: "what is it?" }];
  const answer = await client.models.generateContent({ model, contents: [{ role: "user", parts }] });
  assert(answer.text.includes("image/png"), answer.text);
}

async function structured(model) {
  const config = { responseMimeType: "application/json", responseJsonSchema: CITY };
  const answer = await client.models.generateContent({ model, contents: "where?", config });
  assert.equal(typeof JSON.parse(answer.text).city, "string");
}

async function counting(model) {
  assert((await client.models.countTokens({ model, contents: "hi there" })).totalTokens > 0);
}

async function errors(model) {
  const failing = { model: `${model.replace("at-", "")}-status=429`, contents: "hi" };
  await assert.rejects(client.models.generateContent(failing), (error) => {
    assert.equal(error.status, 429, String(error));
    return String(error.message).includes("RESOURCE_EXHAUSTED");
  });
}

await go(plain, stream, toolLoop, thoughts, chat, image, structured, counting, errors);
