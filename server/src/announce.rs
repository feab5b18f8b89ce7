//! What somebody who starts the server wants to read first. People get a few plain lines, machines one event.

use std::fmt::Write;
use std::net::SocketAddr;

use mlx_gate_core::ModelCard;

use crate::admin::AdminAddress;
use crate::config::{LogFormat, Settings};

/// What the demo model is, for whoever starts the server without `--model`.
const DEMO: &str =
    "the built-in demo, 3.5 million parameters: knows capitals, small sums, short stories, a few turns of
           memory and simple tools, and little else; --model serves a real one";

/// What is being served, and to whom.
pub(crate) struct Service<'a> {
    /// Where.
    pub address: SocketAddr,
    /// The models.
    pub models: &'a [ModelCard],
    /// Whether the only model is the one inside the binary.
    pub demo: bool,
    /// Names of the plugins.
    pub plugins: Vec<String>,
    /// Whether any of them authenticates.
    pub authenticates: bool,
}

/// Says that the server is ready.
pub(crate) fn listening(settings: &Settings, service: &Service<'_>, admin: Option<&AdminAddress>) {
    match settings.log_format {
        LogFormat::Text => eprint!("{}", text(service, admin)),
        LogFormat::Json => {
            let names: Vec<&str> = service.models.iter().map(|model| model.id.as_str()).collect();
            tracing::info!(
                address = format_args!("http://{}", service.address),
                models = names.join(", "),
                plugins = service.plugins.join(", "),
                authenticates = service.authenticates,
                admin = admin.map(tracing::field::display),
                "listening"
            );
        }
    }
}

fn text(service: &Service<'_>, admin: Option<&AdminAddress>) -> String {
    let mut text = String::new();
    for model in service.models {
        let _ = writeln!(
            text,
            "  model    {} ({}, context {})",
            model.id, model.architecture, model.context_length
        );
    }
    if service.demo {
        let _ = writeln!(text, "           {DEMO}");
    }
    let door = match (service.authenticates, service.plugins.as_slice()) {
        (true, plugins) => plugins.join(", "),
        (false, []) => "no plugin: everybody who reaches this address may use it".to_owned(),
        (false, plugins) => format!(
            "{}; none authenticates: everybody who reaches this address may use it",
            plugins.join(", ")
        ),
    };
    let _ = writeln!(text, "  gate     {door}");
    if let Some(admin) = admin {
        let _ = writeln!(text, "  admin    {admin}");
    }
    let _ = writeln!(text, "mlx-gate {} listens on http://{}/v1", env!("CARGO_PKG_VERSION"), service.address);
    text
}
