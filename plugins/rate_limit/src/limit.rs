//! The kinds of limits.

use mlx_gate_plugin::kv::Bucket;

/// A bound on one thing that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) kind: Kind,
    /// At least 1, at most [`Limit::MOST`].
    pub(crate) most: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ConcurrentRequests,
    RequestsPerMinute,
    TokensPerMinute,
    RequestsPerDay,
    TokensPerDay,
}

/// How it is counted.
pub(crate) enum Measure {
    /// In a token bucket that a minute fills.
    Bucket(Bucket),
    /// By a counter that starts anew every day.
    Daily,
    /// By a counter that goes down again.
    Concurrent,
}

impl Limit {
    /// More than anybody means, and few enough to add up.
    pub(crate) const MOST: u64 = 1_000_000_000_000;

    pub(crate) fn measure(self) -> Measure {
        match self.kind {
            Kind::ConcurrentRequests => Measure::Concurrent,
            Kind::RequestsPerDay | Kind::TokensPerDay => Measure::Daily,
            Kind::RequestsPerMinute | Kind::TokensPerMinute => {
                Measure::Bucket(Bucket { capacity: self.most, refill_per_second: self.most as f64 / 60.0 })
            }
        }
    }
}

impl Kind {
    /// The option's name, and part of the keys.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ConcurrentRequests => "concurrent-requests",
            Self::RequestsPerMinute => "requests-per-minute",
            Self::TokensPerMinute => "tokens-per-minute",
            Self::RequestsPerDay => "requests-per-day",
            Self::TokensPerDay => "tokens-per-day",
        }
    }

    /// In messages, as OpenAI writes it.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::ConcurrentRequests => "concurrent requests",
            Self::RequestsPerMinute => "requests per min (RPM)",
            Self::TokensPerMinute => "tokens per min (TPM)",
            Self::RequestsPerDay => "requests per day (RPD)",
            Self::TokensPerDay => "tokens per day (TPD)",
        }
    }

    /// What `x-ratelimit-*` headers call it; there are none for concurrent requests.
    pub(crate) const fn in_headers(self) -> Option<&'static str> {
        match self {
            Self::ConcurrentRequests => None,
            Self::RequestsPerMinute | Self::RequestsPerDay => Some("requests"),
            Self::TokensPerMinute | Self::TokensPerDay => Some("tokens"),
        }
    }

    pub(crate) const fn counts_tokens(self) -> bool {
        matches!(self, Self::TokensPerMinute | Self::TokensPerDay)
    }
}
