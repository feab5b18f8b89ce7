//! Which crate of the workspace may depend on which, and which library belongs to one crate alone.

use serde_json::Value;

use super::Finding;

/// First-party crates that a crate may use. A plugin (a crate under `plugins/`) may use the SDK alone.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("mlx-gate-core", &[]),
    ("mlx-gate-api", &["mlx-gate-core"]),
    ("mlx-gate-lifecycle", &["mlx-gate-core"]),
    ("mlx-gate-engine", &["mlx-gate-core"]),
    ("mlx-gate-models", &["mlx-gate-core"]),
    (
        "mlx-gate",
        &["mlx-gate-core", "mlx-gate-api", "mlx-gate-lifecycle", "mlx-gate-engine", "mlx-gate-models"],
    ),
    ("mlx-gate-plugin", &[]),
    // Whole-server tests know the server as its users do: by its command line and over HTTP.
    ("mlx-gate-tests", &[]),
    ("xtask", &[]),
];

/// Libraries that exactly one crate may name, with the reason.
const BELONGS_TO: [(&str, &str, &str); 7] = [
    ("axum", "mlx-gate-api", "only the API knows HTTP routes and status codes"),
    ("wasmtime", "mlx-gate-lifecycle", "only the lifecycle runs WebAssembly"),
    ("wasmtime-wizer", "mlx-gate-lifecycle", "only the lifecycle runs WebAssembly"),
    ("mlx-rs", "mlx-gate-models", "only the models know MLX"),
    ("mlx-sys", "mlx-gate-models", "only the models know MLX"),
    ("hf-hub", "mlx-gate-models", "only the models load files of models"),
    ("clap", "mlx-gate", "only the binary has a command line"),
];

/// What the shared vocabulary must do without: anything that does I/O or runs tasks.
const NOT_IN_CORE: [&str; 4] = ["tokio", "reqwest", "ureq", "tracing-subscriber"];

/// Checks the output of `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let edges = packages.iter().flat_map(|package| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies.filter_map(move |dependency| Some((package, dependency["name"].as_str()?)))
    });
    edges.filter_map(|(package, dependency)| check_edge(package, dependency, &members)).collect()
}

fn check_edge(package: &Value, dependency: &str, members: &[&str]) -> Option<Finding> {
    let name = package["name"].as_str().unwrap_or_default();
    let place = format!("crate {name}");
    if members.contains(&dependency) {
        let allowed = may_use(package, name);
        let rule = || match allowed {
            [] => "it may use no other crate of this workspace".to_owned(),
            some => format!("it may use {}", some.join(", ")),
        };
        return (!allowed.contains(&dependency))
            .then(|| Finding::new(place, format!("must not depend on {dependency}: {}", rule())));
    }
    if name == "mlx-gate-core" && NOT_IN_CORE.contains(&dependency) {
        return Some(Finding::new(
            place,
            format!("must not depend on {dependency}: the vocabulary does no I/O"),
        ));
    }
    let (_, owner, reason) =
        BELONGS_TO.iter().find(|(library, owner, _)| *library == dependency && *owner != name)?;
    Some(Finding::new(place, format!("must not depend on {dependency}: {reason} (that is {owner})")))
}

fn may_use(package: &Value, name: &str) -> &'static [&'static str] {
    let known = MAY_USE.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed);
    let is_plugin = package["manifest_path"]
        .as_str()
        .is_some_and(|path| path.contains("/plugins/") || path.contains("/tests/guests/"));
    known.unwrap_or(if is_plugin { &["mlx-gate-plugin"] } else { &[] })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Crates with what they depend on; a name that begins with `auth_` is a plugin.
    fn problems(crates: &[(&str, &[&str])]) -> Vec<String> {
        let package = |(name, dependencies): &(&str, &[&str])| {
            let folder = if name.starts_with("auth_") { "plugins" } else { "server" };
            let dependencies: Vec<_> = dependencies.iter().map(|name| json!({ "name": name })).collect();
            json!({
                "name": name,
                "manifest_path": format!("/x/{folder}/{name}/Cargo.toml"),
                "dependencies": dependencies,
            })
        };
        let metadata = json!({ "packages": crates.iter().map(package).collect::<Vec<_>>() });
        check(&metadata)
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.problem))
            .collect()
    }

    #[test]
    fn the_intended_layout_passes() {
        let found = problems(&[
            ("mlx-gate-core", &["bytes"]),
            ("mlx-gate-api", &["mlx-gate-core", "axum"]),
            ("mlx-gate", &["mlx-gate-core", "mlx-gate-api"]),
            ("mlx-gate-plugin", &["serde"]),
            ("auth_static_keys", &["mlx-gate-plugin"]),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_crate_must_not_look_sideways() {
        let found = problems(&[("mlx-gate-api", &["mlx-gate-models"]), ("mlx-gate-models", &[])]);
        assert_eq!(
            found,
            ["crate mlx-gate-api: must not depend on mlx-gate-models: it may use mlx-gate-core"]
        );
    }

    #[test]
    fn a_plugin_must_not_know_the_server() {
        let found = problems(&[("auth_x", &["mlx-gate-core"]), ("mlx-gate-core", &[])]);
        assert_eq!(found, ["crate auth_x: must not depend on mlx-gate-core: it may use mlx-gate-plugin"]);
    }

    #[test]
    fn a_library_has_one_owner_and_the_vocabulary_does_no_io() {
        let found = problems(&[("mlx-gate-engine", &["wasmtime"]), ("mlx-gate-core", &["tokio"])]);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("only the lifecycle runs WebAssembly"));
        assert!(found[1].contains("does no I/O"));
    }
}
