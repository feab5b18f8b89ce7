// The official Anthropic client for JavaScript against a running server: node anthropic_client.mjs BASE_URL KEY

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const [address, apiKey] = process.argv.slice(2);
const baseURL = address.replace(/\/v1$/, "");
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];
const ANSWER = "The capital of France is Paris.";
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "get_weather", description: "Get the current weather of a city.", input_schema }];

const served = await client.models.list();
const model = served.data[0].id;
assert.equal((await client.models.retrieve(model)).display_name, model);

const ask = { model, max_tokens: 64, temperature: 0 };
const whole = await client.messages.create({ ...ask, messages });
assert.deepEqual(whole.content, [{ type: "text", text: ANSWER }]);
assert.equal(whole.stop_reason, "end_turn");

const stream = client.messages.stream({ ...ask, messages });
assert.equal(await stream.finalText(), ANSWER);

const turns = [{ role: "user", content: "What is the weather in Paris?" }];
for (const answer of [
  await client.messages.create({ ...ask, messages: turns, tools }),
  await client.messages.stream({ ...ask, messages: turns, tools }).finalMessage(),
]) {
  assert.equal(answer.stop_reason, "tool_use");
  const call = answer.content.find((block) => block.type === "tool_use");
  assert.deepEqual(call.input, { city: "Paris" });
  const result = { type: "tool_result", tool_use_id: call.id, content: "18 degrees and sunny" };
  const told = [...turns, { role: "assistant", content: answer.content }, { role: "user", content: [result] }];
  const last = await client.messages.create({ ...ask, messages: told, tools });
  assert.equal(last.content[0].text, "The weather in Paris: 18 degrees and sunny.");
}

const counted = await client.messages.countTokens({ model, messages });
assert.equal(counted.input_tokens, whole.usage.input_tokens + whole.usage.cache_read_input_tokens);

const wrong = new Anthropic({ baseURL, apiKey: "wrong", maxRetries: 0 });
await assert.rejects(wrong.models.list(), Anthropic.AuthenticationError);
await assert.rejects(client.messages.create({ ...ask, model: "no-such-model", messages }), Anthropic.NotFoundError);
await assert.rejects(client.messages.create({ ...ask, messages: [] }), Anthropic.BadRequestError);
