//! The architectures, one file for each family of `model_type`s. Their types stand in the same order everywhere (Config,
//! Attention, Block, Model), fields are named as the weights are, and what a checkpoint does oddly is set right in
//! `sanitize` and nowhere else. The reference for each is the file of the same name in mlx-lm's `mlx_lm/models`.

mod bert;
mod llama;
mod qwen2;
mod qwen3;

use std::fmt::Debug;

use mlx_rs::Array;
use mlx_rs::error::Result as MlxResult;

use crate::Error;
use crate::cache::Cache;
use crate::config::{ConfigFile, Header};
use crate::encoder::Batch;
use crate::weights::{Index, Loader};

/// A model's configuration, read and checked: all that is needed to build the model once its weights are at hand.
pub(crate) trait Blueprint: Debug + Send {
    /// The sizes the decoder has to know.
    fn geometry(&self) -> Geometry;

    /// Drops or renames what a checkpoint holds against this architecture's habit.
    fn sanitize(&self, weights: &mut Index);

    /// Builds the model.
    fn build(&self, weights: &mut Loader<'_>) -> Result<Box<dyn Model>, Error>;
}

/// The sizes of a model that show on the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Number of logits.
    pub(crate) vocab_size: i32,
    /// Longest row, in tokens.
    pub(crate) context_length: i32,
    /// Layers with keys and values.
    pub(crate) layers: i32,
    /// Heads of keys and values in each layer.
    pub(crate) kv_heads: i32,
    /// Width of a head.
    pub(crate) head_dim: i32,
    /// Width of the hidden states.
    pub(crate) hidden_size: i32,
}

impl Geometry {
    /// Bytes of keys and values for one token, where a number has so many.
    pub(crate) fn kv_bytes_per_token(&self, number: usize) -> u64 {
        let numbers = 2 * i64::from(self.kv_heads) * i64::from(self.head_dim) * i64::from(self.layers);
        numbers.unsigned_abs() * number as u64
    }
}

/// A model on the device.
pub(crate) trait Model {
    /// Appends tokens, of shape `[rows, tokens]`, to one row or several of the same length. Returns their hidden states
    /// `[rows, tokens, features]`.
    fn forward(&self, tokens: &Array, cache: &mut Cache) -> MlxResult<Array>;

    /// The hidden states as the output layer sees them, which are those that embeddings are made of.
    fn normalize(&self, hidden: &Array) -> MlxResult<Array>;

    /// The logits `[rows, tokens, vocabulary]` that follow from hidden states `[rows, tokens, features]`.
    fn logits(&self, hidden: &Array) -> MlxResult<Array>;

    /// Bytes of one number in keys and values.
    fn activation_bytes(&self) -> usize;
}

/// The configuration of a model that reads texts whole, read and checked.
pub(crate) trait EncoderBlueprint: Debug + Send {
    /// The sizes that show on the outside.
    fn geometry(&self) -> EncoderGeometry;

    /// Drops or renames what a checkpoint holds against this architecture's habit.
    fn sanitize(&self, weights: &mut Index);

    /// Builds the model.
    fn build(&self, weights: &mut Loader<'_>) -> Result<Box<dyn EncoderModel>, Error>;
}

/// The sizes of an encoder that show on the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EncoderGeometry {
    /// Number of tokens it knows.
    pub(crate) vocab_size: i32,
    /// Longest text, in tokens.
    pub(crate) context_length: i32,
    /// Width of the hidden states.
    pub(crate) hidden_size: i32,
    /// Weights of one layer.
    pub(crate) layer_weights: i64,
    /// Whether it makes a score of a text.
    pub(crate) classifies: bool,
}

/// A model on the device in which every token sees all others.
pub(crate) trait EncoderModel {
    /// Number of layers.
    fn layers(&self) -> usize;

    /// What the first layer gets, `[texts, tokens, features]`.
    fn embed(&self, batch: &Batch) -> MlxResult<Array>;

    /// One layer. The mask, `[texts, 1, 1, tokens]`, is true for tokens that are no padding; there is none where no text
    /// has any.
    fn layer(&self, index: usize, x: &Array, mask: Option<&Array>) -> MlxResult<Array>;

    /// The score `[texts, 1, 1]` of each text, from the last layer's output, where the model has a head for it.
    fn score(&self, x: &Array) -> Option<MlxResult<Array>>;
}

/// What a configuration is the configuration of.
#[derive(Debug)]
pub(crate) enum Kind {
    Decoder(Box<dyn Blueprint>),
    Encoder(Box<dyn EncoderBlueprint>),
}

#[derive(Clone, Copy)]
enum Read {
    Decoder(fn(&ConfigFile) -> Result<Box<dyn Blueprint>, Error>),
    Encoder(fn(&ConfigFile) -> Result<Box<dyn EncoderBlueprint>, Error>),
}

/// Every `model_type` and who reads it.
const ARCHITECTURES: &[(&str, Read)] = &[
    ("llama", Read::Decoder(llama::read)),
    ("mistral", Read::Decoder(llama::read)),
    ("qwen2", Read::Decoder(qwen2::read)),
    ("qwen3", Read::Decoder(qwen3::read)),
    ("bert", Read::Encoder(bert::read_bert)),
    ("roberta", Read::Encoder(bert::read_roberta)),
    ("xlm-roberta", Read::Encoder(bert::read_roberta)),
];

/// Reads `config.json`. Returns its `model_type` too.
pub(crate) fn read(config: &ConfigFile) -> Result<(String, Kind), Error> {
    let model_type = config.parse::<Header>()?.model_type;
    let kind = match ARCHITECTURES.iter().find(|(name, _)| *name == model_type) {
        Some((_, Read::Decoder(read))) => Kind::Decoder(read(config)?),
        Some((_, Read::Encoder(read))) => Kind::Encoder(read(config)?),
        None => {
            return Err(Error::UnknownArchitecture {
                file: config.name.clone(),
                found: model_type,
                known: ARCHITECTURES.iter().map(|(name, _)| *name).collect(),
            });
        }
    };
    Ok((model_type, kind))
}

/// Checks what every configuration here has in common.
fn check_heads(config: &ConfigFile, queries: i32, keys: i32) -> Result<(), Error> {
    if queries % keys == 0 {
        return Ok(());
    }
    Err(config.error(
        "num_key_value_heads",
        format!("found {keys}, expected a divisor of num_attention_heads, which is {queries}"),
    ))
}

/// Width of a head: as configured, or an equal part of the hidden state.
fn head_dim(
    config: &ConfigFile,
    configured: Option<i32>,
    hidden_size: i32,
    heads: i32,
) -> Result<i32, Error> {
    match configured {
        Some(dim) => Ok(dim),
        None if hidden_size % heads == 0 => Ok(hidden_size / heads),
        None => Err(config.error(
            "num_attention_heads",
            format!("found {heads}, expected a divisor of hidden_size, which is {hidden_size}"),
        )),
    }
}

/// Checks the activation of the feed-forward layers.
fn check_activation(config: &ConfigFile, found: Option<&str>) -> Result<(), Error> {
    match found {
        None | Some("silu" | "swish") => Ok(()),
        Some(other) => Err(config.error("hidden_act", format!("found \"{other}\", expected \"silu\""))),
    }
}
