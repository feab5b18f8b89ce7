//! The options: a policy in a TOML file, in the options themselves, or in both.

use mlx_gate_plugin::pattern::{CallerKind, ENDPOINTS, Pattern, not_empty};
use mlx_gate_plugin::{HostFile, Rejected, rule_options};
use serde::Deserialize;

use crate::Policy;
use crate::rule::{Allow, Deny, Scope};
use crate::test_case::TestCase;

/// The most entries of a rule's list.
const MOST_ENTRIES: usize = 128;

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    file: Option<HostFile>,
    #[serde(default)]
    allow: Vec<RawAllow>,
    #[serde(default)]
    deny: Vec<RawDeny>,
    #[serde(default)]
    test: Vec<TestCase>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    allow: Vec<RawAllow>,
    #[serde(default)]
    deny: Vec<RawDeny>,
    #[serde(default)]
    test: Vec<TestCase>,
}

rule_options! {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct RawAllow {
        endpoints: Option<Vec<String>>,
        adapters: Option<Vec<Pattern>>,
        #[serde(default = "yes")]
        streaming: bool,
        #[serde(default = "yes")]
        tools: bool,
        #[serde(default = "yes")]
        images: bool,
        max_input_tokens: Option<u64>,
        max_output_tokens: Option<u64>,
        serve: Option<String>,
    }
}

rule_options! {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct RawDeny {
        endpoints: Option<Vec<String>>,
        adapters: Option<Vec<Pattern>>,
        #[serde(default)]
        streaming: bool,
        #[serde(default)]
        tools: bool,
        #[serde(default)]
        images: bool,
        reason: Option<String>,
    }
}

fn yes() -> bool {
    true
}

impl Config {
    pub(crate) fn resolve(self) -> Result<Policy, Rejected> {
        let mut policy = Policy { allow: Vec::new(), deny: Vec::new(), tests: Vec::new() };
        if let Some(file) = &self.file {
            let PolicyFile { allow, deny, test } = file.toml()?;
            policy.add(&format!("{file}, "), allow, deny, test)?;
        }
        policy.add("", self.allow, self.deny, self.test)?;
        Ok(policy)
    }
}

impl Policy {
    /// Adds what stands in one place. A mistake names that place, table and key.
    fn add(
        &mut self,
        place: &str,
        allow: Vec<RawAllow>,
        deny: Vec<RawDeny>,
        tests: Vec<TestCase>,
    ) -> Result<(), Rejected> {
        let at = |table: &str, index: usize, what: String| {
            Rejected::new(format_args!("{place}{table} {}, {what}", index + 1))
        };
        for (index, rule) in allow.into_iter().enumerate() {
            self.allow.push(rule.resolve().map_err(|what| at("allow", index, what))?);
        }
        for (index, rule) in deny.into_iter().enumerate() {
            self.deny.push(rule.resolve().map_err(|what| at("deny", index, what))?);
        }
        for (index, test) in tests.into_iter().enumerate() {
            self.tests.push(test.named(format!("{place}test {}", index + 1)));
        }
        Ok(())
    }
}

impl RawAllow {
    fn resolve(mut self) -> Result<Allow, String> {
        let (callers, models) = self.about(CallerKind::Authenticated)?;
        let scope =
            Scope { callers, endpoints: self.endpoints, models, adapters: self.adapters }.checked()?;
        for (key, cap) in
            [("max-input-tokens", self.max_input_tokens), ("max-output-tokens", self.max_output_tokens)]
        {
            if cap == Some(0) {
                return Err(format!("`{key}`: 0 would allow nothing; leave the permission out"));
            }
        }
        if self.serve.as_ref().is_some_and(|model| model.contains('*') || !is_name(model)) {
            return Err("`serve` is the name of one model, without `*`".to_owned());
        }
        Ok(Allow {
            scope,
            streaming: self.streaming,
            tools: self.tools,
            images: self.images,
            max_input_tokens: self.max_input_tokens,
            max_output_tokens: self.max_output_tokens,
            serve: self.serve,
        })
    }
}

impl RawDeny {
    fn resolve(mut self) -> Result<Deny, String> {
        let (callers, models) = self.about(CallerKind::Everyone)?;
        let scope =
            Scope { callers, endpoints: self.endpoints, models, adapters: self.adapters }.checked()?;
        if self.reason.as_ref().is_some_and(|reason| reason.is_empty() || reason.len() > 1024) {
            return Err("`reason` has 1 to 1024 bytes".to_owned());
        }
        Ok(Deny {
            scope,
            streaming: self.streaming,
            tools: self.tools,
            images: self.images,
            reason: self.reason,
        })
    }
}

impl Scope {
    fn checked(self) -> Result<Self, String> {
        not_empty("adapters", self.adapters.as_deref())?;
        not_empty("endpoints", self.endpoints.as_deref())?;
        let others = [("models", self.models.as_deref()), ("adapters", self.adapters.as_deref())];
        for (key, patterns) in self.callers.lists().into_iter().chain(others) {
            let patterns = patterns.unwrap_or_default();
            if patterns.len() > MOST_ENTRIES || !patterns.iter().all(|pattern| is_name(pattern.as_str())) {
                return Err(format!("`{key}` has at most {MOST_ENTRIES} entries of 1 to 256 bytes"));
            }
            if patterns.iter().any(|pattern| pattern.as_str().starts_with('!')) {
                return Err(format!("`{key}`: there is no `!` here; write a `[[deny]]`"));
            }
        }
        let unknown =
            self.endpoints.iter().flatten().find(|endpoint| !ENDPOINTS.contains(&endpoint.as_str()));
        match unknown {
            Some(endpoint) => Err(format!("`endpoints`: `{endpoint}` is none of {}", ENDPOINTS.join(", "))),
            None => Ok(self),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.contains(char::is_control)
}
