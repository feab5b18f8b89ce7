//! The border between the scheduler and a model that reads texts whole and makes a vector or a score of each.
//!
//! As a decoder does, an encoder lives on the one thread that owns the device. It works on one batch at a time, and in
//! pieces that are short enough to let rows of other models be stepped in between.

pub use crate::decoder::Error;

/// A loaded model on the device that embeds or scores. Not `Send`: it is built and used on the device thread.
pub trait Encoder {
    /// The model's fixed facts.
    fn facts(&self) -> &Facts;

    /// Takes a batch. None is under way. Texts are not empty and within the model's limits.
    fn begin(&mut self, batch: Vec<Text>) -> Result<(), Error>;

    /// Does a piece of the batch. `Some` is its end, with the vector of each text in order. What a text becomes does not
    /// depend on its neighbours but for rounding. An error ends the batch, and it alone.
    fn advance(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error>;

    /// Forgets the batch that is under way, if one is.
    fn abandon(&mut self);
}

/// A text in the model's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The tokens, special ones included.
    pub tokens: Vec<u32>,
    /// For each token which text of a pair it belongs to (`token_type_ids` in transformers), 0 or 1. Empty is all 0.
    pub segments: Vec<u8>,
}

/// What the scheduler needs to know of an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Number of tokens it knows.
    pub vocab_size: u32,
    /// Longest text, in tokens, special ones included.
    pub context_length: u32,
    /// Bytes of keys and values for one token of the batch that is being read, padding included; 0 where it keeps none.
    pub kv_bytes_per_token: u64,
    /// Most tokens a batch should have, padding included; a single text may have more.
    pub batch_tokens: u32,
    /// What it makes of a text.
    pub output: Output,
}

/// What an encoder makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A vector of this many numbers.
    Embedding {
        /// How many numbers.
        dimensions: u32,
        /// To which lengths it may be cut.
        matryoshka: Matryoshka,
    },
    /// One number for a pair of texts.
    Score,
}

/// To which lengths an embedding may be cut, as its training allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matryoshka {
    /// To none but its own.
    None,
    /// To any.
    Any,
    /// To these.
    Listed(Vec<u32>),
}
