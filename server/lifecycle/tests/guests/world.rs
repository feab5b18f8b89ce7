//! A gate of a few plugins, and what they say while it is asked.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mlx_gate_core::{
    Api, Constraints, Dialect, Ended, FinishReason, Lifecycle as _, Operation, Outcome, Passage, Refusal,
    Usage,
};
use mlx_gate_lifecycle::{Bundled, Config, Gate, OptionValue, PluginSpec, Source};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

use crate::guest::{head, limits};
use crate::plugin::Plugin;

/// The gate and what its plugins have said. Everything runs on the test's own thread, so that their messages are its own.
pub(crate) struct World {
    pub(crate) gate: Gate,
    said: Said,
    _guard: DefaultGuard,
}

impl World {
    /// Loads these plugins, in this order.
    pub(crate) async fn new(plugins: &[Plugin]) -> Self {
        Self::with_options(plugins, &[]).await
    }

    /// Loads one plugin.
    pub(crate) async fn new_one(plugin: Plugin) -> Self {
        Self::new(&[plugin]).await
    }

    /// Loads these plugins, each with these options of the host.
    pub(crate) async fn with_options(plugins: &[Plugin], options: &[(&str, &str)]) -> Self {
        const NAMES: [&str; 4] = ["one", "two", "three", "four"];
        let said = Said::default();
        let guard = tracing::subscriber::set_default(said.clone());
        // The server's bundled plugins are part of its binary; a test's live as long as the test program.
        let bundled: Vec<_> = NAMES
            .iter()
            .zip(plugins)
            .map(|(name, plugin)| Bundled { name, bytes: plugin.component().leak() })
            .collect();
        let specs = bundled.iter().zip(plugins).map(|(bundled, plugin)| {
            let mut spec = PluginSpec::new(Source::Bundled(bundled.name.to_owned()), Vec::new());
            for (name, value) in options {
                spec.host.set(name, &OptionValue::Text((*value).to_owned())).expect("an option of the host");
            }
            if plugin.wants_kv() {
                spec.grants.add("kv", "true").expect("a grant");
            }
            spec
        });
        let config = Config { plugins: specs.collect(), limits: limits(), ..Config::default() };
        let gate = Gate::load(&config, &bundled).await.expect("they load");
        Self { gate, said, _guard: guard }
    }

    /// What plugins have said since it was asked last, each message after its plugin's name.
    pub(crate) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.0.lock().expect("nothing panics while holding this"))
    }

    /// The same, once all is settled and logged.
    pub(crate) async fn said_in_the_end(&self) -> Vec<String> {
        self.gate.drain().await;
        self.said()
    }
}

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Subscriber for Said {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "mlx_gate::plugin"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        self.0
            .lock()
            .expect("nothing panics while holding this")
            .push(format!("{}: {}", message.plugin, message.text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Message {
    plugin: String,
    text: String,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "plugin" {
            value.clone_into(&mut self.plugin);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.text, "{value:?}");
        }
    }
}

pub(crate) fn operation() -> Operation {
    Operation { model: Some("demo".to_owned()), input_tokens: 7, ..Operation::new(Api::Chat) }
}

/// The end of a request with this id.
pub(crate) fn ended(id: &str, ran: bool, input_tokens: u32) -> Ended {
    Ended {
        id: id.to_owned(),
        method: "POST".to_owned(),
        route: Some("/v1/chat/completions"),
        dialect: Dialect::OpenAi,
        peer: None,
        ran,
        usage: Usage { input_tokens, ..Usage::default() },
        status: 200,
        outcome: Outcome::Finished(FinishReason::Stop),
        code: None,
        refused_by: None,
        started_at: SystemTime::UNIX_EPOCH,
        queued: Duration::ZERO,
        first_token: None,
        total: Duration::ZERO,
    }
}

/// Takes a request through all phases, up to the engine.
pub(crate) async fn pass(passage: &dyn Passage) -> Result<(), Refusal> {
    passage.authenticate(&head("/x")).await?;
    passage.authorize(&operation()).await?;
    passage.admit(&operation()).await?;
    passage.tag(&operation()).await?;
    Ok(())
}

/// A refusal in a few words.
pub(crate) fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::Unauthenticated { challenges } => format!("unauthenticated {challenges:?}"),
        Refusal::AmbiguousCredentials { message } => format!("ambiguous: {message}"),
        Refusal::NotAllowed => "not allowed".to_owned(),
        Refusal::Denied { plugin, phase, denial } => {
            format!("{}/{plugin} denies: {} {}", phase.as_str(), denial.status, denial.code)
        }
        Refusal::Unavailable { plugin, phase, cause } => format!("{}/{plugin} {cause}", phase.as_str()),
    }
}

/// Bounds in a few words.
pub(crate) fn bounds(constraints: &Constraints) -> String {
    let mut words = Vec::new();
    words.extend(constraints.max_output_tokens.map(|tokens| format!("{tokens} tokens")));
    words.extend(constraints.model.as_ref().map(|model| format!("as {model}")));
    words.extend(constraints.models.iter().map(|models| format!("models {}", models.join(" "))));
    words.extend(constraints.adapters.as_ref().map(|adapters| format!("adapters {}", adapters.join(" "))));
    if words.is_empty() { "anything".to_owned() } else { words.join(", ") }
}
