//! What an authenticator decided is remembered for as long as it said, so that a password hash or a signature is paid for
//! once and not on every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use mlx_gate_core::{Principal, Secret};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// What the principals of one plugin may take, in bytes: some 30,000 usual ones.
const CAPACITY: u64 = 16 << 20;

/// About what a usual entry takes, in bytes.
const USUAL: usize = 512;

/// The longest an answer is reused, whatever the plugin says.
const LONGEST: Duration = Duration::from_hours(24);

/// The callers one plugin vouched for. It ends with the plugin: what a new version or configuration would say is not
/// known.
pub(crate) struct Decisions {
    /// Drawn for this cache and never shown, so that a key says nothing about the credentials it stands for.
    secret: hmac::Key,
    entries: Cache<Key, Decision, BySize>,
    /// While the plugin is not in force.
    is_closed: AtomicBool,
}

/// HMAC-SHA256 of what a plugin sees of a request's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

#[derive(Clone)]
struct Decision {
    principal: Arc<Principal>,
    until: Instant,
    bytes: u32,
}

#[derive(Clone)]
struct BySize;

impl Weighter<Key, Decision> for BySize {
    fn weight(&self, _: &Key, decision: &Decision) -> u64 {
        decision.bytes.into()
    }
}

impl Decisions {
    /// `None` where the system has no randomness: then nothing is remembered.
    pub(crate) fn new() -> Option<Self> {
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let entries = Cache::with_weighter(CAPACITY as usize / USUAL, CAPACITY, BySize);
        Some(Self { secret, entries, is_closed: AtomicBool::new(false) })
    }

    /// The plugin comes into force, for the first time or once more.
    pub(crate) fn open(&self) {
        self.is_closed.store(false, SeqCst);
    }

    /// The plugin is not in force any more. Should it come back, what it said before is forgotten.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, SeqCst);
        self.entries.clear();
    }

    /// Stands for the headers of a request that the plugin sees: its credentials, and the others it has asked for, by which it
    /// may decide as well. A request without any credentials has no key: what a plugin says of it does not hold for others that
    /// have none either.
    pub(crate) fn key<'a>(
        &self,
        credentials: impl Iterator<Item = (&'a str, &'a Secret)>,
        headers: impl Iterator<Item = (&'a str, &'a Secret)>,
    ) -> Option<Key> {
        let mut context = hmac::Context::with_key(&self.secret);
        let mut is_empty = true;
        let credentials = credentials.inspect(|_| is_empty = false);
        for (name, value) in credentials.chain(headers) {
            for part in [name.as_bytes(), value.expose().as_bytes()] {
                // With their lengths, no two lists are written the same.
                context.update(&(part.len() as u64).to_le_bytes());
                context.update(part);
            }
        }
        if is_empty {
            return None;
        }
        context.sign().as_ref().try_into().map(Key).ok()
    }

    /// The caller these credentials stand for, if that was decided and still holds.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Principal>> {
        let decision = self.entries.get(key)?;
        if decision.until <= Instant::now() || has_expired(&decision.principal) {
            self.entries.remove(key);
            return None;
        }
        Some(decision.principal)
    }

    /// Remembers a caller, never past the end of what vouches for it.
    pub(crate) fn insert(&self, key: Key, principal: &Arc<Principal>, hold: Duration) {
        if !hold.is_zero() && !has_expired(principal) {
            let (principal, bytes) = (principal.clone(), size(principal));
            let until = Instant::now() + hold.min(LONGEST);
            self.entries.insert(key, Decision { principal, until, bytes });
            // Looked at afterwards, so that nothing comes in behind the back of whoever clears.
            if self.is_closed.load(SeqCst) {
                self.entries.remove(&key);
            }
        }
    }
}

/// By the clock on the wall, as the principal's own end is.
fn has_expired(principal: &Principal) -> bool {
    principal.expires_at_ms.is_some_and(|end| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u128::from(end) <= now.as_millis()
    })
}

/// About what an entry takes, in bytes.
fn size(principal: &Principal) -> u32 {
    const STRING: usize = size_of::<String>();
    let strings = |strings: &[String]| strings.iter().map(|text| STRING + text.len()).sum::<usize>();
    let claims: usize =
        principal.claims.iter().map(|(name, value)| 2 * STRING + name.len() + value.len()).sum();
    let fixed = size_of::<Key>() + size_of::<Decision>() + size_of::<Principal>();
    let texts = principal.subject.len()
        + principal.tenant.as_ref().map_or(0, String::len)
        + principal.authenticated_by.len();
    let all = fixed + texts + strings(&principal.roles) + strings(&principal.scopes) + claims;
    u32::try_from(all).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use mlx_gate_core::{Principal, Secret};

    use super::{CAPACITY, Decisions, Key, size};

    fn key(decisions: &Decisions, credentials: &[(&str, &str)]) -> Option<Key> {
        let credentials: Vec<_> =
            credentials.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
        decisions.key(credentials.iter().map(|(name, value)| (*name, value)), std::iter::empty())
    }

    fn principal(subject: &str, expires_at_ms: Option<u64>) -> Arc<Principal> {
        Arc::new(Principal { subject: subject.to_owned(), expires_at_ms, ..Principal::default() })
    }

    #[test]
    fn keys_tell_credentials_apart() {
        let decisions = Decisions::new().expect("randomness");
        let lists: [&[(&str, &str)]; 6] = [
            &[("a", "bc")],
            &[("ab", "c")],
            &[("a", "b"), ("c", "")],
            &[("a", "b")],
            &[("a", ""), ("b", "")],
            &[("a", "bC")],
        ];
        let keys: Vec<_> = lists.iter().map(|list| key(&decisions, list).expect("a key")).collect();
        for (place, one) in keys.iter().enumerate() {
            assert_eq!(Some(*one), key(&decisions, lists[place]));
            assert!(keys[..place].iter().all(|other| other != one), "{:?}", lists[place]);
        }
        assert_eq!(key(&decisions, &[]), None);

        let secret = Secret::new("v");
        let with = |header: Option<&'static str>| {
            let headers = header.map(|name| (name, &secret));
            decisions.key(std::iter::once(("a", &secret)), headers.into_iter())
        };
        assert_ne!(with(Some("x-org")), with(Some("x-team")));
        assert_ne!(with(Some("x-org")), with(None));
        assert_eq!(with(Some("x-org")), with(Some("x-org")));
        let bare = decisions.key(std::iter::empty(), std::iter::once(("x-org", &secret)));
        assert_eq!(bare, None, "nobody has shown a credential");

        let other = Decisions::new().expect("randomness");
        assert_ne!(key(&other, lists[0]), Some(keys[0]), "each cache has a secret of its own");
    }

    #[test]
    fn an_answer_holds_as_long_as_all_say() {
        const LONG: Duration = Duration::from_mins(1);
        let decisions = Decisions::new().expect("randomness");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        for (name, expires_at_ms, hold, holds) in [
            ("for ever", None, Duration::MAX, true),
            ("a while", Some(now + 60_000), LONG, true),
            ("not at all", None, Duration::ZERO, false),
            ("expired", Some(now - 1), LONG, false),
        ] {
            let key = key(&decisions, &[("authorization", name)]).expect("a key");
            let principal = principal(name, expires_at_ms);
            decisions.insert(key, &principal, hold);
            let found = decisions.get(&key);
            assert_eq!(found.is_some(), holds, "{name}");
            assert!(found.is_none_or(|found| Arc::ptr_eq(&found, &principal)), "{name}");
        }

        // What ends later is found to have ended when it is asked for.
        for (name, expires_at_ms, hold) in
            [("held briefly", None, Duration::from_nanos(1)), ("expires at once", Some(now + 50), LONG)]
        {
            let key = key(&decisions, &[("authorization", name)]).expect("a key");
            decisions.insert(key, &principal(name, expires_at_ms), hold);
            while decisions.get(&key).is_some() {
                std::thread::yield_now();
            }
        }
        assert_eq!(decisions.entries.len(), 2);
    }

    #[test]
    fn what_was_said_is_forgotten_when_the_plugin_leaves() {
        const LONG: Duration = Duration::from_mins(1);
        let decisions = Decisions::new().expect("randomness");
        let key = key(&decisions, &[("authorization", "a")]).expect("a key");
        decisions.insert(key, &principal("anna", None), LONG);
        assert!(decisions.get(&key).is_some());
        decisions.close();
        assert!(decisions.get(&key).is_none());
        // A request that began before.
        decisions.insert(key, &principal("anna", None), LONG);
        assert!(decisions.get(&key).is_none());
        decisions.open();
        assert!(decisions.get(&key).is_none());
        decisions.insert(key, &principal("anna", None), LONG);
        assert!(decisions.get(&key).is_some());
    }

    #[test]
    fn it_is_bounded_by_what_it_holds() {
        let decisions = Decisions::new().expect("randomness");
        let large = Arc::new(Principal { subject: "x".repeat(100_000), ..Principal::default() });
        for number in 0..1000 {
            let key = key(&decisions, &[("authorization", &number.to_string())]).expect("a key");
            decisions.insert(key, &large, Duration::from_mins(1));
        }
        assert!(decisions.entries.weight() <= CAPACITY);
        assert!(decisions.entries.len() as u64 <= CAPACITY / u64::from(size(&large)));
        assert!(!decisions.entries.is_empty());
    }
}
