use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// When a request has to have ended: at the server's limit, or when the caller's credential expires.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    limit: Duration,
    at: Instant,
    expires: Option<Instant>,
}

impl Deadline {
    pub(crate) fn new(started: Instant, limit: Duration) -> Self {
        Self { limit, at: started + limit, expires: None }
    }

    /// The same for a credential that holds until then, in Unix milliseconds.
    pub(crate) fn expiring(self, at_ms: Option<u64>) -> Self {
        let left = |at_ms| {
            let at = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms))?;
            // A clock that is put back later gives nobody more time: from here on the monotonic one counts.
            let left = at.duration_since(SystemTime::now()).unwrap_or_default();
            Instant::now().checked_add(left)
        };
        Self { expires: at_ms.and_then(left), ..self }
    }

    /// Whether there is time left.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let now = Instant::now();
        if self.expires.is_some_and(|expires| expires <= now) {
            Err(Error::CredentialExpired)
        } else if self.at <= now {
            Err(Error::TimedOut { limit: self.limit })
        } else {
            Ok(())
        }
    }

    /// Does something as long as there is time left.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        // Work that is always ready would never let a timer speak.
        self.check()?;
        let until = self.expires.map_or(self.at, |expires| expires.min(self.at));
        match timeout_at(until, work).await {
            Ok(done) => Ok(done),
            Err(_) => Err(self.check().err().unwrap_or(Error::TimedOut { limit: self.limit })),
        }
    }
}
