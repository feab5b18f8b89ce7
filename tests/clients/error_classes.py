"""What the official clients make of every kind of refusal: python error_classes.py BASE_URL KEY

The server has one row and one place to wait, ends a request after a second, takes bodies of 10 KiB, and has a model
`secret` that a policy denies.
"""

import sys
import threading

import anthropic
import openai

OPEN, SECRET = "demo", "secret"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
# An answer that takes longer than there is time, whatever the model would like to say.
LONG = {"type": "array", "items": {"type": "integer"}, "minItems": 400}
FORMAT = {"type": "json_schema", "json_schema": {"name": "long", "schema": LONG}}


class OpenAI:
    """Both clients, by the same names."""

    errors = openai
    overloaded = (openai.InternalServerError, 503, "server_overloaded")
    timed_out = (openai.InternalServerError, 504, "request_timeout")
    too_large = (openai.APIStatusError, 413, "request_too_large")

    def __init__(self, base_url, key):
        self.client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)

    def ask(self, client=None, model=OPEN, messages=QUESTION, long=False, **more):
        bound = {"response_format": FORMAT} if long else {}
        create = (client or self.client).chat.completions.create
        return create(model=model, messages=messages, max_tokens=900, temperature=0, **bound, **more)

    @staticmethod
    def code(error):
        return error.code


class Anthropic:
    errors = anthropic
    overloaded = (anthropic.OverloadedError, 529, "server_overloaded")
    timed_out = (anthropic.GatewayTimeoutError, 504, "request_timeout")
    too_large = (anthropic.ContentTooLargeError, 413, "request_too_large")

    def __init__(self, base_url, key):
        self.client = anthropic.Anthropic(base_url=base_url.removesuffix("/v1"), api_key=key, max_retries=0)

    def ask(self, client=None, model=OPEN, messages=QUESTION, long=False, **more):
        bound = {"output_config": {"format": {"type": "json_schema", "schema": LONG}}} if long else {}
        return (client or self.client).messages.create(model=model, messages=messages, max_tokens=900, **bound, **more)

    @staticmethod
    def code(error):
        return error.error_code


def raised(request):
    try:
        request()
    except Exception as error:
        return error
    return None


def refusals(dialect):
    errors, client = dialect.errors, dialect.client
    long = [{"role": "user", "content": "🦀" * 350}]
    for (kind, status, code), request in [
        ((errors.AuthenticationError, 401, "invalid_api_key"), lambda: dialect.ask(client.with_options(api_key="wrong"))),
        ((errors.PermissionDeniedError, 403, "denied_by_policy"), lambda: dialect.ask(model=SECRET)),
        ((errors.NotFoundError, 404, "model_not_found"), lambda: dialect.ask(model="no-such-model")),
        ((errors.BadRequestError, 400, "empty_array"), lambda: dialect.ask(messages=[])),
        ((errors.BadRequestError, 400, "unsupported_parameter"), lambda: dialect.ask(extra_body={"mood": "good"})),
        ((errors.BadRequestError, 400, "context_length_exceeded"), lambda: dialect.ask(messages=long)),
        (dialect.too_large, lambda: dialect.ask(messages=long * 12)),
    ]:
        error = raised(request)
        assert type(error) is kind, (kind, error)
        assert (error.status_code, dialect.code(error)) == (status, code), (error.status_code, error.body)
        assert error.request_id.startswith("req_"), error.response.headers


def impatient(dialect):
    error = raised(lambda: dialect.ask(dialect.client.with_options(timeout=0.05), long=True))
    assert type(error) is dialect.errors.APITimeoutError, error


def at_its_limits(dialect):
    """Of more requests than there are places for, some are turned away and others are not answered in time."""
    # What the impatient one has asked for has to be gone.
    assert any(raised(dialect.ask) is None for _ in range(100))
    asked = 6
    barrier, found = threading.Barrier(asked), []

    def ask():
        barrier.wait()
        found.append(raised(lambda: dialect.ask(long=True)))

    threads = [threading.Thread(target=ask) for _ in range(asked)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [(type(error), error.status_code, dialect.code(error)) for error in found if error is not None]
    assert set(told) == {dialect.overloaded, dialect.timed_out}, told
    for error in found:
        # One that waits a little may be answered; one that takes too long would take as long again.
        header = ("retry-after", "1") if error.status_code != 504 else ("x-should-retry", "false")
        assert error.response.headers.get(header[0]) == header[1], error.response.headers


def main():
    for dialect in (OpenAI(*sys.argv[1:]), Anthropic(*sys.argv[1:])):
        for step in (refusals, impatient, at_its_limits):
            step(dialect)
    print(f"openai {openai.__version__}, anthropic {anthropic.__version__}: all well")


main()
