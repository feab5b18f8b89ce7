//! One plugin by itself, for those who write it: each phase asked as the gate asks it, in the same sandbox and within the
//! same limits, and its own answer, before any chain has made something of it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mlx_gate_core::{Ended, Operation, Phase, Principal, RequestHead, Usage};

pub use crate::answer::{Admission, Authentication, Authorization, Grant, Reservation, TagSet};
use crate::guest::{Admit, Authenticate, Authorize, Call, Completed, Log, Settle, Tag};
use crate::host::Services;
use crate::plugin::{Code, Loader, Plugin};
use crate::runtime::Runtime;
use crate::{Bundled, Error, Failure, Inspection, Limits, PluginSpec, Source};

/// Where plugins are looked at and loaded, one after the other. Code that was compiled for one is there for the next.
pub struct Workshop {
    loader: Loader,
    /// What was compiled last: whoever is here works on one plugin.
    latest: Mutex<Option<Arc<Code>>>,
}

/// A plugin that is configured and has passed its self-test.
pub struct Workbench {
    plugin: Arc<Plugin>,
}

/// A question to a plugin.
#[derive(Debug)]
pub enum Ask<'a> {
    /// Who is asking?
    Authenticate(&'a RequestHead),
    /// May they?
    Authorize(Option<&'a Principal>, &'a Operation),
    /// May they now?
    Admit(Option<&'a Principal>, &'a Operation),
    /// What was reserved is settled.
    Settle {
        /// Who had asked.
        who: Option<&'a Principal>,
        /// For what.
        what: &'a Operation,
        /// The reservation.
        ticket: u64,
        /// Whether the request ran.
        ran: bool,
        /// What it consumed.
        used: Usage,
    },
    /// On whose account?
    Tag(Option<&'a Principal>, &'a Operation),
    /// A request has ended.
    Log {
        /// How.
        ended: &'a Ended,
        /// Who had asked.
        who: Option<&'a Principal>,
        /// For what.
        what: Option<&'a Operation>,
    },
}

/// What a plugin answers. What breaks the rules is a [`Failure`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Ask::Authenticate`].
    Authentication(Authentication),
    /// To [`Ask::Authorize`].
    Authorization(Authorization),
    /// To [`Ask::Admit`].
    Admission(Admission),
    /// To [`Ask::Tag`].
    Tags(TagSet),
    /// To what is no question: [`Ask::Settle`] and [`Ask::Log`].
    Done,
}

impl Workshop {
    /// With these plugins inside the binary, the limits that a server has, and a folder for what is compiled, as
    /// [`Config::cache_dir`](crate::Config::cache_dir) has it.
    pub fn new(bundled: &[Bundled], cache_dir: Option<&Path>) -> Result<Self, Error> {
        let runtime = Arc::new(Runtime::new(cache_dir)?);
        let loader = Loader { runtime, bundled: bundled.to_vec(), limits: Limits::default() };
        Ok(Self { loader, latest: Mutex::default() })
    }

    /// Reads and compiles a plugin and asks it what it is. Runs on tokio.
    pub async fn inspect(&self, source: &Source) -> Result<Inspection, Error> {
        let (code, inspection) = self.loader.inspect(source, &self.known()).await?;
        self.keep(&code);
        Ok(inspection)
    }

    /// Takes a plugin through everything that a server's start does with it. Runs on tokio.
    pub async fn load(&self, spec: &PluginSpec) -> Result<Workbench, Error> {
        let prepared = self.loader.prepare(spec, &self.known()).await?;
        self.keep(prepared.code());
        Ok(Workbench { plugin: Arc::new(prepared.finish(&Services::new()).await?) })
    }

    fn known(&self) -> Vec<Arc<Code>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn keep(&self, code: &Arc<Code>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(code.clone());
    }
}

impl Workbench {
    /// The phases it takes part in, in the order of a request.
    pub fn phases(&self) -> &[Phase] {
        self.plugin.phases()
    }

    /// Size in bytes of the component that holds its configured memory, where that could be captured.
    pub fn snapshot_bytes(&self) -> Option<usize> {
        self.plugin.captured()
    }

    /// Asks it, in an instance as the plugin's isolation has it. The plugin has to take part in the phase.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        match ask {
            Ask::Authenticate(head) => {
                let description = self.plugin.description();
                self.call(&Authenticate { head, description }).await.map(Answer::Authentication)
            }
            Ask::Authorize(principal, operation) => {
                self.call(&Authorize { principal, operation }).await.map(Answer::Authorization)
            }
            Ask::Admit(principal, operation) => {
                let admission = self.call(&Admit { principal, operation }).await?;
                admission.checked().map(Answer::Admission)
            }
            Ask::Settle { who, what, ticket, ran, used } => {
                let call = Settle { principal: who, operation: what, ticket, ran, usage: used };
                self.call(&call).await.map(|()| Answer::Done)
            }
            Ask::Tag(principal, operation) => {
                self.call(&Tag { principal, operation }).await.map(Answer::Tags)
            }
            Ask::Log { ended, who, what } => {
                let principal = who.cloned().map(Arc::new);
                let operation = what.cloned().map(Arc::new);
                let event = Completed { ended: ended.clone(), principal, operation, tags: None };
                self.call(&Log { events: &[&event] }).await.map(|()| Answer::Done)
            }
        }
    }

    async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, Failure> {
        self.plugin.call_aside(None, call).await
    }
}
