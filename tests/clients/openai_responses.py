"""The Responses API of the official OpenAI client against a running server: python openai_responses.py BASE_URL KEY"""

import json
import sys

import openai

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def whole(client, model):
    response = client.responses.create(model=model, input=QUESTION, temperature=0)
    assert response.output_text == ANSWER, response
    assert (response.status, response.store, response.model) == ("completed", False, model), response
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0, usage


def cut_off(client, model):
    response = client.responses.create(model=model, input=QUESTION, temperature=0, max_output_tokens=2)
    assert response.status == "incomplete", response
    assert response.incomplete_details.reason == "max_output_tokens", response


def streamed(client, model):
    events = list(client.responses.create(model=model, input=QUESTION, temperature=0, stream=True))
    names = [event.type for event in events]
    assert [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name] == EVENTS, names
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER, events


def obfuscated(client, model):
    options = {"include_obfuscation": True}
    events = list(client.responses.create(model=model, input=QUESTION, temperature=0, stream=True, stream_options=options))
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert "".join(event.delta for event in deltas) == ANSWER, deltas
    assert all(isinstance(event.to_dict()["obfuscation"], str) for event in deltas), deltas
    assert not any("obfuscation" in event.to_dict() for event in events if event not in deltas), events


def stream_helper(client, model):
    with client.responses.stream(model=model, input=QUESTION, temperature=0) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == ANSWER


def conversation(client, model):
    """What the server said goes back to it as it came."""
    first = client.responses.create(model=model, instructions="Be brief.", input=QUESTION, temperature=0)
    turns = [{"role": "user", "content": QUESTION}, *first.output, {"role": "user", "content": QUESTION}]
    assert client.responses.create(model=model, input=turns, temperature=0).output_text


def tools(client, model):
    turns = [{"role": "user", "content": "What is the weather in Paris?"}]
    ask = {"model": model, "tools": [WEATHER], "temperature": 0}
    with client.responses.stream(input=turns, **ask) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_response()
    first = client.responses.create(input=turns, **ask)
    for response in (first, streamed):
        (call,) = [item for item in response.output if item.type == "function_call"]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"}), call
    (call,) = [item for item in first.output if item.type == "function_call"]
    turns += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees and sunny"}]
    last = client.responses.create(input=turns, **ask)
    assert last.output_text == "The weather in Paris: 18 degrees and sunny.", last


def refusals(client, model):
    for kind, param, request in [
        (openai.AuthenticationError, None, lambda: client.with_options(api_key="wrong").responses.create(model=model, input="x")),
        (openai.NotFoundError, "model", lambda: client.responses.create(model="no-such-model", input="x")),
        (openai.NotFoundError, None, lambda: client.responses.retrieve("resp_1")),
        (openai.BadRequestError, "previous_response_id", lambda: client.responses.create(model=model, input="x", previous_response_id="resp_1")),
        (openai.BadRequestError, "store", lambda: client.responses.create(model=model, input="x", store=True)),
        (openai.BadRequestError, "input[0].type", lambda: client.responses.create(model=model, input=[{"type": "item_reference", "id": "msg_1"}])),
    ]:
        try:
            request()
        except kind as error:
            assert error.body["message"] and error.param == param, error
        else:
            raise AssertionError(f"{kind.__name__} was expected")


def main():
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
    model = client.models.list().data[0].id
    for step in (whole, cut_off, streamed, obfuscated, stream_helper, conversation, tools, refusals):
        step(client, model)
    print(f"openai {openai.__version__}: all well")


main()
