//! Says who may do what, by a policy of permissions and refusals that people can read.

mod config;
mod denial;
mod rule;
mod test_case;
#[cfg(test)]
mod tests;

use mlx_gate_plugin::authorize::{Authorize, Verdict};
use mlx_gate_plugin::{Constraints, Denial, Description, Operation, Plugin, Principal, Rejected};

pub use config::Config;
use denial::Gap;
use rule::{Allow, Deny};
use test_case::TestCase;

/// The most models of a list that the host takes.
const MOST_MODELS: usize = 1024;

/// The plugin: what is allowed, and what is refused whatever else is allowed. The order of neither matters, but for which
/// model answers.
pub struct Policy {
    allow: Vec<Allow>,
    deny: Vec<Deny>,
    tests: Vec<TestCase>,
}

impl Plugin for Policy {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "authz_policy",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &[],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        config.resolve()
    }

    /// A policy that lets nobody do anything is a mistake, and one that does not do what its own tests say is another.
    fn self_test(&self) -> Result<(), Rejected> {
        if self.allow.is_empty() {
            return Err(Rejected::new("the policy has no `[[allow]]`, so nobody could do anything"));
        }
        if let Some(number) = self.deny.iter().position(Deny::is_of_everything) {
            return Err(Rejected::new(format_args!(
                "deny {} names neither callers nor what they may not do, so nobody could do anything",
                number + 1
            )));
        }
        self.tests.iter().try_for_each(|test| test.run(self))
    }
}

impl Authorize for Policy {
    fn authorize(&self, who: Option<Principal>, what: Operation) -> Verdict {
        match self.decide(who.as_ref(), what) {
            Ok(constraints) => Verdict::Allow(constraints),
            Err(denial) => Verdict::Deny(denial),
        }
    }
}

impl Policy {
    fn decide(&self, who: Option<&Principal>, what: Operation) -> Result<Constraints, Denial> {
        if what.api == "models" { self.listing(who, &what) } else { self.permission(who, what) }
    }

    /// Asked once something is allowed: to whom nothing is, a refusal would only tell what the policy is about.
    fn check_denied(&self, who: Option<&Principal>, what: &Operation) -> Result<(), Denial> {
        self.deny.iter().find(|deny| deny.fits(who, what)).map_or(Ok(()), |deny| Err(deny.denial()))
    }

    /// What all permissions together leave, which is the widest of each.
    fn permission(&self, who: Option<&Principal>, mut what: Operation) -> Result<Constraints, Denial> {
        let gaps: Vec<_> = self.allow.iter().map(|allow| (allow, allow.gap(who, &what))).collect();
        let fitting: Vec<_> = gaps.iter().filter(|(_, gap)| gap.is_none()).map(|(allow, _)| *allow).collect();
        let Some(first) = fitting.first() else {
            let nearest = gaps.into_iter().filter_map(|(_, gap)| gap).max();
            return Err(nearest.unwrap_or(Gap::Caller).denial(&what));
        };
        self.check_denied(who, &what)?;
        // What another one allows of another model is no leave to have as much of this one.
        let same = fitting.iter().filter(|allow| allow.serves(&what) == first.serves(&what));
        let caps = same.map(|allow| allow.max_output_tokens);
        // One without a cap lifts those of the others.
        let max_output_tokens = caps.collect::<Option<Vec<_>>>().and_then(|caps| caps.into_iter().max());
        let model = first.serve.clone().filter(|model| what.model.as_ref() != Some(model));
        if model.is_some() {
            what.model.clone_from(&model);
            self.check_denied(who, &what)?;
        }
        Ok(Constraints {
            max_output_tokens,
            model,
            models: what.model.map(|model| vec![model]),
            adapters: what.adapter.map(|adapter| vec![adapter]),
        })
    }

    /// The models that one of the caller's permissions is about. Whoever has one may ask for the list.
    fn listing(&self, who: Option<&Principal>, what: &Operation) -> Result<Constraints, Denial> {
        let fitting: Vec<_> = self.allow.iter().filter(|allow| allow.scope.callers.fit(who)).collect();
        if fitting.is_empty() {
            return Err(denial::not_for_caller());
        }
        self.check_denied(who, what)?;
        // The exceptions come first: a list that has to be cut short must not lose one.
        let mut models: Vec<String> = Vec::new();
        let exceptions = self.deny.iter().filter(|deny| deny.takes_models_from(who));
        models.extend(exceptions.flat_map(|deny| deny.scope.model_names("!")));
        models.extend(fitting.into_iter().flat_map(Allow::listed_models));
        let mut seen = std::collections::HashSet::new();
        models.retain(|model| seen.insert(model.clone()));
        models.truncate(MOST_MODELS);
        Ok(Constraints { models: Some(models), ..Constraints::default() })
    }
}

mlx_gate_plugin::export!(Policy: authorize);
