//! Builds guests, loads them, and asks them.

use std::path::PathBuf;
use std::time::Duration;

use mlx_gate_core::{Dialect, HeaderValue, Lifecycle, Refusal, RequestHead, Secret};
use mlx_gate_lifecycle::{Bundled, Config, Error, Gate, Limits, OptionValue, PluginSpec, Source};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A guest: the frame with some of its `;;@` lines replaced.
#[derive(Default, Clone)]
pub(crate) struct Guest {
    changes: Vec<(&'static str, String)>,
    world: Option<&'static str>,
    /// A part of WASI is there to be imported.
    wasi: bool,
    /// The function exported in the place of `authenticate`'s.
    export: Option<&'static str>,
}

impl Guest {
    /// Puts code in the place of this name.
    pub(crate) fn with(place: &'static str, code: impl Into<String>) -> Self {
        Self::default().and(place, code)
    }

    pub(crate) fn and(mut self, place: &'static str, code: impl Into<String>) -> Self {
        self.changes.push((place, code.into()));
        self
    }

    /// Takes another world of the WIT package than `authenticator`.
    pub(crate) fn world(mut self, world: &'static str) -> Self {
        self.world = Some(world);
        self
    }

    /// Exports the function `check` under another name, which has to have a signature like its own.
    pub(crate) fn in_place_of_check(mut self, export: &'static str) -> Self {
        self.export = Some(export);
        self
    }

    /// Takes the world of `wasi.wit`: an authenticator that may import WASI.
    pub(crate) fn with_wasi(self) -> Self {
        Self { wasi: true, ..self }
    }

    /// The core module.
    pub(crate) fn module(&self) -> Vec<u8> {
        let mut text = include_str!("../../../../tests/guests/frame.wat").to_owned();
        for (place, code) in &self.changes {
            text = text.replace(&format!(";;@{place}\n"), &format!("{code}\n"));
        }
        if let Some(export) = self.export {
            text = text.replace("authenticate@0.1.0#check", export);
        }
        wat::parse_str(text).expect("a test's guest is valid text")
    }

    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut module = self.module();
        let mut resolve = Resolve::default();
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1.0");
        let (package, _) = resolve.push_path(wit).expect("the WIT package parses");
        let (package, world) = if self.wasi {
            let wasi = resolve.push_str("wasi.wit", include_str!("wasi.wit"));
            (wasi.expect("the WIT of WASI parses"), "curious")
        } else {
            (package, self.world.unwrap_or("authenticator"))
        };
        let world = resolve.select_world(&[package], Some(world)).expect("the world exists");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("a module with its type");
        let mut encoder = ComponentEncoder::default();
        encoder.module(&module).expect("a module of this world").encode().expect("a component")
    }
}

/// Little enough time that a test with a hanging guest is short.
pub(crate) fn limits() -> Limits {
    Limits { call: Duration::from_millis(100), configure: Duration::from_secs(2), ..Limits::default() }
}

/// Loads bytes as the bundled plugin `guest`.
pub(crate) async fn load(bytes: Vec<u8>) -> Result<Gate, Error> {
    load_all(vec![bytes]).await
}

/// Loads several plugins, in this order.
pub(crate) async fn load_all(components: Vec<Vec<u8>>) -> Result<Gate, Error> {
    const NAMES: [&str; 3] = ["guest", "second", "third"];
    // The server's bundled plugins are part of its binary; a test's live as long as the test program.
    let bundled: Vec<_> =
        NAMES.iter().zip(components).map(|(name, bytes)| Bundled { name, bytes: bytes.leak() }).collect();
    let plugins = bundled.iter().map(|plugin| PluginSpec::bundled(plugin.name, [])).collect();
    Gate::load(&Config { plugins, limits: limits(), ..Config::default() }, &bundled).await
}

/// Loads a file with these options.
pub(crate) async fn load_file(path: PathBuf, options: &[(&str, &str)]) -> Result<Gate, Error> {
    let text = |value: &&str| OptionValue::Text((*value).to_owned());
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    let config = Config {
        plugins: vec![PluginSpec::new(Source::File(path), options)],
        limits: limits(),
        ..Config::default()
    };
    Gate::load(&config, &[]).await
}

/// A request's head with one credential.
pub(crate) fn head(path: &str) -> RequestHead {
    RequestHead {
        id: "req-1".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        dialect: Dialect::OpenAi,
        peer: None,
        headers: vec![header("authorization", "Bearer planted-secret"), header("x-other", "unseen")],
    }
}

pub(crate) fn header(name: &str, value: &str) -> (String, HeaderValue) {
    (name.to_owned(), HeaderValue::Text(Secret::new(value)))
}

/// What the gate says to a head, in a few words.
pub(crate) async fn ask(gate: &Gate, head: &RequestHead) -> String {
    match gate.begin().authenticate(head).await {
        Ok(Some(principal)) => format!("{} by {}", principal.subject, principal.authenticated_by),
        Ok(None) => "anonymous".to_owned(),
        Err(Refusal::Unauthenticated { challenges }) => format!("unauthenticated {challenges:?}"),
        Err(Refusal::AmbiguousCredentials { message }) => format!("ambiguous: {message}"),
        Err(Refusal::NotAllowed) => "not allowed".to_owned(),
        Err(Refusal::Denied { plugin, denial, .. }) => {
            format!("denied by {plugin}: {} {}", denial.status, denial.code)
        }
        Err(Refusal::Unavailable { plugin, cause, .. }) => format!("{plugin} {cause}"),
    }
}
