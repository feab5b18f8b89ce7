//! JSON Web Key Sets (RFC 7517) behind the host interface `jwks`: fetched when they are needed, one fetch at a time, kept
//! as long as their server says, refreshed before that is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, Url};
use tokio::sync::{Notify, Semaphore};

use crate::grants::Origin;
use crate::outbound::{Error, LONGEST, Outbound, Request, Response};

mod entry;
mod set;

use entry::{Entry, Step};
use set::KeySet;

/// Sets of one plugin.
const MOST_SETS: usize = 16;

/// The longest set, in bytes.
const MOST_BODY: usize = 256 << 10;

/// Calls of one plugin that may wait for a set. Each holds an instance, which all plugins draw from one pool: a slow server
/// must not use that up.
const WAITING: usize = 128;

/// Besides these, calls that look for a key which a set does not have. Anybody can name such a key.
const SEARCHING: usize = 32;

/// The key sets of one plugin, by their URL. They outlive its reloads.
pub(crate) struct Jwks {
    sets: Mutex<Sets>,
    waiting: Semaphore,
    searching: Semaphore,
}

#[derive(Default)]
struct Sets {
    by_url: HashMap<String, Used>,
    /// Changes of the plugin so far.
    changes: u64,
}

struct Used {
    shared: Arc<Shared>,
    /// The changes there had been when it was asked for last.
    at: u64,
}

/// What a plugin asks for.
pub(crate) struct Wanted<'a> {
    /// Whose messages are logged.
    pub(crate) plugin: &'a Arc<str>,
    /// One that the plugin may reach.
    pub(crate) url: Url,
    pub(crate) kid: Option<&'a str>,
    /// How long it may wait.
    pub(crate) patience: Duration,
}

#[derive(Default)]
struct Shared {
    entry: Mutex<Entry>,
    /// A fetch has ended.
    fetched: Notify,
}

impl Jwks {
    /// The keys of a set as JSON, those with this `kid` if there is one.
    pub(crate) async fn keys(
        &self,
        outbound: &Arc<Outbound>,
        wanted: Wanted<'_>,
    ) -> Result<Vec<String>, Error> {
        let shared = self.shared(&wanted.url)?;
        let answer = async {
            let mut place = None;
            loop {
                // Made before the look, so that a fetch which ends in between is noticed.
                let fetched = shared.fetched.notified();
                let step = shared.step(outbound, &wanted);
                let (places, most) = match step {
                    Step::Serve { keys, .. } => return Ok(keys),
                    Step::Fail(reason) => return Err(Error::Failed(reason)),
                    Step::Fetch => (&self.waiting, WAITING),
                    Step::Search => (&self.searching, SEARCHING),
                };
                if place.is_none() {
                    let Ok(free) = places.try_acquire() else { return shared.without_waiting(&wanted, most) };
                    place = Some(free);
                }
                fetched.await;
            }
        };
        tokio::time::timeout(wanted.patience, answer).await.unwrap_or(Err(Error::Timeout))
    }

    /// Another plugin is in force, which may have other sets: those that it does not ask for make room.
    pub(crate) fn change(&self) {
        lock(&self.sets).changes += 1;
    }

    fn shared(&self, url: &Url) -> Result<Arc<Shared>, Error> {
        let sets = &mut *lock(&self.sets);
        if !sets.by_url.contains_key(url.as_str()) && sets.by_url.len() >= MOST_SETS {
            // Those in use stay: who is told when to ask again must not be forgotten because somebody else is asked.
            let idle = sets.by_url.iter().filter(|(_, used)| used.at < sets.changes);
            let oldest = idle.min_by_key(|(_, used)| used.at).map(|(url, _)| url.clone());
            let full = || Error::Failed(format!("a plugin has at most {MOST_SETS} key sets"));
            sets.by_url.remove(&oldest.ok_or_else(full)?);
        }
        let used = sets.by_url.entry(url.to_string());
        let used = used.or_insert_with(|| Used { shared: Arc::default(), at: 0 });
        used.at = sets.changes;
        Ok(used.shared.clone())
    }
}

impl Default for Jwks {
    fn default() -> Self {
        let (waiting, searching) = (Semaphore::new(WAITING), Semaphore::new(SEARCHING));
        Self { sets: Mutex::default(), waiting, searching }
    }
}

impl Shared {
    /// Decides what to do, and begins a fetch where one is needed and none is under way. It goes on if nobody waits for it
    /// any more: the next who asks will.
    fn step(self: &Arc<Self>, outbound: &Arc<Outbound>, wanted: &Wanted<'_>) -> Step {
        let mut entry = lock(&self.entry);
        let step = entry.step(wanted.kid, Instant::now());
        let needed = matches!(step, Step::Fetch | Step::Search | Step::Serve { refresh: true, .. });
        if needed && entry.begin_fetch() {
            let fetch = Fetch {
                shared: self.clone(),
                plugin: wanted.plugin.clone(),
                url: wanted.url.clone(),
                is_done: false,
            };
            tokio::spawn(fetch.run(outbound.clone()));
        }
        step
    }

    /// What can be said at once, where so many wait already: an old set is better than none.
    fn without_waiting(&self, wanted: &Wanted<'_>, most: usize) -> Result<Vec<String>, Error> {
        let held = lock(&self.entry).held(wanted.kid, Instant::now());
        held.ok_or_else(|| Error::Failed(format!("more than {most} calls wait for it already")))
    }
}

/// A fetch under way.
struct Fetch {
    shared: Arc<Shared>,
    plugin: Arc<str>,
    url: Url,
    /// What came of it has been written down. From then on another one may be under way.
    is_done: bool,
}

impl Fetch {
    async fn run(mut self, outbound: Arc<Outbound>) {
        let fetched = fetch(&outbound, self.url.clone()).await;
        if let Err(reason) = &fetched {
            let origin = Origin::of(&self.url).map(|origin| origin.to_string());
            tracing::warn!(plugin = &*self.plugin, origin, "a key set could not be fetched: {reason}");
        }
        lock(&self.shared.entry).fetched(fetched, Instant::now());
        self.is_done = true;
    }
}

/// Whatever ended the fetch, those who wait look again.
impl Drop for Fetch {
    fn drop(&mut self) {
        if !self.is_done {
            lock(&self.shared.entry).cut_off(Instant::now());
        }
        self.shared.fetched.notify_waiters();
    }
}

async fn fetch(outbound: &Outbound, url: Url) -> Result<(KeySet, Duration), String> {
    let request = Request {
        method: Method::GET,
        url,
        headers: [(reqwest::header::ACCEPT, reqwest::header::HeaderValue::from_static("application/json"))]
            .into_iter()
            .collect(),
        body: None,
        time: LONGEST,
        most_body: MOST_BODY,
        // A set comes from where the configuration says, and from nowhere else.
        follow: false,
    };
    let response = outbound.send(request).await.map_err(|error| match error {
        Error::NotGranted(reason) | Error::Failed(reason) => reason,
        Error::Timeout => format!("it took longer than {} s", LONGEST.as_secs()),
        Error::TooLarge => format!("it has more than {MOST_BODY} bytes"),
    })?;
    if response.status != 200 {
        return Err(format!("the answer has status {}", response.status));
    }
    let keys = KeySet::parse(&response.body)?;
    Ok((keys, set::lifetime(cache_control(&response))))
}

fn cache_control(response: &Response) -> Option<&str> {
    response.headers.iter().find(|(name, _)| name == "cache-control").map(|(_, value)| value.as_str())
}

/// A panic while an entry was locked left it as sound as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
