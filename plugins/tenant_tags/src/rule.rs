//! One rule: whom and what it is about, and what it says.

use mlx_gate_plugin::pattern::{Callers, Pattern, listed, listed_if_any};
use mlx_gate_plugin::{Operation, Principal};

use crate::template::{Template, claim};

/// A rule that has been checked.
#[derive(Default)]
pub(crate) struct Rule {
    pub(crate) callers: Callers,
    /// Each of these has to be there and fit.
    pub(crate) claims: Vec<(String, Pattern)>,
    pub(crate) endpoints: Option<Vec<Pattern>>,
    pub(crate) models: Option<Vec<Pattern>>,
    pub(crate) tenant: Option<Template>,
    pub(crate) priority: Option<Template>,
    pub(crate) weight: Option<f32>,
    pub(crate) adapter: Option<Template>,
    pub(crate) cache_scope: Option<Template>,
    pub(crate) labels: Vec<(String, Template)>,
    /// Towards an upstream.
    pub(crate) headers: Vec<(String, Template)>,
}

impl Rule {
    pub(crate) fn fits(&self, who: Option<&Principal>, what: &Operation) -> bool {
        let claims = |(name, pattern): &(String, Pattern)| {
            who.and_then(|who| claim(who, name)).is_some_and(|value| pattern.fits(value))
        };
        let model = listed_if_any(self.models.as_deref(), what.model.as_deref());
        self.callers.fit(who)
            && self.claims.iter().all(claims)
            && model
            && listed(self.endpoints.as_deref(), &what.api)
    }
}
