//! Turns for work that takes a core for long: so many at a time, and a bounded queue behind them.
//!
//! Whoever waits holds an instance, and all plugins draw theirs from one pool. Without a bound a few hundred guesses of
//! anybody's would hold all of it, and nobody else would get through the gate until they are done.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZero;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Password checks that wait for their turn, in the whole process: with the usual cost of a hash some seconds' work.
const WAITING: usize = 64;

/// Of these and of those at work, as many as one address may have: the other half is left to others.
const OF_ONE_ADDRESS: usize = WAITING / 2;

/// Turns of one kind of work.
pub(super) struct Turns {
    at_a_time: Arc<Semaphore>,
    places: Arc<Semaphore>,
    waiting: usize,
    of_one_address: usize,
    /// Those that have a place, by address. It has no more entries than there are places.
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// Leave to work, held for as long as the work takes.
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

/// Why there is no turn.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Busy {
    #[error("a password is not checked: {0} checks wait for their turn already")]
    Full(usize),
    #[error("a password is not checked: {0} checks from this address are under way already")]
    Address(usize),
    #[error("a password is not checked: its turn did not come in time")]
    Late,
}

impl Turns {
    /// Those of password checks, one for each core: more would only take turns, and a flood of guesses must not take every
    /// thread the server has.
    pub(super) fn of_passwords() -> &'static Self {
        static PASSWORDS: LazyLock<Turns> = LazyLock::new(|| {
            let cores = available_parallelism().map_or(1, NonZero::get);
            Turns::new(cores, WAITING, OF_ONE_ADDRESS)
        });
        &PASSWORDS
    }

    fn new(at_a_time: usize, waiting: usize, of_one_address: usize) -> Self {
        Self {
            at_a_time: Arc::new(Semaphore::new(at_a_time)),
            places: Arc::new(Semaphore::new(at_a_time + waiting)),
            waiting,
            of_one_address,
            addresses: Arc::default(),
        }
    }

    /// Waits for a turn, unless too many wait already.
    pub(super) async fn turn(&self, address: Option<IpAddr>) -> Result<Turn, Busy> {
        let full = || Busy::Full(self.waiting);
        let place = self.places.clone().try_acquire_owned().map_err(|_| full())?;
        let place = self.take_place(place, address)?;
        let turn = self.at_a_time.clone().acquire_owned().await.map_err(|_| full())?;
        Ok(Turn { _turn: turn, _place: place })
    }

    fn take_place(&self, place: OwnedSemaphorePermit, address: Option<IpAddr>) -> Result<Place, Busy> {
        // Whoever can make the address unknown must not have more places by that.
        let address = address.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), network);
        let mut addresses = lock(&self.addresses);
        let count = addresses.entry(address).or_default();
        if *count >= self.of_one_address {
            return Err(Busy::Address(self.of_one_address));
        }
        *count += 1;
        drop(addresses);
        Ok(Place { _permit: place, address, addresses: self.addresses.clone() })
    }
}

/// A place among those that wait or work.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// All whose address is not known have the same.
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = lock(&self.addresses);
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// What one client has at least: an IPv4 address, or an IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock(addresses: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    // A count is not left half done.
    addresses.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::{Busy, Turns};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn who_finds_too_many_waiting_is_told_at_once() {
        let turns = Turns::new(1, 2, 9);
        let working = turns.turn(None).await.expect("nobody is there");
        let mut first = Box::pin(turns.turn(None));
        let mut second = Box::pin(turns.turn(None));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert_eq!(turns.turn(None).await.err(), Some(Busy::Full(2)));
        drop(working);
        let working = first.await.expect("its turn has come");
        assert!((&mut second).now_or_never().is_none());
        let mut third = Box::pin(turns.turn(None));
        assert!((&mut third).now_or_never().is_none(), "a place is free again");
        // Who goes away leaves the queue.
        drop(second);
        drop(working);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn one_address_leaves_places_to_others() {
        let turns = Turns::new(4, 4, 2);
        let one = turns.turn(Some(address("192.0.2.1"))).await.expect("a turn");
        let _two = turns.turn(Some(address("::ffff:192.0.2.1"))).await.expect("a turn");
        assert_eq!(turns.turn(Some(address("192.0.2.1"))).await.err(), Some(Busy::Address(2)));
        let _other = turns.turn(Some(address("192.0.2.2"))).await.expect("a turn");
        drop(one);
        assert!(turns.turn(Some(address("192.0.2.1"))).await.is_ok());

        let turns = Turns::new(4, 4, 2);
        let _nobody = turns.turn(None).await.expect("a turn");
        let _another = turns.turn(None).await.expect("a turn");
        assert_eq!(turns.turn(None).await.err(), Some(Busy::Address(2)), "who hides has no more places");
        let turns = Turns::new(4, 4, 2);

        let _three = turns.turn(Some(address("2001:db8::1"))).await.expect("a turn");
        let turns = Turns::new(9, 0, 1);
        let one = turns.turn(Some(address("2001:db8::1"))).await.expect("a turn");
        assert_eq!(
            turns.turn(Some(address("2001:db8::ffff"))).await.err(),
            Some(Busy::Address(1)),
            "one /64"
        );
        drop(one);
        assert!(turns.addresses.lock().expect("sound").is_empty());
    }
}
