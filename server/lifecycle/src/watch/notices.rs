use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, WatcherKind};

use super::Signals;

/// What the operating system says of the folders in which followed files lie. Without it there is still the sweep.
pub(super) struct Notices {
    watcher: Option<RecommendedWatcher>,
    /// The folders watched. One that was replaced by another of its name has to be watched anew.
    folders: BTreeMap<PathBuf, Identity>,
    /// Folders that cannot be watched, each complained about once.
    refused: HashSet<PathBuf>,
}

type Identity = (u64, u64);

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct Happened {
    /// Entries something happened to, of those that matter.
    pub(super) touched: HashSet<PathBuf>,
    /// Events were lost: anything may have happened.
    pub(super) lost: bool,
}

/// What the system's events are held against.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// The entries that matter.
    pub(super) places: HashSet<PathBuf>,
    /// Entries that a program has written to and not closed since, with the time of the last write.
    pub(super) held: HashMap<PathBuf, Instant>,
    pub(super) happened: Happened,
}

impl Notices {
    /// Asks the operating system to say what happens.
    pub(super) fn new(signals: &Arc<Signals>) -> Self {
        // Only where the system also says that a file has been closed can it be known to be open.
        let closes = RecommendedWatcher::kind() == WatcherKind::Inotify;
        let signals = signals.clone();
        let watcher =
            notify::recommended_watcher(move |event| signals.tell(|attention| attention.take(event, closes)));
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(
                    "the operating system does not say when files change ({error}), so plugins and key files are looked at \
                     every few seconds instead"
                );
            })
            .ok();
        Self { watcher, folders: BTreeMap::new(), refused: HashSet::new() }
    }

    /// None at all.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { watcher: None, folders: BTreeMap::new(), refused: HashSet::new() }
    }

    /// Whether there are any.
    pub(super) fn come(&self) -> bool {
        self.watcher.is_some()
    }

    /// Watches the folders of these entries, and no others.
    pub(super) fn watch<'a>(&mut self, places: impl Iterator<Item = &'a PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeMap<PathBuf, Identity> = places
            .filter_map(|place| place.parent())
            .filter_map(|folder| Some((folder.to_owned(), identity(folder)?)))
            .collect();
        for (folder, _) in
            self.folders.iter().filter(|(folder, identity)| wanted.get(*folder) != Some(identity))
        {
            // It fails where the folder is gone, and the watch with it.
            let _ = watcher.unwatch(folder);
        }
        self.folders.retain(|folder, identity| wanted.get(folder) == Some(identity));
        for (folder, identity) in wanted {
            if self.folders.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.refused.remove(&folder);
                    self.folders.insert(folder, identity);
                }
                Err(error) => {
                    if self.refused.insert(folder.clone()) {
                        tracing::warn!(
                            "{} cannot be watched ({error}), so the plugin and key files in it are looked at every few \
                             seconds instead",
                            folder.display()
                        );
                    }
                }
            }
        }
    }
}

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Attention {
    /// Takes note of an event. Whether somebody should look.
    fn take(&mut self, event: notify::Result<Event>, closes: bool) -> bool {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            // Too many events at once, or an error: some are lost, the end of a write perhaps.
            _ => {
                self.held.clear();
                self.happened.lost = true;
                return true;
            }
        };
        let written = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)));
        let closed = matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)));
        // Our own reading is one of these.
        if matches!(event.kind, EventKind::Access(_)) && !closed {
            return false;
        }
        let mut matters = false;
        for path in event.paths {
            if !self.places.contains(&path) {
                continue;
            }
            matters = true;
            if written && closes {
                self.held.insert(path.clone(), Instant::now());
            } else if !matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_))) {
                self.held.remove(&path);
            }
            self.happened.touched.insert(path);
        }
        matters
    }
}
