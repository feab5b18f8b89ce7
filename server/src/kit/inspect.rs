//! `mlx-gate plugin inspect`: what a plugin is, before anybody trusts it with requests.

use std::fmt::Write as _;

use mlx_gate_core::Phase;
use mlx_gate_lifecycle::{Inspection, Source};
use serde_json::{Value, json};

/// For people.
pub(crate) fn text(source: &Source, plugin: &Inspection) -> String {
    let mut text = format!("{} {}\n", plugin.name, plugin.version);
    let mut line = |name: &str, value: &str| {
        writeln!(text, "  {name:<12}{value}").expect("a string takes it");
    };
    line("source", &source.to_string());
    line("size", &size(plugin.bytes));
    line("sha256", &plugin.sha256);
    line("interface", &format!("mlx-gate:plugin@{}", plugin.interface));
    line("phases", &list(plugin.phases.iter().map(|phase| phase.as_str())));
    line("imports", &imports(&plugin.imports));
    line("credentials", &list(plugin.credential_headers.iter().map(String::as_str)));
    line("headers", &list(plugin.headers.iter().map(String::as_str)));
    line("isolation", isolation(plugin.captured));
    if plugin.grants.is_empty() {
        line("grants", "none needed");
    }
    for (index, needed) in plugin.grants.iter().enumerate() {
        let how = match &needed.option {
            Some(option) => format!("given by setting `{option}`"),
            None => format!("--plugin {source},{}", needed.flag),
        };
        line(if index == 0 { "grants" } else { "" }, &format!("{:<8}{how}", needed.import));
    }
    let options = options(&plugin.schema);
    line("options", if options.is_empty() { "none" } else { "" });
    text + &table(&options)
}

/// For programs.
pub(crate) fn json(source: &Source, plugin: &Inspection) -> Value {
    let grants = plugin
        .grants
        .iter()
        .map(|needed| json!({"import": needed.import, "flag": needed.flag, "option": needed.option}));
    json!({
        "source": source.to_string(),
        "name": plugin.name,
        "version": plugin.version,
        "bytes": plugin.bytes,
        "sha256": plugin.sha256,
        "interface": plugin.interface,
        "phases": plugin.phases.iter().copied().map(Phase::as_str).collect::<Vec<_>>(),
        "imports": plugin.imports,
        "grants": grants.collect::<Vec<_>>(),
        "credential_headers": plugin.credential_headers,
        "headers": plugin.headers,
        "isolation": if plugin.captured { "fresh" } else { "reuse" },
        "schema": plugin.schema,
    })
}

pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} KB ({bytes} bytes)", bytes as f64 / 1e3),
        _ => format!("{:.1} MB ({bytes} bytes)", bytes as f64 / 1e6),
    }
}

fn isolation(captured: bool) -> &'static str {
    if captured {
        "a fresh instance for each request, from its configured memory"
    } else {
        "instances serve one request after another: its memory cannot be captured"
    }
}

/// Our own by their short names; of WASI, which is linked so that it reaches nothing, how many.
fn imports(names: &[String]) -> String {
    let ours = names.iter().filter_map(|name| name.strip_prefix("mlx-gate:plugin/")?.split('@').next());
    let others = names.iter().filter(|name| !name.starts_with("mlx-gate:") && !name.starts_with("wasi:"));
    let wasi = names.iter().filter(|name| name.starts_with("wasi:")).count();
    let wasi = (wasi > 0).then(|| format!("{wasi} of WASI"));
    list(ours.map(str::to_owned).chain(others.cloned()).chain(wasi))
}

fn list<S: Into<String>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Name, kind, whether it has to be there, and what it is for, of each option at the top of the schema.
fn options(schema: &Value) -> Vec<[String; 4]> {
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        names.into_iter().any(|required| required == name)
    };
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let rows = properties.map(|(name, option)| {
        let presence = match option.get("default") {
            _ if required(name) => "required".to_owned(),
            Some(default) => format!("default {default}"),
            None => "optional".to_owned(),
        };
        let description = option.get("description").and_then(Value::as_str).unwrap_or_default();
        [name.clone(), kind(option), presence, description.to_owned()]
    });
    rows.collect()
}

/// What a value has to be, in a few words.
fn kind(option: &Value) -> String {
    let word = |name: &str| option.get(name).and_then(Value::as_str);
    if let Some(values) = option.get("enum").and_then(Value::as_array) {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
    }
    let kind = match (word("type"), word("format")) {
        (_, Some("host-file")) => "path of a file".to_owned(),
        (_, Some("host-url")) => "URL, grants its origin".to_owned(),
        (_, Some("host-output")) => "path of a file to write, or `-`".to_owned(),
        (Some("array"), _) => {
            format!("list of {}", option.get("items").map_or_else(|| "values".into(), kind))
        }
        (Some(name), _) => name.to_owned(),
        (None, _) => "value".to_owned(),
    };
    let bound =
        |name: &str, sign: &str| option.get(name).map(|bound| format!(" {sign} {bound}")).unwrap_or_default();
    format!("{kind}{}{}", bound("minimum", ">="), bound("maximum", "<="))
}

fn table(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, kind, presence) = (width(0), width(1), width(2));
    let mut text = String::new();
    for row in rows {
        let line = format!("    {:<name$}  {:<kind$}  {:<presence$}  {}", row[0], row[1], row[2], row[3]);
        writeln!(text, "{}", line.trim_end()).expect("a string takes it");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{imports, options, table};

    #[test]
    fn options_become_a_table() {
        let schema = json!({
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "host-file", "description": "Who may come in"},
                "audience": {"type": "array", "items": {"type": "string"}},
                "leeway": {"type": "integer", "minimum": 0, "maximum": 60, "default": 0},
                "mode": {"enum": ["a", "b"]}
            }
        });
        let expected = "    file      path of a file      required   Who may come in\n    \
             audience  list of string      optional\n    \
             leeway    integer >= 0 <= 60  default 0\n    \
             mode      \"a\" or \"b\"          optional\n";
        assert_eq!(table(&options(&schema)), expected);
        assert_eq!(table(&options(&json!({}))), "");
    }

    #[test]
    fn imports_are_named_shortly() {
        let names =
            ["mlx-gate:plugin/kv@0.1.0", "wasi:io/poll@0.2.9", "wasi:cli/exit@0.2.9"].map(String::from);
        assert_eq!(imports(&names), "kv, 2 of WASI");
        assert_eq!(imports(&[]), "none");
    }
}
