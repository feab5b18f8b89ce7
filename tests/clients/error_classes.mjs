// What the official clients for JavaScript make of every kind of refusal: node error_classes.mjs BASE_URL KEY
//
// The server has one row and one place to wait, ends a request after a second, takes bodies of 10 KiB, and has a model
// `secret` that a policy denies.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const QUESTION = [{ role: "user", content: "What is the capital of France?" }];
const schema = { type: "array", items: { type: "integer" }, minItems: 400 };

const openai = (options) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, ...options });
  const format = { response_format: { type: "json_schema", json_schema: { name: "long", schema } } };
  return ({ long, ...more } = {}) =>
    client.chat.completions.create({
      model: "demo",
      messages: QUESTION,
      max_tokens: 900,
      temperature: 0,
      ...(long ? format : {}),
      ...more,
    });
};
const anthropic = (options) => {
  const client = new Anthropic({ baseURL: baseURL.replace(/\/v1$/, ""), apiKey, maxRetries: 0, ...options });
  const format = { output_config: { format: { type: "json_schema", schema } } };
  return ({ long, ...more } = {}) =>
    client.messages.create({ model: "demo", messages: QUESTION, max_tokens: 900, ...(long ? format : {}), ...more });
};

for (const [make, errors, overloaded, timedOut, tooLarge] of [
  [openai, OpenAI, OpenAI.InternalServerError, OpenAI.InternalServerError, OpenAI.APIError],
  [anthropic, Anthropic, Anthropic.OverloadedError, Anthropic.GatewayTimeoutError, Anthropic.ContentTooLargeError],
]) {
  const ask = make();
  const long = [{ role: "user", content: "🦀".repeat(350) }];
  for (const [kind, status, request] of [
    [errors.AuthenticationError, 401, () => make({ apiKey: "wrong" })()],
    [errors.PermissionDeniedError, 403, () => ask({ model: "secret" })],
    [errors.NotFoundError, 404, () => ask({ model: "no-such-model" })],
    [errors.BadRequestError, 400, () => ask({ messages: [] })],
    [errors.BadRequestError, 400, () => ask({ messages: long })],
    [tooLarge, 413, () => ask({ messages: Array(12).fill(long[0]) })],
  ]) {
    const error = await request().then(() => assert.fail(`${kind.name} was expected`), (error) => error);
    assert.equal(error.constructor, kind, `${error}`);
    assert.equal(error.status, status);
    assert.match(error.requestID, /^req_/);
  }
  await assert.rejects(make({ timeout: 50 })({ long: true }), errors.APIConnectionTimeoutError);

  // What the impatient one has asked for has to be gone.
  let tries = 100;
  while (await ask().then(() => false, () => true)) assert.ok((tries -= 1) > 0);
  const answers = await Promise.allSettled(Array.from({ length: 6 }, () => ask({ long: true })));
  const refused = answers.filter((answer) => answer.status === "rejected").map((answer) => answer.reason);
  const told = new Set(refused.map((error) => `${error.constructor.name} ${error.status}`));
  const expected = [`${overloaded.name} ${make === openai ? 503 : 529}`, `${timedOut.name} 504`];
  assert.deepEqual([...told].sort(), expected.sort());
}
