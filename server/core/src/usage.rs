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

impl Priority {
    /// The name in logs, and in the WIT package's `priority`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// How a request is to be treated and accounted, after all plugins had their say.
#[derive(Debug, Clone, PartialEq)]
pub struct Tags {
    /// The account: the principal's, unless a plugin says another.
    pub tenant: Option<String>,
    /// Scheduling class.
    pub priority: Priority,
    /// Share of the machine relative to other tenants; 1.0 is usual. Above 0.
    pub weight: f32,
    /// Adapter to answer with.
    pub adapter: Option<String>,
    /// Requests share cached prefixes only inside one scope.
    pub cache_scope: Option<String>,
    /// Labels for metrics and log.
    pub labels: Vec<(String, String)>,
    /// Headers to set towards an upstream.
    pub upstream_headers: Vec<(String, String)>,
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            tenant: None,
            priority: Priority::default(),
            weight: 1.0,
            adapter: None,
            cache_scope: None,
            labels: Vec::new(),
            upstream_headers: Vec::new(),
        }
    }
}
