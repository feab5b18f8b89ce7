//! Watches files, and says which have changed once a change has settled.
//!
//! Content counts, not times: a file is news when its digest is another than that of what was loaded. A change has settled
//! when two looks some time apart see the same and, where the system can tell, no program is still writing. Whatever makes
//! a path lead elsewhere is a change too: a file renamed into place, an editor's write-and-rename, the symbolic links that
//! Kubernetes swaps, a folder that takes the place of another. The system's events only say when to look; a sweep every
//! few seconds finds what they miss, on network file systems for instance.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

mod file;
mod notices;
mod places;

pub(crate) use file::Digest;
use file::{Outcome, Watched};
use notices::{Attention, Happened, Notices};

/// How long things are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A change has settled when two looks this far apart see the same.
    pub(crate) settle: Duration,
    /// The same, where the system does not say when files change.
    pub(crate) settle_unseen: Duration,
    /// Between two looks at everything.
    pub(crate) sweep: Duration,
    /// A program that has a file open and does not write for this long is not waited for.
    pub(crate) writer: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(100),
            settle_unseen: Duration::from_secs(1),
            sweep: Duration::from_secs(3),
            writer: Duration::from_secs(10),
        }
    }
}

/// What has happened to the files of one group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// These hold other content than was loaded.
    Changed(Vec<PathBuf>),
    /// This one cannot be read. Said once.
    Trouble(PathBuf, String),
    /// This one could not be read, or held something else, and holds what was loaded again.
    Recovered(PathBuf),
}

/// Follows files from a thread of its own, in groups: all changes of one group that settle together are one report.
pub(crate) struct Watcher {
    signals: Arc<Signals>,
}

/// What the thread is told.
#[derive(Default)]
struct Signals {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    attention: Attention,
    /// Groups to follow from now on.
    follow: BTreeMap<usize, Vec<(PathBuf, Digest)>>,
    /// There is something to look at.
    look: bool,
    stop: bool,
}

impl Watcher {
    /// Starts the thread. It calls `report` with a group's number and what happened.
    pub(crate) fn start(pace: Pace, report: impl FnMut(usize, Report) + Send + 'static) -> io::Result<Self> {
        Self::start_with(pace, Notices::new, report)
    }

    fn start_with(
        pace: Pace,
        notices: impl FnOnce(&Arc<Signals>) -> Notices,
        report: impl FnMut(usize, Report) + Send + 'static,
    ) -> io::Result<Self> {
        let signals = Arc::new(Signals::default());
        let notices = notices(&signals);
        let shared = signals.clone();
        let settle = if notices.come() { pace.settle } else { pace.settle_unseen };
        let pace = Pace { settle, ..pace };
        thread::Builder::new().name("plugin-watch".to_owned()).spawn(move || {
            Thread { signals: shared, notices, pace, groups: BTreeMap::new(), report }.run();
        })?;
        Ok(Self { signals })
    }

    /// Follows these files in place of the group's former ones. Each comes with the digest of what was loaded from it, so
    /// that a change since then is not missed.
    pub(crate) fn follow(&self, group: usize, files: Vec<(PathBuf, Digest)>) {
        self.signals.with(|state| {
            state.follow.insert(group, files);
            state.look = true;
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.signals.with(|state| state.stop = true);
    }
}

impl Signals {
    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_one();
    }

    /// For the system's events.
    fn tell(&self, take: impl FnOnce(&mut Attention) -> bool) {
        self.with(|state| state.look |= take(&mut state.attention));
    }
}

struct Thread<R> {
    signals: Arc<Signals>,
    notices: Notices,
    pace: Pace,
    groups: BTreeMap<usize, Vec<Watched>>,
    report: R,
}

impl<R: FnMut(usize, Report)> Thread<R> {
    fn run(mut self) {
        let mut sweep = Instant::now() + self.pace.sweep;
        let mut next_look: Option<Instant> = None;
        // A file that is being written makes events all the time, and is not worth more looks than these.
        let mut earliest = Instant::now();
        while let Some(happened) = self.wait(earliest, next_look.map_or(sweep, |look| look.min(sweep))) {
            let now = Instant::now();
            earliest = now + self.pace.settle / 4;
            let sweeping = now >= sweep;
            if sweeping {
                sweep = now + self.pace.sweep;
            }
            self.find_places();
            let unsettled = self.look(now, sweeping, &happened);
            next_look = unsettled.then(|| now + self.pace.settle);
        }
    }

    /// Waits for something to happen or for the time, and takes in what it is told. `None` ends the thread.
    fn wait(&mut self, earliest: Instant, until: Instant) -> Option<Happened> {
        let Signals { state, woken } = &*self.signals;
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = woken.wait_timeout_while(state, left(until), |state| !state.look && !state.stop);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let waited = woken.wait_timeout_while(state, left(earliest), |state| !state.stop);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.stop {
            return None;
        }
        state.look = false;
        let follow = std::mem::take(&mut state.follow);
        let happened = std::mem::take(&mut state.attention.happened);
        drop(state);
        for (group, files) in follow {
            let files = files.into_iter().map(|(path, digest)| Watched::new(path, digest));
            self.groups.insert(group, files.collect());
        }
        Some(happened)
    }

    /// Has the system watch the folders where something can make a followed path lead elsewhere.
    fn find_places(&mut self) {
        self.groups.values_mut().flatten().for_each(Watched::find_places);
        let places = || self.groups.values().flatten().flat_map(|file| &file.places);
        self.notices.watch(places());
        let wanted = places().cloned().collect();
        let mut state = self.signals.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.attention.held.retain(|place, _| places().any(|wanted| wanted == place));
        state.attention.places = wanted;
    }

    /// Looks at every file. Whether one has to be looked at again soon.
    fn look(&mut self, now: Instant, sweeping: bool, happened: &Happened) -> bool {
        let held: BTreeSet<PathBuf> = {
            let state = self.signals.state.lock().unwrap_or_else(PoisonError::into_inner);
            let held = state.attention.held.iter();
            held.filter(|(_, written)| now < **written + self.pace.writer)
                .map(|(place, _)| place.clone())
                .collect()
        };
        let mut unsettled = false;
        for (group, files) in &mut self.groups {
            let mut changed = Vec::new();
            for file in files {
                let doubt =
                    happened.lost || file.passes(&happened.touched) || (sweeping && file.take_doubt());
                let is_held = file.places.iter().any(|place| held.contains(place));
                match file.look(now, self.pace.settle, doubt, is_held) {
                    Outcome::Same => {}
                    Outcome::Unsettled => unsettled = true,
                    Outcome::Changed => changed.push(file.path.clone()),
                    Outcome::Trouble(reason) => {
                        (self.report)(*group, Report::Trouble(file.path.clone(), reason));
                    }
                    Outcome::Recovered => (self.report)(*group, Report::Recovered(file.path.clone())),
                }
            }
            if !changed.is_empty() {
                (self.report)(*group, Report::Changed(changed));
            }
        }
        unsettled
    }
}

#[cfg(test)]
mod tests;
