use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address::Reach;

/// Finds a name's addresses. May block.
pub(super) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// Look-ups of one plugin at a time. A name server that does not answer holds a thread for each.
const AT_A_TIME: usize = 8;

/// Resolves names to addresses that may be connected to, and to nothing else. The connection is made to what was checked
/// here, so a name server that changes its mind in between gains nothing.
pub(super) struct Resolver {
    lookup: Lookup,
    private: bool,
    turns: Arc<Semaphore>,
}

/// A name has no address that its grant covers.
#[derive(Debug)]
pub(super) struct OutOfReach {
    pub(super) private: bool,
}

impl fmt::Display for OutOfReach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no address that may be connected to")
    }
}

impl std::error::Error for OutOfReach {}

/// The operating system's resolver.
pub(super) fn system(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

impl Resolver {
    pub(super) fn new(lookup: Lookup, private: bool) -> Self {
        Self { lookup, private, turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, private, turns) = (self.lookup.clone(), self.private, self.turns.clone());
        Box::pin(async move {
            // The turn ends with the look-up, even if nobody waits for it any more.
            let turn = turns.acquire_owned().await?;
            let found = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                lookup(name.as_str())
            });
            let addresses = within_reach(found.await??, private)?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

fn within_reach(mut addresses: Vec<IpAddr>, private: bool) -> Result<Vec<IpAddr>, OutOfReach> {
    let furthest = if private { Reach::Private } else { Reach::Public };
    let is_private = addresses.iter().any(|address| Reach::of(*address) == Reach::Private);
    addresses.retain(|address| Reach::of(*address) <= furthest);
    if addresses.is_empty() { Err(OutOfReach { private: is_private }) } else { Ok(addresses) }
}
