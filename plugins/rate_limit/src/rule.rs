//! A rule: whom and what it is about, what it counts apart, and its limits.

use std::fmt::{self, Write as _};

use mlx_gate_plugin::pattern::{Callers, Pattern, listed_if_any};
use mlx_gate_plugin::{Operation, Principal, crypto};

use crate::limit::Limit;

pub(crate) struct Rule {
    pub(crate) name: Option<String>,
    pub(crate) per: Per,
    pub(crate) callers: Callers,
    pub(crate) models: Option<Vec<Pattern>>,
    /// None for those who are exempt.
    pub(crate) limits: Vec<Limit>,
    /// What the names of all its accounts begin with, before they are hashed.
    account: String,
}

/// What has a count of its own. Nothing of it: all requests are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Per {
    pub(crate) principal: bool,
    pub(crate) tenant: bool,
    pub(crate) model: bool,
}

impl Rule {
    pub(crate) fn new(
        name: Option<String>,
        per: Per,
        callers: Callers,
        models: Option<Vec<Pattern>>,
        limits: Vec<Limit>,
    ) -> Self {
        let mut account = format!("{per:?} ");
        match &name {
            Some(name) => add(&mut account, Some(name)),
            None => add(&mut account, Some(&format!("{callers:?} {models:?}"))),
        }
        Self { name, per, callers, models, limits, account }
    }

    pub(crate) fn is_about(&self, who: Option<&Principal>, what: &Operation) -> bool {
        listed_if_any(self.models.as_deref(), what.model.as_deref()) && self.callers.fit(who)
    }

    /// Whether there is nothing it is not about.
    pub(crate) fn is_about_everything(&self) -> bool {
        !self.callers.are_listed() && self.callers.anonymous && self.models.is_none()
    }

    /// What the counters of this caller are found by, in 32 letters. It stays the same when limits change, and, for a rule
    /// with a name, when it comes to be about others. Hashed, because names of callers can be long, may hold anything, and
    /// need not lie about in a store.
    pub(crate) fn account(&self, who: Option<&Principal>, what: &Operation) -> String {
        let mut text = String::with_capacity(self.account.len() + 128);
        text.push_str(&self.account);
        // A name is one caller's within a tenant; elsewhere somebody else may have it.
        if self.per.principal {
            add(&mut text, who.map(|who| who.subject.as_str()));
        }
        if self.per.principal || self.per.tenant {
            add(&mut text, who.and_then(|who| who.tenant.as_deref()));
        }
        if self.per.model {
            add(&mut text, what.model.as_deref());
        }
        let digest = crypto::sha256(text.as_bytes());
        let letter = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        digest[..16].iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
    }
}

/// Each part with its length, so that no two accounts share a text. Whatever is absent is one account of its own.
fn add(text: &mut String, part: Option<&str>) {
    // Writing to a string does not fail.
    let _ = match part {
        Some(part) => write!(text, "{}:{part}", part.len()),
        None => write!(text, "-"),
    };
}

/// As it stands in messages: `per principal and model`, `over all requests`.
impl fmt::Display for Per {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.principal, "principal"), (self.tenant, "tenant"), (self.model, "model")];
        let parts: Vec<_> = parts.into_iter().filter_map(|(counts, name)| counts.then_some(name)).collect();
        if parts.is_empty() {
            return formatter.write_str("over all requests");
        }
        write!(formatter, "per {}", parts.join(" and "))
    }
}
