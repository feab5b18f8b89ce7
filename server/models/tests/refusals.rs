//! What is not a model is refused before anything is read, with a message that says what is wrong and where.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use mlx_gate_models::{Error, LoadOptions, LoadedModel, ModelRef, load};
use serde_json::{Value, json};

/// A copy of a fixture that a test may damage.
struct Model {
    folder: PathBuf,
}

impl Model {
    fn copy(fixture: &str, test: &str) -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/fixtures").join(fixture);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for entry in std::fs::read_dir(original).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() != "expected.safetensors" {
                std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { folder }
    }

    fn set(&self, key: &str, value: Value) {
        let path = self.folder.join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        match value {
            Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
            value => config[key] = value,
        }
        std::fs::write(&path, config.to_string()).unwrap();
    }

    fn load(&self) -> Result<LoadedModel, Error> {
        load(&ModelRef::parse(&self.folder.display().to_string())?.fetch()?, LoadOptions::default())
    }

    /// The message without the folder, which differs from machine to machine.
    fn refusal(&self) -> String {
        let message = self.load().unwrap_err().to_string();
        message
            .replace(&format!("{}/", self.folder.display()), "")
            .replace(&self.folder.display().to_string(), "MODEL")
    }
}

#[test]
fn places_that_hold_no_model() {
    let refusal = |value: &str| ModelRef::parse(value).unwrap().fetch().unwrap_err();
    assert!(matches!(refusal("/no/such/folder"), Error::FolderMissing { .. }));
    assert!(matches!(refusal("Cargo.toml"), Error::NotAFolder { .. }));
    assert!(matches!(refusal("src"), Error::FileMissing { file, .. } if file == "config.json"));
}

#[test]
fn wrong_configurations() {
    let cases = [
        (
            "model_type",
            json!("gpt_neo"),
            "config.json: `model_type` is \"gpt_neo\", which is not known here; known types: llama, mistral, qwen2, qwen3",
        ),
        ("model_type", Value::Null, "config.json: missing field `model_type` at line 1 column"),
        (
            "hidden_size",
            json!("32"),
            "config.json: `hidden_size`: invalid type: string \"32\", expected i64 at line 1 column",
        ),
        (
            "hidden_size",
            json!(0),
            "config.json: `hidden_size`: invalid value: integer `0`, expected a positive 32-bit number",
        ),
        (
            "num_hidden_layers",
            json!(1_000_000_000_000_i64),
            "config.json: `num_hidden_layers`: invalid value",
        ),
        (
            "num_hidden_layers",
            json!(2_000_000_000),
            "MODEL: the weights hold no tensor `model.layers.2.self_attn.q_proj.weight`",
        ),
        (
            "num_key_value_heads",
            json!(3),
            "config.json: `num_key_value_heads`: found 3, expected a divisor of num_attention_heads, which is 4",
        ),
        (
            "num_attention_heads",
            json!(6),
            "config.json: `num_attention_heads`: found 6, expected a divisor of hidden_size, which is 32",
        ),
        ("hidden_act", json!("gelu"), "config.json: `hidden_act`: found \"gelu\", expected \"silu\""),
        ("rope_theta", json!(-1.0), "config.json: `rope_theta`: found -1, expected a number greater than 1"),
        (
            "rope_scaling",
            json!({"type": "longrope"}),
            "config.json: `rope_scaling.rope_type`: found \"longrope\", expected one of default, linear, llama3, yarn",
        ),
        (
            "rope_scaling",
            json!({"type": "linear"}),
            "config.json: `rope_scaling.factor`: missing, expected a positive number",
        ),
        (
            "rope_scaling",
            json!({"type": "yarn", "factor": "x"}),
            "config.json: `rope_scaling.factor`: invalid type: string \"x\", expected f64",
        ),
        (
            "layer_types",
            json!(["sliding_attention"]),
            "config.json: `layer_types`: found 1 entries, expected num_hidden_layers of them, which is 2",
        ),
        (
            "layer_types",
            json!(["sliding_attention", "full_attention"]),
            "config.json: `sliding_window`: missing, expected a number",
        ),
        (
            "quantization_config",
            json!({"quant_method": "gptq"}),
            "config.json: `quantization_config.quant_method`: found \"gptq\", and only MLX's own affine quantization is read",
        ),
        (
            "quantization",
            json!({"bits": 4, "group_size": 32, "mode": "mxfp4"}),
            "config.json: `quantization.mode`: found \"mxfp4\", expected \"affine\"",
        ),
        (
            "vocab_size",
            json!(97),
            "MODEL: tensor `lm_head.weight` has shape [96, 32], and its config.json asks for [97, 32]",
        ),
        (
            "attention_bias",
            json!(true),
            "MODEL: the weights hold no tensor `model.layers.0.self_attn.q_proj.bias`",
        ),
        (
            "num_hidden_layers",
            json!(1),
            "MODEL: the weights hold 9 tensors its config.json has no place for, the first of them `model.layers.1.",
        ),
    ];
    for (number, (key, value, expected)) in cases.into_iter().enumerate() {
        let model = Model::copy("llama_grouped", &format!("configuration-{number}"));
        model.set(key, value.clone());
        let refusal = model.refusal();
        assert!(refusal.starts_with(expected), "{key} = {value}\n     got {refusal}\nexpected {expected}");
    }
}

#[test]
fn a_configuration_that_is_not_json() {
    let model = Model::copy("llama_grouped", "not-json");
    std::fs::write(model.folder.join("config.json"), "{\"model_type\": \"llama\",").unwrap();
    assert_eq!(model.refusal(), "config.json: EOF while parsing a value at line 1 column 23");
}

#[test]
fn weights_that_are_not_there() {
    let model = Model::copy("llama_grouped", "no-weights");
    std::fs::remove_file(model.folder.join("model.safetensors")).unwrap();
    assert!(model.refusal().starts_with("MODEL: model.safetensors is missing"), "{}", model.refusal());

    let model = Model::copy("mistral_sharded", "no-shard");
    std::fs::remove_file(model.folder.join("model-00002-of-00002.safetensors")).unwrap();
    assert_eq!(
        model.refusal(),
        "MODEL: model-00002-of-00002.safetensors is missing; model.safetensors.index.json names it; download the model again"
    );
}

#[test]
fn weights_that_are_damaged() {
    let model = Model::copy("llama_grouped", "damaged");
    let path = model.folder.join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    for length in [whole.len() - 1, 1000, 100, 8, 3, 0] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let Err(Error::Truncated { found, expected, .. }) = model.load() else {
            panic!("{length} bytes passed")
        };
        assert_eq!(found, length as u64);
        assert!(expected > found);
    }
    std::fs::write(&path, [whole.clone(), vec![0]].concat()).unwrap();
    assert!(matches!(model.load(), Err(Error::Truncated { .. })), "a byte too many");
    std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\noid sha256:0").unwrap();
    assert!(matches!(model.load(), Err(Error::BadWeights { .. })), "a pointer instead of the file");
    let mut garbled = whole;
    garbled[9] = b'!';
    std::fs::write(&path, garbled).unwrap();
    assert!(matches!(model.load(), Err(Error::BadWeights { .. })), "a header that is not JSON");
}

#[test]
fn quantized_weights_that_contradict_their_configuration() {
    let rule = |rule: Value| json!({"group_size": 32, "bits": 4, "model.layers.0.mlp.up_proj": rule});
    let cases = [
        (
            json!(7),
            "config.json: `quantization.model.layers.0.mlp.up_proj`: found 7, expected true, false or",
        ),
        (
            json!({"bits": 4}),
            "config.json: `quantization.model.layers.0.mlp.up_proj.group_size`: found nothing",
        ),
        (
            json!({"bits": 8, "group_size": 32}),
            "MODEL: tensor `model.layers.0.mlp.up_proj.weight` has shape [64, 4], and its config.json asks for [64, 8]",
        ),
        (
            json!({"bits": 7, "group_size": 32}),
            "MODEL: tensor `model.layers.0.mlp.up_proj.scales` of shape [64, 1] does not divide rows of 32 weights",
        ),
        (
            json!(false),
            "MODEL: tensor `model.layers.0.mlp.up_proj.weight` has shape [64, 4], and its config.json asks for [64, 32]",
        ),
    ];
    for (number, (value, expected)) in cases.into_iter().enumerate() {
        let model = Model::copy("qwen3_q4", &format!("quantization-{number}"));
        model.set("quantization", rule(value));
        let refusal = model.refusal();
        assert!(refusal.starts_with(expected), "got {refusal}\nexpected {expected}");
    }
    let model = Model::copy("qwen3_q4", "quantization-unnamed");
    model.set("quantization", Value::Null);
    model.set("quantization_config", Value::Null);
    assert!(model.refusal().starts_with("MODEL: tensor `"), "{}", model.refusal());
}
