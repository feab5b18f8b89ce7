//! One permission, one refusal, and what both have in common: whom and what they are about.

use mlx_gate_plugin::pattern::{Callers, Pattern, listed, listed_if_any};
use mlx_gate_plugin::{Denial, Operation, Principal};

use crate::denial::Gap;

/// Whom and what a rule is about. A list that is not there excludes nobody and nothing.
pub(crate) struct Scope {
    pub(crate) callers: Callers,
    pub(crate) endpoints: Option<Vec<String>>,
    pub(crate) models: Option<Vec<Pattern>>,
    pub(crate) adapters: Option<Vec<Pattern>>,
}

impl Scope {
    fn has_endpoint(&self, what: &Operation) -> bool {
        self.endpoints.as_ref().is_none_or(|endpoints| endpoints.contains(&what.api))
    }

    /// An operation about no model is about none of a list.
    fn has_model(&self, what: &Operation) -> bool {
        listed_if_any(self.models.as_deref(), what.model.as_deref())
    }

    fn has_adapter(&self, what: &Operation) -> bool {
        what.adapter.as_ref().is_none_or(|adapter| listed(self.adapters.as_deref(), adapter))
    }

    /// The patterns of models with something before each.
    pub(crate) fn model_names(&self, before: &str) -> Vec<String> {
        let patterns = self.models.as_deref().unwrap_or_default();
        patterns.iter().map(|pattern| format!("{before}{}", pattern.as_str())).collect()
    }
}

/// What some callers may do.
pub(crate) struct Allow {
    pub(crate) scope: Scope,
    pub(crate) streaming: bool,
    pub(crate) tools: bool,
    pub(crate) images: bool,
    pub(crate) max_input_tokens: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
    /// The model that answers in place of the one named.
    pub(crate) serve: Option<String>,
}

impl Allow {
    /// The first thing that this permission lacks, in the order of [`Gap`].
    pub(crate) fn gap(&self, who: Option<&Principal>, what: &Operation) -> Option<Gap> {
        let too_long = self.max_input_tokens.filter(|most| what.input_tokens > *most);
        let checks = [
            (self.scope.callers.fit(who), Gap::Caller),
            (self.scope.has_endpoint(what), Gap::Endpoint),
            (self.scope.has_model(what), Gap::Model),
            (self.scope.has_adapter(what), Gap::Adapter),
            (self.streaming || !what.streaming, Gap::Streaming),
            (self.tools || what.tools == 0, Gap::Tools),
            (self.images || what.images == 0, Gap::Images),
            (too_long.is_none(), Gap::Input(too_long.unwrap_or_default())),
        ];
        checks.into_iter().find(|(fits, _)| !fits).map(|(_, gap)| gap)
    }

    /// The model that answers.
    pub(crate) fn serves<'a>(&'a self, what: &'a Operation) -> Option<&'a str> {
        self.serve.as_ref().or(what.model.as_ref()).map(String::as_str)
    }

    /// The models it makes usable, as patterns.
    pub(crate) fn listed_models(&self) -> Vec<String> {
        match (&self.serve, &self.scope.models) {
            (Some(model), _) => vec![model.clone()],
            (None, None) => vec!["*".to_owned()],
            (None, Some(_)) => self.scope.model_names(""),
        }
    }
}

/// What some callers may not do, whatever else is allowed.
pub(crate) struct Deny {
    pub(crate) scope: Scope,
    pub(crate) streaming: bool,
    pub(crate) tools: bool,
    pub(crate) images: bool,
    /// What the caller is told.
    pub(crate) reason: Option<String>,
}

impl Deny {
    pub(crate) fn fits(&self, who: Option<&Principal>, what: &Operation) -> bool {
        let named = self.scope.adapters.is_none() || what.adapter.is_some();
        self.scope.callers.fit(who)
            && self.scope.has_endpoint(what)
            && self.is_about_this_model(what)
            && named
            && self.scope.has_adapter(what)
            && (!self.streaming || what.streaming)
            && (!self.tools || what.tools > 0)
            && (!self.images || what.images > 0)
    }

    /// Refused models are not there for whoever asks for the list or for one of them, as if they did not exist.
    fn is_about_this_model(&self, what: &Operation) -> bool {
        self.scope.models.is_none() || what.api != "models" && self.scope.has_model(what)
    }

    /// Whether the caller can do nothing at all with the models it lists.
    pub(crate) fn takes_models_from(&self, who: Option<&Principal>) -> bool {
        let narrower =
            self.scope.endpoints.is_some() || self.scope.adapters.is_some() || self.is_of_a_feature();
        self.scope.callers.fit(who) && !narrower
    }

    fn is_of_a_feature(&self) -> bool {
        self.streaming || self.tools || self.images
    }

    /// Whether nothing at all is left to anybody.
    pub(crate) fn is_of_everything(&self) -> bool {
        let scope = &self.scope;
        let narrower = scope.endpoints.is_some() || scope.models.is_some() || scope.adapters.is_some();
        !narrower && !self.is_of_a_feature() && !scope.callers.are_listed() && scope.callers.anonymous
    }

    pub(crate) fn denial(&self) -> Denial {
        let reason =
            self.reason.clone().unwrap_or_else(|| "the policy of this server refuses this".to_owned());
        Denial::forbidden("denied_by_policy", reason)
    }
}
