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
    /// `POST /v1/responses`.
    Response,
    /// `POST /v1/messages`.
    Message,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `GET /v1/models` and below.
    Models,
    /// `POST /tokenize` and `POST /detokenize`.
    Tokenize,
    /// `POST /v1/embeddings`.
    Embedding,
    /// `POST /v1/rerank`.
    Rerank,
    /// `POST /v1/score`.
    Score,
}

impl Api {
    /// Every kind there is.
    pub const ALL: [Self; 10] = [
        Self::Chat,
        Self::Completion,
        Self::Response,
        Self::Message,
        Self::CountTokens,
        Self::Models,
        Self::Tokenize,
        Self::Embedding,
        Self::Rerank,
        Self::Score,
    ];

    /// The name plugins see in `operation.api`, and logs carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Response => "response",
            Self::Message => "message",
            Self::CountTokens => "count-tokens",
            Self::Models => "models",
            Self::Tokenize => "tokenize",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Score => "score",
        }
    }
}

/// What is asked for, once the body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The kind of work.
    pub api: Api,
    /// Served name of the model, the default one where the request names none. `None` only where the operation is about
    /// no single model.
    pub model: Option<String>,
    /// Adapter named by the request.
    pub adapter: Option<String>,
    /// Whether the answer streams.
    pub streaming: bool,
    /// Prompt length in tokens, all prompts together; an estimate until the prompt is tokenized, which is after `authorize`.
    pub input_tokens: u32,
    /// The client's bound on the answer, in tokens, all answers together, until it is resolved against the model's and the server's own.
    pub max_output_tokens: Option<u32>,
    /// Number of tools offered to the model.
    pub tools: u32,
    /// Number of images in the prompt.
    pub images: u32,
    /// Whom the caller says it asks for (`user` in OpenAI's API). Unverified.
    pub end_user: Option<String>,
}

impl Operation {
    /// An operation of this kind about nothing in particular.
    pub const fn new(api: Api) -> Self {
        Self {
            api,
            model: None,
            adapter: None,
            streaming: false,
            input_tokens: 0,
            max_output_tokens: None,
            tools: 0,
            images: 0,
            end_user: None,
        }
    }
}

/// What the authorizers allow at the most, all of them taken together. The default is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Longest answer, in tokens.
    pub max_output_tokens: Option<u32>,
    /// Serve this model instead of the one named.
    pub model: Option<String>,
    /// Patterns of model names, one list for each authorizer that gave one; every list has to take a model in. `*` matches
    /// any run of characters, and a pattern after `!` takes out what it matches, whatever the others say.
    pub models: Vec<Vec<String>>,
    /// The adapters that may be used.
    pub adapters: Option<Vec<String>>,
}

impl Constraints {
    /// Whether the caller may use and see a model of this name.
    pub fn allows_model(&self, name: &str) -> bool {
        self.models.iter().all(|patterns| takes_in(patterns, name))
    }
}

fn takes_in(patterns: &[String], name: &str) -> bool {
    let (mut taken_in, mut taken_out) = (false, false);
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) => taken_out |= matches(pattern, name),
            None => taken_in |= matches(pattern, name),
        }
    }
    taken_in && !taken_out
}

/// Whether the name is what the pattern says. Linear in both for the patterns people write, and never worse than their
/// product: after a mismatch only the last `*` is tried again.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut star, mut from) = (0, None, 0);
    let mut next = 0;
    while next < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some(at);
                from = next;
                at += 1;
            }
            Some(byte) if *byte == name[next] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some(star) = star else { return false };
                from += 1;
                next = from;
                at = star + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::{Constraints, matches};

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("demo", "demo", true),
            ("demo", "demo2", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("qwen*", "qwen3-0.6b", true),
            ("*-4bit", "qwen3-4bit", true),
            ("*-4bit", "qwen3-4bit-x", false),
            ("a*b*c", "a--b--b-c", true),
            ("a*b*c", "a--c--b", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("Demo", "demo", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_model_has_to_match_every_list() {
        let list = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let none = Constraints::default();
        assert!(none.allows_model("anything"));
        let two = Constraints { models: vec![list(&["a*", "b"]), list(&["*1"])], ..Constraints::default() };
        assert!(two.allows_model("a1"));
        assert!(!two.allows_model("a2"));
        assert!(!two.allows_model("b"));
        let nothing = Constraints { models: vec![Vec::new()], ..Constraints::default() };
        assert!(!nothing.allows_model("a"));
    }

    #[test]
    fn what_a_list_takes_out_is_out_in_any_order() {
        let constraints = |patterns: &[&str]| Constraints {
            models: vec![patterns.iter().map(ToString::to_string).collect()],
            ..Constraints::default()
        };
        for patterns in [["!*-secret", "*"], ["*", "!*-secret"]] {
            assert!(constraints(&patterns).allows_model("qwen"));
            assert!(!constraints(&patterns).allows_model("qwen-secret"));
        }
        assert!(!constraints(&["!a"]).allows_model("b"), "a list that takes nothing in");
    }
}
