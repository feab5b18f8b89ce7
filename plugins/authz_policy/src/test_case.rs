//! What a policy says of itself: requests with the answers they must get. A policy that does not hold to them is not put in
//! force, so that a reload with a mistake leaves the old one.

use mlx_gate_plugin::pattern::ENDPOINTS;
use mlx_gate_plugin::{Operation, Principal, Rejected};
use serde::Deserialize;

use crate::Policy;

/// A `[[test]]`: a caller, anonymous where nothing is said of them, what they ask for, and what is to come of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TestCase {
    #[serde(skip)]
    name: String,
    subject: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default = "chat")]
    endpoint: String,
    model: Option<String>,
    adapter: Option<String>,
    #[serde(default)]
    streaming: bool,
    #[serde(default)]
    tools: bool,
    #[serde(default)]
    images: bool,
    #[serde(default)]
    input_tokens: u64,
    /// `allow`, or the code of the refusal.
    expect: String,
    /// The model that must answer.
    serve: Option<String>,
}

fn chat() -> String {
    "chat".to_owned()
}

impl TestCase {
    pub(crate) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn run(&self, policy: &Policy) -> Result<(), Rejected> {
        if !ENDPOINTS.contains(&&*self.endpoint) {
            let (name, endpoint) = (&self.name, &self.endpoint);
            let known = ENDPOINTS.join(", ");
            return Err(Rejected::new(format_args!("{name}: `endpoint`: `{endpoint}` is none of {known}")));
        }
        let answer = policy.decide(self.who().as_ref(), self.what());
        let found = answer.as_ref().map_or_else(|denial| denial.code.as_str(), |_| "allow");
        if found != self.expect {
            let (name, expected) = (&self.name, &self.expect);
            return Err(Rejected::new(format_args!(
                "{name}: expected `{expected}`, but the policy says `{found}`"
            )));
        }
        let serves = answer.ok().and_then(|constraints| constraints.model).or_else(|| self.model.clone());
        if self.serve.is_some() && self.serve != serves {
            let (expected, found) = (self.serve.as_deref().unwrap_or_default(), serves.unwrap_or_default());
            return Err(Rejected::new(format_args!(
                "{}: expected the model `{expected}` to answer, but it is `{found}`",
                self.name
            )));
        }
        Ok(())
    }

    fn who(&self) -> Option<Principal> {
        let Self { subject, tenant, roles, scopes, .. } = self;
        let known = subject.is_some() || tenant.is_some() || !roles.is_empty() || !scopes.is_empty();
        known.then(|| Principal {
            tenant: tenant.clone(),
            roles: roles.clone(),
            scopes: scopes.clone(),
            ..Principal::new(subject.as_deref().unwrap_or("somebody"))
        })
    }

    fn what(&self) -> Operation {
        Operation {
            api: self.endpoint.clone(),
            model: self.model.clone(),
            adapter: self.adapter.clone(),
            streaming: self.streaming,
            input_tokens: self.input_tokens,
            max_output_tokens: None,
            tools: self.tools.into(),
            images: self.images.into(),
            end_user: None,
        }
    }
}
