//! JSON Web Key Sets (RFC 7517) behind the host interface `jwks`: fetched when they are needed, one fetch at a time, kept
//! as long as their server says, refreshed before that is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, Url};
use tokio::sync::Notify;

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

/// The key sets of one plugin, by their URL. They outlive its reloads.
#[derive(Default)]
pub(crate) struct Jwks {
    sets: Mutex<HashMap<String, Arc<Shared>>>,
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
            loop {
                // Made before the look, so that a fetch which ends in between is noticed.
                let fetched = shared.fetched.notified();
                match shared.step(outbound, &wanted) {
                    Step::Serve { keys, .. } => return Ok(keys),
                    Step::Fail(reason) => return Err(Error::Failed(reason)),
                    Step::Fetch => fetched.await,
                }
            }
        };
        tokio::time::timeout(wanted.patience, answer).await.unwrap_or(Err(Error::Timeout))
    }

    fn shared(&self, url: &Url) -> Result<Arc<Shared>, Error> {
        let mut sets = lock(&self.sets);
        if let Some(shared) = sets.get(url.as_str()) {
            return Ok(shared.clone());
        }
        if sets.len() >= MOST_SETS {
            return Err(Error::Failed(format!("a plugin has at most {MOST_SETS} key sets")));
        }
        Ok(sets.entry(url.to_string()).or_default().clone())
    }
}

impl Shared {
    /// Decides what to do, and begins a fetch where one is needed and none is under way. It goes on if nobody waits for it
    /// any more: the next who asks will.
    fn step(self: &Arc<Self>, outbound: &Arc<Outbound>, wanted: &Wanted<'_>) -> Step {
        let mut entry = lock(&self.entry);
        let step = entry.step(wanted.kid, Instant::now());
        let needed = matches!(step, Step::Fetch | Step::Serve { refresh: true, .. });
        if needed && entry.begin_fetch() {
            let fetch =
                Fetch { shared: self.clone(), plugin: wanted.plugin.clone(), url: wanted.url.clone() };
            tokio::spawn(fetch.run(outbound.clone()));
        }
        step
    }
}

/// A fetch under way.
struct Fetch {
    shared: Arc<Shared>,
    plugin: Arc<str>,
    url: Url,
}

impl Fetch {
    async fn run(self, outbound: Arc<Outbound>) {
        let fetched = fetch(&outbound, self.url.clone()).await;
        if let Err(reason) = &fetched {
            let origin = Origin::of(&self.url).map(|origin| origin.to_string());
            tracing::warn!(plugin = &*self.plugin, origin, "a key set could not be fetched: {reason}");
        }
        lock(&self.shared.entry).fetched(fetched, Instant::now());
    }
}

/// Whatever ended the fetch, those who wait look again.
impl Drop for Fetch {
    fn drop(&mut self) {
        lock(&self.shared.entry).end_fetch(Instant::now());
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
