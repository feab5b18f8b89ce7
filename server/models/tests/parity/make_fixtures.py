"""Tiny random models and what mlx-lm says about them.

    python make_fixtures.py FOLDER [--seed N]

writes one folder for each case: config.json and weights as mlx-lm saves them, and expected.safetensors with

    prompt  [n]           the tokens given
    tokens  [64]          the tokens mlx-lm chooses after them, always the likeliest one
    logits  [16, vocab]   its logits, in f32, for the first 16 of these choices

The folder `fixtures` beside this file was written with the default seed; `cargo test --test parity` reads it, and where
there is a Python with mlx-lm, runs this script again with another seed.
"""

import argparse
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

VOCABULARY = 96
PROMPT = 23
CHOICES = 64
LOGITS = 16
# A choice between tokens closer than this could fall either way with another order of summation.
CLEAR = 5e-3

BASE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 256,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
}
FAMILIES = {
    "llama": BASE | {"model_type": "llama"},
    "mistral": BASE | {"model_type": "mistral", "head_dim": 8, "sliding_window": None},
    "qwen2": BASE | {"model_type": "qwen2", "rope_theta": 1000000.0},
    "qwen3": BASE | {"model_type": "qwen3", "head_dim": 16},
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


@dataclass
class Case:
    """A family's configuration with changes, and how its weights are stored."""

    family: str
    changes: dict = field(default_factory=dict)
    dtype: mx.Dtype = mx.float32
    shards: int = 1
    bits: int = 0
    group_size: int = 32
    # Bits of single layers; None leaves one unquantized.
    overrides: dict = field(default_factory=dict)

    def config(self):
        config = FAMILIES[self.family] | self.changes
        return {key: value for key, value in config.items() if value != "absent"}


CASES = {
    "llama_full_attention_tied": Case("llama", {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "llama_defaults": Case("llama", {"num_key_value_heads": "absent", "tie_word_embeddings": "absent"}),
    "llama_grouped": Case("llama"),
    "llama_biases": Case("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama_head_dim": Case("llama", {"head_dim": 16, "num_key_value_heads": 1}),
    "llama_rope_traditional": Case("llama", {"rope_traditional": True}),
    "llama_rope_linear": Case("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    "llama_rope_llama3": Case("llama", {"rope_scaling": LLAMA3}),
    "llama_rope_yarn": Case("llama", {"rope_scaling": YARN | {"mscale": 1.2, "mscale_all_dim": 0.7}}),
    "llama_sliding_window": Case(
        "llama",
        {"sliding_window": 9, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "llama_bf16": Case("llama", dtype=mx.bfloat16),
    "llama_f16_sharded": Case("llama", dtype=mx.float16, shards=3),
    "llama_q2": Case("llama", bits=2),
    "llama_q3": Case("llama", bits=3),
    "llama_q4": Case("llama", {"tie_word_embeddings": True}, bits=4),
    "llama_q6": Case("llama", bits=6),
    "llama_q8": Case("llama", {"attention_bias": True}, bits=8),
    "llama_mixed": Case(
        "llama",
        bits=4,
        overrides={"model.layers.0.mlp.down_proj": 8, "model.layers.1.self_attn.q_proj": None, "lm_head": 6},
    ),
    "mistral_grouped": Case("mistral"),
    "mistral_sharded": Case("mistral", {"num_key_value_heads": 1, "tie_word_embeddings": True}, shards=2),
    "mistral_q4": Case("mistral", bits=4),
    "mistral_q8": Case("mistral", {"hidden_size": 64, "head_dim": 16}, bits=8, group_size=64),
    "qwen2_tied": Case("qwen2", {"tie_word_embeddings": True}),
    "qwen2_yarn": Case("qwen2", {"rope_scaling": YARN, "use_sliding_window": True, "sliding_window": 8}),
    "qwen2_q4": Case("qwen2", bits=4),
    "qwen2_q8": Case("qwen2", {"tie_word_embeddings": True}, bits=8),
    "qwen3_tied": Case("qwen3", {"tie_word_embeddings": True}),
    "qwen3_rope_parameters": Case(
        "qwen3",
        {
            "rope_theta": "absent",
            "rope_parameters": {"rope_theta": 5000.0, "rope_type": "linear", "factor": 2.0},
        },
    ),
    "qwen3_bf16": Case("qwen3", {"num_key_value_heads": 4}, dtype=mx.bfloat16),
    "qwen3_q4": Case("qwen3", bits=4),
    "qwen3_q8": Case("qwen3", {"tie_word_embeddings": True}, bits=8),
}


def randomize(model, seed):
    """Weights large enough that choices differ from token to token, and norms and biases that matter."""
    mx.random.seed(seed)

    def weight(name, value):
        noise = mx.random.normal(value.shape)
        if name.endswith(".bias"):
            return 0.3 * noise
        if value.ndim == 1:
            return 1 + 0.2 * noise
        return noise * (1.5 / value.shape[-1] ** 0.5)

    flat = [(name, weight(name, value)) for name, value in tree_flatten(model.parameters())]
    model.update(tree_unflatten(flat))


def quantized(case, model, config):
    """Quantizes with f32 scales, so that the reference computes in f32."""

    def layer(path, module):
        if not hasattr(module, "to_quantized"):
            return False
        bits = case.overrides.get(path, case.bits)
        return bits is not None and {"bits": bits, "group_size": case.group_size}

    return quantize_model(model, config, group_size=case.group_size, bits=case.bits, quant_predicate=layer)


def save(case, folder, model, config):
    model.update(tree_map(lambda x: x.astype(case.dtype) if x.dtype == mx.float32 else x, model.parameters()))
    save_model(folder, model)
    save_config(config, folder / "config.json")
    weights = mx.load(str(folder / "model.safetensors"))
    (folder / "model.safetensors.index.json").unlink()
    if case.shards == 1:
        return
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    weight_map = {}
    for shard in range(case.shards):
        file = f"model-{shard + 1:05}-of-{case.shards:05}.safetensors"
        part = names[shard :: case.shards]
        mx.save_safetensors(str(folder / file), {name: weights[name] for name in part}, {"format": "mlx"})
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def reference(folder, prompt):
    """Choices and logits of the saved model, computed in f32."""
    model, _ = load_model(folder)
    model.update(tree_map(lambda x: x if x.dtype == mx.uint32 else x.astype(mx.float32), model.parameters()))
    tokens = [token for token, _ in generate_step(prompt, model, max_tokens=CHOICES)]
    row = mx.concatenate([prompt, mx.array(tokens)])[None]
    logits = model(row)[0, PROMPT - 1 : -1]
    best = mx.sort(logits, axis=-1)[:, -2:]
    clear = (best[:, 1] - best[:, 0]).min().item() > CLEAR
    return tokens, logits, clear and tokens == logits.argmax(-1).tolist()


def make(name, case, folder, seed):
    """Tries seeds until every choice is a clear one and the tokens vary."""
    for attempt in range(200):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config = case.config()
        (folder / "config.json").write_text(json.dumps(config))
        model, _ = load_model(folder, strict=False, lazy=True)
        randomize(model, seed + attempt)
        if case.bits:
            model, config = quantized(case, model, config)
        save(case, folder, model, config)
        prompt = mx.random.randint(0, VOCABULARY, (PROMPT,))
        tokens, logits, clear = reference(folder, prompt)
        if clear and len(set(tokens)) > 8:
            expected = {
                "prompt": prompt.astype(mx.int32),
                "tokens": mx.array(tokens),
                "logits": logits[:LOGITS],
            }
            mx.save_safetensors(str(folder / "expected.safetensors"), expected)
            return
    raise SystemExit(f"{name}: no seed gives clear choices")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    mx.set_default_device(mx.cpu)
    for number, (name, case) in enumerate(CASES.items()):
        make(name, case, arguments.folder / name, arguments.seed + 1000 * number)


if __name__ == "__main__":
    main()
