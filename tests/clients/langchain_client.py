"""LangChain's OpenAI integration against a running server: python langchain_client.py BASE_URL KEY

Chat, a stream, a tool round trip, structured output and errors, as its documentation shows them.
"""

import sys

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

ANSWER = "The capital of France is Paris."


@tool
def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return "18 degrees and sunny"


class Verdict(BaseModel):
    """Whether something is so."""

    certain: bool = Field(description="Whether it is certain.")


def whole(chat):
    answer = chat.invoke("What is the capital of France?")
    assert answer.text == ANSWER, answer
    assert answer.usage_metadata["total_tokens"] > 0, answer


def streamed(chat):
    chunks = list(chat.stream("What is the capital of France?"))
    assert len(chunks) > 2 and "".join(chunk.text for chunk in chunks) == ANSWER, chunks


def tools(chat):
    able = chat.bind_tools([get_weather])
    messages = [HumanMessage("What is the weather in Paris?")]
    asked = able.invoke(messages)
    assert [(call["name"], call["args"]) for call in asked.tool_calls] == [("get_weather", {"city": "Paris"})], asked
    call = asked.tool_calls[0]
    messages += [asked, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    assert able.invoke(messages).text == "The weather in Paris: 18 degrees and sunny."


def structured(chat):
    for method in ("json_schema", "function_calling"):
        verdict = chat.with_structured_output(Verdict, method=method).invoke("Is it so?")
        assert isinstance(verdict, Verdict), (method, verdict)


def refusals(base_url, key, model):
    for kind, chat in [
        (openai.AuthenticationError, ChatOpenAI(base_url=base_url, api_key="wrong", model=model, max_retries=0)),
        (openai.NotFoundError, ChatOpenAI(base_url=base_url, api_key=key, model="no-such-model", max_retries=0)),
        (openai.BadRequestError, ChatOpenAI(base_url=base_url, api_key=key, model=model, top_p=2, max_retries=0)),
    ]:
        try:
            chat.invoke("hi")
        except kind:
            continue
        raise AssertionError(f"{kind.__name__} was expected")


def main():
    base_url, key = sys.argv[1:]
    model = openai.OpenAI(base_url=base_url, api_key=key).models.list().data[0].id
    for responses in (False, True):
        chat = ChatOpenAI(
            base_url=base_url, api_key=key, model=model, temperature=0, max_retries=0, use_responses_api=responses
        )
        for step in (whole, streamed, tools, structured):
            step(chat)
    refusals(base_url, key, model)
    print("langchain-openai: all well")


main()
