"""The official Anthropic client against a server with 20 requests a minute: python anthropic_rate_limit.py BASE_URL KEY"""

import sys
import time

import anthropic

QUESTION = [{"role": "user", "content": "What is 2 + 3?"}]


def ask(client):
    return client.messages.create(model="mlx-gate-demo", max_tokens=8, messages=QUESTION, extra_body={"temperature": 0})


def until_refused(client):
    """One comes back every 3 seconds, so whoever asks faster is refused before long."""
    for _ in range(1000):
        try:
            ask(client)
        except anthropic.RateLimitError as error:
            return error
    raise AssertionError("nobody was refused")


def refusal(client):
    error = until_refused(client)
    assert (error.status_code, error.type, error.error_code) == (429, "rate_limit_error", "rate_limit_exceeded"), error.body
    assert 1 <= int(error.response.headers["retry-after"]) <= 3, error.response.headers


def retry(client):
    """The client waits as long as it is told, and then gets its answer."""
    waits = []
    sleep = time.sleep
    time.sleep = lambda seconds: (waits.append(seconds), sleep(seconds))
    try:
        until_refused(client)
        message = ask(client.with_options(max_retries=5))
    finally:
        time.sleep = sleep
    assert message.content[0].text == "2 + 3 = 5", message
    assert waits and all(wait in (1, 2, 3) for wait in waits), waits


def main():
    base_url, key = sys.argv[1].removesuffix("/v1"), sys.argv[2]
    client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
    for step in (refusal, retry):
        step(client)
    print(f"anthropic {anthropic.__version__}: all well")


main()
