//! One module for each phase: its trait and what it may answer.

/// Who is asking. Runs before the body is read.
pub mod authenticate {
    pub use crate::bindings::authenticate::exports::mlx_gate::plugin::authenticate::{Grant, Verdict};
    use crate::{Plugin, Principal, RequestHead};

    /// Says who is asking.
    pub trait Authenticate: Plugin {
        /// Plugins are asked in the order they were loaded; the first [`Verdict::Allow`] or [`Verdict::Deny`] decides.
        /// Abstain where the request has no credential of this plugin's kind; deny where it has one that is no good.
        fn authenticate(&self, head: RequestHead) -> Verdict;
    }

    impl Verdict {
        /// The caller is known; the answer is for this request alone.
        pub fn allow(principal: Principal) -> Self {
            Self::Allow(Grant { principal, cache_for_ms: None })
        }
    }
}

/// May they.
pub mod authorize {
    pub use crate::bindings::authorize::exports::mlx_gate::plugin::authorize::Verdict;
    use crate::{Operation, Plugin, Principal};

    /// Says whether the caller may do this, and within which bounds.
    pub trait Authorize: Plugin {
        /// Any [`Verdict::Deny`] refuses; at least one [`Verdict::Allow`] is needed; constraints intersect.
        fn authorize(&self, who: Option<Principal>, what: Operation) -> Verdict;
    }
}

/// May they now.
pub mod rate_limit {
    pub use crate::bindings::rate_limit::exports::mlx_gate::plugin::rate_limit::{
        Ending, Reservation, Verdict,
    };
    use crate::{Operation, Plugin, Principal, Usage};

    /// Says whether the caller may do this now, and takes note of what it took.
    pub trait RateLimit: Plugin {
        /// All plugins must let the request pass. Undo what was set aside before you deny: only a [`Verdict::Reserve`] is
        /// settled.
        fn admit(&self, who: Option<Principal>, what: Operation) -> Verdict;

        /// Called once for each [`Verdict::Reserve`], however the request ended, with what `admit` was called with. It runs
        /// in another instance: what has to be remembered is in the ticket, or in [`kv`](crate::kv).
        fn settle(&self, who: Option<Principal>, what: Operation, ticket: u64, ending: Ending, used: Usage);
    }
}

/// On whose account, and how urgent.
pub mod tagging {
    use crate::{Operation, Plugin, Principal, Tags};

    /// Says how the request is to be treated.
    pub trait Tagging: Plugin {
        /// Tags of later plugins go over those of earlier ones.
        fn tag(&self, who: Option<Principal>, what: Operation) -> Tags;
    }
}

/// What is written down.
pub mod logging {
    use crate::{Completed, Plugin};

    /// Writes down what happened.
    pub trait Logging: Plugin {
        /// Called with batches, off the request's path.
        fn log(&self, events: Vec<Completed>);
    }
}
