use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Error;
use super::resolver::{Lookup, Resolver, system};

/// Requests of one plugin that are under way at a time, and those that wait for a turn. Each holds an instance of the
/// plugin, which all plugins draw from one pool: a slow server must not use that up.
const AT_A_TIME: usize = 64;
const WAITING: usize = 64;

const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_mins(1);
const MOST_HEADERS: usize = 64;

/// Connections of one plugin, which outlive its reloads. They are made when the first one is needed.
pub(crate) struct Transport {
    lookup: Lookup,
    /// For names that must not stand for private addresses, and for those that may.
    public: OnceLock<Client>,
    private: OnceLock<Client>,
    turns: Semaphore,
    queue: Semaphore,
}

impl Transport {
    pub(crate) fn new() -> Self {
        Self::with_lookup(Arc::new(system))
    }

    pub(super) fn with_lookup(lookup: Lookup) -> Self {
        Self {
            lookup,
            public: OnceLock::new(),
            private: OnceLock::new(),
            turns: Semaphore::new(AT_A_TIME),
            queue: Semaphore::new(AT_A_TIME + WAITING),
        }
    }

    /// Waits for a turn, unless too many wait already.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Error> {
        let busy = || Error::Failed(format!("more than {} requests at a time", AT_A_TIME + WAITING));
        let place = self.queue.try_acquire().map_err(|_| busy())?;
        let turn = self.turns.acquire().await.map_err(|_| busy())?;
        Ok(Turn { _turn: turn, _place: place })
    }

    pub(super) fn client(&self, private: bool) -> Result<&Client, Error> {
        let cell = if private { &self.private } else { &self.public };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = client(Resolver::new(self.lookup.clone(), private))
            .map_err(|error| Error::Failed(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(cell.get_or_init(|| client))
    }
}

/// Leave to send a request.
pub(super) struct Turn<'a> {
    _turn: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

fn client(resolver: Resolver) -> reqwest::Result<Client> {
    Client::builder()
        // A proxy of the environment would resolve names itself, past every check.
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        // One protocol, whose headers and frames are bounded in one way.
        .http1_only()
        .http1_max_headers(MOST_HEADERS)
        // What comes back is counted as it comes. A few bytes of gzip can be gigabytes.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(AT_A_TIME)
        .user_agent(concat!("mlx-gate/", env!("CARGO_PKG_VERSION")))
        .build()
}
