//! One loaded plugin.

use std::sync::Arc;

use mlx_gate_core::Phase;
use wasmtime::component::{Component, InstancePre};

use crate::call::Instance;
use crate::guest::{Call, Configuration, Guest};
use crate::host::{Bounds, State};
use crate::runtime::Runtime;
use crate::{Bundled, Error, Failure, Limits, PluginSpec, Problem, answer, options};

mod code;
mod description;
mod snapshot;

use code::Inspected;
pub(crate) use description::Description;
use snapshot::Setup;

/// A plugin that is configured and has passed its self-test.
pub(crate) struct Plugin {
    name: Arc<str>,
    description: Description,
    phases: Vec<Phase>,
    runtime: Arc<Runtime>,
    /// What a fresh instance is made from.
    component: InstancePre<State>,
    guest: Guest,
    /// The configuration, where it could not be made part of the component.
    configuration: Option<Configuration>,
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
        let limits = spec.host.limits(limits);
        let code = code::read(&spec.source, bundled)?;
        let setup = Setup::compile(runtime, code).await?;
        let inspected = code::inspect(&runtime.engine, setup.component())?;

        let description = setup.describe(&inspected, &limits).await?;
        let configuration = options::resolve(&spec.options, &description.schema)?;
        let name: Arc<str> = description.name.as_str().into();
        let (component, captured) = setup.configure(&name, &inspected, &configuration, &limits).await?;

        let configuration = (!captured).then_some(configuration);
        let plugin = Self::ready(runtime, description, inspected, &component, configuration, limits)?;
        plugin.self_test().await?;
        Ok(plugin)
    }

    fn ready(
        runtime: &Arc<Runtime>,
        description: Description,
        inspected: Inspected,
        component: &Component,
        configuration: Option<Configuration>,
        limits: Limits,
    ) -> Result<Self, Problem> {
        let component = runtime.linker.instantiate_pre(component)?;
        Ok(Self {
            name: description.name.as_str().into(),
            guest: Guest::new(inspected.version, &component, &inspected.phases)?,
            phases: inspected.phases,
            runtime: runtime.clone(),
            description,
            component,
            configuration,
            limits,
        })
    }

    /// The name in logs and refusals.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it says of itself.
    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    /// The phases it takes part in, in the order of a request.
    pub(crate) fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Whether the request's instance is to be kept after this phase: the plugin is asked again before generation, and
    /// enough slots are free that requests which wait for their bodies do not hold up others.
    pub(crate) fn is_worth_keeping(&self, after: Phase) -> bool {
        let is_asked_again = |phase: &Phase| *phase > after && *phase != Phase::Log;
        self.phases.iter().any(is_asked_again) && self.runtime.has_room()
    }

    /// Makes a call in the instance given, or in a new one, and returns the instance with the answer. One that failed is
    /// dropped. A call that ran out of time and can be repeated is made once more: on a loaded machine a plugin can lose
    /// its time without having used it.
    pub(crate) async fn call<C: Call>(
        &self,
        kept: Option<Instance>,
        call: &C,
    ) -> Result<(C::Answer, Instance), Failure> {
        match self.call_once(kept, call).await {
            Err(Failure::Timeout(_)) if C::REPEATABLE => self.call_once(None, call).await,
            result => result,
        }
    }

    async fn call_once<C: Call>(
        &self,
        kept: Option<Instance>,
        call: &C,
    ) -> Result<(C::Answer, Instance), Failure> {
        let mut instance = match kept {
            Some(instance) => instance,
            None => self.instance(self.bounds()).await?,
        };
        instance.begin(&self.runtime, self.bounds(), call.credentials());
        let answer = call.make(&self.guest, &mut instance).await?;
        instance.rest();
        Ok((answer, instance))
    }

    async fn self_test(&self) -> Result<(), Problem> {
        let failed = |failure| Problem::Call { function: "self-test", failure };
        let bounds = Bounds { time: self.limits.configure, ..self.bounds() };
        let mut instance = self.instance(bounds).await.map_err(failed)?;
        let verdict = self.guest.self_test(&mut instance).await.map_err(failed)?;
        verdict.map_err(|message| Problem::SelfTest(answer::text(&message)))
    }

    /// A configured instance that nothing has been done with.
    async fn instance(&self, bounds: Bounds) -> Result<Instance, Failure> {
        let state = State::new(self.name.clone(), bounds);
        let mut instance = Instance::new(&self.runtime, &self.component, state).await?;
        if let Some(configuration) = &self.configuration {
            self.guest.configure(&mut instance, configuration).await?.map_err(|message| {
                Failure::Trap(format!("`configure` failed: {}", answer::text(&message)))
            })?;
        }
        Ok(instance)
    }

    fn bounds(&self) -> Bounds {
        Bounds { time: self.limits.call, memory: self.limits.memory, transfer: self.limits.transfer }
    }
}
