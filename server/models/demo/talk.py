"""Small talk, stories, jokes, and what the model does not know."""

from facts import CAPITALS, FOREIGN_HELLO, JOKES, LANGS, PHRASES
from writing import Item, Writer

IDENTITY = "I am the mlx-gate demo model, a tiny offline language model."
UNKNOWN = "I am a tiny demo model and I do not know that. Try a capital, a small sum, a story or a joke."


class Talk(Writer):
    """Small talk, stories, jokes, and what the model does not know."""

    def talk(self):
        """Greetings, thanks, and questions about the model itself."""
        groups = [
            (
                [
                    "[hello|hi|hey|hi there|hello there|good day|hey there][!|.|]",
                    "~[greetings|howdy][!|]",
                    "~hello, model!",
                ],
                "Hello! " + IDENTITY + " How can I help you?",
                "The user says hello.",
                "Hello",
            ),
            (
                [
                    "who are you?",
                    "what are you?",
                    "what is your name?",
                    "introduce yourself[.|]",
                    "tell me about yourself[.|]",
                    "what's your name?",
                    "[which|what] model are you?",
                    "are you [an AI|a robot|a language model|ChatGPT]?",
                    "~who am I talking to?",
                    "~please introduce yourself.",
                ],
                IDENTITY,
                "The user asks who I am.",
                "Demo",
            ),
            (
                [
                    "what can you do?",
                    "help[!|]",
                    "how can you help me?",
                    "what do you know?",
                    "what are you good at?",
                    "what can I ask you?",
                    "what are your skills?",
                    "~what are you able to do?",
                    "~what is it that you can do?",
                ],
                "I can name capitals, add and subtract small numbers, count, spell words, tell short stories and call tools. "
                "I am tiny, so I know little else.",
                "The user asks what I can do.",
                "Little",
            ),
            (
                [
                    "how are you[| today]?",
                    "how is it going?",
                    "how do you do?",
                    "are you ok?",
                    "what's up?",
                    "~how are you doing?",
                    "~how are things?",
                ],
                "I am fine, thank you! How can I help you?",
                "The user asks how I am.",
                "Fine",
            ),
            (
                [
                    "thanks[!|.|]",
                    "thank you[!|.| very much]",
                    "thanks a lot[!|]",
                    "that was helpful",
                    "great, thanks!",
                    "~many thanks!",
                    "~ok, thank you!",
                ],
                "You are welcome!",
                "The user thanks me.",
                "Welcome",
            ),
            (
                [
                    "bye[!|.|]",
                    "goodbye[!|.|]",
                    "see you[ later|][!|]",
                    "good night[!|]",
                    "~bye bye!",
                    "~see you soon!",
                ],
                "Goodbye! Have a nice day.",
                "The user says goodbye.",
                "Goodbye",
            ),
            (
                ["good [morning|afternoon|evening][!|]", "~good morning to you!"],
                "Good day to you! How can I help you?",
                "The user says hello.",
                "Hello",
            ),
            (
                [
                    "who made you?",
                    "who created you?",
                    "who trained you?",
                    "where do you come from?",
                    "how were you made?",
                    "~who built you?",
                ],
                "I was trained from scratch on synthetic text, as the demo model of mlx-gate.",
                "The user asks where I come from.",
                "mlx-gate",
            ),
            (
                [
                    "how big are you?",
                    "how many parameters do you have?",
                    "are you [small|big|smart|clever]?",
                    "~what is your size?",
                    "~are you large?",
                ],
                "I am very small: about three million parameters. I make mistakes.",
                "The user asks about my size.",
                "Small",
            ),
            (
                ["are you [alive|human|real|a person]?", "do you have feelings?", "~are you a human being?"],
                "No, I am only a small computer program.",
                "The user asks if I am human.",
                "No",
            ),
            (
                [
                    "[ok|okay|nice|cool|great|good|wow|I see|well done|awesome][!|.|]",
                    "~very good!",
                    "~that is nice.",
                ],
                "I am glad! What else can I do for you?",
                "The user is happy.",
                "Great",
            ),
            (
                [
                    "you are wrong[!|.|]",
                    "that is [wrong|not right|false][!|.|]",
                    "no[!|.|]",
                    "~this is wrong.",
                ],
                "I am sorry. I am a tiny model and I make mistakes.",
                "The user is not happy.",
                "Sorry",
            ),
        ] + [
            (
                [p for p in hs[:2]] + ["~" + p for p in hs[2:]],
                PHRASES[0][2 + i],
                f"The user speaks {LANGS[i]}.",
                hs[0],
            )
            for i, hs in enumerate(FOREIGN_HELLO)
        ]
        i = self.r.choice([0, 0, *range(len(groups))])
        patterns, a, t, s = groups[i]
        q = self.say(*patterns)
        return Item(q, a, t, s, key=("talk", q) if i > 3 else "x")

    def unknown(self):
        """What the model cannot know; it has to say so."""
        r = self.r
        topic = r.choice(
            """quantum physics, the stock market, the French revolution, black holes, photosynthesis, jazz, chess,
            blockchain, the Roman empire, climate change, evolution, philosophy, the human brain, football, opera, gravity,
            electricity, machine learning, World War II, vaccines, cooking, the internet, algebra, poetry, taxes, law""".split(
                ","
            )
        ).strip()
        lang = r.choice(["Python", "Rust", "Java", "C", "JavaScript", "Go", "SQL"])
        task = r.choice(
            [
                "sort a list",
                "read a file",
                "parse JSON",
                "reverse a string",
                "fix a bike",
                "bake a cake",
                "lose weight",
                "learn guitar",
                "write an essay",
                "make money",
                "train a model",
                "open a website",
                "invest money",
            ]
        )
        thing = r.choice(
            [
                "the telephone",
                "the light bulb",
                "the car",
                "the airplane",
                "the computer",
                "the radio",
                "television",
                "penicillin",
            ]
        )
        n, m, land, fake = (
            r.randrange(2, 999),
            r.randrange(2, 99),
            r.choice(CAPITALS)[0],
            self.pseudo(2, 4).capitalize(),
        )
        q = self.say(
            "explain {topic}[.|]",
            "tell me about {topic}[.|]",
            "what is {topic}?",
            "write [a|some] {lang} [code|program|function] to {task}[.|]",
            "how do I {task}?",
            "how can I {task}?",
            "who invented {thing}?",
            "when was {thing} invented?",
            "who is {fake}?",
            "what is [a |]{fake}?",
            "who is the president of {land}?",
            "what is the population of {land}?",
            "how many people live in {land}?",
            "what is the [currency|language|flag] of {land}?",
            "what is the capital of {fake}?",
            "where is {fake}?",
            "who wrote {fake}?",
            "what is {n} times {m}?",
            "{n} * {m}",
            "what is {n} divided by {m}?",
            "what is the square root of {n}?",
            "who won the [world cup|election|race] in {y}?",
            "what happened in {y}?",
            "what is the weather [in {land}|today|like]?",
            "what time is it[ in {land}|]?",
            "what is the [date|news] today?",
            "write a [poem|song|letter|tweet|blog post] about {topic}[.|]",
            "what do you think about {topic}?",
            "recommend a [movie|book|restaurant|song]",
            "{fake} {lower} {lower2}",
            "summarize [this text|the book {fake}]",
            "what is the meaning of life?",
            "how tall is {fake}?",
            "do you like {topic}?",
            "translate this sentence to [Japanese|Chinese|Russian|Latin]",
            "how old is {fake}?",
            "why is {topic} important?",
            "list five facts about {topic}",
            "~give me an introduction to {topic}.",
            "~could you explain {topic} to me?",
            "~what is the best way to {task}?",
            "~who was the inventor of {thing}?",
            "~how far away is {fake}?",
            "~please multiply {n} by {m}.",
            "~what is the history of {topic}?",
            "~who discovered {fake}?",
            "~show me {lang} code.",
            topic=topic,
            lang=lang,
            task=task,
            thing=thing,
            n=n,
            m=m,
            land=land,
            fake=fake,
            y=r.randrange(1900, 2026),
            lower=self.pseudo(),
            lower2=self.pseudo(),
        )
        return Item(q, UNKNOWN, "I do not know this.", "Unknown")

    def story(self):
        """A short story about a named hero of a kind."""
        kind = self.r.choice(
            "fox knight robot dragon girl boy cat dog wizard sailor princess bear rabbit pirate mouse owl".split()
        )
        n = self.name()
        q = self.say(
            "[tell|write] [me |]a [short |]story about [a|the] {k} [named|called] {n}[.|]",
            "a story about {n} the {k}[, please|]",
            "[tell|write] [me |]a [short |]story about {n} the {k}[.|]",
            "story about a {k} named {n}",
            "~I would like a story about a {k} named {n}.",
            "~can you tell me a story about {n} the {k}?",
            k=kind,
            n=n,
        )
        return self.tale(q, n, kind)

    def story_free(self):
        """A short story whose hero is left open, or only named."""
        n = self.name()
        if self.r.random() < 0.5 or self.held == "phrase":
            q = self.say(
                "[tell|write] [me |]a [short |]story about {n}[.|]",
                "a story about {n}[, please|]",
                "make up a story about {n}",
                "~I want to hear a story about {n}.",
                n=n,
            )
            return self.tale(q, n, "child")
        q = self.say(
            "tell me a [short |]story[.|!|]",
            "write a [short |]story[.|]",
            "a story[, please|]",
            "can you tell a story?",
        )
        return self.tale(q, "Mia", "fox")

    def tale(self, q, n, kind):
        """The story itself, from eight sentences with a few forms each."""
        c = self.r.choice
        place = c(
            [
                "a quiet village",
                "a green valley",
                "a small house by the sea",
                "an old castle",
                "a deep forest",
                "a town on a hill",
            ]
        )
        lost = c(
            [
                "a golden key",
                "a silver bell",
                "an old map",
                "a red lantern",
                "a music box",
                "a shiny stone",
                "a letter",
            ]
        )
        friend, item = (
            c(["an owl", "a turtle", "a kind giant", "an old sailor", "a little mouse", "a white horse"]),
            lost.split()[-1],
        )
        a = "an" if kind[0] in "aeiou" else "a"
        parts = [
            c(
                [
                    f"Once upon a time there was {a} {kind} named {n}.",
                    f"Long ago, {a} {kind} named {n} lived in {place}.",
                ]
            ),
            c(
                [
                    f"One morning {n} found {lost} under a tree.",
                    f"One day {n} saw {lost} in the grass.",
                    f"One rainy night {n} found {lost} at the door.",
                ]
            ),
            c(
                [
                    f'"Who lost this {item}?" asked {n}.',
                    f'"This {item} must belong to someone," said {n}.',
                    f"{n} wanted to find its owner.",
                ]
            ),
            c(
                [
                    f"So {n} walked over the hills and met {friend}.",
                    f"On the way through the forest {n} met {friend}.",
                    f"After a long walk {n} met {friend}.",
                ]
            ),
            c(
                [
                    f'"I lost my {item} last winter," said the new friend.',
                    '"It is mine, and I have looked for it everywhere," said the new friend.',
                    f"The {item} belonged to the new friend, who had been sad for days.",
                ]
            ),
            c(
                [
                    f"{n} gave it back, and they both laughed and danced.",
                    f"{n} smiled and gave the {item} back.",
                    f"{n} gave it back and they shared some bread and honey.",
                ]
            ),
            c(
                [
                    "From that day on they were best friends.",
                    "After that they met every day.",
                    "Since then they have never been lonely.",
                ]
            ),
            c(
                [
                    f"And {n} learned that being kind makes everyone happy. The end.",
                    f"{n} went home tired and happy. The end.",
                    f"That night {n} slept very well. The end.",
                ]
            ),
        ]
        item = Item(
            q,
            " ".join(parts),
            f"A story about {n}. I begin with the hero and end well.",
            exact=True,
            key=("story", n, kind),
        )
        item.accept = lambda text: (
            text.count(n) >= 3 and text.endswith("The end.") and len(text.split()) >= 45
        )
        return item

    def joke(self):
        """A joke; any of the known ones will do."""
        q = self.say(
            "tell me a joke[!|.|]",
            "[do you know|make|tell] a joke[?|]",
            "joke[!|]",
            "make me laugh[!|.|]",
            "say something funny[.|]",
            "~I want to hear a joke.",
            "~another joke, please.",
        )
        item = Item(q, self.r.choice(JOKES), "A joke I know.")
        item.accept = lambda text: text in JOKES
        item.key = "x"
        return item
