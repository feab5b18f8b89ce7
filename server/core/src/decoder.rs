//! The border between the scheduler and the device.
//!
//! A decoder lives on the one thread that owns the device and holds a number of rows, each a sequence of tokens with its
//! keys and values. The scheduler feeds tokens to any set of rows in one [`Decoder::step`]: long runs are prefill chunks,
//! single tokens are decoding, and both may be mixed. Decoders are free to run the rows of a step one after another or
//! as one batch; what a row says must not depend on its neighbours.

/// A loaded model on the device. Not `Send`: it is built and used on the device thread.
pub trait Decoder {
    /// The model's fixed facts.
    fn facts(&self) -> &Facts;

    /// Opens an empty row.
    fn open(&mut self) -> Result<RowId, Error>;

    /// Appends each row's tokens to it and, where asked, picks the token that follows. The result has one entry for each
    /// row, in order; a row that fails does so alone and has to be closed. `Err` means that the device is lost.
    fn step(&mut self, rows: &mut [RowStep<'_>]) -> Result<Vec<Result<Option<u32>, RowError>>, Error>;

    /// Opens a row that begins with the first `length` tokens of another one, which stays as it is. Nothing is computed for
    /// it; what it says is what a row would say that was given these tokens.
    fn fork(&mut self, row: RowId, length: u32) -> Result<RowId, Error>;

    /// Keeps the first `length` tokens of a row.
    fn trim(&mut self, row: RowId, length: u32) -> Result<(), Error>;

    /// Frees a row. Closing an unknown row does nothing.
    fn close(&mut self, row: RowId);
}

/// What the scheduler needs to know of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Number of logits.
    pub vocab_size: u32,
    /// Longest row, in tokens.
    pub context_length: u32,
    /// Bytes of keys and values for one token of one row.
    pub kv_bytes_per_token: u64,
    /// Most tokens of one row that a single step should carry: a bound on the time between two looks at the queue.
    pub prefill_chunk: u32,
}

/// Names a row of one decoder. Never used again after the row is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u64);

/// One row's part of a step.
pub struct RowStep<'a> {
    /// The row.
    pub row: RowId,
    /// Tokens to append; at least one.
    pub tokens: &'a [u32],
    /// Whether and how to pick the following token.
    pub pick: Pick<'a>,
    /// Whether to say how likely the tokens themselves were.
    pub score: Option<Score<'a>>,
}

/// Asks for the log probabilities of tokens that a step is given: of each but the first, which an earlier step says or
/// nobody, and of the one that the next step will begin with.
pub struct Score<'a> {
    /// The row's next token, where it is known already.
    pub next: Option<u32>,
    /// How many of the likeliest tokens to name in each place.
    pub top: u32,
    /// Gets one entry for each token scored, in order.
    pub found: &'a mut Vec<Scored>,
}

/// How likely a token was. Natural logarithms of the softmax of the logits as the model gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Its log probability.
    pub logprob: f32,
    /// The likeliest tokens in its place with theirs, likeliest first and then by id. Tokens without a probability are not
    /// among them.
    pub top: Vec<(u32, f32)>,
}

/// How a row's next token is chosen.
pub enum Pick<'a> {
    /// Not at all: more of the prompt follows.
    Nothing,
    /// The likeliest token, chosen on the device.
    Greedy,
    /// Chosen on the host from the logits.
    Sample(&'a mut dyn Sampler),
}

/// Chooses a token from logits.
pub trait Sampler {
    /// Chooses from the logits of one position (f32, one for each vocabulary entry); may change them. Fails where no
    /// token is possible, as when every logit is NaN; the row fails with it.
    fn sample(&mut self, logits: &mut [f32]) -> Result<u32, RowError>;
}

/// Why one row failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// No such row.
    #[error("row {0:?} is not open")]
    Unknown(RowId),
    /// Tokens outside the vocabulary, or none.
    #[error("{0}")]
    BadTokens(String),
    /// The row would be longer than the context.
    #[error("the row would be longer than the context of {0} tokens")]
    ContextFull(u32),
    /// Logits from which nothing can be chosen.
    #[error("the logits hold no usable number")]
    BadLogits,
    /// The row's grammar cannot say what may come next.
    #[error("{0}")]
    Grammar(String),
    /// The device refused this row's work.
    #[error("{0}")]
    Device(String),
}

impl RowError {
    /// Whether only the choice of a token failed, so that the row itself is as good as before.
    pub const fn is_choice(&self) -> bool {
        matches!(self, Self::BadLogits | Self::Grammar(_))
    }
}

/// The device, or the model on it, failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);
