// The Vercel AI SDK against a running server, in both dialects: node vercel_ai.mjs BASE_URL KEY

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey] = process.argv.slice(2);
const MODEL = "mlx-gate-demo";
const models = [
  createOpenAICompatible({ name: "mlx-gate", baseURL, apiKey, includeUsage: true })(MODEL),
  createAnthropic({ baseURL, apiKey })(MODEL),
];

for (const model of models) {
  const settings = { model, temperature: 0, maxRetries: 0, maxOutputTokens: 64 };
  const prompt = "What is the capital of France?";
  const whole = await generateText({ ...settings, prompt });
  assert.equal(whole.text, "The capital of France is Paris.");
  assert.equal(whole.finishReason, "stop");
  assert.ok(whole.usage.inputTokens > 0 && whole.usage.outputTokens > 0);

  const stream = streamText({ ...settings, prompt });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  assert.equal(await stream.finishReason, "stop");

  const get_weather = tool({
    description: "Get the current weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (city === "Paris" ? "18 degrees and sunny" : "unknown"),
  });
  const weather = "What is the weather in Paris?";
  const told = await generateText({ ...settings, prompt: weather, tools: { get_weather }, stopWhen: stepCountIs(2) });
  assert.equal(told.steps.length, 2);
  assert.equal(told.text, "The weather in Paris: 18 degrees and sunny.");
}
