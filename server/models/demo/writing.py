"""What conversations are made of, and the random choices behind them.

Patterns use [a|b|c] for alternatives and {slot} for contents; a pattern starting with "~" is held out.
"""

import random
import re
import zlib
from dataclasses import dataclass, field

from facts import COMMON, HELD_NAMES, HELD_WORDS, NAMES, WORDS


@dataclass
class Item:
    """One question with its answer; `short` is the one-word answer and `fields` the JSON answer."""

    user: str
    answer: str
    thought: str = ""
    short: str = ""
    fields: dict = field(default_factory=dict)
    key: object = None  # what is held out (default: the question text)
    exact: bool = False  # True: the wording of the question must not be altered


@dataclass
class Chat:
    """Messages ending with the assistant's answer, the thought before that answer, and the tools on offer."""

    skill: str
    messages: list
    thought: str
    tools: list = None
    accept: object = None  # for free-form skills: a function text -> bool used instead of exact match
    key: object = None


def msg(role, content):
    return {"role": role, "content": content}


def cap(text):
    return text[0].upper() + text[1:]


class Writer:
    """Draws words and phrasings for one split. `held` is None, "combo" or "phrase", as in generate.py."""

    def __init__(self, seed, held=None):
        self.r, self.held = random.Random(seed), held

    def is_held(self, key):
        """Whether contents with this key are kept out of the training (one in ten)."""
        return zlib.crc32(repr(key).encode()) % 10 == 0

    def say(self, *patterns, **slots):
        """Expand one of the patterns allowed in this split."""
        want = self.held == "phrase"
        text = self.r.choice([p for p in patterns if p.startswith("~") == want]).lstrip("~")
        while m := re.search(r"\[([^\[\]]*)\]", text):
            text = text[: m.start()] + self.r.choice(m[1].split("|")) + text[m.end() :]
        text = text.format(**slots)
        return cap(text) if not self.r.random() < 0.02 else text

    def pseudo(self, low=2, high=3):
        """An invented word of `low` to `high` syllables."""
        return "".join(
            self.r.choice("bcdfghjklmnprstvwz")
            + self.r.choice("aeiou")
            + self.r.choice(["", "", "n", "r", "l"])
            for _ in range(self.r.randint(low, high))
        )

    def word(self):
        """A word of this split, or an invented one."""
        if self.r.random() < 0.15:
            return self.r.choice(COMMON)
        if self.r.random() < 0.35:
            return self.pseudo()
        return self.r.choice(HELD_WORDS if self.held == "combo" else WORDS)

    def name(self):
        """A first name of this split, or an invented one."""
        if self.r.random() < 0.3:
            return self.pseudo().capitalize()
        return self.r.choice(HELD_NAMES if self.held == "combo" else NAMES)
