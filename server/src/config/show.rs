//! What `mlx-gate config show` prints: each option's value and where it comes from.

use std::fmt::Write;

use mlx_gate_lifecycle::PluginSpec;

use super::options::{ALL, Opt, PLUGIN};
use super::{Resolved, Value};

/// One line for each option. Credentials and plugins' options are named, never shown.
pub(crate) fn show(resolved: &Resolved) -> String {
    let mut text = String::new();
    for option in ALL {
        let _ = writeln!(text, "{:16}{}", option.name, holds(resolved, option));
    }
    text
}

fn holds(resolved: &Resolved, option: &Opt) -> String {
    let Some(said) = resolved.given.get(option) else { return format!("{} (default)", option.default) };
    let values: Vec<String> = if option.name == PLUGIN.name {
        resolved.settings.plugins.iter().map(plugin).collect()
    } else {
        said.values.iter().map(value).collect()
    };
    format!("{} ({})", values.join("; "), said.source)
}

fn plugin(plugin: &PluginSpec) -> String {
    let mut text = plugin.source.to_string();
    let names: Vec<&str> = plugin.options.iter().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        let _ = write!(text, " with {}", names.join(", "));
    }
    let grants = plugin.grants.describe();
    if !grants.is_empty() {
        let _ = write!(text, " granted {}", grants.join(", "));
    }
    text
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Secret(_) => "[redacted]".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}
