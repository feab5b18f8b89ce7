"""Schemathesis over the whole API of a running server: python schemathesis_run.py BASE_URL KEY

It makes requests from `/openapi.json`, right and wrong ones, always the same, and checks each answer by it.
"""

import subprocess
import sys
import tempfile

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    # What the document does not allow is refused: a field that it has not, or a value out of its range.
    "negative_data_rejection",
    # Without a credential there is no answer.
    "ignored_auth",
]


def main():
    base_url, key = sys.argv[1:]
    address = base_url.removesuffix("/v1")
    command = [
        sys.executable,
        "-c",
        "from schemathesis.cli import schemathesis; schemathesis()",
        "run",
        f"{address}/openapi.json",
        f"--header=Authorization: Bearer {key}",
        f"--checks={','.join(CHECKS)}",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=30",
        "--seed=1",
        "--generation-deterministic",
        "--no-shrink",
        "--suppress-health-check=all",
        "--max-failures=10",
        "--request-timeout=30",
        "--warnings=off",
    ]
    # It keeps what it finds where it runs.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    print(done.stdout)


main()
