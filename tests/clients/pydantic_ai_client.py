"""Pydantic AI against a running server: python pydantic_ai_client.py BASE_URL KEY

An agent that answers, streams, calls a tool, and answers in a given form by each of the ways it has for that.
"""

import asyncio
import sys

import openai
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."


class Verdict(BaseModel):
    certain: bool


async def whole(model):
    result = await Agent(model).run(QUESTION)
    assert result.output == ANSWER, result


async def streamed(model):
    async with Agent(model).run_stream(QUESTION) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 2 and "".join(pieces) == ANSWER, pieces


async def tools(model):
    agent, asked = Agent(model), []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Get the current weather of a city."""
        asked.append(city)
        return "18 degrees and sunny"

    result = await agent.run("What is the weather in Paris?")
    assert asked == ["Paris"], asked
    assert result.output == "The weather in Paris: 18 degrees and sunny.", result


async def structured(model):
    for form in (NativeOutput(Verdict), ToolOutput(Verdict)):
        result = await Agent(model, output_type=form).run("Is it so?")
        assert isinstance(result.output, Verdict), (form, result)


async def refusal(provider):
    try:
        await Agent(OpenAIChatModel("no-such-model", provider=provider)).run(QUESTION)
    except ModelHTTPError as error:
        assert error.status_code == 404, error
    else:
        raise AssertionError("an error was expected")


async def main():
    base_url, key = sys.argv[1:]
    provider = OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0))
    name = openai.OpenAI(base_url=base_url, api_key=key).models.list().data[0].id
    settings = {"temperature": 0, "max_tokens": 200}
    for kind in (OpenAIChatModel, OpenAIResponsesModel):
        model = kind(name, provider=provider, settings=settings)
        for step in (whole, streamed, tools, structured):
            await step(model)
    await refusal(provider)
    print("pydantic-ai: all well")


asyncio.run(main())
