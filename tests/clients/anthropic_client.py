"""The official Anthropic client against a running server: python anthropic_client.py BASE_URL KEY

Uses the client as its documentation shows it; an assertion that fails ends the script with its line.
"""

import asyncio
import sys

import anthropic

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."
EVENTS = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]


def models(client):
    served = client.models.list()
    assert len(served.data) == 1 and not served.has_more, served
    model = client.models.retrieve(served.data[0].id)
    assert model == served.data[0], model
    assert model.type == "model" and model.created_at.year >= 2024, model
    assert [model.id for model in client.models.list(limit=1)] == [model.id]
    return model.id


def whole(client, model):
    message = client.messages.create(model=model, max_tokens=64, messages=QUESTION, extra_body={"temperature": 0})
    assert [block.to_dict() for block in message.content] == [{"type": "text", "text": ANSWER}], message
    assert (message.role, message.stop_reason, message.stop_sequence) == ("assistant", "end_turn", None), message
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message
    assert message._request_id.startswith("req_"), message._request_id


def stop_sequence(client, model):
    message = client.messages.create(
        model=model, max_tokens=64, messages=QUESTION, stop_sequences=[" is"], extra_body={"temperature": 0}
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", " is"), message
    assert message.content[0].text == "The capital of France", message


def cut_off(client, model):
    message = client.messages.create(model=model, max_tokens=2, messages=QUESTION, extra_body={"temperature": 0})
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 2, message


def streamed(client, model):
    events = list(
        client.messages.create(model=model, max_tokens=64, messages=QUESTION, stream=True, extra_body={"temperature": 0})
    )
    names = [event.type for event in events]
    assert [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name] == EVENTS, names
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert text == ANSWER, events


def stream_helper(client, model):
    with client.messages.stream(model=model, max_tokens=64, messages=QUESTION, extra_body={"temperature": 0}) as stream:
        assert "".join(stream.text_stream) == ANSWER
        final = stream.get_final_message()
    whole = client.messages.create(model=model, max_tokens=64, messages=QUESTION, extra_body={"temperature": 0})
    assert final.content[0].text == ANSWER and final.stop_reason == "end_turn", final
    assert final.usage == whole.usage, (final.usage, whole.usage)


def tools(client, model):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    ask = {"model": model, "max_tokens": 64, "tools": [WEATHER], "extra_body": {"temperature": 0}}
    with client.messages.stream(messages=messages, **ask) as stream:
        streamed = stream.get_final_message()
    first = client.messages.create(messages=messages, **ask)
    for message in (first, streamed):
        assert message.stop_reason == "tool_use", message
        (call,) = [block for block in message.content if block.type == "tool_use"]
        assert (call.name, call.input) == ("get_weather", {"city": "Paris"}), call
    (call,) = [block for block in first.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "18 degrees and sunny"}]}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    last = client.messages.create(messages=messages, **ask)
    assert last.content[0].text == "The weather in Paris: 18 degrees and sunny.", last


def count(client, model):
    for more in ({}, {"system": "Be brief."}, {"tools": [WEATHER]}):
        counted = client.messages.count_tokens(model=model, messages=QUESTION, **more).input_tokens
        used = client.messages.create(model=model, max_tokens=1, messages=QUESTION, **more).usage
        assert counted == used.input_tokens + used.cache_read_input_tokens, (counted, used)


def refusals(client, model):
    ask = {"model": model, "max_tokens": 9, "messages": QUESTION}
    image = {"type": "image", "source": {"type": "url", "url": "http://localhost/x.png"}}
    for kind, name, request in [
        (anthropic.AuthenticationError, "authentication_error", lambda: client.with_options(api_key="wrong").models.list()),
        (anthropic.AuthenticationError, "authentication_error", lambda: client.with_options(api_key="wrong").messages.create(**ask)),
        (anthropic.NotFoundError, "not_found_error", lambda: client.messages.create(**{**ask, "model": "no-such-model"})),
        (anthropic.NotFoundError, "not_found_error", lambda: client.models.retrieve("no-such-model")),
        (anthropic.NotFoundError, "not_found_error", lambda: client.messages.batches.list()),
        (anthropic.BadRequestError, "invalid_request_error", lambda: client.messages.create(**{**ask, "messages": []})),
        (
            anthropic.BadRequestError,
            "invalid_request_error",
            lambda: client.messages.create(**{**ask, "messages": [{"role": "user", "content": [image]}]}),
        ),
    ]:
        try:
            request()
        except kind as error:
            assert error.type == name, error
            assert error.api_message and error.error_code, error.body
            assert error.request_id == error.body["request_id"], error.body
        else:
            raise AssertionError(f"{kind.__name__} was expected")


async def at_once(base_url, key, model):
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0) as client:
        messages = await asyncio.gather(
            *(
                client.messages.create(model=model, max_tokens=64, messages=QUESTION, extra_body={"temperature": 0})
                for _ in range(8)
            )
        )
    assert [message.content[0].text for message in messages] == [ANSWER] * 8, messages


def main():
    base_url, key = sys.argv[1].removesuffix("/v1"), sys.argv[2]
    client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
    model = models(client)
    for step in (whole, stop_sequence, cut_off, streamed, stream_helper, tools, count, refusals):
        step(client, model)
    asyncio.run(at_once(base_url, key, model))
    bearer = anthropic.Anthropic(base_url=base_url, auth_token=key, api_key=None, max_retries=0)
    whole(bearer, model)
    print(f"anthropic {anthropic.__version__}: all well")


main()
