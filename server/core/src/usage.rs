/// What a request consumed, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input_tokens: u32,
    /// Prompt tokens whose keys and values were already in a cache.
    pub cached_tokens: u32,
    /// Generated tokens, reasoning included.
    pub output_tokens: u32,
    /// Generated tokens inside reasoning blocks.
    pub reasoning_tokens: u32,
}

/// Strict scheduling classes, lowest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Work nobody waits for.
    Batch,
    /// The usual class.
    #[default]
    Normal,
    /// Interactive work that goes first.
    High,
}

/// How a request is to be treated and accounted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tags {
    /// The account, after plugins had their say.
    pub tenant: Option<String>,
    /// Scheduling class.
    pub priority: Priority,
}
