#!/usr/bin/env python3
"""Renders the chat templates here with the real transformers, for `../text/templates.rs` to compare with.

    pip install transformers jinja2
    python render.py            # writes expected/
    python render.py --check    # says what would change, and fails if anything would

`families/NAME.jinja` are templates with the features of a public model family; `families.json` holds their special tokens.
Each is rendered with every conversation of `conversations.json`. `features.json` holds small templates, each for one
feature of Jinja2, with the variables they want.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

import jinja2
import transformers
from tokenizers import Tokenizer, models
from transformers.utils import chat_template_utils

HERE = Path(__file__).parent


class FixedClock(datetime.datetime):
    """The time that `strftime_now` prints, in both programs."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 5, 14, 7, 9)


def render(template, tokens, messages, tools, options):
    """What `apply_chat_template` makes of a conversation: its text, the message it raises, or the kind of its failure."""
    # Any tokenizer will do, as nothing is tokenized.
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), chat_template=template, **tokens
    )
    try:
        text = tokenizer.apply_chat_template(
            messages, tools=tools, tokenize=False, **{"add_generation_prompt": True, **options}
        )
        return {"text": text}
    except jinja2.exceptions.UndefinedError as error:
        return {"fails": f"UndefinedError: {error}"}
    except jinja2.exceptions.SecurityError as error:
        return {"fails": f"SecurityError: {error}"}
    except jinja2.exceptions.TemplateSyntaxError as error:
        return {"does not compile": str(error)}
    except jinja2.exceptions.TemplateError as error:
        return {"raises": str(error)}
    except Exception as error:
        return {"fails": f"{type(error).__name__}: {error}"}


def read(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def families():
    conversations = read("conversations.json")
    for name, family in read("families.json").items():
        template = (HERE / "families" / f"{name}.jinja").read_text(encoding="utf-8")
        cases = {}
        for conversation, content in conversations.items():
            # The server's own default: reasoning is off unless a request asks for it.
            options = {"enable_thinking": False} if "enable_thinking" in template else {}
            options |= content.get("options", {})
            cases[conversation] = render(
                template, family["tokens"], content["messages"], content.get("tools"), options
            )
        yield name, cases


def features():
    cases = {}
    for name, feature in read("features.json").items():
        messages = [{"role": "user", "content": "Hi"}]
        cases[name] = render(feature["template"], {}, messages, None, feature.get("variables", {}))
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check

    chat_template_utils.datetime = FixedClock
    by = {"transformers": transformers.__version__, "jinja2": jinja2.__version__}
    stale = []
    (HERE / "expected").mkdir(exist_ok=True)
    for name, cases in [*families(), ("features", features())]:
        path = HERE / "expected" / f"{name}.json"
        text = json.dumps({"rendered_by": by, "cases": cases}, indent=1, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not check:
                path.write_text(text, encoding="utf-8")
    print(f"{'stale' if check else 'written'}: {', '.join(stale) or 'nothing'}")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
