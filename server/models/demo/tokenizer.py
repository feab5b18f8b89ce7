"""Tokenizer and chat rendering: trains the byte-level BPE, and turns a Chat into token ids with a loss mask."""

import json
import re
from pathlib import Path

import jinja2
import tokenizers as tk
from generate import Generator

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text()
# The pre-tokenizer of Qwen3: single digits, words with their leading space.
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def template(separators=(", ", ": ")):
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda x: json.dumps(x, ensure_ascii=False, separators=separators)
    return env.from_string(TEMPLATE)


# Both spellings of JSON, so that a server whose `tojson` prints no spaces is understood as well.
SPACED, COMPACT = template(), template((",", ":"))


def prompt(chat, think=False, jinja=SPACED):
    return jinja.render(
        messages=chat.messages[:-1], tools=chat.tools, enable_thinking=think, add_generation_prompt=True
    )


def reply(chat):
    """The last assistant turn as the model has to write it, without its thought."""
    last = chat.messages[-1]
    calls = [c["function"] for c in last.get("tool_calls", [])]
    return last["content"] + "".join(
        "<tool_call>" + json.dumps(c, ensure_ascii=False) + "</tool_call>" for c in calls
    )


def encode(tok, chat, rng):
    """(ids, mask): every assistant turn is trained; with a thought, which history turns lack, only the last one."""
    jinja = SPACED if rng.random() < 0.75 else COMPACT
    if rng.random() < 0.2:
        head = tok.encode(prompt(chat, True, jinja)).ids
        tail = tok.encode(f"<think>\n{chat.thought}\n</think>\n\n{reply(chat)}<|im_end|>").ids
        return head + tail, [0] * len(head) + [1] * len(tail)
    ids = tok.encode(jinja.render(messages=chat.messages, tools=chat.tools)).ids
    start, (end,) = tok.encode("<|im_start|>assistant\n").ids, tok.encode("<|im_end|>").ids
    mask, on = [0] * len(ids), False
    for i, t in enumerate(ids):
        mask[i] = int(on)
        if on and t == end:
            on = False
        elif ids[max(0, i + 1 - len(start)) : i + 1] == start:
            on = True
    return ids, mask


def train_tokenizer(vocab=2048, samples=40000, seed=7):
    tok = tk.Tokenizer(tk.models.BPE())
    tok.normalizer = tk.normalizers.NFC()
    tok.pre_tokenizer = tk.pre_tokenizers.Sequence(
        [
            tk.pre_tokenizers.Split(tk.Regex(SPLIT), "isolated"),
            tk.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.decoder, tok.post_processor = tk.decoders.ByteLevel(), tk.processors.ByteLevel(trim_offsets=False)
    g = Generator(seed)

    def corpus():
        for i in range(samples):
            chat = g.chat()
            text = (
                SPACED.render(messages=chat.messages, tools=chat.tools, enable_thinking=i % 4 == 0)
                + chat.thought
            )
            yield re.sub(
                r"[A-Z]{2,}", " ", text
            )  # no merges of capitals: uppercase words stay letter by letter

    trainer = tk.trainers.BpeTrainer(
        vocab_size=vocab - len(TAGS),
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=tk.pre_tokenizers.ByteLevel.alphabet(),
    )
    tok.train_from_iterator(corpus(), trainer)
    tok.add_tokens(
        [tk.AddedToken(t, special=False, normalized=False) for t in TAGS]
    )  # kept in decoded text, as in Qwen3
    return tok


def save_tokenizer(tok, folder):
    tok.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 1024,
        "bos_token": None,
        "unk_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "add_bos_token": False,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False))
