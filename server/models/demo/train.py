"""Train the demo model from scratch on the CPU with JAX: python train.py --out DIR [--minutes 40]

The weights keep the names and layout of Qwen3 checkpoints. Every chat is freshly generated (no epochs); the cosine
schedule runs over wall-clock time, so the run ends on time on any machine.
"""

import argparse
import json
import random
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from generate import Generator
from safetensors.numpy import load_file, save_file
from tokenizer import encode, save_tokenizer, train_tokenizer
from tokenizers import Tokenizer

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 256,
    "num_hidden_layers": 5,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 2048,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "use_sliding_window": False,
    "sliding_window": None,
    "max_window_layers": 5,
    "use_cache": True,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "torch_dtype": "float32",
}
H, KV, D, L, EPS = (
    CONFIG[k]
    for k in ("num_attention_heads", "num_key_value_heads", "head_dim", "num_hidden_layers", "rms_norm_eps")
)


def init(rng):
    """Fresh weights under the names of a Qwen3 checkpoint; what leads back into the residual stream starts smaller."""
    C, F, V = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]

    def w(out, inp, scale=1.0):
        return rng.normal(0, 0.6 * scale / inp**0.5, (out, inp)).astype(np.float32)

    def one(n):
        return np.ones(n, np.float32)

    p = {
        "model.embed_tokens.weight": rng.normal(0, 0.03, (V, C)).astype(np.float32),
        "model.norm.weight": one(C),
    }
    for i in range(L):
        n = f"model.layers.{i}."
        p |= {
            n + "self_attn.q_proj.weight": w(H * D, C),
            n + "self_attn.k_proj.weight": w(KV * D, C),
            n + "self_attn.v_proj.weight": w(KV * D, C),
            n + "self_attn.o_proj.weight": w(C, H * D, (2 * L) ** -0.5),
            n + "self_attn.q_norm.weight": one(D),
            n + "self_attn.k_norm.weight": one(D),
            n + "mlp.gate_proj.weight": w(F, C),
            n + "mlp.up_proj.weight": w(F, C),
            n + "mlp.down_proj.weight": w(C, F, (2 * L) ** -0.5),
            n + "input_layernorm.weight": one(C),
            n + "post_attention_layernorm.weight": one(C),
        }
    return p


def norm(x, w):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + EPS) * w


def rope(x, cos, sin):
    a, b = jnp.split(x, 2, -1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def layer_weight(p, layer, name):
    return p[f"model.layers.{layer}.{name}.weight"]


def forward(p, ids, segment, pick):
    """Logits at the flat positions `pick`; tokens attend only within their own packed conversation."""
    B, S = ids.shape
    angle = np.arange(S)[:, None] * CONFIG["rope_theta"] ** (-np.arange(D // 2) / (D // 2))
    cos, sin = jnp.asarray(np.cos(angle), jnp.float32), jnp.asarray(np.sin(angle), jnp.float32)
    mask = (segment[:, :, None] == segment[:, None, :]) & np.tril(np.ones((S, S), bool))
    bias = jnp.where(mask, 0.0, -1e9).astype(jnp.float32)[:, None, None]
    x = p["model.embed_tokens.weight"][ids].reshape(B * S, -1)

    def heads(y, n):
        return y.reshape(B, S, n, D).transpose(0, 2, 1, 3)

    for i in range(L):
        g = partial(layer_weight, p, i)
        h = norm(x, g("input_layernorm"))
        q = rope(norm(heads(h @ g("self_attn.q_proj").T, H), g("self_attn.q_norm")), cos, sin).reshape(
            B, KV, H // KV * S, D
        )
        k = rope(norm(heads(h @ g("self_attn.k_proj").T, KV), g("self_attn.k_norm")), cos, sin)
        v = heads(h @ g("self_attn.v_proj").T, KV)
        a = jnp.einsum("bkqd,bksd->bkqs", q, k) * D**-0.5
        a = jax.nn.softmax(a.reshape(B, KV, H // KV, S, S) + bias, -1).reshape(B, KV, H // KV * S, S)
        a = (
            jnp.einsum("bkqs,bksd->bkqd", a, v)
            .reshape(B, H, S, D)
            .transpose(0, 2, 1, 3)
            .reshape(B * S, H * D)
        )
        x = x + a @ g("self_attn.o_proj").T
        h = norm(x, g("post_attention_layernorm"))
        x = x + (jax.nn.silu(h @ g("mlp.gate_proj").T) * (h @ g("mlp.up_proj").T)) @ g("mlp.down_proj").T
    return norm(x[pick], p["model.norm.weight"]) @ p["model.embed_tokens.weight"].T


def loss_fn(p, ids, segment, pick, target, weight):
    logits = forward(p, ids, segment, pick)
    nll = jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, target[:, None], 1)[:, 0]
    return (nll * weight).sum() / weight.sum()


@jax.jit
def step(p, m, v, t, lr, *batch):
    """One AdamW step with gradient clipping at 1."""
    loss, g = jax.value_and_grad(loss_fn)(p, *batch)
    size = jnp.sqrt(sum((x * x).sum() for x in g.values()))
    for k in p:
        gk = g[k] / jnp.maximum(size, 1.0)
        m = m | {k: 0.9 * m[k] + 0.1 * gk}
        v = v | {k: 0.98 * v[k] + 0.02 * gk * gk}
        update = (m[k] / (1 - 0.9**t)) / (jnp.sqrt(v[k] / (1 - 0.98**t)) + 1e-8)
        p = p | {k: p[k] - lr * (update + (0.05 if p[k].ndim == 2 else 0.0) * p[k])}
    return p, m, v, loss


class Batches:
    """Packs freshly generated conversations into rows of `length` tokens."""

    def __init__(self, tok, rows, length, seed, long=False):
        self.tok, self.rows, self.length, self.picks = tok, rows, length, int(rows * length * 0.45)
        self.g, self.rng, self.long = Generator(seed), random.Random(seed), long

    def __next__(self):
        rows, R, S = [[] for _ in range(self.rows)], self.rows, self.length
        misses = 0
        while misses < 6:
            ids, mask = encode(
                self.tok,
                self.g.long_chat() if self.long and self.rng.random() < 0.5 else self.g.chat(),
                self.rng,
            )
            room = [r for r in rows if sum(len(i) for i, _ in r) + len(ids) <= S + 1]
            if room:
                max(room, key=lambda r: sum(len(i) for i, _ in r)).append((ids, mask))
            else:
                misses += 1
        ids, segment, on = (
            np.zeros((R, S + 1), np.int32),
            np.zeros((R, S + 1), np.int32),
            np.zeros((R, S + 1), bool),
        )
        for r, row in enumerate(rows):
            at = 0
            for n, (i, k) in enumerate(row, 1):
                ids[r, at : at + len(i)], segment[r, at : at + len(i)], on[r, at : at + len(i)] = i, n, k
                at += len(i)
        pick = np.flatnonzero(on[:, 1:])  # position s predicts token s + 1
        weight = np.zeros(self.picks, np.float32)
        weight[: len(pick)] = 1
        self.used, self.filled = len(pick), float((segment > 0).mean())
        pick = np.resize(pick, self.picks) if len(pick) < self.picks else self.rng_choice(pick)
        return ids[:, :-1], segment[:, :-1], pick, ids[:, 1:].reshape(-1)[pick], weight

    def rng_choice(self, pick):
        return np.array(self.rng.sample(pick.tolist(), self.picks))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--minutes", type=float, default=40)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument(
        "--init", type=Path, help="continue from this folder with the second phase's mix of skills"
    )
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    tok = (
        Tokenizer.from_file(str(a.init / "tokenizer.json"))
        if a.init
        else train_tokenizer(CONFIG["vocab_size"])
    )
    save_tokenizer(tok, a.out)
    (a.out / "config.json").write_text(json.dumps(CONFIG, indent=1))
    (a.out / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [2, 0], "pad_token_id": 0, "do_sample": False, "max_new_tokens": 256})
    )
    weights = load_file(a.init / "model.safetensors") if a.init else init(np.random.default_rng(a.seed))
    p = {k: jnp.asarray(x) for k, x in weights.items()}
    m, v = ({k: jnp.zeros_like(x) for k, x in p.items()} for _ in range(2))
    print("parameters:", sum(x.size for x in p.values()), flush=True)
    short, long = Batches(tok, 16, 256, a.seed), Batches(tok, 4, 1024, a.seed + 1, long=True)
    if a.init:
        short.g.focus()
    start, tokens, losses, t = time.time(), 0, [], 0
    while (done := (time.time() - start) / (60 * a.minutes)) < 1:
        t += 1
        data = long if t % 16 == 0 else short  # one batch in sixteen has long conversations
        lr = a.lr * min(1, t / 150) * (0.5 + 0.5 * np.cos(np.pi * done))
        p, m, v, loss = step(p, m, v, t, lr, *next(data))
        losses.append(float(loss))
        tokens += 4096
        if t % 50 == 0:
            print(
                f"step {t} loss {np.mean(losses[-50:]):.4f} tokens {tokens / 1e6:.2f}M {tokens / (time.time() - start):.0f} tok/s "
                f"fill {short.filled:.2f} trained {short.used}/{short.picks} done {done:.2f}",
                flush=True,
            )
        if t % 1000 == 0 or t == 200:
            save_file(
                {k: np.asarray(x) for k, x in p.items()},
                a.out / "model.safetensors",
                metadata={"format": "mlx"},
            )
    if a.init:  # a quarter of the first phase's weights: the lowest loss on fresh chats of either mix
        p = {k: 0.75 * x + 0.25 * weights[k] for k, x in p.items()}
    save_file(
        {k: np.asarray(x) for k, x in p.items()}, a.out / "model.safetensors", metadata={"format": "mlx"}
    )


if __name__ == "__main__":
    main()
