/// Which family of clients a route serves; decides the shape of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's API.
    OpenAi,
    /// Anthropic's API.
    Anthropic,
    /// The server's own routes.
    Admin,
}

impl Dialect {
    /// The name plugins see in `request-head.dialect`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Admin => "admin",
        }
    }
}

/// What kind of work a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/completions`.
    Completion,
    /// `GET /v1/models` and below.
    Models,
}

impl Api {
    /// The name plugins see in `operation.api`, and logs carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Models => "models",
        }
    }
}

/// What is asked for, once the body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The kind of work.
    pub api: Api,
    /// The model's served name.
    pub model: Option<String>,
    /// Whether the answer streams.
    pub streaming: bool,
    /// Prompt length in tokens.
    pub input_tokens: u32,
    /// The most tokens that may be generated.
    pub max_output_tokens: Option<u32>,
}
