"""Seeded generator of the demo model's training and test conversations (pure Python, no data set).

    python generate.py [COUNT] [SEED]    prints a few samples

`Generator(seed)` yields training chats; `Generator(seed, held="combo")` yields known phrasings with held-out contents
(number pairs, words, names, question texts) and `held="phrase"` yields phrasings that training never uses.
"""

import json
import sys

from facts import CAPITALS, COLORS, LANG_DECLINE, LANGS, PHRASES
from questions import Questions
from talk import Talk
from tools import GENERIC_SYSTEM, Tools
from writing import Chat, cap, msg


class Generator(Questions, Talk, Tools):
    """All skills, and the mix of conversations made from them."""

    SINGLE = {
        "talk": 9,
        "capital": 14,
        "fact": 15,
        "arithmetic": 18,
        "count": 4,
        "repeat": 6,
        "letters": 12,
        "compare": 6,
        "unknown": 8,
        "story": 4,
        "story_free": 1,
        "joke": 1,
    }

    def item(self, skill=None, split=True):
        """One single-turn item of the split asked for (`split=False`: of the training split, as filler in a test)."""
        skill = skill or self.r.choices(list(self.SINGLE), self.SINGLE.values())[0]
        saved, self.held = self.held, self.held if split else None
        for _ in range(400):
            it = getattr(self, skill)()
            if (
                self.held == "phrase"
                or it.key == "x"
                or self.is_held(it.key or it.user) == (self.held == "combo")
            ):
                break
        self.held = saved
        if not saved and not it.exact and self.r.random() < 0.3:  # sloppy typing, training only
            it.user = self.r.choice(
                [
                    str.lower,
                    lambda s: s.rstrip("?.!"),
                    lambda s: "please " + s[0].lower() + s[1:],
                    lambda s: s[0].lower() + s[1:],
                    lambda s: (
                        self.r.choice(["Hi! ", "Hey, ", "Quick question: ", "Now ", "So, ", "Ok, "]) + s
                    ),
                    lambda s: s.lower().rstrip("?.!"),
                ]
            )(it.user)
        it.skill = skill
        return it

    def turn(self, it):
        """A question and its answer as messages."""
        return [msg("user", it.user), msg("assistant", it.answer)]

    def fill(self, n):
        """Turns to stand before the one that counts."""
        return [
            m
            for _ in range(n)
            for m in self.turn(
                self.item(
                    self.r.choice(["capital", "fact", "arithmetic", "talk", "letters", "unknown"]), False
                )
            )
        ]

    def single(self, skill=None):
        """One question, sometimes with a system message."""
        it = self.item(skill)
        system = [msg("system", self.r.choice(GENERIC_SYSTEM))] if self.r.random() < 0.12 else []
        return Chat(
            it.skill, system + self.turn(it), it.thought, accept=getattr(it, "accept", None), key=it.key
        )

    def multi(self, turns=None):
        """Several unrelated questions in one conversation."""
        it = self.item()
        return Chat(
            "multi_turn",
            self.fill(turns or self.r.choice([1, 1, 2, 2, 3, 4])) + self.turn(it),
            it.thought,
            accept=getattr(it, "accept", None),
        )

    def language(self):
        """A system message asks for answers in another language."""
        i = self.r.randrange(3)
        system = self.say(
            "[always |please |][answer|reply|respond|speak] [only |]in {l}[.|]",
            "[you speak|speak] only {l}.",
            "you are a helpful assistant. Answer in {l}.",
            "~your answers must be in {l}.",
            "~use {l} for every answer.",
            "~write all answers in {l}.",
            l=LANGS[i],
        )
        k = self.r.random()
        if k < 0.75:
            train, held, *answers = self.r.choice(PHRASES)
            q = self.r.choice((held if self.held == "phrase" else train).split("|"))
            q += self.r.choice(["", "!"]) if q[-1] not in "?." else ""
            a, t = answers[i], f"I must answer in {LANGS[i]}."
        elif k < 0.9:
            q, a, t = (
                self.item("unknown").user,
                LANG_DECLINE[i],
                f"I do not know this. I must answer in {LANGS[i]}.",
            )
        else:
            it = self.item("arithmetic")
            q, a, t = it.user, it.answer, it.thought
        return Chat("language", [msg("system", system), msg("user", q), msg("assistant", a)], t)

    def one_word(self):
        """Answers of a single word."""
        it = self.item(self.r.choice(["capital", "fact", "arithmetic", "compare", "talk"]))
        rule = self.say(
            "[always |][answer|reply|respond] [in|with] [one|a single] word[.|]",
            "[use|give] one-word answers[ only|][.|]",
            "answer with only one word.",
            "~your answer must be one word.",
            "~one word answers, please.",
        )
        system = [msg("system", rule)] if self.r.random() < 0.7 else []
        q = it.user if system else f"{it.user} {rule}"
        return Chat(
            "one_word", system + [msg("user", q), msg("assistant", it.short)], f"One word: {it.short}."
        )

    def json_answer(self):
        """Answers as a JSON object with the keys asked for."""
        while not (
            it := self.item(self.r.choice(["capital", "fact", "arithmetic", "compare"]))
        ).fields or it.user.lower().startswith("is the capital"):
            pass
        fields = it.fields
        if self.r.random() < 0.25:
            n, age, city = self.name(), self.r.randrange(5, 90), self.r.choice(CAPITALS)[1]
            it.user = self.say(
                "my name is {n} and I am {a} years old. I live in {c}.",
                "{n} is {a} and lives in {c}.",
                "{n}, {a} years old, from {c}.",
                "~this is {n} from {c}, aged {a}.",
                n=n,
                a=age,
                c=city,
            )
            fields = {"name": n, "age": age, "city": city}
        keys = list(fields)
        self.r.shuffle(keys)
        keys = keys[: self.r.choice([1, 2, 3, 3])]
        names = (
            ", ".join(keys)
            if self.r.random() < 0.5
            else " and ".join(filter(None, [", ".join(keys[:-1]), keys[-1]]))
        )
        rule = self.say(
            "[reply|answer|respond] in JSON with [the |]key{s} {k}[.|]",
            "[reply|answer] as [a |]JSON [object |]with [the |]key{s} {k}[.|]",
            "[reply|answer] in JSON. Keys: {k}",
            "~give me JSON with key{s} {k}.",
            "~output a JSON object with the key{s} {k}.",
            s="s" * (len(keys) > 1),
            k=names,
        )
        messages = (
            [msg("system", rule), msg("user", it.user)]
            if self.r.random() < 0.4
            else [msg("user", self.r.choice([f"{it.user} {rule}", f"{rule} {it.user}"]))]
        )
        return Chat(
            "json",
            messages + [msg("assistant", json.dumps({k: fields[k] for k in keys}, ensure_ascii=False))],
            f"I need JSON with {names}.",
        )

    def memory(self):
        """Recalling what the user said some turns before."""
        n, r = self.name(), self.r
        k, x, tell, ask, ack, recall = r.choice(
            [
                (
                    "name",
                    n,
                    [
                        "my name is {x}[.|]",
                        "I am {x}[.|]",
                        "I'm {x}[.|]",
                        "hi, my name is {x}[.|!]",
                        "call me {x}[.|]",
                        "~hello! You can call me {x}.",
                    ],
                    [
                        "what is my name?",
                        "what's my name?",
                        "who am I?",
                        "do you remember my name?",
                        "~tell me my name.",
                        "~do you still know my name?",
                    ],
                    "Nice to meet you, {x}!",
                    "Your name is {x}.",
                ),
                (
                    "city",
                    r.choice(CAPITALS)[1],
                    ["I live in {x}[.|]", "my home is in {x}[.|]", "~I come from {x}."],
                    ["where do I live?", "which city do I live in?", "~do you remember where I live?"],
                    "{x} is a nice place to live!",
                    "You live in {x}.",
                ),
                (
                    "color",
                    r.choice(COLORS)[1],
                    [
                        "my favorite color is {x}[.|]",
                        "I like the color {x}[.|]",
                        "~the color I like most is {x}.",
                    ],
                    ["what is my favorite color?", "which color do I like?", "~tell me my favorite color."],
                    "{x} is a nice color!",
                    "Your favorite color is {x}.",
                ),
                (
                    "pet",
                    n,
                    [
                        "my [dog|cat|pet] is called {x}[.|]",
                        "I have a [dog|cat|pet] named {x}[.|]",
                        "~{x} is my pet.",
                    ],
                    [
                        "what is my [dog|cat|pet] called?",
                        "what is the name of my [dog|cat|pet]?",
                        "~tell me the name of my pet.",
                    ],
                    "{x} is a lovely name!",
                    "Your pet is called {x}.",
                ),
                (
                    "number",
                    str(r.randrange(100)),
                    [
                        "remember the number {x}[.|]",
                        "my number is {x}[.|]",
                        "~please keep the number {x} in mind.",
                    ],
                    ["what was the number?", "which number did I tell you?", "~tell me my number."],
                    "I will remember {x}.",
                    "The number is {x}.",
                ),
            ]
        )
        if r.random() < 0.08:
            return Chat(
                "memory",
                self.fill(r.randrange(2))
                + [msg("user", self.say(*ask)), msg("assistant", f"You have not told me your {k} yet.")],
                f"The user did not tell me the {k}.",
            )
        tell, ack, recall = self.say(*tell, x=x), cap(ack.format(x=x)), recall.format(x=x)
        if r.random() < 0.15:
            return Chat(
                "memory", [msg("user", tell), msg("assistant", ack)], f"The user tells me a {k}: {x}."
            )
        return Chat(
            "memory",
            [msg("user", tell), msg("assistant", ack)]
            + self.fill(r.choice([0, 0, 1, 1, 2, 3]))
            + [msg("user", self.say(*ask)), msg("assistant", recall)],
            f"The user told me: {x}.",
        )

    def persona(self):
        """A system message gives the model another name."""
        n = self.name()
        s = self.say(
            "your name is {n}[.|]",
            "you are {n}, a helpful assistant.",
            "you are an assistant named {n}.",
            "~you are called {n}.",
            n=n,
        )
        q = self.say(
            "who are you?",
            "what is your name?",
            "introduce yourself[.|]",
            "what's your name?",
            "~tell me your name.",
        )
        return Chat(
            "persona",
            [msg("system", s), msg("user", q), msg("assistant", f"My name is {n}.")],
            f"My name is {n}.",
        )

    MIX = {
        "single": 55,
        "multi": 14,
        "language": 5,
        "one_word": 5,
        "json_answer": 5,
        "memory": 6,
        "persona": 1,
        "tools": 12,
    }

    # The mix of the shorter second and third phase of the training: more of the skills that are learned last.
    FOCUS_SINGLE = {
        "talk": 7,
        "capital": 15,
        "fact": 10,
        "arithmetic": 24,
        "count": 8,
        "repeat": 9,
        "letters": 30,
        "compare": 10,
        "unknown": 6,
        "story": 1,
        "story_free": 0.5,
        "joke": 0.5,
    }

    FOCUS_MIX = {
        "single": 74,
        "multi": 8,
        "language": 3,
        "one_word": 4,
        "json_answer": 4,
        "memory": 3,
        "persona": 1,
        "tools": 3,
    }

    def focus(self):
        """Turns to the mix of the second and third phase of the training."""
        self.SINGLE, self.MIX = self.FOCUS_SINGLE, self.FOCUS_MIX
        return self

    def chat(self):
        """A conversation of any kind, by the mix of skills."""
        return getattr(self, self.r.choices(list(self.MIX), self.MIX.values())[0])()

    def long_chat(self):
        """A conversation of 7 to 29 turns, so that the model learns to use its whole context."""
        return self.multi(self.r.randint(6, 28)) if self.r.random() < 0.7 else self.tools()


if __name__ == "__main__":
    g = Generator(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
        c = g.chat()
        print(
            json.dumps(
                {"skill": c.skill, "tools": c.tools, "messages": c.messages, "thought": c.thought},
                ensure_ascii=False,
            )
        )
