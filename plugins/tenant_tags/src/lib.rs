//! Says on whose account a request is, how urgent it is, and what an upstream is told of it: by who is calling, and never by
//! what the client's own headers say.

mod config;
mod rule;
mod template;
#[cfg(test)]
mod tests;

use mlx_gate_plugin::tagging::Tagging;
use mlx_gate_plugin::{Description, Operation, Plugin, Principal, Priority, Rejected, Tags, crypto};

pub use config::Config;
use rule::Rule;
use template::Facts;

/// Longest name that the host takes.
const LONGEST_NAME: usize = 256;

/// The plugin: what goes without saying, and after it the rules, of which the later go over the earlier.
pub struct TenantTags {
    rules: Vec<Rule>,
    sharing: Sharing,
}

/// Who shares cached prefixes where no rule says so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// All callers of one tenant. Those without one share with nobody.
    Tenant,
    /// Nobody.
    Principal,
}

impl Plugin for TenantTags {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "tenant_tags",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &[],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        config.resolve()
    }
}

impl Tagging for TenantTags {
    fn tag(&self, who: Option<Principal>, what: Operation) -> Tags {
        let who = who.as_ref();
        let tenant = who.and_then(|who| who.tenant.clone());
        let mut facts = Facts { who, what: &what, tenant, priority: None };
        let rules: Vec<_> = self.rules.iter().filter(|rule| rule.fits(who, &what)).collect();
        facts.tenant = last(&rules, |rule| rule.tenant.as_ref()?.fill(&facts));
        facts.priority = last(&rules, |rule| priority(&rule.priority.as_ref()?.fill(&facts)?));
        let cache_scope = last(&rules, |rule| rule.cache_scope.as_ref()?.fill(&facts));
        let labels = gathered(rules.iter().flat_map(|rule| &rule.labels), &facts);
        let headers = gathered(rules.iter().flat_map(|rule| &rule.headers), &facts);
        Tags {
            priority: facts.priority,
            weight: last(&rules, |rule| rule.weight),
            adapter: last(&rules, |rule| rule.adapter.as_ref()?.fill(&facts)),
            cache_scope: Some(
                cache_scope.map_or_else(|| self.cache_scope(&facts), |scope| name("scope", &scope)),
            ),
            labels: labels.into_iter().map(|(name, value)| (name, cut(&value))).collect(),
            upstream_headers: headers.into_iter().map(|(name, value)| (name, printable(&value))).collect(),
            tenant: facts.tenant,
        }
    }
}

/// What the last rule says that says anything.
fn last<T>(rules: &[&Rule], said: impl Fn(&Rule) -> Option<T>) -> Option<T> {
    rules.iter().rev().find_map(|rule| said(rule))
}

impl TenantTags {
    /// No two of these are alike unless both are meant to be: the kind stands before the name, and what a caller could
    /// bend into another's form is digested.
    fn cache_scope(&self, facts: &Facts) -> String {
        match (self.sharing, &facts.tenant, facts.who) {
            (Sharing::Tenant, Some(tenant), _) => name("tenant", &format!("tenant:{tenant}")),
            (_, tenant, Some(who)) => {
                let tenant = tenant.as_deref().unwrap_or_default();
                digest("principal", &format!("{}:{tenant}:{}", tenant.len(), who.subject))
            }
            (_, _, None) => "anonymous".to_owned(),
        }
    }
}

/// A text that is a name for the host, or its digest after its kind.
fn name(kind: &str, text: &str) -> String {
    let fits = (1..=LONGEST_NAME).contains(&text.len()) && !text.contains(char::is_control);
    if fits { text.to_owned() } else { digest(kind, text) }
}

fn digest(kind: &str, text: &str) -> String {
    format!("{kind}:{}", crypto::hex(&crypto::sha256(text.as_bytes())))
}

/// A label's value. A claim may be longer than one.
fn cut(value: &str) -> String {
    value[..value.floor_char_boundary(LONGEST_NAME)].replace(char::is_control, " ")
}

fn priority(text: &str) -> Option<Priority> {
    match text {
        "batch" => Some(Priority::Batch),
        "normal" => Some(Priority::Normal),
        "high" => Some(Priority::High),
        _ => None,
    }
}

/// Texts by their names, later ones in place of earlier ones. An empty one takes the name away.
fn gathered<'a>(
    given: impl Iterator<Item = &'a (String, template::Template)>,
    facts: &Facts,
) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for (name, template) in given {
        let Some(text) = template.fill(facts) else { continue };
        texts.retain(|(earlier, _)| earlier != name);
        if !text.is_empty() {
            texts.push((name.clone(), text));
        }
    }
    texts
}

/// A header's value is printable ASCII; anything else is percent-encoded (RFC 3986 section 2.1).
fn printable(value: &str) -> String {
    let encoded = value.bytes().map(|byte| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

mlx_gate_plugin::export!(TenantTags: tagging);
