//! BERT (Devlin et al. 2018) and its likes RoBERTa and XLM-RoBERTa, for embeddings and for scores. The reference is
//! `models/bert/modeling_bert.py` and `models/roberta/modeling_roberta.py` in transformers.

use mlx_rs::error::Result as MlxResult;
use mlx_rs::fast::scaled_dot_product_attention;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::{Array, ops};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{EncoderBlueprint, EncoderGeometry};
use crate::Error;
use crate::config::{ConfigFile, optional_positive, positive};
use crate::encoder::Batch;
use crate::layers::{Activation, Embedding, LayerNorm, Linear};
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
    vocab_size: i32,
    #[serde(deserialize_with = "positive")]
    max_position_embeddings: i32,
    #[serde(default, deserialize_with = "optional_positive")]
    type_vocab_size: Option<i32>,
    layer_norm_eps: Option<f32>,
    hidden_act: Option<String>,
    pad_token_id: Option<u32>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    architectures: Vec<String>,
    id2label: Option<Map<String, Value>>,
}

/// Which of the families, as far as they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Bert,
    Roberta,
}

/// A checked configuration.
#[derive(Debug)]
struct Plan {
    config: Config,
    family: Family,
    activation: Activation,
    classifies: bool,
}

pub(super) fn read_bert(file: &ConfigFile) -> Result<Box<dyn EncoderBlueprint>, Error> {
    read(file, Family::Bert)
}

pub(super) fn read_roberta(file: &ConfigFile) -> Result<Box<dyn EncoderBlueprint>, Error> {
    read(file, Family::Roberta)
}

fn read(file: &ConfigFile, family: Family) -> Result<Box<dyn EncoderBlueprint>, Error> {
    let config: Config = file.parse()?;
    if config.hidden_size % config.num_attention_heads != 0 {
        let (found, hidden) = (config.num_attention_heads, config.hidden_size);
        let problem = format!("found {found}, expected a divisor of hidden_size, which is {hidden}");
        return Err(file.error("num_attention_heads", problem));
    }
    if config.is_decoder {
        return Err(file.error("is_decoder", "found true, and only encoders of this family are read"));
    }
    if let Some(other) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
        return Err(
            file.error("position_embedding_type", format!("found \"{other}\", expected \"absolute\""))
        );
    }
    let classifies =
        config.architectures.first().is_some_and(|name| name.ends_with("ForSequenceClassification"));
    // As in transformers, two labels where none are named.
    let labels = config.id2label.as_ref().map_or(2, Map::len);
    if classifies && labels != 1 {
        let problem =
            format!("found {labels} labels, and only models with one, whose score it is, can be served");
        return Err(file.error("id2label", problem));
    }
    let activation = Activation::named(file, config.hidden_act.as_deref().unwrap_or("gelu"))?;
    let plan = Plan { config, family, activation, classifies };
    if i64::from(plan.padding()) >= i64::from(plan.config.vocab_size) {
        let problem = format!("found {}, expected a token of the vocabulary", plan.padding());
        return Err(file.error("pad_token_id", problem));
    }
    if plan.longest() < 1 {
        return Err(file.error("max_position_embeddings", "it leaves no place for a token"));
    }
    Ok(Box::new(plan))
}

impl Plan {
    /// The token that fills up short texts.
    fn padding(&self) -> u32 {
        self.config.pad_token_id.unwrap_or(match self.family {
            Family::Bert => 0,
            Family::Roberta => 1,
        })
    }

    /// Position of the first token: RoBERTa's positions begin behind the padding token's id.
    fn first_position(&self) -> i32 {
        match self.family {
            Family::Bert => 0,
            Family::Roberta => i32::try_from(self.padding()).unwrap_or(i32::MAX).saturating_add(1),
        }
    }

    fn longest(&self) -> i32 {
        self.config.max_position_embeddings.saturating_sub(self.first_position())
    }

    fn segments(&self) -> i32 {
        self.config.type_vocab_size.unwrap_or(2)
    }

    /// The prefix of its weights in models with a head, and of parts that embeddings have no use for.
    fn prefix(&self) -> &'static str {
        match self.family {
            Family::Bert => "bert.",
            Family::Roberta => "roberta.",
        }
    }
}

impl EncoderBlueprint for Plan {
    fn geometry(&self) -> EncoderGeometry {
        let Config { hidden_size, intermediate_size, vocab_size, .. } = self.config;
        EncoderGeometry {
            vocab_size,
            context_length: self.longest(),
            hidden_size,
            layer_weights: i64::from(hidden_size)
                * (4 * i64::from(hidden_size) + 2 * i64::from(intermediate_size)),
            classifies: self.classifies,
        }
    }

    fn sanitize(&self, weights: &mut Index) {
        weights.rename(|name| {
            let name = name.strip_prefix(self.prefix()).unwrap_or(name);
            // Names from before PyTorch had a LayerNorm.
            let name = name.replace("LayerNorm.gamma", "LayerNorm.weight");
            name.replace("LayerNorm.beta", "LayerNorm.bias")
        });
        let pooler = self.classifies && self.family == Family::Bert;
        weights.discard(|name| {
            matches!(name, "embeddings.position_ids" | "embeddings.token_type_ids")
                || ["cls.", "lm_head."].iter().any(|head| name.starts_with(head))
                || !pooler && name.starts_with("pooler.")
                || !self.classifies && name.starts_with("classifier.")
        });
    }

    fn build(&self, weights: &mut Loader<'_>) -> Result<Box<dyn super::EncoderModel>, Error> {
        Ok(Box::new(Model::load(weights, self)?))
    }
}

struct Attention {
    heads: i32,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
}

impl Attention {
    fn load(weights: &mut Loader<'_>, name: &str, plan: &Plan) -> Result<Self, Error> {
        let size = i64::from(plan.config.hidden_size);
        let mut square = |part: &str| weights.linear(&format!("{name}.{part}"), size, size, Bias::With);
        Ok(Self {
            heads: plan.config.num_attention_heads,
            query: square("self.query")?,
            key: square("self.key")?,
            value: square("self.value")?,
            output: square("output.dense")?,
            norm: norm(weights, &format!("{name}.output.LayerNorm"), plan)?,
        })
    }

    fn forward(&self, x: &Array, mask: Option<&Array>) -> MlxResult<Array> {
        let (texts, tokens, size) = (x.dim(0), x.dim(1), x.dim(2));
        let width = size / self.heads;
        let by_head =
            |x: &Array| x.reshape(&[texts, tokens, self.heads, width])?.transpose_axes(&[0, 2, 1, 3]);
        let queries = by_head(&self.query.forward(x)?)?;
        let keys = by_head(&self.key.forward(x)?)?;
        let values = by_head(&self.value.forward(x)?)?;
        let scale = (width as f32).powf(-0.5);
        let attended = match mask {
            Some(mask) => scaled_dot_product_attention(queries, keys, values, scale, mask, None),
            None => scaled_dot_product_attention(queries, keys, values, scale, None, None),
        }?;
        let attended = attended.transpose_axes(&[0, 2, 1, 3])?.reshape(&[texts, tokens, size])?;
        self.norm.forward(&x.add(self.output.forward(&attended)?)?)
    }
}

struct Block {
    attention: Attention,
    activation: Activation,
    intermediate: Linear,
    output: Linear,
    norm: LayerNorm,
}

impl Block {
    fn load(weights: &mut Loader<'_>, name: &str, plan: &Plan) -> Result<Self, Error> {
        let (outer, inner) = (i64::from(plan.config.hidden_size), i64::from(plan.config.intermediate_size));
        Ok(Self {
            attention: Attention::load(weights, &format!("{name}.attention"), plan)?,
            activation: plan.activation,
            intermediate: weights.linear(&format!("{name}.intermediate.dense"), outer, inner, Bias::With)?,
            output: weights.linear(&format!("{name}.output.dense"), inner, outer, Bias::With)?,
            norm: norm(weights, &format!("{name}.output.LayerNorm"), plan)?,
        })
    }

    fn forward(&self, x: &Array, mask: Option<&Array>) -> MlxResult<Array> {
        let h = self.attention.forward(x, mask)?;
        let inner = self.activation.forward(&self.intermediate.forward(&h)?)?;
        self.norm.forward(&h.add(self.output.forward(&inner)?)?)
    }
}

/// What makes a score of a text's first token.
struct Head {
    dense: Linear,
    output: Linear,
}

struct Model {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    norm: LayerNorm,
    layers: Vec<Block>,
    head: Option<Head>,
    padding: u32,
    family: Family,
    /// Whether a token can belong to a second text.
    pairs: bool,
}

impl Model {
    fn load(weights: &mut Loader<'_>, plan: &Plan) -> Result<Self, Error> {
        let config = &plan.config;
        let size = i64::from(config.hidden_size);
        let mut table = |name: &str, rows: i32| {
            weights.embedding(&format!("embeddings.{name}_embeddings"), i64::from(rows), size)
        };
        let word_embeddings = table("word", config.vocab_size)?;
        let position_embeddings = table("position", config.max_position_embeddings)?;
        let token_type_embeddings = table("token_type", plan.segments())?;
        let mut layers = Vec::new();
        for layer in 0..config.num_hidden_layers {
            layers.push(Block::load(weights, &format!("encoder.layer.{layer}"), plan)?);
        }
        let head = plan.classifies.then_some(match plan.family {
            Family::Bert => ("pooler.dense", "classifier"),
            Family::Roberta => ("classifier.dense", "classifier.out_proj"),
        });
        let head = match head {
            None => None,
            Some((dense, output)) => Some(Head {
                dense: weights.linear(dense, size, size, Bias::With)?,
                output: weights.linear(output, size, 1, Bias::With)?,
            }),
        };
        Ok(Self {
            word_embeddings,
            position_embeddings,
            token_type_embeddings,
            norm: norm(weights, "embeddings.LayerNorm", plan)?,
            layers,
            head,
            padding: plan.padding(),
            family: plan.family,
            pairs: plan.segments() > 1,
        })
    }

    /// Where each token stands. RoBERTa counts the tokens that are no padding, from the padding token's id on, and a
    /// padding token that is part of a text stands at that id itself.
    fn positions(&self, tokens: &[u32]) -> Vec<u32> {
        match self.family {
            Family::Bert => (0..tokens.len() as u32).collect(),
            Family::Roberta => {
                let mut last = self.padding;
                let mut place = |token: &u32| {
                    if *token == self.padding {
                        return self.padding;
                    }
                    last += 1;
                    last
                };
                tokens.iter().map(&mut place).collect()
            }
        }
    }
}

impl super::EncoderModel for Model {
    fn layers(&self) -> usize {
        self.layers.len()
    }

    fn embed(&self, batch: &Batch) -> MlxResult<Array> {
        let tokens = batch.array(self.padding, |text| text.tokens.clone());
        let positions = batch.array(0, |text| self.positions(&text.tokens));
        let segments = batch.array(0, |text| {
            if self.pairs {
                text.segments.iter().map(|&segment| u32::from(segment)).collect()
            } else {
                Vec::new()
            }
        });
        let words = self.word_embeddings.forward(&tokens)?;
        let words = words.add(self.token_type_embeddings.forward(&segments)?)?;
        self.norm.forward(&words.add(self.position_embeddings.forward(&positions)?)?)
    }

    fn layer(&self, index: usize, x: &Array, mask: Option<&Array>) -> MlxResult<Array> {
        self.layers[index].forward(x, mask)
    }

    fn score(&self, x: &Array) -> Option<MlxResult<Array>> {
        let head = self.head.as_ref()?;
        let score = || {
            let first = x.try_index((.., 0..1, ..))?;
            head.output.forward(&ops::tanh(head.dense.forward(&first)?)?)
        };
        Some(score())
    }
}

fn norm(weights: &mut Loader<'_>, name: &str, plan: &Plan) -> Result<LayerNorm, Error> {
    let eps = plan.config.layer_norm_eps.unwrap_or(1e-12);
    weights.layer_norm(name, i64::from(plan.config.hidden_size), eps)
}
