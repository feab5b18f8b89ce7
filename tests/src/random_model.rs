use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::Folder;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/models/demo/model");

const VOCABULARY: usize = 2048;
const HIDDEN: usize = 32;
const INTERMEDIATE: usize = 64;
const HEADS: usize = 4;
const LAYERS: usize = 2;

/// Standard deviation of the logits: likely tokens stand out, and which these are changes from place to place.
const SPREAD: f32 = 2.0;

/// Makes a Llama of random weights, which reads and writes with the demo model's tokenizer and chat template, and has room for
/// 4096 tokens. Gives its path, as `--model` takes it. The same seed makes the same model.
pub fn random_model(folder: &Folder, seed: u64) -> String {
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        let text = std::fs::read(format!("{DEMO}/{file}")).expect("the demo model is part of the sources");
        folder.write(&format!("random/{file}"), text);
    }
    folder.write("random/config.json", config().to_string());
    folder.write("random/model.safetensors", weights(seed));
    folder.at("random")
}

fn config() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": false,
        // Those of the demo model: `<|im_end|>` and `<|endoftext|>`.
        "eos_token_id": [2, 0],
    })
}

/// All weights, in safetensors format. Each matrix keeps the length of the vectors it is given, but for the last one, which makes
/// logits of them.
fn weights(seed: u64) -> Vec<u8> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut matrix = |rows: usize, columns: usize, deviation: f32| {
        // Evenly distributed, from -1 to 1 the standard deviation is the root of a third.
        let bound = deviation * 3.0_f32.sqrt();
        let numbers = (0..rows * columns).map(|_| random.random_range(-bound..bound));
        (vec![rows, columns], numbers.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    };
    let keeping = |columns: usize| (columns as f32).sqrt().recip();
    let norm = || (vec![HIDDEN], 1.0_f32.to_le_bytes().repeat(HIDDEN));
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), matrix(VOCABULARY, HIDDEN, 1.0)),
        ("lm_head.weight".to_owned(), matrix(VOCABULARY, HIDDEN, SPREAD * keeping(HIDDEN))),
        ("model.norm.weight".to_owned(), norm()),
    ];
    for layer in 0..LAYERS {
        let mut add =
            |name: &str, tensor| tensors.push((format!("model.layers.{layer}.{name}.weight"), tensor));
        for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
            add(&format!("self_attn.{name}"), matrix(HIDDEN, HIDDEN, keeping(HIDDEN)));
        }
        for name in ["gate_proj", "up_proj"] {
            add(&format!("mlp.{name}"), matrix(INTERMEDIATE, HIDDEN, keeping(HIDDEN)));
        }
        add("mlp.down_proj", matrix(HIDDEN, INTERMEDIATE, keeping(INTERMEDIATE)));
        add("input_layernorm", norm());
        add("post_attention_layernorm", norm());
    }
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view =
            TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many numbers as the shape says");
        (name, view)
    });
    safetensors::serialize(views, None).expect("tensors of different names")
}
