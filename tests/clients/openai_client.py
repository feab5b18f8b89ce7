"""The official OpenAI client against a running server: python openai_client.py BASE_URL KEY

Uses the client as its documentation shows it; an assertion that fails ends the script with its line.
"""

import asyncio
import json
import sys

import openai

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


def models(client):
    served = client.models.list().data
    assert len(served) == 1, served
    assert client.models.retrieve(served[0].id).id == served[0].id
    return served[0].id


def whole(client, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, temperature=0)
    assert answer.choices[0].message.content == ANSWER, answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer


def streamed(client, model):
    stream = client.chat.completions.create(
        model=model, messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ANSWER, chunks
    assert chunks[-1].usage.completion_tokens > 0, chunks[-1]


def obfuscated(client, model):
    options = {"include_obfuscation": True}
    chunks = list(
        client.chat.completions.create(model=model, messages=QUESTION, temperature=0, stream=True, stream_options=options)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER, chunks
    assert all(isinstance(chunk.to_dict()["obfuscation"], str) for chunk in chunks), chunks
    sizes = {len(json.dumps(chunk.to_dict(), separators=(",", ":"))) % 64 for chunk in chunks}
    assert len(sizes) == 1, sizes


def stream_helper(client, model):
    with client.chat.completions.stream(model=model, messages=QUESTION, temperature=0) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == ANSWER


def tools(client, model):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], temperature=0).choices[0]
    assert first.finish_reason == "tool_calls", first
    call = first.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"}), call
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}]
    last = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], temperature=0)
    assert last.choices[0].message.content == "The weather in Paris: 18 degrees and sunny.", last


def completion(client, model):
    answer = client.completions.create(model=model, prompt="The capital of France is", max_tokens=4, temperature=0)
    assert answer.choices[0].text, answer


def refusals(client, model):
    for kind, request in [
        (openai.AuthenticationError, lambda: client.with_options(api_key="wrong").models.list()),
        (openai.NotFoundError, lambda: client.chat.completions.create(model="no-such-model", messages=QUESTION)),
        (openai.BadRequestError, lambda: client.chat.completions.create(model=model, messages=[])),
    ]:
        try:
            request()
        except kind as error:
            assert error.body["message"], error
        else:
            raise AssertionError(f"{kind.__name__} was expected")


async def at_once(base_url, key, model):
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        answers = await asyncio.gather(
            *(client.chat.completions.create(model=model, messages=QUESTION, temperature=0) for _ in range(8))
        )
    assert [answer.choices[0].message.content for answer in answers] == [ANSWER] * 8, answers


def main():
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
    model = models(client)
    for step in (whole, streamed, obfuscated, stream_helper, tools, completion, refusals):
        step(client, model)
    asyncio.run(at_once(base_url, key, model))
    print(f"openai {openai.__version__}: all well")


main()
