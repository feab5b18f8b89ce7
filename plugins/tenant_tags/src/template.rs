//! Texts with placeholders for what is known of caller and request.

use mlx_gate_plugin::{Operation, Principal, Priority};

/// What placeholders stand for.
pub(crate) struct Facts<'a> {
    pub(crate) who: Option<&'a Principal>,
    pub(crate) what: &'a Operation,
    /// The principal's own while the rules are asked for it, then what they said.
    pub(crate) tenant: Option<String>,
    pub(crate) priority: Option<Priority>,
}

/// A text that has been checked.
pub(crate) struct Template(Vec<Part>);

enum Part {
    Text(String),
    /// The first of these that is known.
    Fact(Vec<Fact>),
}

enum Fact {
    Subject,
    Tenant,
    Priority,
    Model,
    Endpoint,
    Claim(String),
}

impl Template {
    /// Reads `text {fact} text {fact|fact}`. An error is for whoever wrote it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let inside = rest[start..].strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let (inside, after) =
                inside.ok_or_else(|| format!("`{text}`: a placeholder is a name in braces, `{{tenant}}`"))?;
            parts.push(Part::Text(rest[..start].to_owned()));
            parts.push(Part::Fact(inside.split('|').map(Fact::read).collect::<Result<_, _>>()?));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text, where everything in it is known.
    pub(crate) fn fill(&self, facts: &Facts) -> Option<String> {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Fact(alternatives) => alternatives.iter().find_map(|fact| fact.look_up(facts)),
        });
        parts.collect()
    }

    /// The whole text, where it has no placeholders.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl Fact {
    fn read(name: &str) -> Result<Self, String> {
        match name {
            "subject" => Ok(Self::Subject),
            "tenant" => Ok(Self::Tenant),
            "priority" => Ok(Self::Priority),
            "model" => Ok(Self::Model),
            "endpoint" => Ok(Self::Endpoint),
            _ => match name.strip_prefix("claim.") {
                Some(claim) if !claim.is_empty() => Ok(Self::Claim(claim.to_owned())),
                _ => Err(format!(
                    "`{{{name}}}` is none of {{subject}}, {{tenant}}, {{priority}}, {{model}}, {{endpoint}} and {{claim.NAME}}"
                )),
            },
        }
    }

    fn look_up(&self, facts: &Facts) -> Option<String> {
        match self {
            Self::Subject => Some(facts.who?.subject.clone()),
            Self::Tenant => facts.tenant.clone(),
            Self::Priority => facts.priority.map(|priority| name(priority).to_owned()),
            Self::Model => facts.what.model.clone(),
            Self::Endpoint => Some(facts.what.api.clone()),
            Self::Claim(wanted) => claim(facts.who?, wanted).map(str::to_owned),
        }
    }
}

/// A fact that an authenticator vouches for.
pub(crate) fn claim<'a>(who: &'a Principal, wanted: &str) -> Option<&'a str> {
    who.claims.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

fn name(priority: Priority) -> &'static str {
    match priority {
        Priority::Batch => "batch",
        Priority::Normal => "normal",
        Priority::High => "high",
    }
}
