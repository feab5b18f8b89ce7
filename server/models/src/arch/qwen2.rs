//! Qwen 2 and 2.5, dense: biases on queries, keys and values. `use_sliding_window` has no effect, as in mlx-lm: the models
//! published with it set attend to everything up to their context length.

use mlx_rs::Array;
use mlx_rs::error::Result as MlxResult;
use serde::Deserialize;

use super::{Blueprint, Geometry, check_activation, check_heads, head_dim};
use crate::Error;
use crate::attention::{Heads, Span};
use crate::cache::{Cache, LayerCache};
use crate::config::{ConfigFile, positive};
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
    #[serde(deserialize_with = "positive")]
    num_key_value_heads: i32,
    #[serde(deserialize_with = "positive")]
    vocab_size: i32,
    #[serde(deserialize_with = "positive", default = "default_context")]
    max_position_embeddings: i32,
    rms_norm_eps: f32,
    #[serde(default = "tied")]
    tie_word_embeddings: bool,
    hidden_act: Option<String>,
}

fn default_context() -> i32 {
    32_768
}

fn tied() -> bool {
    true
}

/// A checked configuration.
#[derive(Debug)]
struct Plan {
    config: Config,
    head_dim: i32,
    rope: RopePlan,
}

pub(super) fn read(file: &ConfigFile) -> Result<Box<dyn Blueprint>, Error> {
    let config: Config = file.parse()?;
    check_heads(file, config.num_attention_heads, config.num_key_value_heads)?;
    check_activation(file, config.hidden_act.as_deref())?;
    let head_dim = head_dim(file, None, config.hidden_size, config.num_attention_heads)?;
    let rope = file.parse::<RopeConfig>()?.plan(file, head_dim, Some(1_000_000.0))?;
    Ok(Box::new(Plan { config, head_dim, rope }))
}

impl Blueprint for Plan {
    fn geometry(&self) -> Geometry {
        Geometry {
            vocab_size: self.config.vocab_size,
            context_length: self.config.max_position_embeddings,
            layers: self.config.num_hidden_layers,
            kv_heads: self.config.num_key_value_heads,
            head_dim: self.head_dim,
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
        let heads = Heads {
            queries: config.num_attention_heads,
            keys: config.num_key_value_heads,
            dim: plan.head_dim,
        };
        let hidden = i64::from(config.hidden_size);
        let (queries, keys) = (heads.query_width(), heads.key_width());
        let qkv = [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)]
            .map(|(layer, width)| (format!("{name}.{layer}"), width));
        Ok(Self {
            heads,
            qkv: weights.joined(&qkv, hidden, Bias::With)?,
            o_proj: weights.linear(&format!("{name}.o_proj"), queries, hidden, Bias::Without)?,
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
}

impl Block {
    fn load(weights: &mut Loader<'_>, name: &str, plan: &Plan) -> Result<Self, Error> {
        let config = &plan.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (size, eps) = (i64::from(hidden), config.rms_norm_eps);
        Ok(Self {
            self_attn: Attention::load(weights, &format!("{name}.self_attn"), plan)?,
            mlp: SwiGlu::load(weights, &format!("{name}.mlp"), hidden, inner, Bias::Without)?,
            input_layernorm: weights.rms_norm(&format!("{name}.input_layernorm"), size, eps)?,
            post_attention_layernorm: weights.rms_norm(
                &format!("{name}.post_attention_layernorm"),
                size,
                eps,
            )?,
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
            layers.push(Block::load(weights, &format!("model.layers.{layer}"), plan)?);
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
        let span = Span::causal(cache.length, tokens.dim(1));
        let mut h = self.embed_tokens.forward(tokens)?;
        for (layer, cache) in self.layers.iter().zip(&mut cache.layers) {
            h = layer.forward(&h, &span, cache)?;
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
