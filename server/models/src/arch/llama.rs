//! Llama 2 to 3.3 and Mistral: biases where the configuration asks for them, and a sliding window in the layers that
//! `layer_types` names. A `sliding_window` without `layer_types` has no effect, as in mlx-lm.

use mlx_rs::Array;
use mlx_rs::error::Result as MlxResult;
use serde::Deserialize;

use super::{Blueprint, Geometry, check_activation, check_heads, head_dim};
use crate::Error;
use crate::attention::{Heads, Span};
use crate::cache::{Cache, LayerCache};
use crate::config::{ConfigFile, optional_positive, positive};
use crate::layers::{Embedding, Joined, Linear, RmsNorm, SwiGlu};
use crate::rope::{Rope, RopeConfig, RopePlan};
use crate::weights::{Bias, Index, Loader};

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(deserialize_with = "positive")]
    hidden_size: i32,
    #[serde(deserialize_with = "positive")]
    num_hidden_layers: i32,
    #[serde(deserialize_with = "positive")]
    intermediate_size: i32,
    #[serde(deserialize_with = "positive")]
    num_attention_heads: i32,
    #[serde(deserialize_with = "optional_positive", default)]
    num_key_value_heads: Option<i32>,
    #[serde(deserialize_with = "optional_positive", default)]
    head_dim: Option<i32>,
    #[serde(deserialize_with = "positive")]
    vocab_size: i32,
    #[serde(deserialize_with = "positive", default = "default_context")]
    max_position_embeddings: i32,
    rms_norm_eps: f32,
    #[serde(default = "tied")]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    layer_types: Option<Vec<LayerType>>,
    #[serde(deserialize_with = "optional_positive", default)]
    sliding_window: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayerType {
    FullAttention,
    SlidingAttention,
}

fn default_context() -> i32 {
    2_048
}

fn tied() -> bool {
    true
}

/// A checked configuration.
#[derive(Debug)]
struct Plan {
    config: Config,
    heads: Heads,
    rope: RopePlan,
    /// For each layer, how far back it sees; `None`, or no entry, is to the beginning.
    windows: Vec<Option<i32>>,
}

pub(super) fn read(file: &ConfigFile) -> Result<Box<dyn Blueprint>, Error> {
    let config: Config = file.parse()?;
    let queries = config.num_attention_heads;
    let keys = config.num_key_value_heads.unwrap_or(queries);
    check_heads(file, queries, keys)?;
    check_activation(file, config.hidden_act.as_deref())?;
    let dim = head_dim(file, config.head_dim, config.hidden_size, queries)?;
    let rope = file.parse::<RopeConfig>()?.plan(file, dim, Some(10_000.0))?;
    let windows = windows(file, &config)?;
    Ok(Box::new(Plan { config, heads: Heads { queries, keys, dim }, rope, windows }))
}

fn windows(file: &ConfigFile, config: &Config) -> Result<Vec<Option<i32>>, Error> {
    let Some(types) = &config.layer_types else { return Ok(Vec::new()) };
    let layers = config.num_hidden_layers as usize;
    if types.len() != layers {
        let found = types.len();
        let problem = format!("found {found} entries, expected num_hidden_layers of them, which is {layers}");
        return Err(file.error("layer_types", problem));
    }
    let window = |layer: &LayerType| match (layer, config.sliding_window) {
        (LayerType::FullAttention, _) => Ok(None),
        (LayerType::SlidingAttention, Some(window)) => Ok(Some(window)),
        (LayerType::SlidingAttention, None) => Err(file
            .error("sliding_window", "missing, expected a number because layer_types names sliding layers")),
    };
    types.iter().map(window).collect()
}

impl Blueprint for Plan {
    fn geometry(&self) -> Geometry {
        Geometry {
            vocab_size: self.config.vocab_size,
            context_length: self.config.max_position_embeddings,
            layers: self.config.num_hidden_layers,
            kv_heads: self.heads.keys,
            head_dim: self.heads.dim,
            hidden_size: self.config.hidden_size,
        }
    }

    fn sanitize(&self, weights: &mut Index) {
        if self.config.tie_word_embeddings {
            weights.discard(|name| name.starts_with("lm_head."));
        }
        // Precomputed rotary frequencies of old checkpoints.
        weights.discard(|name| name.contains("self_attn.rotary_emb.inv_freq"));
    }

    fn build(&self, weights: &mut Loader<'_>) -> Result<Box<dyn super::Model>, Error> {
        Ok(Box::new(Model::load(weights, self)?))
    }
}

struct Attention {
    heads: Heads,
    /// `q_proj`, `k_proj` and `v_proj`.
    qkv: Joined,
    o_proj: Linear,
    rope: Rope,
}

impl Attention {
    fn load(weights: &mut Loader<'_>, name: &str, plan: &Plan) -> Result<Self, Error> {
        let config = &plan.config;
        let heads = plan.heads;
        let bias = Bias::from(config.attention_bias);
        let hidden = i64::from(config.hidden_size);
        let (queries, keys) = (heads.query_width(), heads.key_width());
        let qkv = [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)]
            .map(|(layer, width)| (format!("{name}.{layer}"), width));
        Ok(Self {
            heads,
            qkv: weights.joined(&qkv, hidden, bias)?,
            o_proj: weights.linear(&format!("{name}.o_proj"), queries, hidden, bias)?,
            rope: Rope::new(&plan.rope),
        })
    }

    fn forward(&self, x: &Array, span: &Span, cache: &mut LayerCache) -> MlxResult<Array> {
        let [queries, keys, values] = self.qkv.forward(x)?;
        let queries = self.heads.split(&queries)?;
        let keys = self.heads.split(&keys)?;
        let values = self.heads.split(&values)?;
        self.o_proj.forward(&self.heads.attend((&queries, &keys, &values), &self.rope, span, cache)?)
    }
}

struct Block {
    self_attn: Attention,
    mlp: SwiGlu,
    input_layernorm: RmsNorm,
    post_attention_layernorm: RmsNorm,
    window: Option<i32>,
}

impl Block {
    fn load(weights: &mut Loader<'_>, name: &str, plan: &Plan, window: Option<i32>) -> Result<Self, Error> {
        let config = &plan.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (size, eps) = (i64::from(hidden), config.rms_norm_eps);
        Ok(Self {
            self_attn: Attention::load(weights, &format!("{name}.self_attn"), plan)?,
            mlp: SwiGlu::load(weights, &format!("{name}.mlp"), hidden, inner, Bias::from(config.mlp_bias))?,
            input_layernorm: weights.rms_norm(&format!("{name}.input_layernorm"), size, eps)?,
            post_attention_layernorm: weights.rms_norm(
                &format!("{name}.post_attention_layernorm"),
                size,
                eps,
            )?,
            window,
        })
    }

    fn forward(&self, x: &Array, span: &Span, cache: &mut LayerCache) -> MlxResult<Array> {
        let h = x.add(self.self_attn.forward(&self.input_layernorm.forward(x)?, span, cache)?)?;
        h.add(self.mlp.forward(&self.post_attention_layernorm.forward(&h)?)?)
    }
}

struct Model {
    embed_tokens: Embedding,
    layers: Vec<Block>,
    norm: RmsNorm,
    /// `None` where the embedding doubles as the output layer.
    lm_head: Option<Linear>,
}

impl Model {
    fn load(weights: &mut Loader<'_>, plan: &Plan) -> Result<Self, Error> {
        let config = &plan.config;
        let (vocabulary, hidden) = (i64::from(config.vocab_size), i64::from(config.hidden_size));
        let mut layers = Vec::new();
        for layer in 0..config.num_hidden_layers {
            let window = plan.windows.get(layer as usize).copied().flatten();
            layers.push(Block::load(weights, &format!("model.layers.{layer}"), plan, window)?);
        }
        let lm_head = if config.tie_word_embeddings {
            None
        } else {
            Some(weights.linear("lm_head", hidden, vocabulary, Bias::Without)?)
        };
        Ok(Self {
            embed_tokens: weights.embedding("model.embed_tokens", vocabulary, hidden)?,
            layers,
            norm: weights.rms_norm("model.norm", hidden, config.rms_norm_eps)?,
            lm_head,
        })
    }
}

impl super::Model for Model {
    fn forward(&self, tokens: &Array, cache: &mut Cache) -> MlxResult<Array> {
        let (offset, count) = (cache.length, tokens.dim(1));
        let full = Span::causal(offset, count);
        // A model has one window, so its sliding layers share one mask.
        let window = self.layers.iter().find_map(|layer| layer.window);
        let sliding = window.map(|window| Span::sliding(offset, count, window)).transpose()?;
        let mut h = self.embed_tokens.forward(tokens)?;
        for (layer, cache) in self.layers.iter().zip(&mut cache.layers) {
            let span = sliding.as_ref().filter(|_| layer.window.is_some()).unwrap_or(&full);
            h = layer.forward(&h, span, cache)?;
        }
        Ok(h)
    }

    fn normalize(&self, hidden: &Array) -> MlxResult<Array> {
        self.norm.forward(hidden)
    }

    fn logits(&self, hidden: &Array) -> MlxResult<Array> {
        let hidden = self.normalize(hidden)?;
        match &self.lm_head {
            Some(head) => head.forward(&hidden),
            None => self.embed_tokens.as_linear(&hidden),
        }
    }

    fn activation_bytes(&self) -> usize {
        self.embed_tokens.activation_bytes()
    }
}
