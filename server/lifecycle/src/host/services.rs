use std::io;
use std::sync::Arc;

use super::messages::{Admitted, Messages};
use crate::calls::Calls;
use crate::jwks::Jwks;
use crate::kv::{Memory, Quota, Store};
use crate::outbound::{Outbound, Transport, Trusted};
use crate::output::Output;
use crate::{Grants, OutputTarget, Problem};

/// What stands behind the host interfaces of one plugin. The key-value space, connections, key sets and counts belong to
/// the plugin's place and go from one generation to the next; what is granted belongs to one generation.
#[derive(Clone)]
pub(crate) struct Services {
    pub(super) kv: Arc<dyn Store>,
    transport: Arc<Transport>,
    pub(super) jwks: Arc<Jwks>,
    pub(super) messages: Arc<Messages>,
    failures: Arc<Messages>,
    pub(crate) calls: Arc<Calls>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) output: Option<Arc<Output>>,
    grants: Grants,
}

impl Services {
    /// Those of a new place, with nothing granted. Runs on tokio.
    pub(crate) fn new() -> Self {
        let transport = Arc::new(Transport::new(Trusted::default()));
        Self {
            kv: Arc::new(Memory::new(Quota::default())),
            jwks: Arc::new(Jwks::default()),
            messages: Arc::new(Messages::of_plugin()),
            failures: Arc::new(Messages::of_failures()),
            calls: Arc::default(),
            outbound: Arc::new(Outbound::new(transport.clone(), Vec::new())),
            transport,
            output: None,
            grants: Grants::default(),
        }
    }

    /// Opens the output anew, so that a reload after a rotation of logs writes to the new file.
    pub(crate) async fn reopen(&self) -> Result<(), Problem> {
        match &self.output {
            None => Ok(()),
            Some(output) => output.reopen().await.map_err(|source| no_output(output.target(), source)),
        }
    }

    /// Those of the same place with these grants, for the plugin that is to come. An output that stays is opened anew.
    pub(crate) async fn with_grants(&self, grants: Grants, trusted: Trusted) -> Result<Self, Problem> {
        let there = self.output.as_ref().filter(|output| Some(output.target()) == grants.output.as_ref());
        let output = match (&grants.output, there) {
            (None, _) => None,
            (Some(_), Some(there)) => {
                self.reopen().await?;
                Some(there.clone())
            }
            (Some(target), None) => {
                let output = Output::open(target).map_err(|source| no_output(target, source))?;
                Some(Arc::new(output))
            }
        };
        // Connections stay as long as they were made on the same certificates' word.
        let same = self.transport.trusts(&trusted);
        let transport = if same { self.transport.clone() } else { Arc::new(Transport::new(trusted)) };
        let outbound = Arc::new(Outbound::new(transport.clone(), grants.http.clone()));
        Ok(Self { transport, outbound, output, grants, ..self.clone() })
    }

    /// The same for a plugin that nobody has accepted yet: what it counts and writes while it tests itself is not kept.
    pub(crate) fn for_trial(&self) -> Self {
        let nowhere = OutputTarget::File("/dev/null".into());
        let output = self.output.as_ref().and_then(|_| Output::open(&nowhere).ok());
        let kv = Arc::new(Memory::new(Quota::default()));
        Self { kv, output: output.map(Arc::new), ..self.clone() }
    }

    /// Another plugin of this place is in force.
    pub(crate) fn change(&self) {
        self.jwks.change();
    }

    /// Whether a plugin that imports this interface can be called where nothing can be waited for. An interface that is not
    /// granted says so at once; a key set is there already, as a rule.
    pub(crate) fn answers_at_once(&self, interface: &str) -> bool {
        match interface {
            "kv" => self.kv.answers_at_once(),
            "http" => self.grants.http.is_empty(),
            "output" => self.output.is_none(),
            // A call that has changed something in `kv` cannot be made again when it then has to wait.
            "jwks" => !self.grants.kv,
            _ => true,
        }
    }

    /// Whether the log is to say that a call failed.
    pub(crate) fn admit_failure(&self) -> Admitted {
        self.failures.admit()
    }

    /// What is granted.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }
}

fn no_output(target: &OutputTarget, source: io::Error) -> Problem {
    Problem::Output { target: target.to_string(), source }
}
