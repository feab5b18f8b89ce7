"""Embeddings through LangChain against a running server with one model of 16 dimensions: python langchain_embeddings.py BASE_URL KEY"""

import asyncio
import sys

import openai
from langchain_openai import OpenAIEmbeddings

TEXTS = ["The gate decides about every request.", "a", "one two three four five six seven"]


def close(one, other):
    return len(one) == len(other) == 16 and max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-5


def embeds(embeddings, expected):
    vectors = embeddings.embed_documents(TEXTS)
    assert all(close(one, other) for one, other in zip(vectors, expected, strict=True)), vectors
    assert close(embeddings.embed_query(TEXTS[0]), expected[0])
    later = asyncio.run(embeddings.aembed_documents(TEXTS))
    assert all(close(one, other) for one, other in zip(later, expected, strict=True)), later


def in_chunks(embeddings, expected):
    """More texts than go into one request come back in their order."""
    vectors = embeddings.embed_documents(TEXTS * 3, chunk_size=2)
    assert all(close(one, other) for one, other in zip(vectors, expected * 3, strict=True)), vectors


def refusals(base_url, key, model):
    for kind, changed in [
        (openai.AuthenticationError, {"api_key": "wrong"}),
        (openai.NotFoundError, {"model": "no-such-model"}),
        (openai.BadRequestError, {"dimensions": 4}),
    ]:
        given = {"base_url": base_url, "api_key": key, "model": model, "max_retries": 0, "check_embedding_ctx_length": False}
        try:
            OpenAIEmbeddings(**{**given, **changed}).embed_query("a")
        except kind:
            continue
        raise AssertionError(f"{kind.__name__} was expected")


def main():
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key)
    model = client.models.list().data[0].id
    expected = [one.embedding for one in client.embeddings.create(model=model, input=TEXTS).data]
    # By default it cuts texts into tokens of OpenAI's own vocabulary, which no other server has.
    embeddings = OpenAIEmbeddings(
        base_url=base_url, api_key=key, model=model, max_retries=0, check_embedding_ctx_length=False
    )
    for step in (embeds, in_chunks):
        step(embeddings, expected)
    refusals(base_url, key, model)
    print("langchain-openai: all well")


main()
