//! The options: limits for everybody, and rules for some, in a TOML file or in the options themselves.

use mlx_gate_plugin::pattern::CallerKind;
use mlx_gate_plugin::{HostFile, Rejected, rule_options};
use serde::Deserialize;

use crate::RateLimits;
use crate::calendar::Calendar;
use crate::limit::{Kind, Limit};
use crate::rule::{Per, Rule};

/// What is reserved for an answer whose length the client leaves open, where the options do not say.
const DEFAULT_OUTPUT_TOKENS: u64 = 1024;

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: Option<HostFile>,
    #[serde(default)]
    rule: Vec<RawRule>,
    per: Option<Vec<Scope>>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    concurrent_requests: Option<u64>,
    requests_per_day: Option<u64>,
    tokens_per_day: Option<u64>,
    default_output_tokens: Option<u64>,
    utc_offset: Option<String>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    rule: Vec<RawRule>,
}

rule_options! {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct RawRule {
        name: Option<String>,
        per: Option<Vec<Scope>>,
        #[serde(default)]
        unlimited: bool,
        requests_per_minute: Option<u64>,
        tokens_per_minute: Option<u64>,
        concurrent_requests: Option<u64>,
        requests_per_day: Option<u64>,
        tokens_per_day: Option<u64>,
    }
}

/// What has a count of its own.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Scope {
    Principal,
    Tenant,
    Model,
    Global,
}

impl Config {
    pub(crate) fn resolve(mut self) -> Result<RateLimits, Rejected> {
        let mut rules = Vec::new();
        add(&mut rules, "", std::mem::take(&mut self.rule))?;
        if let Some(file) = &self.file {
            let RuleFile { rule } = file.toml()?;
            add(&mut rules, &format!("{file}, "), rule)?;
        }
        let for_everybody = self.for_everybody();
        if for_everybody.has_limits() {
            rules.push(for_everybody.resolve().map_err(Rejected::new)?);
        } else if for_everybody.per.is_some() {
            return Err(Rejected::new(
                "`per` says what has a count of its own, and there is no limit beside it",
            ));
        }
        check(&rules)?;
        let calendar = self.utc_offset.map_or(Ok(Calendar::default()), |offset| {
            Calendar::parse(&offset)
                .ok_or_else(|| Rejected::new("`utc-offset` is of the form `+02:00`, `-03:30` or `Z`"))
        })?;
        let default_output_tokens = self.default_output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS);
        if default_output_tokens > Limit::MOST {
            return Err(Rejected::new(format_args!("`default-output-tokens` is at most {}", Limit::MOST)));
        }
        Ok(RateLimits { rules, calendar, default_output_tokens })
    }

    /// The limits that stand in the options themselves. They come last: rules are what differs from them.
    fn for_everybody(&mut self) -> RawRule {
        RawRule {
            per: self.per.take(),
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            concurrent_requests: self.concurrent_requests,
            requests_per_day: self.requests_per_day,
            tokens_per_day: self.tokens_per_day,
            ..RawRule::default()
        }
    }
}

/// Adds the rules that stand in one place. A mistake names that place, the rule and the key.
fn add(rules: &mut Vec<Rule>, place: &str, raw: Vec<RawRule>) -> Result<(), Rejected> {
    for (index, rule) in raw.into_iter().enumerate() {
        let wrong = |what: String| Rejected::new(format_args!("{place}rule {}: {what}", index + 1));
        rules.push(rule.resolve().map_err(wrong)?);
    }
    Ok(())
}

/// What only all rules together show.
fn check(rules: &[Rule]) -> Result<(), Rejected> {
    if rules.is_empty() {
        return Err(Rejected::new(
            "no limits: set `requests-per-minute` for instance, or `file` to a file of `[[rule]]` tables",
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
        let (before, number) = (&rules[..index], index + 1);
        if let Some(name) = &rule.name
            && before.iter().any(|other| other.name.as_ref() == Some(name))
        {
            return Err(Rejected::new(format_args!("there are two rules of the `name` `{name}`")));
        }
        if let Some(first) =
            before.iter().position(|other| other.per == rule.per && other.is_about_everything())
        {
            return Err(Rejected::new(format_args!(
                "rule {} is about every request {}, so rule {number} of all would never count; put it before, or give \
                 them different `per`",
                first + 1,
                rule.per,
            )));
        }
    }
    Ok(())
}

impl RawRule {
    fn limits(&self) -> [(Kind, Option<u64>); 5] {
        [
            (Kind::ConcurrentRequests, self.concurrent_requests),
            (Kind::RequestsPerMinute, self.requests_per_minute),
            (Kind::TokensPerMinute, self.tokens_per_minute),
            (Kind::RequestsPerDay, self.requests_per_day),
            (Kind::TokensPerDay, self.tokens_per_day),
        ]
    }

    fn has_limits(&self) -> bool {
        self.limits().iter().any(|(_, most)| most.is_some())
    }

    fn resolve(mut self) -> Result<Rule, String> {
        let named = |name: &String| (1..=64).contains(&name.len()) && !name.contains(char::is_control);
        if !self.name.iter().all(named) {
            return Err("`name` has 1 to 64 bytes and no control characters".to_owned());
        }
        if self.has_limits() == self.unlimited {
            return Err("a rule has limits, or says `unlimited = true`".to_owned());
        }
        let mut limits = Vec::new();
        for (kind, most) in self.limits() {
            let Some(most) = most else { continue };
            if !(1..=Limit::MOST).contains(&most) {
                return Err(format!("`{}` is 1 to {}", kind.name(), Limit::MOST));
            }
            limits.push(Limit { kind, most });
        }
        let per = per(self.per.as_deref().unwrap_or(&[Scope::Principal]))?;
        let (callers, models) = self.about(CallerKind::Everyone)?;
        Ok(Rule::new(self.name, per, callers, models, limits))
    }
}

fn per(scopes: &[Scope]) -> Result<Per, String> {
    let has = |scope| scopes.contains(&scope);
    let repeats = scopes.iter().enumerate().any(|(index, scope)| scopes[..index].contains(scope));
    if scopes.is_empty() || repeats || has(Scope::Global) && scopes.len() > 1 {
        return Err("`per` is some of `principal`, `tenant` and `model`, or `global` alone".to_owned());
    }
    Ok(Per { principal: has(Scope::Principal), tenant: has(Scope::Tenant), model: has(Scope::Model) })
}

#[cfg(test)]
mod tests;
