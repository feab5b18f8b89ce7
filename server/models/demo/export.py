"""Export the trained float32 folder with MLX: python export.py TRAINED OUT  (writes OUT/model-16bit and OUT/model-8bit).

The 8-bit variant keeps float32 scales and norms: MLX's CPU kernels for quantized bfloat16 and float16 are many times
slower than those for float32, and the scales cost only 0.2 MB more.
"""

import shutil
import sys
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_map
from mlx_lm.utils import load_model, quantize_model, save_config, save_model

mx.set_default_device(mx.cpu)


def export(source, target, bits=None, dtype=mx.bfloat16):
    model, config = load_model(source)
    model.update(tree_map(lambda x: x.astype(dtype), model.parameters()))
    config["torch_dtype"] = str(dtype).split(".")[-1]
    if bits:
        model, config = quantize_model(model, config, group_size=64, bits=bits)
    save_model(target, model)
    (target / "model.safetensors.index.json").unlink(missing_ok=True)  # one shard: no index needed
    save_config(config, target / "config.json")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(source / name, target / name)
    print(target, {f.name: f.stat().st_size for f in sorted(target.iterdir())})


if __name__ == "__main__":
    source, out = map(Path, sys.argv[1:3])
    export(source, out / "model-16bit")
    export(source, out / "model-8bit", bits=8, dtype=mx.float32)
