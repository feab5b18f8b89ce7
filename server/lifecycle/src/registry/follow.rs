use std::sync::Arc;

use tokio::sync::mpsc;

use super::Registry;
use crate::watch::{Pace, Watcher};

/// Has the files of all plugins followed, for as long as the registry lives.
pub(super) fn start(registry: &Arc<Registry>) {
    if registry.slots.is_empty() {
        return;
    }
    let (sender, mut reports) = mpsc::unbounded_channel();
    let watcher = Watcher::start(Pace::default(), move |place, report| {
        // Nobody listens once the registry is gone, and soon the watcher is gone too.
        let _ = sender.send((place, report));
    });
    match watcher {
        Ok(watcher) => drop(registry.watcher.set(watcher)),
        Err(error) => {
            tracing::warn!("files of plugins are not followed, as there is no thread to do it: {error}");
            return;
        }
    }
    for (place, slot) in registry.slots.iter().enumerate() {
        registry.follow(place, slot, &[]);
    }
    let registry = Arc::downgrade(registry);
    tokio::spawn(async move {
        while let Some((place, report)) = reports.recv().await {
            let Some(registry) = registry.upgrade() else { break };
            registry.take(place, report).await;
        }
    });
}
