//! What a plugin is, before it is configured: for its author, and for whoever is about to trust it.

use mlx_gate_core::Phase;
use serde_json::Value;

use super::loading::hex;
use super::{Code, Description};

/// What a component says of itself, and what can be told from the outside. No more of it has run than `describe`.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Its name in logs and metrics.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Size of the component, in bytes.
    pub bytes: usize,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// Version of the interface it was built for.
    pub interface: &'static str,
    /// The phases it takes part in, in the order of a request.
    pub phases: Vec<Phase>,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// What it has to be granted.
    pub grants: Vec<NeededGrant>,
    /// JSON Schema of its options.
    pub schema: Value,
    /// Headers that carry credentials, lower case.
    pub credential_headers: Vec<String>,
    /// Other headers it asks for, lower case.
    pub headers: Vec<String>,
    /// Whether its configured memory can be captured. Where it cannot, instances serve one request after another.
    pub captured: bool,
}

/// What a plugin has to be granted before it can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededGrant {
    /// What it imports.
    pub import: String,
    /// What to add to `--plugin`: `grant.kv=true`.
    pub flag: String,
    /// An option of the plugin's own that is the grant where it is set.
    pub option: Option<String>,
}

impl Inspection {
    /// What a plugin's code is, read from a file of so many bytes.
    pub(super) fn of(code: &Code, bytes: usize, is_bundled: bool) -> Self {
        let Description { name, version, schema, credential_headers, headers } = code.description.clone();
        Self {
            name,
            version,
            bytes,
            sha256: hex(code.digest()),
            interface: code.interface(),
            phases: code.inspected.phases.clone(),
            grants: needed(&code.inspected.grantable, &schema, is_bundled),
            imports: code.imports(),
            schema,
            credential_headers,
            headers,
            captured: code.can_be_captured(),
        }
    }

    /// Whether the option of this name is a path, which starts where the server does.
    pub fn option_is_path(&self, option: &str) -> bool {
        let format = self.schema.get("properties").and_then(|options| options.get(option)?.get("format"));
        format.is_some_and(|format| format == "host-file" || format == "host-output")
    }
}

/// What the imports need: a grant, or an option that is one where it is set. A bundled plugin has its key-value space.
fn needed(imports: &[String], schema: &Value, is_bundled: bool) -> Vec<NeededGrant> {
    let option = |format: &str| {
        let options = schema.get("properties")?.as_object()?;
        let marked = |option: &Value| option.get("format").is_some_and(|given| given == format);
        options.iter().find(|(_, option)| marked(option)).map(|(name, _)| name.clone())
    };
    let grants = [
        ("kv", "grant.kv=true", None),
        ("http", "grant.http=ORIGIN", option("host-url")),
        ("jwks", "grant.http=ORIGIN", option("host-url")),
        ("output", "grant.output=PATH", option("host-output")),
    ];
    let is_needed =
        |import: &str| imports.iter().any(|name| name == import) && !(is_bundled && import == "kv");
    let needed = grants.into_iter().filter(|(import, _, _)| is_needed(import));
    needed
        .map(|(import, flag, option)| NeededGrant { import: import.into(), flag: flag.into(), option })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::needed;

    #[test]
    fn an_option_can_be_the_grant() {
        let imports = ["kv", "jwks"].map(String::from);
        let schema = json!({"properties": {"jwks-url": {"type": "string", "format": "host-url"}}});
        let shown = |schema, is_bundled| -> Vec<_> {
            let grants = needed(&imports, &schema, is_bundled).into_iter();
            grants.map(|grant| (grant.flag, grant.option)).collect()
        };
        let kv = ("grant.kv=true".to_owned(), None);
        let http = "grant.http=ORIGIN".to_owned();
        let by_option = (http.clone(), Some("jwks-url".to_owned()));
        assert_eq!(shown(schema.clone(), false), [kv.clone(), by_option.clone()]);
        assert_eq!(shown(schema, true), [by_option]);
        assert_eq!(shown(json!({}), false), [kv, (http, None)]);
    }
}
