//! A plugin's options: read from flags or a file, checked against the plugin's own schema, and turned into the JSON it is
//! configured with.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{OptionValue, Problem};

mod schema;

/// The largest file an option may name, in bytes.
const MOST_FILE_BYTES: u64 = 16 << 20;

/// Options, resolved.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The configuration as `configure` gets it.
    pub(crate) json: String,
    /// The files whose content is in it.
    pub(crate) files: Vec<PathBuf>,
}

/// Resolves options against the plugin's schema.
pub(crate) fn resolve(options: &[(String, OptionValue)], schema: &Value) -> Result<Resolved, Problem> {
    let mut config = Map::new();
    for (name, value) in options {
        let Some(property) = schema::property(schema, name) else {
            return Err(Problem::UnknownOption { option: name.clone(), known: schema::known(schema) });
        };
        match value {
            OptionValue::Json(value) => {
                if config.insert(name.clone(), value.clone()).is_some() {
                    return Err(Problem::RepeatedOption(name.clone()));
                }
            }
            OptionValue::Text(text) if schema::takes(property, "array") => {
                let item = typed(name, text, property.get("items").unwrap_or(&Value::Null))?;
                let items = config.entry(name.clone()).or_insert_with(|| json!([]));
                let items = items.as_array_mut().ok_or_else(|| Problem::RepeatedOption(name.clone()))?;
                items.push(item);
            }
            OptionValue::Text(text) => {
                if config.insert(name.clone(), typed(name, text, property)?).is_some() {
                    return Err(Problem::RepeatedOption(name.clone()));
                }
            }
        }
    }
    let mut config = Value::Object(config);
    schema::check(&config, schema)?;
    let files = read_files(&mut config, schema)?;
    Ok(Resolved { json: config.to_string(), files })
}

/// What a flag's text stands for, by the type the schema asks for.
fn typed(name: &str, text: &str, schema: &Value) -> Result<Value, Problem> {
    if schema::takes(schema, "string") {
        return Ok(Value::from(text));
    }
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    parsed
        .filter(|value| !value.is_string())
        .ok_or_else(|| Problem::BadOption { option: name.to_owned(), expected: schema::expected(schema) })
}

/// Replaces the path of every `host-file` option with the file's content.
fn read_files(config: &mut Value, schema: &Value) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for (name, value) in config.as_object_mut().into_iter().flatten() {
        let marked = |property: &Value| property.get("format").is_some_and(|format| format == "host-file");
        if !schema::property(schema, name).is_some_and(marked) {
            continue;
        }
        let path = PathBuf::from(value.as_str().unwrap_or_default());
        let content = read_text(&path);
        let content = content.map_err(|source| Problem::OptionFile {
            option: name.clone(),
            path: path.clone(),
            source,
        })?;
        *value = Value::from(content);
        files.push(path);
    }
    Ok(files)
}

fn read_text(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read as _};

    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_FILE_BYTES {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {MOST_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests;
