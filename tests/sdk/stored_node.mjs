// Stored responses with the OpenAI SDK for Node.js, by two callers, through the gateway at BASE_URL.

import assert from "node:assert";
import { createRequire } from "node:module";
import path from "node:path";

const { BASE_URL: baseURL, KEY: apiKey, OTHER_KEY: otherKey, MODULES: modules } = process.env;
const { default: OpenAI } = createRequire(path.join(modules, "x.js"))("openai");
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const other = new OpenAI({ baseURL, apiKey: otherKey, maxRetries: 0 });

async function raises(kind, code, act) {
  await assert.rejects(act, (error) => error.constructor === kind && error.code === code);
  console.log("ok", code);
}

for (let round = 0; round < 4; round += 1) {
  let { id } = await client.responses.create({ model: "m", input: "one" });
  for (let turn = 0; turn < 6; turn += 1) {
    const ask = { model: "m", input: `turn ${turn}`, previous_response_id: id };
    const answer =
      turn % 2 ? await client.responses.stream(ask).finalResponse() : await client.responses.create(ask);
    assert.equal(answer.previous_response_id, id);
    id = answer.id;
  }
  assert.equal((await client.responses.retrieve(id)).id, id);
  assert.equal((await client.responses.inputItems.list(id, { limit: 100 })).data.length, 13);
  await raises(OpenAI.NotFoundError, "response_not_found", () => other.responses.retrieve(id));
  await raises(OpenAI.NotFoundError, "response_not_found", () => other.responses.delete(id));
  await raises(OpenAI.NotFoundError, "response_not_found", () => other.responses.inputItems.list(id));
  await raises(OpenAI.NotFoundError, "response_not_found", () => other.responses.cancel(id));
  await raises(OpenAI.BadRequestError, "previous_response_not_found", () =>
    other.responses.create({ model: "m", input: "x", previous_response_id: id }),
  );
  await client.responses.delete(id);
  await raises(OpenAI.NotFoundError, "response_not_found", () => client.responses.retrieve(id));
}

const behind = await client.responses.create({ model: "m", input: "x", background: true });
assert.equal((await client.responses.cancel(behind.id)).status, "cancelled");
console.log("all good");
