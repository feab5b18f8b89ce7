use std::time::{Duration, Instant};

use super::set::KeySet;

/// How long a set is used after its time while its server cannot be reached.
const STALE: Duration = Duration::from_hours(1);

/// After a failure the server is left alone for so long.
const REST: Duration = Duration::from_secs(10);

/// A key that is not in the set is looked for at its server at most so often: anybody can ask for one.
const SEARCH_EVERY: Duration = Duration::from_secs(30);

/// A set is refreshed when so much of its time is over.
const REFRESH_AT: f64 = 0.8;

/// What is known of one set. Time is handed in.
#[derive(Debug, Default)]
pub(super) struct Entry {
    held: Option<Held>,
    /// The last fetch, if it failed: when, and why.
    failed: Option<(Instant, String)>,
    /// When a key was last looked for that was not there.
    searched_at: Option<Instant>,
    fetching: bool,
}

#[derive(Debug)]
struct Held {
    set: KeySet,
    refresh_at: Instant,
    fresh_until: Instant,
}

/// What to do for somebody who asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Answer, and see to it that the set is refreshed meanwhile.
    Serve { keys: Vec<String>, refresh: bool },
    /// There is no answer, and asking the server again would be too early.
    Fail(String),
    /// Wait for a fetch, and ask again.
    Fetch,
    /// The same, for a key that the set there is does not have.
    Search,
}

impl Entry {
    pub(super) fn step(&mut self, kid: Option<&str>, now: Instant) -> Step {
        let failing = self.failed.as_ref().filter(|(at, _)| now < *at + REST).map(|(_, reason)| reason);
        let Some(held) = self.held.as_ref().filter(|held| now < held.fresh_until + STALE) else {
            return failing.map_or(Step::Fetch, |reason| Step::Fail(reason.clone()));
        };
        let keys = held.set.with_id(kid);
        if keys.is_empty() {
            // That the key does not exist is only known where its server could be asked.
            if let Some(reason) = failing {
                return Step::Fail(reason.clone());
            }
            if self.fetching {
                return Step::Search;
            }
            if self.searched_at.is_some_and(|at| now < at + SEARCH_EVERY) {
                return Step::Serve { keys, refresh: false };
            }
            self.searched_at = Some(now);
            return Step::Search;
        }
        let fresh = now < held.fresh_until;
        if fresh || failing.is_some() {
            return Step::Serve { keys, refresh: failing.is_none() && now >= held.refresh_at };
        }
        Step::Fetch
    }

    /// The keys of this name in the set there is, be it stale, if it has any.
    pub(super) fn held(&self, kid: Option<&str>, now: Instant) -> Option<Vec<String>> {
        let held = self.held.as_ref().filter(|held| now < held.fresh_until + STALE)?;
        Some(held.set.with_id(kid)).filter(|keys| !keys.is_empty())
    }

    /// Whether the caller is to fetch: nobody else does.
    pub(super) fn begin_fetch(&mut self) -> bool {
        !std::mem::replace(&mut self.fetching, true)
    }

    /// What was fetched, and for how long it holds. A failure leaves the set as it is.
    pub(super) fn fetched(&mut self, fetched: Result<(KeySet, Duration), String>, now: Instant) {
        self.fetching = false;
        match fetched {
            Ok((set, lifetime)) => {
                let held =
                    Held { set, refresh_at: now + lifetime.mul_f64(REFRESH_AT), fresh_until: now + lifetime };
                self.held = Some(held);
                self.failed = None;
            }
            Err(reason) => self.failed = Some((now, reason)),
        }
    }

    /// The fetch under way ended without a result.
    pub(super) fn cut_off(&mut self, now: Instant) {
        self.fetched(Err("the fetch was cut off".to_owned()), now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Entry, KeySet, Step};

    fn set(kid: &str) -> KeySet {
        KeySet::parse(format!(r#"{{"keys":[{{"kty":"EC","kid":"{kid}"}}]}}"#).as_bytes()).unwrap()
    }

    fn key(kid: &str) -> Vec<String> {
        set(kid).with_id(None)
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    /// An entry with key `a`, fetched at the start and good for 1000 s.
    fn held(start: Instant) -> Entry {
        let mut entry = Entry::default();
        assert_eq!(entry.step(None, start), Step::Fetch);
        assert!(entry.begin_fetch());
        assert!(!entry.begin_fetch(), "one at a time");
        entry.fetched(Ok((set("a"), Duration::from_secs(1000))), start);
        entry
    }

    fn fail(entry: &mut Entry, now: Instant) {
        assert!(entry.begin_fetch());
        entry.fetched(Err("refused".to_owned()), now);
    }

    #[test]
    fn a_set_is_served_and_refreshed_before_its_time_is_over() {
        let start = Instant::now();
        let mut entry = held(start);
        assert_eq!(entry.step(Some("a"), at(start, 799)), Step::Serve { keys: key("a"), refresh: false });
        assert_eq!(entry.step(None, at(start, 800)), Step::Serve { keys: key("a"), refresh: true });
        assert_eq!(entry.step(None, at(start, 1000)), Step::Fetch);
        assert_eq!(entry.held(Some("a"), at(start, 1000)), Some(key("a")));
        assert_eq!(entry.held(Some("b"), at(start, 1000)), None);
        assert_eq!(entry.held(Some("a"), at(start, 4600)), None);
        assert!(entry.begin_fetch());
        entry.fetched(Ok((set("b"), Duration::from_secs(1000))), at(start, 1000));
        assert_eq!(entry.step(None, at(start, 1001)), Step::Serve { keys: key("b"), refresh: false });
    }

    #[test]
    fn a_missing_key_is_looked_for_once_in_a_while() {
        let start = Instant::now();
        let mut entry = held(start);
        assert_eq!(entry.step(Some("b"), at(start, 1)), Step::Search);
        assert!(entry.begin_fetch());
        assert_eq!(entry.step(Some("c"), at(start, 2)), Step::Search, "it waits for the fetch under way");
        entry.fetched(Ok((set("a"), Duration::from_secs(1000))), at(start, 2));
        let nothing = Step::Serve { keys: Vec::new(), refresh: false };
        assert_eq!(entry.step(Some("b"), at(start, 2)), nothing);
        assert_eq!(entry.step(Some("c"), at(start, 30)), nothing);
        assert_eq!(entry.step(Some("c"), at(start, 31)), Step::Search);
        assert!(entry.begin_fetch());
        entry.fetched(Ok((set("c"), Duration::from_secs(1000))), at(start, 31));
        assert_eq!(entry.step(Some("c"), at(start, 31)), Step::Serve { keys: key("c"), refresh: false });
    }

    #[test]
    fn a_server_that_fails_is_left_alone_for_a_while() {
        let start = Instant::now();
        let mut entry = Entry::default();
        fail(&mut entry, start);
        assert_eq!(entry.step(None, at(start, 9)), Step::Fail("refused".to_owned()));
        assert_eq!(entry.step(None, at(start, 10)), Step::Fetch);
    }

    #[test]
    fn a_stale_set_is_served_while_its_server_fails_but_not_for_ever() {
        let start = Instant::now();
        let mut entry = held(start);
        assert_eq!(entry.step(None, at(start, 1500)), Step::Fetch);
        fail(&mut entry, at(start, 1500));
        let stale = Step::Serve { keys: key("a"), refresh: false };
        assert_eq!(entry.step(Some("a"), at(start, 1509)), stale);
        assert_eq!(entry.step(Some("b"), at(start, 1509)), Step::Fail("refused".to_owned()));
        assert_eq!(entry.step(Some("a"), at(start, 1510)), Step::Fetch);
        fail(&mut entry, at(start, 4599));
        assert_eq!(entry.step(Some("a"), at(start, 4599)), stale);
        assert_eq!(entry.step(Some("a"), at(start, 4600)), Step::Fail("refused".to_owned()));
    }

    #[test]
    fn a_fetch_that_is_cut_off_lets_the_next_one_begin() {
        let start = Instant::now();
        let mut entry = Entry::default();
        assert!(entry.begin_fetch());
        entry.cut_off(start);
        assert_eq!(entry.step(None, start), Step::Fail("the fetch was cut off".to_owned()));
        assert!(entry.begin_fetch());
    }
}
