"""Embeddings through LiteLLM against a running server with one model of 16 dimensions: python litellm_embeddings.py BASE_URL KEY"""

import os
import sys

# Nothing is to be fetched from the internet.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
import openai  # noqa: E402

TEXTS = ["The gate decides about every request.", "a", "one two three four five six seven"]


def vectors(answer):
    assert [one["index"] for one in answer.data] == list(range(len(answer.data))), answer
    return [one["embedding"] for one in answer.data]


def embeds(embed, expected):
    for more in ({}, {"encoding_format": "float"}, {"user": "somebody"}):
        answer = embed(input=TEXTS, **more)
        assert answer.usage.prompt_tokens > 3, answer
        for one, other in zip(vectors(answer), expected, strict=True):
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-5, more


def refusals(embed):
    for kind, changed in [
        (litellm.AuthenticationError, {"api_key": "wrong"}),
        (litellm.NotFoundError, {"model": "openai/no-such-model"}),
        (litellm.BadRequestError, {"input": ""}),
        (litellm.ContextWindowExceededError, {"input": "a " * 99}),
    ]:
        try:
            embed(**{"input": "a", **changed})
        except kind as error:
            assert type(error) is kind, error
        else:
            raise AssertionError(f"{kind.__name__} was expected")


def main():
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key)
    model = client.models.list().data[0].id
    expected = [one.embedding for one in client.embeddings.create(model=model, input=TEXTS).data]

    def embed(**more):
        fixed = {"model": f"openai/{model}", "api_base": base_url, "api_key": key, "num_retries": 0, "max_retries": 0}
        return litellm.embedding(**{**fixed, **more})

    embeds(embed, expected)
    refusals(embed)
    print("litellm: all well")


main()
