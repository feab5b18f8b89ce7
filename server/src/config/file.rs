//! The file's part of the configuration.

use std::path::Path;
use std::sync::Arc;

use mlx_gate_core::Secret;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::options::{ALL, Opt, Shape};
use super::source::{Given, Mistake, Source, Value};
use super::{Layer, nearest};

/// What a file says, and every mistake in it.
pub(super) fn read(path: &Path, text: &str) -> (Layer, Vec<Mistake>) {
    let path: Arc<Path> = Arc::from(path);
    let at = |offset: usize, key: &str| Source::File {
        path: path.clone(),
        line: 1 + text[..offset.min(text.len())].matches('\n').count(),
        key: key.to_owned(),
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    // Only the parser's words are shown: its full text quotes the line, and the line may hold a key.
    let mut mistakes: Vec<Mistake> = errors
        .iter()
        .map(|error| Mistake::new(&at(error.span().map_or(0, |span| span.start), "TOML"), error.message()))
        .collect();
    if !mistakes.is_empty() {
        return (Layer::new(), mistakes);
    }
    let mut layer = Layer::new();
    for (key, value) in document.get_ref() {
        let name = key.get_ref().as_ref();
        let source = at(key.span().start, name);
        let Some(option) = ALL.into_iter().find(|option| option.name == name) else {
            mistakes.push(unknown(&source, name));
            continue;
        };
        match values(option, value.get_ref()) {
            Ok(values) => {
                layer.insert(option.name, Given { source, values });
            }
            Err(expected) => {
                mistakes.push(Mistake::unexpected(&source, kind(value.get_ref()), expected));
            }
        }
    }
    (layer, mistakes)
}

fn unknown(source: &Source, name: &str) -> Mistake {
    let names = || ALL.iter().map(|option| option.name);
    let problem = match nearest(name, names()) {
        Some(meant) => format!("unknown key; `{meant}` is one"),
        None => format!("unknown key; the known ones are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Mistake::new(source, problem)
}

/// The values of one key, or what was expected there.
fn values(option: &Opt, value: &DeValue<'_>) -> Result<Vec<Value>, String> {
    match (option.shape, value) {
        (Shape::Many, DeValue::Array(items)) => {
            items.iter().map(|item| one(option, item.get_ref())).collect()
        }
        (Shape::Many, _) => Ok(vec![one(option, value)?]),
        (_, DeValue::Array(_)) => Err(format!("one value: {}", described(option))),
        _ => Ok(vec![one(option, value)?]),
    }
}

fn one(option: &Opt, value: &DeValue<'_>) -> Result<Value, String> {
    match (option.shape, json(value)) {
        (Shape::Secret, Json::String(text)) => Ok(Value::Secret(Secret::new(text))),
        (Shape::Many, Json::Object(table)) => Ok(Value::Table(table)),
        (Shape::Secret, _) | (_, Json::Array(_) | Json::Object(_) | Json::Null) => Err(described(option)),
        (_, Json::String(text)) => Ok(Value::Text(text)),
        (_, scalar) => Ok(Value::Text(scalar.to_string())),
    }
}

fn described(option: &Opt) -> String {
    if option.shape == Shape::Switch { "true or false".to_owned() } else { option.value.to_owned() }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Table(_) => "a table",
        DeValue::Array(_) => "a list",
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
    }
}

/// TOML as JSON, which is what plugins are configured with. Dates, and numbers JSON lacks, become text.
fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Boolean(on) => Json::Bool(*on),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Json::String(number.to_string()), Json::from),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Json::String(number.to_string()), Json::Number),
        DeValue::Datetime(moment) => Json::String(moment.to_string()),
        DeValue::Array(items) => Json::Array(items.iter().map(|item| json(item.get_ref())).collect()),
        DeValue::Table(table) => Json::Object(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect(),
        ),
    }
}
