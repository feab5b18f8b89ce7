//! One loaded plugin.

use std::path::PathBuf;
use std::sync::Arc;

use mlx_gate_core::Phase;
use wasmtime::component::InstancePre;

use crate::cache::Decisions;
use crate::call::{Instance, Pace};
use crate::guest::{Call, Configuration, Guest};
use crate::host::{Admitted, Bounds, Services, State};
use crate::runtime::Sandbox;
use crate::watch::Digest;
use crate::{Failure, Limits, Problem, answer};

mod alike;
mod code;
mod description;
mod inspection;
mod loading;
mod pacing;
mod snapshot;
mod stock;

pub(crate) use description::Description;
pub use inspection::{Inspection, NeededGrant};
pub(crate) use loading::{Loader, hex};
use pacing::Pacing;
pub(crate) use snapshot::Code;
use stock::Stock;

/// A plugin that is configured and has passed its self-test.
pub(crate) struct Plugin {
    name: Arc<str>,
    code: Arc<Code>,
    sandbox: Arc<Sandbox>,
    services: Arc<Services>,
    /// What a fresh instance is made from, by the pace of its calls: in one for direct calls the host cannot wait.
    yielding: InstancePre<State>,
    direct: InstancePre<State>,
    guest: Guest,
    /// The configuration, where it could not be made part of the component.
    configuration: Option<Configuration>,
    /// Size of what instances are made from, in bytes, where it holds the configuration.
    captured: Option<usize>,
    limits: Limits,
    /// The files it was made of, with what was in them.
    files: Vec<(PathBuf, Digest)>,
    fingerprint: Digest,
    pacing: Pacing,
    stock: Stock,
    /// Where answers of `authenticate` are.
    decisions: Option<Decisions>,
}

/// A call without an answer that could be used.
struct Failed {
    failure: Failure,
    /// Whether it did something all the same.
    has_acted: bool,
    /// Whether it may well do better on a stack of its own, or with more time.
    may_do_better: bool,
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        failed.failure
    }
}

impl Plugin {
    /// The name in logs and refusals.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Size of the component that holds its configured memory, where that could be captured.
    pub(crate) fn captured(&self) -> Option<usize> {
        self.captured
    }

    /// What it says of itself.
    pub(crate) fn description(&self) -> &Description {
        &self.code.description
    }

    /// The phases it takes part in, in the order of a request.
    pub(crate) fn phases(&self) -> &[Phase] {
        &self.code.inspected.phases
    }

    /// Its code.
    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.code
    }

    /// The files it was made of, with what was in them: its code, where that is a file, and those its options name.
    pub(crate) fn files(&self) -> &[(PathBuf, Digest)] {
        &self.files
    }

    /// A digest of all it was made of. Two plugins of one place that have the same are the same.
    pub(crate) fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// What stands behind its host interfaces, for whoever takes its place.
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// What it is granted, in words.
    pub(crate) fn grants(&self) -> Vec<String> {
        self.services.grants().describe()
    }

    /// The callers it vouched for, where that is remembered.
    pub(crate) fn decisions(&self) -> Option<&Decisions> {
        self.decisions.as_ref()
    }

    /// Comes into force, for the first time or once more.
    pub(crate) fn enter(&self) {
        self.stock.open();
        if let Some(decisions) = &self.decisions {
            decisions.open();
        }
        self.services.change();
    }

    /// Is not in force any more. Requests that began with it still ask it.
    pub(crate) fn leave(&self) {
        self.stock.close();
        if let Some(decisions) = &self.decisions {
            decisions.close();
        }
    }

    /// Whether the request's instance is to be kept after this phase: the plugin is asked again before generation, and
    /// enough slots are free that requests which wait for their bodies do not hold up others; or it is to settle when
    /// generation has ended, however long that takes, and most slots are free.
    pub(crate) fn is_worth_keeping(&self, after: Phase) -> bool {
        let is_asked_again = |phase: &Phase| *phase > after && *phase != Phase::Log;
        if self.stock.is_reused() {
            return false;
        }
        if self.phases().iter().any(is_asked_again) {
            return self.sandbox.has_room();
        }
        after >= Phase::RateLimit && self.phases().contains(&Phase::RateLimit) && self.sandbox.is_roomy()
    }

    /// Makes a call in the instance given, in one from stock or in a new one, and returns the instance with the answer. One
    /// that failed is dropped. A call that ran out of time before it did anything is made once more, in a new one that has a
    /// stack of its own: on a loaded machine a plugin can lose its time without having used it.
    pub(crate) async fn call<C: Call>(
        &self,
        kept: Option<Instance>,
        call: &C,
    ) -> Result<(C::Answer, Instance), Failure> {
        match self.call_once(kept.or_else(|| self.stock.take()), call, self.pacing.pace()).await {
            Err(Failed { has_acted: false, may_do_better: true, .. }) => {
                self.call_once(None, call, Pace::Yielding).await
            }
            result => result,
        }
        .map_err(Failure::from)
    }

    /// Makes a call that no request waits for, in the instance given or another. Those that lie ready are left to requests.
    /// Nobody asks again where such a call fails, so one that failed before it did anything is made once more, in a new
    /// instance, whatever the reason was.
    pub(crate) async fn call_aside<C: Call>(
        self: &Arc<Self>,
        kept: Option<Instance>,
        call: &C,
    ) -> Result<C::Answer, Failure> {
        let was_kept = kept.is_some();
        let reused = kept.or_else(|| if self.stock.is_reused() { self.stock.take() } else { None });
        let (answer, instance) = match self.call_once(reused, call, self.pacing.pace()).await {
            Err(Failed { has_acted: false, .. }) => self.call_once(None, call, Pace::Yielding).await,
            result => result,
        }?;
        if was_kept || self.stock.is_reused() {
            self.give_back(instance);
        }
        Ok(answer)
    }

    /// Takes an instance back that its request has no more use for.
    pub(crate) fn give_back(self: &Arc<Self>, instance: Instance) {
        if !self.stock.is_reused() {
            self.sandbox.restocking.take_over(self, instance);
        } else if self.sandbox.has_room() {
            self.stock.put(instance);
        }
    }

    /// Makes an instance for a request to come, where one is wanted and there is room for it.
    pub(crate) async fn restock(&self) {
        if !self.stock.is_short() || !self.sandbox.has_room() {
            return;
        }
        match self.instance(self.pacing.pace()).await {
            Ok(mut instance) => {
                instance.rest();
                self.stock.put(instance);
            }
            // The next request tries again, and tells if it fails too.
            Err(failure) => tracing::debug!(plugin = self.name(), "no instance ahead: the plugin {failure}"),
        }
    }

    /// Says that a call failed, unless that has just been said too often.
    pub(crate) fn say_failed(&self, say: impl FnOnce()) {
        if let Admitted::Yes { dropped_before } = self.services.admit_failure() {
            if dropped_before > 0 {
                tracing::error!(plugin = self.name(), "{dropped_before} more of its calls failed meanwhile");
            }
            say();
        }
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    async fn call_once<C: Call>(
        &self,
        kept: Option<Instance>,
        call: &C,
        pace: Pace,
    ) -> Result<(C::Answer, Instance), Failed> {
        let started = std::time::Instant::now();
        let answer = self.make_call(kept, call, pace).await;
        self.services.calls.count(C::FUNCTION, started.elapsed(), answer.is_err());
        answer
    }

    async fn make_call<C: Call>(
        &self,
        kept: Option<Instance>,
        call: &C,
        pace: Pace,
    ) -> Result<(C::Answer, Instance), Failed> {
        let mut instance = match kept {
            Some(instance) => instance,
            None => self.instance(pace).await.map_err(|failure| Failed {
                failure,
                has_acted: false,
                may_do_better: true,
            })?,
        };
        let pace = instance.begin(&self.sandbox, self.bounds(), call.about(), pace);
        let answer = self.sandbox.bounded(self.limits.call, call.make(&self.guest, &mut instance)).await;
        match answer {
            Ok(answer) => {
                instance.rest();
                Ok((answer, instance))
            }
            Err(failure) => {
                instance.store.data_mut().put_back().await;
                let state = instance.store.data();
                let may_do_better = matches!(failure, Failure::Timeout(_)) || state.has_to_wait();
                if pace == Pace::Direct && may_do_better {
                    self.pacing.distrust();
                }
                Err(Failed { failure, has_acted: state.has_acted(), may_do_better })
            }
        }
    }

    async fn self_test(&self) -> Result<(), Problem> {
        let failed = |failure| Problem::Call { function: "self-test", failure };
        let services = Arc::new(self.services.for_trial());
        let instance = self.instance_with(services, Pace::Yielding).await;
        let mut instance = instance.map_err(failed)?;
        let verdict = self.guest.self_test(&mut instance).await.map_err(failed)?;
        verdict.map_err(|message| Problem::SelfTest(answer::text(&message)))
    }

    /// A configured instance that nothing has been done with. Its first call may take as long as `configure` may.
    async fn instance(&self, pace: Pace) -> Result<Instance, Failure> {
        self.instance_with(self.services.clone(), pace).await
    }

    async fn instance_with(&self, services: Arc<Services>, pace: Pace) -> Result<Instance, Failure> {
        let bounds = Bounds { time: self.limits.configure, ..self.bounds() };
        let state = State::new(self.name.clone(), services, bounds);
        let component = match pace {
            Pace::Direct => &self.direct,
            Pace::Yielding => &self.yielding,
        };
        let mut instance = Instance::new(&self.sandbox, component, state, pace).await?;
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
