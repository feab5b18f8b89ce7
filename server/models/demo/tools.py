"""Conversations with tools on offer: known tools, invented ones, results and refusals."""

import json
import re

from facts import CAPITALS, DAYS, LANGS, WORDS
from writing import Chat, Writer, cap, msg

GENERIC_SYSTEM = [
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "Be concise.",
    "You are helpful.",
    "You are a demo assistant. Answer briefly.",
    "Answer the user's questions.",
    "Be polite and brief.",
    "You are a knowledgeable assistant. Answer as well as you can and stay polite at all times.",
]


class Tools(Writer):
    """Conversations with tools on offer."""

    # name, description, arguments, request patterns, answer pattern for a plain-text result
    TOOLS = [
        (
            "get_weather",
            "Get the current weather of a city.",
            {"city": "city"},
            [
                "what is the weather [like |]in {city}?",
                "weather in {city}[?|]",
                "how is the weather in {city}[| today]?",
                "is it [raining|sunny|cold|warm] in {city}?",
                "~do I need an umbrella in {city}?",
                "~tell me the weather in {city}.",
            ],
            "The weather in {city}: {result}",
        ),
        (
            "add",
            "Add two numbers.",
            {"a": "int", "b": "int"},
            [
                "what is {a} [+|plus] {b}?",
                "add {a} and {b}[.|]",
                "{a} + {b}",
                "~what do {a} and {b} make together?",
            ],
            "The sum is {result}",
        ),
        (
            "multiply",
            "Multiply two numbers.",
            {"a": "int", "b": "int"},
            ["what is {a} [*|times] {b}?", "multiply {a} [by|and] {b}[.|]", "~the product of {a} and {b}?"],
            "The product is {result}",
        ),
        (
            "search",
            "Search the web.",
            {"query": "topic"},
            [
                "search [for|the web for] {query}[.|]",
                "look up {query}[.|]",
                "find information about {query}",
                "google {query}",
                "~what can you find about {query}?",
            ],
            "I found this: {result}",
        ),
        (
            "get_time",
            "Get the current time in a timezone.",
            {"timezone": "zone"},
            [
                "what time is it in {timezone}?",
                "[current |]time in {timezone}[?|]",
                "tell me the time in {timezone}",
                "~what does the clock say in {timezone}?",
            ],
            "The time in {timezone}: {result}",
        ),
        (
            "send_email",
            "Send an email.",
            {"to": "name", "text": "phrase"},
            [
                'send an email to {to} saying "{text}"',
                'email {to}: "{text}"',
                '~write {to} an email with the text "{text}"',
            ],
            "Done: {result}",
        ),
        (
            "set_timer",
            "Set a timer.",
            {"minutes": "int"},
            [
                "set a timer for {minutes} minutes[.|]",
                "start a {minutes} minute timer",
                "~wake me in {minutes} minutes.",
            ],
            "Timer: {result}",
        ),
        (
            "play_music",
            "Play music by an artist.",
            {"artist": "name"},
            ["play [music|a song|something] by {artist}[.|]", "play {artist}", "~I want to hear {artist}."],
            "Music: {result}",
        ),
        (
            "get_stock_price",
            "Get the price of a stock.",
            {"symbol": "symbol"},
            [
                "[what is the|tell me the] [stock |]price of {symbol}[?|]",
                "stock price {symbol}",
                "~how is {symbol} trading?",
            ],
            "The price of {symbol}: {result}",
        ),
        (
            "translate",
            "Translate a text.",
            {"text": "phrase", "language": "lang"},
            [
                'translate "{text}" to {language}[.|]',
                'how do you say "{text}" in {language}?',
                '~put "{text}" into {language}.',
            ],
            "Translation: {result}",
        ),
        (
            "read_file",
            "Read a file.",
            {"path": "path"},
            [
                "[read|open|show] [the file |]{path}[.|]",
                "what is in {path}?",
                "~print the contents of {path}.",
            ],
            "The file says: {result}",
        ),
        (
            "create_event",
            "Create a calendar event.",
            {"title": "phrase", "day": "day"},
            [
                'create an event "{title}" on {day}[.|]',
                'add "{title}" to my calendar on {day}',
                '~schedule "{title}" for {day}.',
            ],
            "Event: {result}",
        ),
    ]

    RESULTS = {
        "get_weather": ["18 degrees and sunny", "5 degrees and rainy", "cloudy, 12C", "snow, -3C", "windy"],
        "get_time": ["14:05", "09:30", "23:59", "7 am"],
        "search": ["It was founded in 1998.", "It is a popular topic.", "There are 42 results."],
        "get_stock_price": ["101.5 USD", "87 EUR", "250.25"],
    }

    def value(self, kind):
        """A random argument of a kind."""
        r = self.r
        if kind == "int":
            return r.randrange(r.choice([10, 100, 1000]))
        return {
            "city": lambda: r.choice(
                [r.choice(CAPITALS)[1], r.choice(CAPITALS)[1], self.pseudo().capitalize()]
            ),
            "name": self.name,
            "topic": lambda: " ".join(self.word() for _ in range(r.randint(1, 3))),
            "phrase": lambda: " ".join(self.word() for _ in range(r.randint(1, 4))),
            "zone": lambda: r.choice(
                [
                    r.choice(CAPITALS)[1],
                    "UTC",
                    "CET",
                    "EST",
                    "PST",
                    "Europe/Paris",
                    "Asia/Tokyo",
                    "America/New_York",
                    "Europe/Berlin",
                ]
            ),
            "lang": lambda: r.choice(LANGS + ["Italian", "Japanese"]),
            "symbol": lambda: "".join(r.choices("ABCDEFGHIKLMNOPRST", k=r.randint(3, 4))),
            "path": lambda: (
                r.choice(["", "/tmp/", "docs/"]) + self.word() + r.choice([".txt", ".md", ".json", ".csv"])
            ),
            "day": lambda: r.choice(DAYS),
        }[kind]()

    def custom_tool(self):
        """A tool with an invented name, called explicitly: the model has to copy names from the schema."""
        verb, noun = (
            self.r.choice("get find list delete update check run lookup create count show".split()),
            self.r.choice([self.r.choice(WORDS), self.pseudo()]),
        )
        arg = self.r.choice(["id", "name", "value", "key", "user", "count", "level", self.pseudo(2, 2)])
        name = f"{verb}_{noun}"
        return (
            name,
            f"{cap(verb)} the {noun}.",
            {arg: self.r.choice(["name", "phrase", "int", "symbol"])},
            [
                f"[use|call|run] [the tool |]{name} with {arg} {{{arg}}}[.|]",
                f"{verb} [the |]{noun} with {arg} {{{arg}}}[.|]",
                f"{verb} [the |]{noun} {{{arg}}}",
                f"~please call {name} with {arg} {{{arg}}}.",
                f"~I want to {verb} the {noun} with {arg} {{{arg}}}.",
            ],
            "The result: {result}",
        )

    def schema(self, tool):
        """A tool as OpenAI's API describes it."""
        props = {
            a: {
                "type": "integer" if k == "int" else "string",
                **({"description": f"The {a}."} if self.r.random() < 0.15 else {}),
            }
            for a, k in tool[2].items()
        }
        fn = {
            "name": tool[0],
            "description": tool[1],
            "parameters": {"type": "object", "properties": props, "required": list(props)},
        }
        if self.r.random() < 0.1:
            fn["parameters"] = dict(reversed(fn["parameters"].items()))
        return {"type": "function", "function": fn}

    def tools(self):
        """A conversation with tools on offer: a call, a call and its result, or no need for one."""
        r = self.r
        pool = [
            self.custom_tool() if r.random() < 0.35 else r.choice(self.TOOLS)
            for _ in range(r.choice([1, 1, 1, 2, 2, 3, 4]))
        ]
        pool = list({t[0]: t for t in pool}.values())
        messages = [msg("system", r.choice(GENERIC_SYSTEM))] if r.random() < 0.1 else []
        skill, thought = "", ""
        for _ in range(1 if self.held else r.choice([1, 1, 1, 2])):
            if r.random() < 0.2:  # a question that needs none of the tools
                it = self.item(r.choice(["talk", "capital", "fact", "letters", "unknown"]))
                while re.search(
                    r"weather|time|multipl|\*|translat|about|list|find|how do you say", it.user, re.I
                ):
                    it = self.item("talk")
                messages += self.turn(it)
                skill, thought = "tool_ignore", "I need no tool. " + it.thought
                continue
            tool = r.choice(pool)
            args = {a: self.value(k) for a, k in tool[2].items()}
            messages.append(msg("user", self.say(*tool[3], **args)))
            call = {"type": "function", "function": {"name": tool[0], "arguments": args}}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            skill, thought = "tool_call", f"I should call {tool[0]}."
            if r.random() < 0.45:
                k = r.random()
                if k < 0.55:
                    result = str(
                        r.choice(self.RESULTS[tool[0]])
                        if tool[0] in self.RESULTS and r.random() < 0.6
                        else self.value(r.choice(["int", "phrase", "phrase"]))
                    )
                    answer = tool[4].format(result=result, **args) + ("" if result[-1] in ".!?" else ".")
                elif k < 0.93:
                    obj = {
                        r.choice(
                            [
                                "temperature",
                                "status",
                                "value",
                                "result",
                                "count",
                                "wind",
                                "price",
                                "ok",
                                "title",
                                "humidity",
                            ]
                        ): r.choice(
                            [
                                self.value("int"),
                                self.value("phrase"),
                                self.r.choice(["sunny", "rainy", "done", "ok"]),
                            ]
                        )
                        for _ in range(r.randint(1, 3))
                    }
                    result = json.dumps(obj, separators=r.choice([(", ", ": "), (", ", ": "), (",", ":")]))
                    answer = "Here is the result: " + ", ".join(f"{a}: {b}" for a, b in obj.items()) + "."
                else:
                    why = r.choice(["not found", "timeout", "no access", "unknown " + self.word()])
                    result, answer = json.dumps({"error": why}), f"The tool failed: {why}."
                messages += [{"role": "tool", "name": tool[0], "content": result}, msg("assistant", answer)]
                skill, thought = "tool_answer", f"The tool {tool[0]} has answered."
        return Chat(skill, messages, thought, [self.schema(t) for t in pool])
