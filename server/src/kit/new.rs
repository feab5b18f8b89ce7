//! `mlx-gate plugin new`: writes a project from a template, with all it needs that is not in a public registry.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::embedded::{INTERFACE, LOCK, SDK, TEMPLATES, WIT, WORKSPACE, files};
use super::project::check_name;
use super::{Error, Language};

/// The name in the templates, which are working plugins.
const TEMPLATE_NAME: &str = "doorman";

/// Crates that a plugin in Rust is built with, and types of its source that are not its own.
const TAKEN: [&str; 6] = ["core", "mlx-gate-plugin", "mlx_gate_plugin", "serde", "std", "test"];
const TAKEN_TYPES: [&str; 12] = [
    "Authenticate",
    "Config",
    "Denial",
    "Description",
    "Grant",
    "Option",
    "Plugin",
    "Principal",
    "Rejected",
    "RequestHead",
    "Self",
    "Verdict",
];

/// Writes a new project and returns its folder.
pub(crate) fn new(name: &str, language: Language, path: Option<&Path>) -> Result<PathBuf, Error> {
    check_name(name)?;
    if language == Language::Rust && (TAKEN.contains(&name) || TAKEN_TYPES.contains(&&*type_name(name))) {
        return Err(Error::Taken(name.to_owned()));
    }
    let folder = path.map_or_else(|| PathBuf::from(name), Path::to_owned);
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Error::Exists(folder));
    }
    for (file, content) in files(TEMPLATES, language.folder()) {
        let file = if file == "gitignore" { ".gitignore" } else { file };
        write(&folder.join(named(file, name)), &named(content, name))?;
    }
    match language {
        Language::Rust => write_sdk(&folder)?,
        Language::C | Language::Js | Language::Python => {
            write_wit(&folder.join("wit/deps/mlx-gate-plugin"))?;
        }
    }
    Ok(folder)
}

/// The SDK is not published, so a project gets its sources, and the WIT where they look for it.
fn write_sdk(folder: &Path) -> Result<(), Error> {
    write_wit(&folder.join("wit").join(INTERFACE))?;
    write(&folder.join("Cargo.lock"), LOCK)?;
    let sdk = folder.join("mlx-gate-plugin");
    for (file, content) in SDK {
        match *file {
            "Cargo.toml" => write(&sdk.join(file), &standing_alone(content))?,
            _ => write(&sdk.join(file), content)?,
        }
    }
    Ok(())
}

fn write_wit(folder: &Path) -> Result<(), Error> {
    files(WIT, INTERFACE).try_for_each(|(file, content)| write(&folder.join(file), content))
}

/// A manifest of this workspace with what it refers to put in.
fn standing_alone(manifest: &str) -> String {
    const OURS: &str = "the repository's own manifests are valid";
    let workspace: Table = WORKSPACE.parse().expect(OURS);
    let workspace = workspace["workspace"].as_table().expect(OURS);
    let mut manifest: Table = manifest.parse().expect(OURS);
    // What is warned about is the business of those who change the SDK.
    manifest.remove("lints");
    if let Some(package) = manifest.get_mut("package").and_then(Value::as_table_mut) {
        inherit(package, workspace["package"].as_table().expect(OURS));
    }
    let versions = workspace["dependencies"].as_table().expect(OURS);
    inherit_dependencies(&mut manifest, versions);
    for target in
        manifest.get_mut("target").and_then(Value::as_table_mut).into_iter().flat_map(Table::iter_mut)
    {
        if let Some(target) = target.1.as_table_mut() {
            inherit_dependencies(target, versions);
        }
    }
    manifest.to_string()
}

fn inherit_dependencies(table: &mut Table, versions: &Table) {
    for kind in ["dependencies", "dev-dependencies"] {
        if let Some(dependencies) = table.get_mut(kind).and_then(Value::as_table_mut) {
            inherit(dependencies, versions);
        }
    }
}

/// Replaces each `NAME.workspace = true` with what the workspace says of it, and keeps what else is said.
fn inherit(table: &mut Table, from: &Table) {
    for (name, value) in table {
        let Some(own) = value.as_table_mut().filter(|own| own.contains_key("workspace")) else { continue };
        let Some(found) = from.get(name) else { continue };
        own.remove("workspace");
        let rest = std::mem::take(own);
        *value = match found {
            found if rest.is_empty() => found.clone(),
            Value::Table(found) => Value::Table(found.clone().into_iter().chain(rest).collect()),
            version => {
                Value::Table([("version".to_owned(), version.clone())].into_iter().chain(rest).collect())
            }
        };
    }
}

/// A text of the template with the plugin's own name in it; types are written `Doorman`.
fn named(text: &str, name: &str) -> String {
    text.replace(TEMPLATE_NAME, name).replace("Doorman", &type_name(name))
}

/// `night_shift` as `NightShift`.
fn type_name(name: &str) -> String {
    let words = name.split(['_', '-']).filter(|word| !word.is_empty());
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    words.map(capital).collect()
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file("creating", parent))?;
    }
    fs::write(path, content).map_err(Error::file("writing", path))
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::super::embedded::SDK;
    use super::{standing_alone, type_name};

    #[test]
    fn the_sdk_stands_alone() {
        let (_, manifest) =
            SDK.iter().find(|(file, _)| *file == "Cargo.toml").expect("the SDK has a manifest");
        let manifest = standing_alone(manifest);
        assert!(!manifest.contains("workspace"), "{manifest}");
        let manifest: Table = manifest.parse().expect("a valid manifest");
        assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"));
        assert!(manifest["dependencies"]["wit-bindgen"]["version"].is_str());
        assert_eq!(manifest["dependencies"]["toml"]["optional"].as_bool(), Some(true));
        assert!(manifest["dependencies"]["toml"]["version"].is_str());
        assert!(manifest["target"]["cfg(not(target_arch = \"wasm32\"))"]["dependencies"]["sha2"].is_table());
    }

    #[test]
    fn types_are_named_after_plugins() {
        for (name, expected) in [("doorman", "Doorman"), ("night_shift", "NightShift"), ("a-b2-", "AB2")] {
            assert_eq!(type_name(name), expected);
        }
    }
}
