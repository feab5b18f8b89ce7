//! One loaded plugin.

use std::sync::Arc;

use mlx_gate_core::{Principal, RequestHead, Secret};
use wasmtime::component::{Component, InstancePre};

use crate::bindings::v0_1::exports::mlx_gate::plugin::{authenticate, lifecycle};
use crate::call::Fresh;
use crate::host::{Bounds, State};
use crate::runtime::Runtime;
use crate::{Bundled, Error, Failure, Limits, PluginSpec, Problem, answer, options};

mod code;
mod description;
mod head;
mod snapshot;

pub(crate) use answer::Answer;
use description::Description;
use snapshot::Setup;

/// A plugin that is configured and has passed its self-test.
pub(crate) struct Plugin {
    name: Arc<str>,
    description: Description,
    runtime: Arc<Runtime>,
    /// What a fresh instance is made from.
    component: InstancePre<State>,
    lifecycle: lifecycle::GuestIndices,
    authenticate: authenticate::GuestIndices,
    /// The configuration, where it could not be made part of the component.
    config: Option<Secret>,
    limits: Limits,
}

impl Plugin {
    /// Loads, inspects, configures and tests a plugin.
    pub(crate) async fn load(
        runtime: &Arc<Runtime>,
        spec: &PluginSpec,
        bundled: &[Bundled],
        limits: &Limits,
    ) -> Result<Self, Error> {
        Self::set_up(runtime, spec, bundled, limits)
            .await
            .map_err(|problem| Error::Plugin { plugin: spec.source.to_string(), problem: Box::new(problem) })
    }

    async fn set_up(
        runtime: &Arc<Runtime>,
        spec: &PluginSpec,
        bundled: &[Bundled],
        limits: &Limits,
    ) -> Result<Self, Problem> {
        let code = code::read(&spec.source, bundled)?;
        let setup = Setup::compile(runtime, code).await?;
        code::inspect(&runtime.engine, setup.component())?;

        let description = setup.describe(limits).await?;
        let options = options::resolve(&spec.options, &description.schema)?;
        let name: Arc<str> = description.name.as_str().into();
        let config = Secret::new(options.json);
        let (component, configured) =
            setup.configure(&name, &config, limits).await.map_err(|problem| match problem {
                Problem::Refused { message, .. } => Problem::Refused { message, files: options.files },
                other => other,
            })?;

        let plugin = Self::ready(runtime, name, description, &component, limits.clone())?;
        let plugin = Self { config: (!configured).then_some(config), ..plugin };
        plugin.self_test().await?;
        Ok(plugin)
    }

    fn ready(
        runtime: &Arc<Runtime>,
        name: Arc<str>,
        description: Description,
        component: &Component,
        limits: Limits,
    ) -> Result<Self, Problem> {
        let component = runtime.linker.instantiate_pre(component)?;
        let lifecycle = lifecycle::GuestIndices::new(&component)?;
        let authenticate = authenticate::GuestIndices::new(&component)?;
        let runtime = runtime.clone();
        Ok(Self { name, description, runtime, component, lifecycle, authenticate, config: None, limits })
    }

    /// The name in logs and refusals.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The headers that carry credentials, lower case.
    pub(crate) fn credential_headers(&self) -> &[String] {
        &self.description.credential_headers
    }

    /// Asks who is asking. A call that ran out of time is made once more: on a loaded machine a plugin can lose its time
    /// without having used it.
    pub(crate) async fn authenticate(&self, head: &RequestHead) -> Result<Answer<Principal>, Failure> {
        match self.authenticate_once(head).await {
            Err(Failure::Timeout(_)) => self.authenticate_once(head).await,
            answer => answer,
        }
    }

    async fn authenticate_once(&self, head: &RequestHead) -> Result<Answer<Principal>, Failure> {
        let seen = head::Seen::new(head, &self.description);
        let state = State::new(self.name.clone(), self.bounds()).with_credentials(seen.secrets());
        let mut fresh = self.fresh(state).await?;
        let phase = self
            .authenticate
            .load(&mut fresh.store, &fresh.instance)
            .map_err(|error| fresh.explain(&error))?;
        let verdict = phase.call_check(&mut fresh.store, seen.head()).await;
        answer::authentication(&self.name, verdict.map_err(|error| fresh.explain(&error))?)
    }

    async fn self_test(&self) -> Result<(), Problem> {
        let failed = |failure| Problem::Call { function: "self-test", failure };
        let bounds = Bounds { time: self.limits.configure, ..self.bounds() };
        let mut fresh = self.fresh(State::new(self.name.clone(), bounds)).await.map_err(failed)?;
        let lifecycle = self
            .lifecycle
            .load(&mut fresh.store, &fresh.instance)
            .map_err(|error| failed(fresh.explain(&error)))?;
        match lifecycle.call_self_test(&mut fresh.store).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(Problem::SelfTest(answer::text(&message))),
            Err(error) => Err(failed(fresh.explain(&error))),
        }
    }

    /// A configured instance that nothing has been done with.
    async fn fresh(&self, state: State) -> Result<Fresh<'_>, Failure> {
        let mut fresh = Fresh::new(&self.runtime, &self.component, state).await?;
        if let Some(config) = &self.config {
            snapshot::configure(&self.lifecycle, &mut fresh, config).await?.map_err(|message| {
                Failure::Trap(format!("`configure` failed: {}", answer::text(&message)))
            })?;
        }
        Ok(fresh)
    }

    fn bounds(&self) -> Bounds {
        Bounds { time: self.limits.call, memory: self.limits.memory, transfer: self.limits.transfer }
    }
}
