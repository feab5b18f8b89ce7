// The official OpenAI client for JavaScript against a running server: node openai_client.mjs BASE_URL KEY

import assert from "node:assert/strict";
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];
const ANSWER = "The capital of France is Paris.";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { name: "get_weather", description: "Get the current weather of a city.", parameters };

const model = (await client.models.list()).data[0].id;

const whole = await client.chat.completions.create({ model, messages, temperature: 0 });
assert.equal(whole.choices[0].message.content, ANSWER);
assert.equal(whole.choices[0].finish_reason, "stop");

const stream = client.chat.completions.stream({ model, messages, temperature: 0, stream_options: { include_usage: true } });
assert.equal(await stream.finalContent(), ANSWER);
assert.deepEqual(await stream.totalUsage().then((usage) => usage.total_tokens), whole.usage.total_tokens);

const turns = [{ role: "user", content: "What is the weather in Paris?" }];
const tools = [{ type: "function", function: weather }];
const first = (await client.chat.completions.create({ model, messages: turns, tools, temperature: 0 })).choices[0];
assert.equal(first.finish_reason, "tool_calls");
const [call] = first.message.tool_calls;
assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
turns.push(first.message, { role: "tool", tool_call_id: call.id, content: "18 degrees and sunny" });
const last = await client.chat.completions.create({ model, messages: turns, tools, temperature: 0 });
assert.equal(last.choices[0].message.content, "The weather in Paris: 18 degrees and sunny.");

const response = await client.responses.create({ model, input: messages[0].content, temperature: 0 });
assert.equal(response.output_text, ANSWER);
const responses = client.responses.stream({ model, input: messages[0].content, temperature: 0 });
assert.equal((await responses.finalResponse()).output_text, ANSWER);

const wrong = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);
await assert.rejects(client.chat.completions.create({ model: "no-such-model", messages }), OpenAI.NotFoundError);
await assert.rejects(client.chat.completions.create({ model, messages: [] }), OpenAI.BadRequestError);
