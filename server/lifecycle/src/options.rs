//! A plugin's options: read from flags or a file, checked against the plugin's own schema, and turned into the JSON it is
//! configured with.

use std::path::{Path, PathBuf};

use mlx_gate_core::Secret;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::guest::{Configuration, HostFile};
use crate::{Grants, OptionValue, Problem};

mod reach;
mod schema;

pub(crate) use reach::granting;

/// The largest file an option may name, in bytes.
const MOST_FILE_BYTES: u64 = 16 << 20;

/// Options, resolved.
pub(crate) struct Resolved {
    pub(crate) configuration: Configuration,
    /// What the options name that the plugin may then reach.
    pub(crate) grants: Grants,
}

/// Resolves options against the plugin's schema, and reads the files they name.
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
    let config = Value::Object(config);
    schema::check(&config, schema)?;
    let files = read_files(&config, schema)?;
    let grants = reach::grants(&config, schema)?;
    let configuration = Configuration { json: Secret::new(config.to_string()), files };
    Ok(Resolved { configuration, grants })
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

/// Reads the file of every `host-file` option, however deep it stands.
fn read_files(config: &Value, schema: &Value) -> Result<Vec<HostFile>, Problem> {
    let mut files: Vec<HostFile> = Vec::new();
    for (option, path) in schema::values_of_format("host-file", config, schema) {
        if files.iter().any(|file| file.path == path) {
            continue;
        }
        let content = read(Path::new(path)).map_err(|source| Problem::OptionFile {
            option,
            path: PathBuf::from(path),
            source,
        })?;
        files.push(HostFile { path: path.to_owned(), content });
    }
    Ok(files)
}

fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use std::io::{Error, ErrorKind, Read as _};

    let file = crate::regular::open(path)?;
    // One byte more than the file has, so that reading does not move the content and leave a copy behind.
    let length = file.metadata()?.len().min(MOST_FILE_BYTES) + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default()));
    file.take(MOST_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MOST_FILE_BYTES {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {MOST_FILE_BYTES} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
