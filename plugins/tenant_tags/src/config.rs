//! The options: rules in a TOML file, in the options themselves, or in both.

use std::collections::BTreeMap;

use mlx_gate_plugin::pattern::{CallerKind, ENDPOINTS, Pattern, not_empty};
use mlx_gate_plugin::{HostFile, Rejected, headers, rule_options};
use serde::Deserialize;

use crate::rule::Rule;
use crate::template::Template;
use crate::{LONGEST_NAME, Sharing, TenantTags, priority};

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    file: Option<HostFile>,
    #[serde(default)]
    tag: Vec<RawRule>,
    #[serde(default)]
    cache_scope: RawSharing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagFile {
    #[serde(default)]
    tag: Vec<RawRule>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RawSharing {
    #[default]
    Tenant,
    Principal,
}

rule_options! {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct RawRule {
        claims: BTreeMap<String, Pattern>,
        endpoints: Option<Vec<Pattern>>,
        tenant: Option<String>,
        priority: Option<String>,
        weight: Option<f32>,
        adapter: Option<String>,
        cache_scope: Option<String>,
        labels: BTreeMap<String, String>,
        headers: BTreeMap<String, String>,
    }
}

impl Config {
    pub(crate) fn resolve(self) -> Result<TenantTags, Rejected> {
        let sharing = match self.cache_scope {
            RawSharing::Tenant => Sharing::Tenant,
            RawSharing::Principal => Sharing::Principal,
        };
        let mut rules = vec![usual().resolve().map_err(Rejected::new)?];
        if let Some(file) = &self.file {
            add(&mut rules, &format!("{file}, "), file.toml::<TagFile>()?.tag)?;
        }
        add(&mut rules, "", self.tag)?;
        Ok(TenantTags { rules, sharing })
    }
}

/// What goes without saying.
fn usual() -> RawRule {
    RawRule {
        tenant: Some("{tenant}".to_owned()),
        priority: Some("{claim.priority}".to_owned()),
        ..RawRule::default()
    }
}

fn add(rules: &mut Vec<Rule>, place: &str, raw: Vec<RawRule>) -> Result<(), Rejected> {
    for (index, rule) in raw.into_iter().enumerate() {
        let at = |what| Rejected::new(format_args!("{place}tag {}, {what}", index + 1));
        rules.push(rule.resolve().map_err(at)?);
    }
    Ok(())
}

impl RawRule {
    fn resolve(mut self) -> Result<Rule, String> {
        let (callers, models) = self.about(CallerKind::Everyone)?;
        not_empty("endpoints", self.endpoints.as_deref())?;
        let never_fits = |pattern: &&Pattern| !ENDPOINTS.iter().any(|endpoint| pattern.fits(endpoint));
        if let Some(pattern) = self.endpoints.iter().flatten().find(never_fits) {
            let (pattern, known) = (pattern.as_str(), ENDPOINTS.join(", "));
            return Err(format!("`endpoints`: `{pattern}` fits none of {known}"));
        }
        let priority_text = template("priority", self.priority)?;
        let literal = priority_text.as_ref().and_then(Template::literal);
        if literal.is_some_and(|text| priority(text).is_none()) {
            return Err("`priority` is `batch`, `normal` or `high`".to_owned());
        }
        // Beyond these bounds a share says nothing any more.
        if self.weight.is_some_and(|weight| !(0.01..=100.0).contains(&weight)) {
            return Err("`weight` is 0.01 to 100; 1 is usual".to_owned());
        }
        Ok(Rule {
            callers,
            claims: self.claims.into_iter().collect(),
            endpoints: self.endpoints,
            models,
            tenant: template("tenant", self.tenant)?,
            priority: priority_text,
            weight: self.weight,
            adapter: template("adapter", self.adapter)?,
            cache_scope: template("cache-scope", self.cache_scope)?,
            labels: templates("labels", self.labels, check_label)?,
            headers: templates("headers", self.headers, headers::check_upstream)?,
        })
    }
}

/// As Prometheus and OpenTelemetry both take it.
fn check_label(name: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if begins && name.len() <= 64 && name.bytes().all(fits) {
        return Ok(());
    }
    Err("a label's name has 1 to 64 lower case letters, digits and `_`, a letter first")
}

fn template(key: &str, text: Option<String>) -> Result<Option<Template>, String> {
    let read = |text: String| {
        if text.is_empty() || text.len() > LONGEST_NAME || text.contains(char::is_control) {
            return Err(format!("`{key}` has 1 to {LONGEST_NAME} bytes and no control characters"));
        }
        Template::read(&text).map_err(|what| format!("`{key}`: {what}"))
    };
    text.map(read).transpose()
}

/// An empty text takes away what an earlier rule says.
fn templates(
    key: &str,
    texts: BTreeMap<String, String>,
    check_name: fn(&str) -> Result<(), &'static str>,
) -> Result<Vec<(String, Template)>, String> {
    let read = |(name, text): (String, String)| {
        let at = |what: &str| format!("`{key}.{name}`: {what}");
        check_name(&name).map_err(at)?;
        if text.len() > LONGEST_NAME || text.contains(char::is_control) {
            return Err(at("a text has at most 256 bytes and no control characters"));
        }
        let template = Template::read(&text).map_err(|what| at(&what))?;
        Ok((name, template))
    };
    texts.into_iter().map(read).collect()
}
