"""The official OpenAI client against a server with 20 requests and 900 tokens a minute: python openai_rate_limit.py BASE_URL KEY"""

import sys
import time

import openai

LIMIT = 20
QUESTION = [{"role": "user", "content": "What is 2 + 3?"}]


def ask(client):
    return client.chat.completions.with_raw_response.create(model="mlx-gate-demo", messages=QUESTION, max_tokens=16, temperature=0)


def until_refused(client):
    """One comes back every 3 seconds, so whoever asks faster is refused before long."""
    for _ in range(1000):
        try:
            headers = ask(client).headers
        except openai.RateLimitError as error:
            return error
        assert headers["x-ratelimit-limit-requests"] == str(LIMIT), headers
        assert 0 <= int(headers["x-ratelimit-remaining-requests"]) < LIMIT, headers
    raise AssertionError("nobody was refused")


def refusal(client):
    error = until_refused(client)
    assert error.status_code == 429, error
    assert error.code == "rate_limit_exceeded", error.body
    assert "Rate limit reached" in error.body["message"], error.body
    assert "requests per min (RPM): Limit 20, Used 20, Requested 1" in error.body["message"], error.body
    headers = error.response.headers
    assert 1 <= int(headers["retry-after"]) <= 3, headers
    assert headers["x-ratelimit-remaining-requests"] == "0", headers
    assert headers["x-ratelimit-reset-requests"].endswith("s"), headers


def retry(client):
    """The client waits as long as it is told, and then gets its answer."""
    waits = []
    sleep = time.sleep
    time.sleep = lambda seconds: (waits.append(seconds), sleep(seconds))
    try:
        until_refused(client)
        answer = ask(client.with_options(max_retries=5)).parse()
    finally:
        time.sleep = sleep
    assert answer.choices[0].message.content == "2 + 3 = 5", answer
    assert waits and all(wait in (1, 2, 3) for wait in waits), waits


def too_large(client):
    """What can never pass is not tried again."""
    waits = []
    sleep = time.sleep
    time.sleep = waits.append
    try:
        client.with_options(max_retries=5).chat.completions.create(model="mlx-gate-demo", messages=QUESTION, max_tokens=990)
    except openai.RateLimitError as error:
        assert "Request too large" in error.body["message"], error.body
    else:
        raise AssertionError("990 tokens were let through")
    finally:
        time.sleep = sleep
    assert waits == [], waits


def main():
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
    for step in (refusal, retry, too_large):
        step(client)
    print(f"openai {openai.__version__}: all well")


main()
