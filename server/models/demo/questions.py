"""Single questions with one right answer: capitals, facts, sums, spelling and so on."""

from facts import (
    BABIES,
    CAPITALS,
    COLORS,
    DAYS,
    LANGS,
    MISC,
    MONTH_DAYS,
    MONTHS,
    OPPOSITES,
    ORDINALS,
    PLANETS,
    PLURALS,
    SOUNDS,
    WORDS3,
)
from writing import Item, Writer, cap


class Questions(Writer):
    """Questions with one right answer."""

    def capital(self):
        """The capital of a country, the country of a capital, or whether the two belong together."""
        country, city = self.r.choice(CAPITALS)
        the = "the " if country in ("United States", "United Kingdom", "Philippines") else ""
        f, c = {"country": country, "capital": city}, the + country
        kind = self.r.random()
        if kind < 0.5:
            q = self.say(
                "[what is|what's|tell me|name|give me] the capital [city |]of {c}[?|]",
                "capital of {c}[?|]",
                "which city is the capital of {c}?",
                "{c}'s capital[?|]",
                "what is {c}'s capital?",
                "~I need the capital of {c}.",
                "~do you know the capital of {c}?",
                "~can you tell me what the capital of {c} is?",
                c=c,
            )
            return Item(q, f"The capital of {c} is {city}.", f"The capital of {c}: {city}.", city, f)
        if kind < 0.8:
            q = self.say(
                "{x} is the capital of [which|what] country?",
                "which country has the capital {x}?",
                "[what|which] country's capital is {x}?",
                "of which country is {x} the capital?",
                "~name the country with the capital {x}.",
                "~{x} is the capital of?",
                x=city,
            )
            return Item(q, f"{city} is the capital of {c}.", f"{city} is the capital of {c}.", country, f)
        other = city if self.r.random() < 0.5 else self.r.choice(CAPITALS)[1]
        q = self.say(
            "is {x} the capital of {c}?",
            "is the capital of {c} {x}?",
            "~{x} is the capital of {c}, right?",
            x=other,
            c=c,
        )
        yes = other == city
        return Item(
            q,
            f"{'Yes' if yes else 'No'}, the capital of {c} is {city}.",
            f"The capital of {c}: {city}.",
            "Yes" if yes else "No",
            f,
        )

    def fact(self):
        """Colours, opposites, plurals, animals, calendar, planets, odd facts, words in other languages."""
        r, k = self.r, self.r.randrange(10)
        if k == 0:
            x, y = r.choice(COLORS)
            q = self.say(
                "what color is {x}?",
                "which color [is|has] {x}?",
                "what is the color of {x}?",
                "~tell me the color of {x}.",
                "~{x} has what color?",
                x=x,
            )
            return Item(q, f"{cap(x)} is {y}.", f"The color of {x}: {y}.", cap(y), {"thing": x, "color": y})
        if k == 1:
            x, y = r.choice(OPPOSITES)
            x, y = (x, y) if r.random() < 0.5 else (y, x)
            q = self.say(
                "what is the opposite of {x}?",
                "opposite of {x}[?|]",
                "name the opposite of {x}.",
                "give me the opposite of {x}",
                "~{x} is the opposite of what?",
                "~tell me the opposite of {x}.",
                x=x,
            )
            return Item(
                q,
                f"The opposite of {x} is {y}.",
                f"The opposite of {x}: {y}.",
                cap(y),
                {"word": x, "opposite": y},
            )
        if k == 2:
            x, y = r.choice(PLURALS)
            q = self.say(
                "what is the plural of {x}?",
                "plural of {x}[?|]",
                "give me the plural of {x}",
                "name the plural of {x}.",
                "~tell me the plural of {x}.",
                "~{x} in the plural?",
                x=x,
            )
            return Item(
                q, f"The plural of {x} is {y}.", f"The plural of {x}: {y}.", cap(y), {"word": x, "plural": y}
            )
        if k == 3:
            x, y = r.choice(SOUNDS)
            q = self.say(
                "what [sound|noise] does a {x} make?",
                "what does a {x} say?",
                "how does a {x} sound?",
                "~tell me the sound of a {x}.",
                "~which sound does the {x} make?",
                x=x,
            )
            return Item(q, f"A {x} says {y}.", f"The sound of a {x}: {y}.", cap(y), {"animal": x, "sound": y})
        if k == 4:
            x, y = r.choice(BABIES)
            q = self.say(
                "what is a baby {x} called?",
                "what do you call a baby {x}?",
                "name of a baby {x}[?|]",
                "~how is a baby {x} called?",
                "~tell me the name of a baby {x}.",
                x=x,
            )
            return Item(
                q, f"A baby {x} is called a {y}.", f"A baby {x}: {y}.", cap(y), {"animal": x, "baby": y}
            )
        if k in (5, 6):
            unit, seq = ("day", DAYS) if k == 5 else ("month", MONTHS)
            i, after = r.randrange(len(seq)), r.random() < 0.5
            x, w = seq[i], "after" if after else "before"
            y = seq[(i + (1 if after else -1)) % len(seq)]
            q = self.say(
                "[what|which] {u} [comes|is] {w} {x}?",
                "what {u} do we have {w} {x}?",
                "name the {u} {w} {x}.",
                "~tell me which {u} comes {w} {x}.",
                "~the {u} {w} {x}?",
                u=unit,
                w=w,
                x=x,
            )
            return Item(q, f"{y} comes {w} {x}.", f"{w.capitalize()} {x}: {y}.", y, {unit: x, w: y})
        if k == 7:
            i, plan = r.randrange(12), r.randrange(3)
            if plan == 0:
                q = self.say(
                    "how many days [are in|has|does] {x}[ have|]?",
                    "number of days in {x}?",
                    "~how long is {x} in days?",
                    x=MONTHS[i],
                )
                return Item(
                    q,
                    f"{MONTHS[i]} has {MONTH_DAYS[i]} days.",
                    f"Days in {MONTHS[i]}: {MONTH_DAYS[i]}.",
                    str(MONTH_DAYS[i]),
                    {"month": MONTHS[i], "days": MONTH_DAYS[i]},
                )
            seq, u = ((PLANETS, "planet from the Sun"), (MONTHS, "month of the year"))[plan - 1]
            i %= len(seq)
            q = self.say(
                "[what|which] is the {o} {u}?",
                "name the {o} {u}.",
                "~tell me the {o} {u}.",
                o=ORDINALS[i],
                u=u,
            )
            return Item(
                q,
                f"{seq[i]} is the {ORDINALS[i]} {u}.",
                f"The {ORDINALS[i]} {u}: {seq[i]}.",
                seq[i],
                {"position": i + 1, u.split()[0]: seq[i]},
            )
        if k == 8:
            q, held, a, s = r.choice(MISC)
            q = self.say("[|||please tell me: |question: ]" + q[0].lower() + q[1:], "~" + held)
            return Item(
                q,
                a,
                f"I know this: {s}.",
                s,
                {"answer": s},
                key=("misc", q) if self.held == "combo" else None,
            )
        x, i = r.choice(list(WORDS3)), r.randrange(3)
        y = WORDS3[x][i]
        q = self.say(
            "how do you say {x} in {l}?",
            "what is {x} in {l}?",
            "translate {x} to {l}[.|]",
            "{x} in {l}[?|]",
            "what is the {l} word for {x}?",
            "~tell me the {l} word for {x}.",
            "~how is {x} called in {l}?",
            x=x,
            l=LANGS[i],
        )
        return Item(
            q,
            f"{cap(x)} in {LANGS[i]} is {y}.",
            f"{cap(x)} in {LANGS[i]}: {y}.",
            cap(y),
            {"word": x, LANGS[i].lower(): y},
        )

    def arithmetic(self):
        """A sum or a difference of two numbers below 100."""
        a, b, plus = self.r.randrange(100), self.r.randrange(100), self.r.random() < 0.5
        if not plus and a < b and self.r.random() < 0.7:
            a, b = b, a
        op, c, (a1, a0), (b1, b0) = (
            "+" if plus else "-",
            a + b if plus else a - b,
            divmod(a, 10),
            divmod(b, 10),
        )
        q = self.say(
            *(
                (
                    "[what is|what's|compute|calculate|how much is] {a} [+|plus] {b}[?|]",
                    "add {a} and {b}[.|]",
                    "{a}+{b}[=|]",
                    "what is the sum of {a} and {b}?",
                    "~tell me {a} plus {b}.",
                    "~the sum of {a} and {b} is?",
                    "~I have {a} apples and get {b} more. How many apples?",
                )
                if plus
                else (
                    "[what is|what's|compute|calculate|how much is] {a} [-|minus] {b}[?|]",
                    "subtract {b} from {a}[.|]",
                    "{a}-{b}[=|]",
                    "take {b} away from {a}[.|]",
                    "~tell me {a} minus {b}.",
                    "~{a} take away {b}?",
                )
            ),
            a=a,
            b=b,
        )
        if plus:
            t = f"{a0} + {b0} = {a0 + b0}; {a1} + {b1}{' + 1' if a0 + b0 > 9 else ''} = {a1 + b1 + (a0 + b0 > 9)}."
        elif c < 0:
            t = f"{a} is less than {b}; {b} - {a} = {-c}."
        else:
            t = (
                f"{10 + a0} - {b0} = {10 + a0 - b0}; {a1} - {b1} - 1 = {a1 - b1 - 1}."
                if a0 < b0
                else f"{a0} - {b0} = {a0 - b0}; {a1} - {b1} = {a1 - b1}."
            )
        return Item(
            q,
            f"{a} {op} {b} = {c}",
            t,
            str(c),
            {"a": a, "b": b, "sum" if plus else "difference": c},
            (op, a, b),
        )

    def count(self):
        """Counting up or down by ones."""
        a, n = self.r.randrange(91), self.r.randint(2, 14)
        a, b = self.r.choice([(a, a + n), (a, a + n), (1, n), (min(99, a + n), min(99, a + n) - n)])
        b = max(0, min(b, 100))
        q = self.say(
            "count from {a} to {b}[.|]",
            "[please |]count from {a} to {b}",
            "numbers from {a} to {b}",
            "list the numbers from {a} to {b}[.|]",
            "~can you count from {a} to {b}?",
            "~count {a} to {b}.",
            a=a,
            b=b,
        )
        step = 1 if a <= b else -1
        return Item(
            q,
            ", ".join(map(str, range(a, b + step, step))),
            f"I start at {a} and stop at {b}.",
            key=("count", a, b),
        )

    def repeat(self):
        """Saying a text again, word for word."""
        words = [self.r.choice([self.word, self.name])() for _ in range(self.r.randint(1, 7))]
        text = " ".join(words) + self.r.choice(["", "", ".", "!", "?"])
        text = cap(text) if self.r.random() < 0.4 else text
        if self.r.random() < 0.3:  # an ordinary sentence
            text = self.item(self.r.choice(["capital", "fact", "arithmetic", "talk", "compare"])).answer
        q = self.say(
            "repeat[| after me|| exactly]: {x}",
            'say "{x}"',
            'repeat "{x}"',
            "say[ this|]: {x}",
            "echo[:|] {x}",
            "repeat the [words|phrase|text]: {x}",
            "~please repeat: {x}",
            '~say exactly "{x}"',
            x=text,
        )
        return Item(q, text, f"I repeat: {text}", exact=True)

    def letters(self):
        """Spelling a word, or changing its case."""
        w, k = self.word(), self.r.randrange(3)
        if k == 0:
            q = self.say(
                "spell [the word |]{x}[.|]",
                'spell "{x}"',
                "how do you spell {x}?",
                "[please |]spell: {x}",
                "~can you spell {x}?",
                "~spell out {x}.",
                x=w,
            )
            return Item(q, "-".join(w), f"I spell {w} letter by letter.", exact=True, key=w)
        if k == 1:
            q = self.say(
                "[write |put |]{x} in [uppercase|upper case|capital letters][.|]",
                "uppercase [the word |]{x}[.|]",
                "uppercase: {x}",
                'convert "{x}" to uppercase',
                "~make {x} uppercase.",
                "~capitalize all of {x}.",
                x=w,
            )
            return Item(q, w.upper(), f"I write {w} in uppercase.", exact=True, key=w)
        q = self.say(
            "[write |put |]{x} in [lowercase|lower case|small letters][.|]",
            "lowercase [the word |]{x}[.|]",
            "lowercase: {x}",
            'convert "{x}" to lowercase',
            "~make {x} lowercase.",
            x=w.upper(),
        )
        return Item(q, w, f"I write {w.upper()} in lowercase.", exact=True, key=w)

    def compare(self):
        """Which of two numbers is larger."""
        a, b = self.r.randrange(100), self.r.randrange(100)
        b = a if self.r.random() < 0.05 else b
        if self.r.random() < 0.6 or a == b:
            more = self.r.random() < 0.5
            w, yes = ("greater" if more else "less"), (a > b if more else a < b)
            q = self.say(
                "is {a} {w} than {b}?",
                "is {a} {v} than {b}?",
                "is it true that {a} is {v} than {b}?",
                "{a} is {v} than {b}[?|, yes or no?]",
                "~{a} is {w} than {b}, right?",
                "~tell me if {a} is {v} than {b}.",
                a=a,
                b=b,
                w=w,
                v=self.r.choice(["bigger", "larger"]) if more else "smaller",
            )
            s = "Yes" if yes else "No"
            return Item(
                q,
                f"{s}, {a} is {'' if yes else 'not '}{w} than {b}.",
                f"I compare {a} and {b}.",
                s,
                {"a": a, "b": b, "answer": s},
                ("cmp", a, b),
            )
        more = self.r.random() < 0.5
        q = self.say(
            "which [number |]is {w}, {a} or {b}?",
            "which is {w}: {a} or {b}?",
            "what is {w}, {a} or {b}?",
            "~tell me which is {w}, {a} or {b}.",
            "~{a} or {b}, which one is {w}?",
            a=a,
            b=b,
            w=self.r.choice(["greater", "larger", "bigger"]) if more else self.r.choice(["smaller", "less"]),
        )
        x, y = (max(a, b), min(a, b)) if more else (min(a, b), max(a, b))
        w = "greater" if more else "less"
        return Item(
            q,
            f"{x} is {w} than {y}.",
            f"I compare {a} and {b}.",
            str(x),
            {"a": a, "b": b, w: x},
            ("cmp", a, b),
        )
