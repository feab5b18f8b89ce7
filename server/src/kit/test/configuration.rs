//! From a case file to what `--plugin` would say.

use std::path::Path;

use mlx_gate_lifecycle::{Inspection, OptionValue, PluginSpec};
use serde_json::Value;

use super::case::CaseFile;
use crate::kit::Error;

/// What stands for the origin of the server that answers for others.
const ORIGIN: &str = "${http}";

/// The plugin with the file's options, grants and host options on top of those of the command line.
pub(super) fn apply(
    spec: &PluginSpec,
    file: &CaseFile,
    path: &Path,
    inspection: &Inspection,
    origin: Option<&str>,
) -> Result<PluginSpec, Error> {
    let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut spec = spec.clone();
    for (name, value) in &file.options {
        let mut value = value.clone();
        if let (Value::String(text), Some(origin)) = (&mut value, origin) {
            *text = text.replace(ORIGIN, origin);
        }
        if inspection.option_is_path(name)
            && let Value::String(text) = &mut value
            && text != "-"
        {
            *text = folder.join(&*text).display().to_string();
        }
        spec.options.retain(|(given, _)| given != name);
        spec.options.push((name.clone(), OptionValue::Json(value)));
    }
    for (name, value) in &file.grant {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            spec.grants.add(name, &text).map_err(|error| malformed(error.to_string()))?;
        }
    }
    for (name, value) in &file.host {
        let value = OptionValue::Json(value.clone());
        spec.host.set(name, &value).map_err(|error| malformed(error.to_string()))?;
    }
    Ok(spec)
}
