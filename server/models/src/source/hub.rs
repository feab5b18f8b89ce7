//! Models of the Hugging Face Hub, through its standard cache (`HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_ENDPOINT`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};
use hf_hub::{HFClientSync, HFError, split_id};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Error;

/// The files a server needs; what else a repository holds (other formats, pictures) stays where it is.
const WANTED: [&str; 3] = ["*.json", "*.jinja", "model*.safetensors"];
/// Files in subfolders: other variants of the same weights.
const UNWANTED: [&str; 1] = ["*/*"];

/// The folder of the model's files in the cache, downloaded if they are not there. Files that an interrupted download has
/// finished are not fetched again. With `HF_HUB_OFFLINE` set, or the network gone, what the cache holds has to do.
pub(super) fn snapshot(id: &str, revision: Option<&str>) -> Result<PathBuf, Error> {
    let failed = |problem: String| Error::Hub {
        id: revision.map_or_else(|| id.to_owned(), |revision| format!("{id}@{revision}")),
        problem,
    };
    let client = HFClientSync::new().map_err(|error| failed(error.to_string()))?;
    if offline() {
        return cached(&client, id, revision)
            .map_err(|_| failed("HF_HUB_OFFLINE is set and the cache does not hold this model".into()));
    }
    let (owner, name) = split_id(id);
    let download = |wanted: Vec<String>, unwanted: &[&str]| {
        client
            .model(owner, name)
            .snapshot_download()
            .maybe_revision(revision.map(str::to_owned))
            .allow_patterns(wanted)
            .ignore_patterns(unwanted.iter().map(ToString::to_string).collect::<Vec<_>>())
            .progress(Bar::new(id))
            .send()
    };
    let result =
        download(WANTED.map(str::to_owned).to_vec(), &UNWANTED).and_then(|folder| match modules(&folder) {
            modules if modules.is_empty() => Ok(folder),
            modules => download(modules, &[]),
        });
    match result {
        Ok(folder) => Ok(folder),
        Err(error @ HFError::Request { .. }) => match cached(&client, id, revision) {
            Ok(folder) => {
                tracing::warn!(model = id, %error, "the Hugging Face Hub cannot be reached; using the cached copy");
                Ok(folder)
            }
            Err(_) => Err(failed(format!(
                "neither a folder of that name nor in the cache, and the Hugging Face Hub cannot be reached: {error}"
            ))),
        },
        Err(error) => Err(failed(explain(&error, revision))),
    }
}

/// The files of sentence-transformers' modules, which lie in folders of their own. What `modules.json` says wrong is found
/// by whoever reads the model.
fn modules(folder: &Path) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Module {
        path: String,
    }
    let modules: Vec<Module> = std::fs::read(folder.join("modules.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let folders = modules.into_iter().map(|module| module.path).filter(|path| !path.is_empty());
    folders
        .flat_map(|path| ["config.json", "model.safetensors"].map(|file| format!("{path}/{file}")))
        .collect()
}

fn cached(client: &HFClientSync, id: &str, revision: Option<&str>) -> Result<PathBuf, HFError> {
    let (owner, name) = split_id(id);
    client
        .model(owner, name)
        .snapshot_download()
        .maybe_revision(revision.map(str::to_owned))
        .local_files_only(true)
        .send()
}

fn explain(error: &HFError, wanted: Option<&str>) -> String {
    match (error, wanted) {
        // Nobody asked for a revision: the hub answers 404 for both, and the model is what is missing.
        (HFError::RepoNotFound { .. }, _) | (HFError::RevisionNotFound { .. }, None) => {
            "neither a folder of that name nor a model on the Hugging Face Hub; check the name, and set HF_TOKEN if it is private"
                .into()
        }
        (HFError::AuthRequired { .. } | HFError::Forbidden { .. }, _) => {
            "the Hugging Face Hub does not let you read this model; accept its licence there and set HF_TOKEN".into()
        }
        (HFError::RevisionNotFound { .. }, Some(revision)) => format!("the model has no revision `{revision}`"),
        (other, _) => other.to_string(),
    }
}

/// Reads `HF_HUB_OFFLINE` the way huggingface_hub does.
fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE")
        .is_ok_and(|value| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// One bar for all files of a download, on standard error, and nothing where that is not a terminal.
struct Bar {
    id: String,
    progress: ProgressBar,
    files: Mutex<BTreeMap<String, u64>>,
    /// hf-hub announces the whole and then each file of it.
    started: Once,
}

impl Bar {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            progress: ProgressBar::hidden(),
            files: Mutex::default(),
            started: Once::new(),
        }
    }

    fn start(&self, files: usize, bytes: u64) {
        tracing::info!(model = self.id, files, bytes, "downloading");
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            self.progress.set_style(style);
        }
        self.progress.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        self.progress.set_message(self.id.clone());
        self.progress.set_length(bytes);
    }
}

impl ProgressHandler for Bar {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Download(event) = event else { return };
        match event {
            DownloadEvent::Start { total_files: 0, .. } => {}
            DownloadEvent::Start { total_files, total_bytes } => {
                self.started.call_once(|| self.start(*total_files, *total_bytes));
            }
            DownloadEvent::Progress { files } => {
                let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                known.extend(files.iter().map(|file| (file.filename.clone(), file.bytes_completed)));
                self.progress.set_position(known.values().sum());
            }
            DownloadEvent::AggregateProgress { bytes_completed, .. } => {
                self.progress.set_position(*bytes_completed);
            }
            DownloadEvent::Complete => self.progress.finish_and_clear(),
        }
    }
}
