"""mlx-lm's side of the decode benchmark, driven by decode_bench.rs.

    python peer.py make FOLDER [--quantize]   writes a random Llama of 46 million parameters
    python peer.py run FOLDER                 measures: one JSON line out for each JSON line in

A line in is {"prompt": [tokens], "tokens": count}; the line out adds seconds to the first token and seconds for the others.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_map
from mlx_lm.generate import generate_step
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

CONFIG = {
    "model_type": "llama",
    "hidden_size": 512,
    "num_hidden_layers": 11,
    "intermediate_size": 1536,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "vocab_size": 16384,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}


def make(folder, quantize):
    folder.mkdir(parents=True)
    save_config(dict(CONFIG), folder / "config.json")
    mx.random.seed(0)
    model, config = load_model(folder, strict=False, lazy=True)
    if quantize:
        # As mlx_lm.convert leaves a model: scales and norms in bf16.
        model.update(tree_map(lambda x: x.astype(mx.bfloat16), model.parameters()))
        model, config = quantize_model(model, config, group_size=64, bits=4)
    save_model(folder, model)
    save_config(config, folder / "config.json")


def run(folder):
    model, _ = load_model(folder)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        first = None
        for _ in generate_step(mx.array(request["prompt"]), model, max_tokens=request["tokens"]):
            first = first or time.perf_counter()
        last = time.perf_counter()
        print(json.dumps({"first": first - start, "others": last - first}), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["make", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quantize", action="store_true")
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder, arguments.quantize)
    else:
        run(arguments.folder)


if __name__ == "__main__":
    main()
