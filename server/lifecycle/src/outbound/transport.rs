use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
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

/// Certificates that are trusted besides those of the system, and the text they were read from.
#[derive(Default)]
pub(crate) struct Trusted {
    pem: Vec<u8>,
    certificates: Vec<Certificate>,
}

impl Trusted {
    /// Reads certificates in PEM (RFC 7468). The error says what is wrong.
    pub(crate) fn read(pem: Vec<u8>) -> Result<Self, String> {
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
        if certificates.is_empty() {
            return Err(
                "there is no certificate in it; it has to have `-----BEGIN CERTIFICATE-----`".to_owned()
            );
        }
        let trusted = Self { pem, certificates };
        // What is no certificate inside its base64 shows only here.
        client(Resolver::new(Arc::new(system), false), &trusted).map_err(|error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })?;
        Ok(trusted)
    }

    /// The text they were read from.
    pub(crate) fn pem(&self) -> &[u8] {
        &self.pem
    }
}

/// Connections of one plugin, which outlive its reloads. They are made when the first one is needed.
pub(crate) struct Transport {
    lookup: Lookup,
    trusted: Trusted,
    /// For names that must not stand for private addresses, and for those that may.
    public: OnceLock<Client>,
    private: OnceLock<Client>,
    turns: Semaphore,
    queue: Semaphore,
}

impl Transport {
    pub(crate) fn new(trusted: Trusted) -> Self {
        Self::with_lookup(Arc::new(system), trusted)
    }

    /// Whether connections are made on the word of these certificates.
    pub(crate) fn trusts(&self, trusted: &Trusted) -> bool {
        self.trusted.pem == trusted.pem
    }

    pub(super) fn with_lookup(lookup: Lookup, trusted: Trusted) -> Self {
        Self {
            lookup,
            trusted,
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
        let client = client(Resolver::new(self.lookup.clone(), private), &self.trusted)
            .map_err(|error| Error::Failed(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(cell.get_or_init(|| client))
    }
}

/// Leave to send a request.
pub(super) struct Turn<'a> {
    _turn: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

fn client(resolver: Resolver, trusted: &Trusted) -> reqwest::Result<Client> {
    Client::builder()
        .tls_certs_merge(trusted.certificates.iter().cloned())
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
