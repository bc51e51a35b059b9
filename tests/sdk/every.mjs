// What the scripts for Node.js that go through several models share: where the gateway is, what is asked, and how a check is told.
//
// ROOT is the gateway without a path, KEY the client's key, MODELS the names to go through, by commas, MODULES the folder of the
// SDKs. The provider behind the gateway calls the tools that the last turn names, and quotes their results.

import assert from "node:assert";
import { createRequire } from "node:module";
import path from "node:path";

export const { ROOT, KEY, MODELS, MODULES } = process.env;
export const need = createRequire(path.join(MODULES, "x.js"));
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const schema = (name) =>
  ({ type: "object", properties: { [name]: { type: "string" } }, required: [name], additionalProperties: false });
export const CITY = schema("city");
export const TOOLS = { get_weather: CITY, find: schema("q") };
export const CALL = "call get_weather and find";
export const RESULTS = { get_weather: "21 C", find: "a needle" };

export const words = (text) => assert.equal(text.trim().split(/\s+/).length, 16, text);
export const calls = (names) => assert.deepEqual(names, ["get_weather", "find"]);

export function quoted(text) {
  assert(text.startsWith("The tool said: ") && text.includes("21 C") && text.includes("a needle"), text);
}

// Each part with each model; all that fail are told, then the script ends.
export async function go(...parts) {
  let failed = 0;
  for (const model of MODELS.split(",")) {
    for (const part of parts) {
      try {
        await part(model);
        console.log("ok", part.name, model);
      } catch (error) {
        failed++;
        console.log("FAILED", part.name, model, error);
      }
    }
  }
  if (failed) process.exit(1);
  console.log("all good");
}
