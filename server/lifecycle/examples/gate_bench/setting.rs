//! The plugins and their files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlx_gate_core::Secret;
use mlx_gate_lifecycle::static_keys::{self, KeyEntry};
use mlx_gate_lifecycle::{Config, Gate};
use tempfile::TempDir;

use crate::Result;

/// Keys in the file of `auth_static_keys`.
const KEYS: usize = 10_000;

/// Ordinary rules of each kind. All callers of the benchmark have the role `member`.
const POLICY: &str = r#"
[[allow]]
models = ["*-4b", "*-8b"]
max-output-tokens = 1000

[[allow]]
roles = ["member"]
endpoints = ["chat", "completion", "models"]

[[deny]]
models = ["*-preview"]
reason = "this model is not released yet"
"#;

const TAGS: &str = r#"
[[tag]]
tenants = ["tenant-1*"]
priority = "high"

[[tag]]
labels = { team = "{tenant}" }
"#;

/// What separates requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    Fresh,
    Reuse,
}

/// Files in a folder of their own, which goes with the last clone of this.
#[derive(Clone)]
pub(crate) struct Setting {
    plugins: PathBuf,
    folder: Arc<TempDir>,
    pub(crate) keys: Arc<[Secret]>,
}

impl Setting {
    pub(crate) fn make(plugins: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("policy.toml"), POLICY)?;
        std::fs::write(folder.path().join("tags.toml"), TAGS)?;
        let keys = write_keys(&folder.path().join("keys.toml"))?;
        Ok(Self { plugins: plugins.to_owned(), folder: Arc::new(folder), keys })
    }

    /// A file of the benchmark's.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A plugin as `--plugin` names it.
    pub(crate) fn plugin(&self, name: &str, isolation: Isolation, options: &[(&str, &str)]) -> String {
        let isolation = match isolation {
            Isolation::Fresh => "fresh",
            Isolation::Reuse => "reuse",
        };
        let code = self.plugins.join(format!("{name}.wasm"));
        let options = options.iter().map(|(name, value)| format!(",{name}={value}"));
        format!("{},host.isolation={isolation}{}", code.display(), options.collect::<String>())
    }

    pub(crate) fn static_keys(&self, isolation: Isolation, caches: bool) -> String {
        let file = self.file("keys.toml").display().to_string();
        let caches = caches.to_string();
        self.plugin("auth_static_keys", isolation, &[("file", &file), ("host.cache", &caches)])
    }

    /// One plugin for each phase. Where the gate does not remember callers, the authenticator is asked every time.
    pub(crate) fn chain(&self, isolation: Isolation, remembers: bool) -> Vec<String> {
        let file = |name: &str| self.file(name).display().to_string();
        let plenty = "1000000000000";
        vec![
            self.static_keys(isolation, remembers),
            self.plugin("authz_policy", isolation, &[("file", &file("policy.toml"))]),
            self.plugin(
                "rate_limit",
                isolation,
                &[("requests-per-minute", plenty), ("tokens-per-minute", plenty), ("grant.kv", "true")],
            ),
            self.plugin("tenant_tags", isolation, &[("file", &file("tags.toml"))]),
            self.plugin("access_log", isolation, &[("file", &file("access.jsonl"))]),
        ]
    }

    /// Loads plugins into this process.
    pub(crate) async fn gate(specs: &[String]) -> Result<Gate> {
        let plugins = specs.iter().map(|spec| spec.parse()).collect::<std::result::Result<_, _>>()?;
        Ok(Gate::load(&Config { plugins, ..Config::default() }, &[]).await?)
    }
}

fn write_keys(file: &Path) -> Result<Arc<[Secret]>> {
    let keys: Option<Vec<_>> = (0..KEYS).map(|_| static_keys::generate()).collect();
    let keys = keys.ok_or("no randomness")?;
    let entries = keys.iter().enumerate().map(|(number, key)| {
        let entry = KeyEntry {
            name: format!("user-{number}"),
            hash: static_keys::hash(key),
            tenant: Some(format!("tenant-{}", number % 100)),
            roles: vec!["member".to_owned()],
            scopes: vec!["chat".to_owned(), "models".to_owned()],
            expires: None,
        };
        entry.to_toml()
    });
    std::fs::write(file, entries.collect::<String>())?;
    Ok(keys.into())
}
