use std::time::Duration;

use crate::encoder::Text;

/// Texts to be read whole by a model, each of which becomes an embedding or a score; in no client's dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeRequest {
    /// Unique id, also the response's `x-request-id`.
    pub id: String,
    /// Served name of the model; `None` is the first one.
    pub model: Option<String>,
    /// What the texts become.
    pub task: EncodeTask,
    /// The texts. Never empty.
    pub inputs: Vec<EncodeInput>,
    /// What becomes of a text that is too long; `None` refuses it.
    pub truncate: Option<Truncate>,
}

/// What texts become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeTask {
    /// A vector.
    Embed {
        /// How many of the vector's numbers to keep (Matryoshka representation learning, Kusupati et al. 2022); the rest is
        /// cut off, and what is left is normalized. `None` keeps all.
        dimensions: Option<u32>,
    },
    /// One number: how well the second text of a pair answers the first.
    Score,
}

/// A text, or two that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeInput {
    /// Tokenized with the tokenizer's own special tokens.
    Text(String),
    /// Used as they are.
    Tokens(Vec<u32>),
    /// Two texts, as the tokenizer puts them together.
    Pair(String, String),
}

/// The length that longer texts are cut to, special tokens included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// What the model can read.
    ToModel,
    /// So many tokens, at most what the model can read.
    To(u32),
}

/// Texts ready to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedEncode {
    /// Id of the request.
    pub id: String,
    /// Served name of the model that reads them.
    pub model: String,
    /// What they become.
    pub task: EncodeTask,
    /// The texts in the model's tokens. None is empty, and none too long.
    pub texts: Vec<Text>,
}

impl PreparedEncode {
    /// Length of all texts together, in tokens.
    pub fn tokens(&self) -> u32 {
        let length = |text: &Text| u32::try_from(text.tokens.len()).unwrap_or(u32::MAX);
        self.texts.iter().map(length).fold(0, u32::saturating_add)
    }
}

/// What became of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// A vector for each text, in their order; of one number where it is a score. All numbers are finite.
    pub vectors: Vec<Vec<f32>>,
    /// Time spent waiting for the first of them to be read.
    pub queued: Duration,
}
