"""Exact-match accuracy at temperature 0 through mlx-lm: python evaluate.py MODEL_DIR [--n 40] [--json FILE] [--show]

`known`: draws from the training distribution; `combo`: known phrasings with held-out contents; `phrase`: phrasings never seen in training; `think`: with enable_thinking
(known phrasings, held-out contents), where the reply after </think> is compared. Stories and jokes are checked by rule.
"""

import argparse
import json
import zlib
from pathlib import Path

import mlx.core as mx
from generate import Generator
from mlx_lm import load, stream_generate
from tokenizer import reply

mx.set_default_device(mx.cpu)
SINGLE = list(Generator.SINGLE)
OTHER = {
    "multi_turn": "multi",
    "long_multi_turn": "long_chat",
    "language": "language",
    "one_word": "one_word",
    "json": "json_answer",
    "memory": "memory",
    "persona": "persona",
    "tool_call": "tools",
    "tool_answer": "tools",
    "tool_ignore": "tools",
}

COLUMNS = {
    "known": (None, False),
    "combo": ("combo", False),
    "phrase": ("phrase", False),
    "think": ("combo", True),
}


def cases(skill, held, n):
    g = Generator(zlib.crc32(f"test {skill} {held}".encode()), held)
    out = []
    while len(out) < n:
        chat = g.single(skill) if skill in SINGLE else getattr(g, OTHER[skill])()
        if (
            skill in SINGLE
            or chat.skill == skill
            or (skill == "long_multi_turn" and chat.skill == "multi_turn")
        ):
            out.append(chat)
    return out


def answer(model, tok, messages, tools=None, think=False, limit=220):
    ids = tok.apply_chat_template(
        messages,
        tools=tools,
        add_generation_prompt=True,
        enable_thinking=think,
        tokenize=True,
        return_dict=False,
    )
    return "".join(r.text for r in stream_generate(model, tok, ids, max_tokens=limit))


def correct(chat, text, think):
    if think:
        head, mark, text = text.partition("</think>\n\n")
        if not (head.startswith("<think>\n") and mark):
            return False
    return chat.accept(text) if chat.accept else text == reply(chat)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model")
    ap.add_argument("--n", type=int, default=40)
    ap.add_argument("--json", type=Path)
    ap.add_argument("--show", action="store_true", help="print the wrong answers")
    ap.add_argument("--skills", nargs="*", default=SINGLE + list(OTHER))
    ap.add_argument("--columns", nargs="*", default=list(COLUMNS))
    a = ap.parse_args()
    model, tok = load(a.model)
    table = {}
    for skill in a.skills:
        row = table[skill] = {}
        for column in a.columns:
            held, think = COLUMNS[column]
            good, tests = 0, cases(skill, held, a.n)
            for chat in tests:
                text = answer(model, tok, chat.messages[:-1], chat.tools, think)
                good += (ok := correct(chat, text, think))
                if a.show and not ok:
                    print(
                        f"  {skill}/{column}: {chat.messages[-2]['content']!r}\n      want {reply(chat)!r}\n      got  {text!r}"
                    )
            row[column] = round(100 * good / len(tests), 1)
        print(f"{skill:16}" + "".join(f"{k:>8} {v:5.1f}%" for k, v in row.items()), flush=True)
    means = {k: round(sum(r[k] for r in table.values()) / len(table), 1) for k in a.columns}
    print("mean            " + "".join(f"{k:>8} {v:5.1f}%" for k, v in means.items()))
    if a.json:
        a.json.write_text(json.dumps({"n": a.n, "skills": table, "mean": means}, indent=1))


if __name__ == "__main__":
    main()
