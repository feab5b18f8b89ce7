//! One request's way through the gate.

use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mlx_gate_core::{
    Admission, BoxFuture, Constraints, Denial, Ended, Operation, Passage, Phase, Principal, Refusal,
    RequestHead, Tags, Usage,
};

use crate::Failure;
use crate::call::Instance;
use crate::generation::Generation;
use crate::guest::{Call, Completed};
use crate::journal::{Journal, Reserved, Settlement};
use crate::plugin::Plugin;

mod chain;
mod to_end;

use to_end::ToEnd;

/// A request on its way. What becomes of it outlives the handle where an admission is still under way.
pub(crate) struct GatePassage(Arc<Request>);

struct Request {
    generation: Arc<Generation>,
    journal: Arc<Journal>,
    /// For the log.
    id: OnceLock<Arc<str>>,
    principal: OnceLock<Arc<Principal>>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// The last one a phase was asked about.
    operation: Option<Arc<Operation>>,
    tags: Option<Tags>,
    reserved: Vec<Reserved>,
    /// Instances for the phases to come, each with its plugin's place.
    instances: Vec<(usize, Instance)>,
    ended: bool,
}

impl GatePassage {
    pub(crate) fn new(generation: Arc<Generation>, journal: Arc<Journal>) -> Self {
        Self(Arc::new(Request {
            generation,
            journal,
            id: OnceLock::new(),
            principal: OnceLock::new(),
            progress: Mutex::default(),
        }))
    }
}

impl Passage for GatePassage {
    fn generation(&self) -> u64 {
        self.0.generation.number
    }

    fn authenticates(&self) -> bool {
        self.0.generation.has(Phase::Authenticate)
    }

    fn credential_headers(&self) -> &[String] {
        &self.0.generation.credential_headers
    }

    fn authenticate<'a>(
        &'a self,
        head: &'a RequestHead,
    ) -> BoxFuture<'a, Result<Option<Arc<Principal>>, Refusal>> {
        Box::pin(self.0.authenticate(head))
    }

    fn authorize<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Constraints, Refusal>> {
        self.0.remember(operation);
        Box::pin(self.0.authorize(operation))
    }

    fn admit<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Admission, Refusal>> {
        self.0.remember(operation);
        if !self.0.generation.has(Phase::RateLimit) {
            return Box::pin(ready(Ok(Admission::default())));
        }
        let request = self.0.clone();
        let operation = Arc::new(operation.clone());
        let admission = Box::pin(async move { request.admit(&operation).await });
        // A client that hangs up while a plugin is reserving must not take the reservation with it.
        Box::pin(ToEnd::new(admission, self.0.journal.clone()))
    }

    fn tag<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Tags, Refusal>> {
        Box::pin(self.0.tag(operation))
    }

    fn finish(&self, ended: Ended) {
        self.0.finish(ended);
    }
}

impl Drop for GatePassage {
    fn drop(&mut self) {
        self.0.end(false, Usage::default());
    }
}

impl Request {
    /// Asks one plugin in one phase, in the instance that served it before, where there is one.
    async fn ask<C: Call>(&self, place: usize, plugin: &Arc<Plugin>, call: &C) -> Result<C::Answer, Failure> {
        let (answer, instance) = plugin.call(self.kept(place), call).await?;
        if !plugin.is_worth_keeping(C::PHASE) {
            plugin.give_back(instance);
            return Ok(answer);
        }
        let mut progress = self.progress();
        if !progress.ended {
            progress.instances.push((place, instance));
        }
        Ok(answer)
    }

    fn kept(&self, place: usize) -> Option<Instance> {
        let instances = &mut self.progress().instances;
        let found = instances.iter().position(|(of, _)| *of == place)?;
        Some(instances.swap_remove(found).1)
    }

    /// Keeps the operation where anybody will ask for it later.
    fn remember(&self, operation: &Operation) {
        if self.generation.has(Phase::Log) {
            let mut progress = self.progress();
            if progress.operation.as_deref() != Some(operation) {
                progress.operation = Some(Arc::new(operation.clone()));
            }
        }
    }

    /// Takes note of a reservation. One that comes too late is given back.
    fn reserve(&self, reserved: Reserved) {
        let mut progress = self.progress();
        if progress.ended {
            drop(progress);
            self.settle(vec![reserved], false, Usage::default());
        } else {
            progress.reserved.push(reserved);
        }
    }

    /// Gives back what has been reserved.
    fn give_back(&self) {
        let reserved = std::mem::take(&mut self.progress().reserved);
        self.settle(reserved, false, Usage::default());
    }

    fn settle(&self, reserved: Vec<Reserved>, ran: bool, usage: Usage) {
        if !reserved.is_empty() {
            self.journal.settle(Settlement {
                request: self.id(),
                principal: self.principal.get().cloned(),
                reserved,
                ran,
                usage,
            });
        }
    }

    fn finish(&self, ended: Ended) {
        let logs = self.generation.has(Phase::Log);
        if !self.end(ended.ran, ended.usage) || !logs {
            return;
        }
        let mut progress = self.progress();
        let completed = Completed {
            ended,
            principal: self.principal.get().cloned(),
            operation: progress.operation.take(),
            tags: progress.tags.take(),
        };
        drop(progress);
        self.journal.log(self.generation.clone(), completed);
    }

    /// Settles, and lets go of instances. Whether the request had not ended before.
    fn end(&self, ran: bool, usage: Usage) -> bool {
        let mut progress = self.progress();
        if std::mem::replace(&mut progress.ended, true) {
            return false;
        }
        let mut reserved = std::mem::take(&mut progress.reserved);
        let instances = std::mem::take(&mut progress.instances);
        drop(progress);
        for (place, instance) in instances {
            let plugin = &self.generation.plugins[place];
            match reserved.iter_mut().find(|reserved| Arc::ptr_eq(&reserved.plugin, plugin)) {
                Some(reserved) => reserved.instance = Some(instance),
                None => plugin.give_back(instance),
            }
        }
        self.settle(reserved, ran, usage);
        true
    }

    fn id(&self) -> Arc<str> {
        self.id.get().cloned().unwrap_or_default()
    }

    fn unavailable(&self, plugin: &Plugin, phase: Phase, failure: &Failure) -> Refusal {
        plugin.say_failed(|| {
            tracing::error!(
                plugin = plugin.name(),
                phase = phase.as_str(),
                request = &*self.id(),
                "the plugin {failure}; the request is refused"
            );
        });
        Refusal::Unavailable { plugin: plugin.name().to_owned(), phase, cause: failure.to_string() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing that is done under the lock leaves it half done.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn denied(plugin: &Plugin, phase: Phase, denial: Denial) -> Refusal {
    Refusal::Denied { plugin: plugin.name().to_owned(), phase, denial }
}
