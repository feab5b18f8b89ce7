//! Names with wildcards, and the callers a rule is about: what plugins whose behaviour is a table of rules have in common.

use serde::Deserialize;

use crate::Principal;

/// What [`Operation::api`](crate::Operation::api) may be. A rule for a misspelt endpoint would never fit, without a word.
pub const ENDPOINTS: [&str; 10] = [
    "chat",
    "completion",
    "embedding",
    "rerank",
    "score",
    "message",
    "response",
    "count-tokens",
    "tokenize",
    "models",
];

/// A name in which `*` stands for any run of characters. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// From its text; any text is a pattern.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name is what the pattern says. Never takes more steps than the product of both lengths: after a
    /// mismatch only the last `*` is tried again.
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut next) = (0, 0);
        let mut retry = None;
        while next < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    retry = Some((at, next));
                }
                Some(byte) if *byte == name[next] => {
                    at += 1;
                    next += 1;
                }
                _ => {
                    let Some((after_star, from)) = retry else { return false };
                    at = after_star;
                    next = from + 1;
                    retry = Some((at, next));
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// Whether a rule that lists these patterns is about this name. Without a list it is about every name.
pub fn listed(patterns: Option<&[Pattern]>, name: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.fits(name)))
}

/// Whether a rule that lists these patterns is about what may have no name. A list is about nothing without one.
pub fn listed_if_any(patterns: Option<&[Pattern]>, name: Option<&str>) -> bool {
    name.map_or(patterns.is_none(), |name| listed(patterns, name))
}

/// Declares the options of a rule: the struct given, with the keys that a rule of any plugin has. They are `models` and what
/// says whom the rule is about: the lists of [`Callers`](crate::pattern::Callers) and `callers`, which is a
/// [`CallerKind`](crate::pattern::CallerKind). Its method `about(usual)` takes them out, checked.
///
/// serde's `flatten` would do the same and then take unknown keys: a slip of the pen in `tenants` would make a rule about
/// everybody.
///
/// ```
/// use mlx_gate_plugin::pattern::CallerKind;
///
/// mlx_gate_plugin::rule_options! {
///     #[derive(serde::Deserialize)]
///     #[serde(deny_unknown_fields, rename_all = "kebab-case")]
///     struct Rule {
///         greeting: String,
///     }
/// }
///
/// let mut rule: Rule = serde_json::from_str(r#"{"roles": ["dev*"], "greeting": "hello"}"#)?;
/// let (callers, models) = rule.about(CallerKind::Everyone)?;
/// assert!(callers.are_listed() && models.is_none());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! rule_options {
    ($(#[$meta:meta])* struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        struct $name {
            callers: Option<$crate::pattern::CallerKind>,
            subjects: Option<Vec<$crate::pattern::Pattern>>,
            tenants: Option<Vec<$crate::pattern::Pattern>>,
            roles: Option<Vec<$crate::pattern::Pattern>>,
            scopes: Option<Vec<$crate::pattern::Pattern>>,
            models: Option<Vec<$crate::pattern::Pattern>>,
            $($fields)*
        }

        impl $name {
            /// Takes out whom and which models the rule is about.
            fn about(
                &mut self,
                usual: $crate::pattern::CallerKind,
            ) -> Result<($crate::pattern::Callers, Option<Vec<$crate::pattern::Pattern>>), String> {
                let callers = $crate::pattern::Callers {
                    subjects: self.subjects.take(),
                    tenants: self.tenants.take(),
                    roles: self.roles.take(),
                    scopes: self.scopes.take(),
                    anonymous: false,
                };
                let models = self.models.take();
                $crate::pattern::not_empty("models", models.as_deref())?;
                Ok((callers.of_kind(self.callers, usual)?, models))
            }
        }
    };
}

/// Refuses a list without entries: its rule would be about nobody or nothing. The error is for whoever wrote the rule.
pub fn not_empty<T>(key: &str, list: Option<&[T]>) -> Result<(), String> {
    if list.is_some_and(<[_]>::is_empty) {
        return Err(format!("`{key}` is empty, so the rule would be about nobody or nothing"));
    }
    Ok(())
}

/// The callers a rule is about. Each list that is there has to hold something the caller has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callers {
    /// Names of callers.
    pub subjects: Option<Vec<Pattern>>,
    /// Accounts.
    pub tenants: Option<Vec<Pattern>>,
    /// Roles, of which the caller needs one.
    pub roles: Option<Vec<Pattern>>,
    /// Scopes, of which the caller needs one.
    pub scopes: Option<Vec<Pattern>>,
    /// Whether the rule is about callers who gave no credential. They fit no list.
    pub anonymous: bool,
}

impl Callers {
    /// Whether the rule is about this caller.
    pub fn fit(&self, who: Option<&Principal>) -> bool {
        let Some(who) = who else { return self.anonymous };
        let any = |patterns: &Option<Vec<Pattern>>, names: &[String]| {
            patterns.is_none() || names.iter().any(|name| listed(patterns.as_deref(), name))
        };
        listed(self.subjects.as_deref(), &who.subject)
            && any(&self.tenants, who.tenant.as_slice())
            && any(&self.roles, &who.roles)
            && any(&self.scopes, &who.scopes)
    }

    /// The lists under their keys.
    pub fn lists(&self) -> [(&'static str, Option<&[Pattern]>); 4] {
        [
            ("subjects", self.subjects.as_deref()),
            ("tenants", self.tenants.as_deref()),
            ("roles", self.roles.as_deref()),
            ("scopes", self.scopes.as_deref()),
        ]
    }

    /// Adds to the lists of a rule what it says of credentials, or what goes without saying. An error is for whoever wrote
    /// the rule.
    pub fn of_kind(self, kind: Option<CallerKind>, usual: CallerKind) -> Result<Self, String> {
        for (key, list) in self.lists() {
            not_empty(key, list)?;
        }
        if self.are_listed() {
            return match kind {
                None | Some(CallerKind::Authenticated) => Ok(self),
                Some(_) => Err(
                    "`callers`: a caller without a name is in none of the lists; leave one of the two out"
                        .to_owned(),
                ),
            };
        }
        Ok(match kind.unwrap_or(usual) {
            CallerKind::Authenticated => self,
            CallerKind::Everyone => Self { anonymous: true, ..self },
            // Whoever has a name is in no empty list.
            CallerKind::Anonymous => Self { subjects: Some(Vec::new()), anonymous: true, ..self },
        })
    }

    /// Whether any list narrows the rule down.
    pub fn are_listed(&self) -> bool {
        self.lists().into_iter().any(|(_, list)| list.is_some())
    }
}

/// Callers by whether they gave a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// Those whom an authenticator knows.
    Authenticated,
    /// Those of a server without authenticators.
    Anonymous,
    /// Both.
    Everyone,
}

#[cfg(test)]
mod tests {
    use super::{CallerKind, Callers, Pattern};
    use crate::Principal;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("demo", "demo", true),
            ("demo", "demo2", false),
            ("demo", "Demo", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
            ("qwen*", "qwen3-0.6b", true),
            ("*-4bit", "qwen3-4bit", true),
            ("*-4bit", "qwen3-4bit-x", false),
            ("*-4bit", "a-4bit-4bit", true),
            ("a*b*c", "a--b--b-c", true),
            ("a*b*c", "a--c--b", false),
            ("*é*", "café", true),
        ] {
            assert_eq!(Pattern::new(pattern).fits(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn callers_need_one_of_each_list() {
        let list = |names: &[&str]| Some(names.iter().map(|name| Pattern::new(*name)).collect::<Vec<_>>());
        let who = Principal {
            tenant: Some("acme".to_owned()),
            roles: vec!["dev".to_owned(), "ops".to_owned()],
            ..Principal::new("anna")
        };
        let everybody = Callers::default();
        for (callers, expected) in [
            (everybody.clone(), true),
            (Callers { subjects: list(&["bob", "an*"]), ..everybody.clone() }, true),
            (Callers { subjects: list(&["bob"]), ..everybody.clone() }, false),
            (Callers { roles: list(&["ops"]), tenants: list(&["acme"]), ..everybody.clone() }, true),
            (Callers { roles: list(&["ops"]), tenants: list(&["initech"]), ..everybody.clone() }, false),
            (Callers { scopes: list(&["*"]), ..everybody.clone() }, false),
            (Callers { roles: list(&[]), ..everybody.clone() }, false),
        ] {
            assert_eq!(callers.fit(Some(&who)), expected, "{callers:?}");
            assert!(!callers.fit(None), "{callers:?}");
        }
        assert!(Callers { anonymous: true, ..everybody }.fit(None));
    }

    #[test]
    fn callers_are_told_apart_by_their_credential() {
        let who = Principal::new("anna");
        for (kind, known, anonymous) in [
            (None, true, false),
            (Some(CallerKind::Authenticated), true, false),
            (Some(CallerKind::Anonymous), false, true),
            (Some(CallerKind::Everyone), true, true),
        ] {
            let callers =
                Callers::default().of_kind(kind, CallerKind::Authenticated).expect("there is no list");
            assert_eq!((callers.fit(Some(&who)), callers.fit(None)), (known, anonymous), "{kind:?}");
        }
        let listed = Callers { roles: Some(vec![Pattern::new("dev")]), ..Callers::default() };
        assert!(listed.clone().of_kind(Some(CallerKind::Everyone), CallerKind::Everyone).is_err());
        let usual = listed.clone().of_kind(None, CallerKind::Everyone);
        assert_eq!(usual, Ok(listed), "the usual kind is for rules without a list");
    }
}
