"""A custom authenticator: whoever knows the password is let in."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.authenticate import Grant, Verdict, Verdict_Abstain, Verdict_Allow, Verdict_Deny
from wit_world.exports.lifecycle import HostFile, Info
from wit_world.imports import crypto, host
from wit_world.imports.types import Denial, Principal, RequestHead

HEADER = "x-password"

SCHEMA = {
    "type": "object",
    "required": ["password"],
    "properties": {
        "password": {"type": "string", "description": f"What callers send in {HEADER}"},
    },
}

# Filled by `configure`, before any request.
config = {}


class Lifecycle(exports.Lifecycle):
    def describe(self) -> Info:
        return Info("doorman", "0.1.0", json.dumps(SCHEMA), [HEADER], [])

    def configure(self, text: str, files: list[HostFile]) -> None:
        config.update(json.loads(text))
        if len(config["password"].encode()) < 4:
            raise Err("`password` has to be at least 4 bytes long")

    def self_test(self) -> None:
        pass


class Authenticate(exports.Authenticate):
    def check(self, head: RequestHead) -> Verdict:
        given = dict(head.credentials).get(HEADER)
        if given is None:
            return Verdict_Abstain(None)
        if not crypto.equal(given.encode(), config["password"].encode()):
            return Verdict_Deny(Denial(401, "wrong_password", "that is not the password", None, None, []))
        host.log(host.Level.DEBUG, f"request {head.id} knows the password")
        return Verdict_Allow(Grant(Principal("friend", None, [], [], None, []), None))
