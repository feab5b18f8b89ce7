"""LiteLLM against a running server, by OpenAI's and Anthropic's routes: python litellm_client.py BASE_URL KEY

Whole answers, streams, a tool round trip, and the classes of its exceptions.
"""

import json
import os
import sys

# Nothing is to be fetched from the internet.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import openai  # noqa: E402

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."


def whole(ask):
    answer = ask(messages=QUESTION)
    assert answer.choices[0].message.content == ANSWER, answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, answer


def streamed(ask):
    chunks = list(ask(messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER, chunks
    assert litellm.stream_chunk_builder(chunks).choices[0].message.content == ANSWER, chunks


def tools(ask):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = ask(messages=messages, tools=[WEATHER]).choices[0]
    assert first.finish_reason == "tool_calls", first
    call = first.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"}), call
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}]
    last = ask(messages=messages, tools=[WEATHER])
    assert last.choices[0].message.content == "The weather in Paris: 18 degrees and sunny.", last


def refusals(ask):
    for kind, request in [
        (litellm.AuthenticationError, {"api_key": "wrong", "messages": QUESTION}),
        (litellm.NotFoundError, {"messages": QUESTION, "model": "no-such-model"}),
        (litellm.BadRequestError, {"messages": QUESTION, "top_p": 7}),
    ]:
        try:
            ask(**request)
        except kind as error:
            assert type(error) is kind, error
        else:
            raise AssertionError(f"{kind.__name__} was expected")


def main():
    base_url, key = sys.argv[1:]
    served = openai.OpenAI(base_url=base_url, api_key=key).models.list().data[0].id
    for provider, address in [("openai", base_url), ("anthropic", base_url.removesuffix("/v1"))]:

        def ask(model=served, **more):
            fixed = {"api_base": address, "api_key": key, "temperature": 0, "max_tokens": 64, "num_retries": 0}
            return litellm.completion(**{**fixed, **more, "model": f"{provider}/{model}"})

        for step in (whole, streamed, tools, refusals):
            step(ask)
    print("litellm: all well")


main()
