"""The official OpenAI client and embeddings: python openai_embeddings.py BASE_URL KEY

The server has one model, with 16 dimensions. An assertion that fails ends the script with its line.
"""

import sys

import openai

TEXTS = ["The gate decides about every request.", "a", "one two three four five six seven"]


def vectors(answer):
    assert [embedding.index for embedding in answer.data] == list(range(len(answer.data))), answer
    return [embedding.embedding for embedding in answer.data]


def formats(client, model):
    # Without a format the client asks for base64 and decodes it itself.
    decoded = client.embeddings.create(model=model, input=TEXTS)
    floats = client.embeddings.create(model=model, input=TEXTS, encoding_format="float", user="somebody")
    assert decoded.usage == floats.usage and floats.usage.prompt_tokens > 3, floats.usage
    assert (floats.object, floats.model) == ("list", model), floats
    for one, other in zip(vectors(decoded), vectors(floats), strict=True):
        assert len(one) == len(other) == 16
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-6
        assert abs(sum(number * number for number in one) - 1) < 1e-5
    raw = client.embeddings.with_raw_response.create(model=model, input="a", encoding_format="base64")
    assert isinstance(raw.http_response.json()["data"][0]["embedding"], str)


def inputs(client, model):
    def embed(given):
        return vectors(client.embeddings.create(model=model, input=given, encoding_format="float"))

    one = embed("a")[0]
    assert len(embed("a")) == 1
    assert max(abs(a - b) for a, b in zip(one, embed(["a", "b"])[0], strict=True)) < 1e-5
    assert embed([1, 5, 2]) == embed([[1, 5, 2]])


def refusals(client, model):
    embed = client.embeddings.create
    for kind, code, request in [
        (openai.NotFoundError, "model_not_found", lambda: embed(model="no-such-model", input="a")),
        (openai.BadRequestError, "invalid_value", lambda: embed(model=model, input="")),
        (openai.BadRequestError, "invalid_value", lambda: embed(model=model, input="a", dimensions=4)),
        (openai.BadRequestError, "context_length_exceeded", lambda: embed(model=model, input="a " * 99)),
        (
            openai.BadRequestError,
            "unsupported_model",
            lambda: client.chat.completions.create(model=model, messages=[{"role": "user", "content": "a"}]),
        ),
    ]:
        try:
            request()
        except kind as error:
            assert error.code == code, error
        else:
            raise AssertionError(f"{kind.__name__} was expected")


def main():
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
    model = client.models.list().data[0].id
    for step in (formats, inputs, refusals):
        step(client, model)
    print(f"openai {openai.__version__}: all well")


main()
