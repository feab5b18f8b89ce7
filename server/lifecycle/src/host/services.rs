use std::io;
use std::sync::Arc;

use super::messages::Messages;
use crate::jwks::Jwks;
use crate::kv::{Memory, Quota, Store};
use crate::outbound::{Outbound, Transport};
use crate::output::Output;
use crate::{Grants, OutputTarget, Problem};

/// What stands behind the host interfaces of one plugin. The key-value space, connections, key sets and counts belong to
/// the plugin's place and go from one generation to the next; what is granted belongs to one generation.
pub(crate) struct Services {
    pub(super) kv: Arc<dyn Store>,
    transport: Arc<Transport>,
    pub(super) jwks: Arc<Jwks>,
    pub(super) messages: Arc<Messages>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) output: Option<Arc<Output>>,
    grants: Grants,
}

impl Services {
    /// Those of a new place, with nothing granted. Runs on tokio.
    pub(crate) fn new() -> Self {
        let transport = Arc::new(Transport::new());
        Self {
            kv: Arc::new(Memory::new(Quota::default())),
            jwks: Arc::new(Jwks::default()),
            messages: Arc::new(Messages::default()),
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
    pub(crate) async fn with_grants(&self, grants: Grants) -> Result<Self, Problem> {
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
        Ok(Self {
            kv: self.kv.clone(),
            transport: self.transport.clone(),
            jwks: self.jwks.clone(),
            messages: self.messages.clone(),
            outbound: Arc::new(Outbound::new(self.transport.clone(), grants.http.clone())),
            output,
            grants,
        })
    }

    /// What is granted.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }
}

fn no_output(target: &OutputTarget, source: io::Error) -> Problem {
    Problem::Output { target: target.to_string(), source }
}
