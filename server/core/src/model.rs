/// What clients may know about a served model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCard {
    /// The name it is served under: an alias, a Hugging Face id, or a folder's name.
    pub id: String,
    /// Unix time in seconds when the server loaded it.
    pub created: u64,
    /// `model_type` of its configuration, `qwen3` for instance.
    pub architecture: String,
    /// Longest prompt plus answer, in tokens.
    pub context_length: u32,
    /// What it does.
    pub capabilities: Capabilities,
}

/// What a model does, found from its configuration and its chat template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any mix of them exists")]
pub struct Capabilities {
    /// It continues text.
    pub completion: bool,
    /// It has a chat template.
    pub chat: bool,
    /// Its template renders tools and we have a parser for the calls it writes.
    pub tools: bool,
    /// Its template can switch reasoning on or off.
    pub reasoning: bool,
    /// Its answers can be held to a grammar.
    pub structured_output: bool,
    /// It makes embeddings.
    pub embeddings: bool,
    /// It says how well a text answers another.
    pub score: bool,
}
