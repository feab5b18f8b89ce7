use std::sync::Arc;

use mlx_gate_core::{BoxFuture, HeaderValue, Lifecycle, Passage, Phase, Principal, Refusal, RequestHead};

use crate::plugin::{Answer, Plugin};
use crate::runtime::Runtime;
use crate::{Bundled, Config, Error};

/// The plugins of a server, in the order in which they are asked.
pub struct Gate {
    current: Arc<Generation>,
}

/// Plugins that were put in force together. A request keeps the generation it began with.
struct Generation {
    authenticators: Vec<Plugin>,
}

impl Gate {
    /// Loads all plugins. The first one that cannot be used stops it: a server with part of its gate is not what anybody
    /// asked for. Runs on tokio.
    pub async fn load(config: &Config, bundled: &[Bundled]) -> Result<Self, Error> {
        let mut authenticators = Vec::new();
        if !config.plugins.is_empty() {
            let runtime = Arc::new(Runtime::new()?);
            for spec in &config.plugins {
                let started = std::time::Instant::now();
                let plugin = Plugin::load(&runtime, spec, bundled, &config.limits).await?;
                tracing::info!(
                    plugin = plugin.name(),
                    took_ms = started.elapsed().as_millis(),
                    "plugin loaded"
                );
                authenticators.push(plugin);
            }
        }
        Ok(Self { current: Arc::new(Generation { authenticators }) })
    }
}

impl Lifecycle for Gate {
    fn begin(&self) -> Box<dyn Passage> {
        Box::new(GatePassage { generation: self.current.clone() })
    }

    fn credential_headers(&self) -> Vec<String> {
        let plugins = &self.current.authenticators;
        let mut names: Vec<_> =
            plugins.iter().flat_map(|plugin| plugin.credential_headers().iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn authenticates(&self) -> bool {
        !self.current.authenticators.is_empty()
    }
}

struct GatePassage {
    generation: Arc<Generation>,
}

impl Passage for GatePassage {
    fn authenticate<'a>(
        &'a mut self,
        head: &'a RequestHead,
    ) -> BoxFuture<'a, Result<Option<Arc<Principal>>, Refusal>> {
        Box::pin(self.generation.authenticate(head))
    }
}

impl Generation {
    /// The first plugin that allows or denies decides. Whatever else happens, nobody passes.
    async fn authenticate(&self, head: &RequestHead) -> Result<Option<Arc<Principal>>, Refusal> {
        if self.authenticators.is_empty() {
            return Ok(None);
        }
        if let Some(message) = self.ambiguity(head) {
            return Err(Refusal::AmbiguousCredentials { message });
        }
        let mut challenges = Vec::new();
        for plugin in &self.authenticators {
            match plugin.authenticate(head).await {
                Ok(Answer::Abstain(challenge)) => challenges.extend(challenge),
                Ok(Answer::Allow(principal)) => return Ok(Some(Arc::new(principal))),
                Ok(Answer::Deny(denial)) => {
                    return Err(Refusal::Denied {
                        plugin: plugin.name().to_owned(),
                        phase: Phase::Authenticate,
                        denial,
                    });
                }
                Err(failure) => {
                    tracing::error!(
                        plugin = plugin.name(),
                        phase = Phase::Authenticate.as_str(),
                        request = head.id,
                        "the plugin {failure}; the request is refused"
                    );
                    return Err(Refusal::Unavailable {
                        plugin: plugin.name().to_owned(),
                        phase: Phase::Authenticate,
                        cause: failure.to_string(),
                    });
                }
            }
        }
        Err(Refusal::Unauthenticated { challenges })
    }

    /// Two values of one credential header, or one that is not text, mean different things to different readers, and a
    /// plugin should not have to choose.
    fn ambiguity(&self, head: &RequestHead) -> Option<String> {
        self.authenticators.iter().flat_map(Plugin::credential_headers).find_map(|name| {
            let mut values = head.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (Some(_), Some(_)) => Some(format!("the header `{name}` is given more than once")),
                (Some(HeaderValue::NotUtf8), None) => Some(format!("the header `{name}` is not valid UTF-8")),
                _ => None,
            }
        })
    }
}
