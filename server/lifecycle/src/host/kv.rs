//! `kv`: the plugin's own key-value space.

use super::State;
use crate::bindings::v0_1::mlx_gate::plugin::kv::{self as v0_1, Counted, Error, Host, Taken};
use crate::kv::{self, Bucket, Change, LONGEST_KEY, LONGEST_VALUE, Store};

impl Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let space = self.space("get")?;
        Ok(match fits(&key) {
            Ok(()) => space.get(&key).await.map_err(Error::from),
            Err(error) => Err(error),
        })
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let space = self.changing("put")?;
        if value.len() > LONGEST_VALUE {
            return Ok(Err(Error::TooLarge));
        }
        Ok(match fits(&key) {
            Ok(()) => space.put(&key, value, ttl_ms).await.map_err(Error::from),
            Err(error) => Err(error),
        })
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        let space = self.changing("delete")?;
        Ok(match fits(&key) {
            Ok(()) => space.delete(&key).await.map_err(Error::from),
            Err(error) => Err(error),
        })
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
        at_most: Option<i64>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<Counted, Error>> {
        let space = self.changing("increment")?;
        let change = Change { by, at_most, ttl_ms };
        let counted = match fits(&key) {
            Ok(()) => space.increment(&key, change).await.map(Counted::from).map_err(Error::from),
            Err(error) => Err(error),
        };
        if counted.as_ref().is_ok_and(|counted| counted.added) {
            self.has_counted(&key, change);
        }
        Ok(counted)
    }

    async fn take(
        &mut self,
        key: String,
        bucket: v0_1::Bucket,
        amount: u64,
    ) -> wasmtime::Result<Result<Taken, Error>> {
        // Amount 0 only looks.
        let space = if amount == 0 { self.space("take") } else { self.changing("take") }?;
        let bucket = sound(&bucket)?;
        let taken = match fits(&key) {
            Ok(()) => space.take(&key, bucket, amount).await.map(Taken::from).map_err(Error::from),
            Err(error) => Err(error),
        };
        if taken.as_ref().is_ok_and(|taken| taken.allowed) {
            self.has_drawn(&key, bucket, i64::try_from(amount).unwrap_or(i64::MAX));
        }
        Ok(taken)
    }

    async fn adjust(
        &mut self,
        key: String,
        bucket: v0_1::Bucket,
        amount: i64,
    ) -> wasmtime::Result<Result<Taken, Error>> {
        let space = self.changing("adjust")?;
        let bucket = sound(&bucket)?;
        let taken = match fits(&key) {
            Ok(()) => space.adjust(&key, bucket, amount).await.map(Taken::from).map_err(Error::from),
            Err(error) => Err(error),
        };
        if taken.is_ok() {
            self.has_drawn(&key, bucket, amount.saturating_neg());
        }
        Ok(taken)
    }
}

impl State {
    /// The space, for a call that changes it.
    fn changing(&mut self, function: &str) -> wasmtime::Result<&dyn Store> {
        self.has_acted = true;
        self.space(function)
    }

    fn space(&self, function: &str) -> wasmtime::Result<&dyn Store> {
        self.not_while_configuring("kv", function)?;
        if !self.services.grants().kv {
            wasmtime::bail!("`kv.{function}`, which is not granted");
        }
        Ok(&*self.services.kv)
    }
}

fn fits(key: &str) -> Result<(), Error> {
    if key.len() > LONGEST_KEY { Err(Error::TooLarge) } else { Ok(()) }
}

/// A bucket that cannot be is a mistake of the plugin, and letting it pass or refusing for good would both hide it.
fn sound(bucket: &v0_1::Bucket) -> wasmtime::Result<Bucket> {
    Bucket::new(bucket.capacity, bucket.refill_per_second).ok_or_else(|| {
        wasmtime::format_err!(
            "`kv` with a bucket of capacity {} and refill {}; both have to be above 0",
            bucket.capacity,
            bucket.refill_per_second
        )
    })
}

impl From<kv::Error> for Error {
    fn from(error: kv::Error) -> Self {
        match error {
            kv::Error::Quota => Self::Quota,
        }
    }
}

impl From<kv::Counted> for Counted {
    fn from(counted: kv::Counted) -> Self {
        Self { value: counted.value, added: counted.added }
    }
}

impl From<kv::Taken> for Taken {
    fn from(taken: kv::Taken) -> Self {
        Self {
            allowed: taken.allowed,
            remaining: taken.remaining,
            retry_after_ms: taken.retry_after_ms,
            full_after_ms: taken.full_after_ms,
        }
    }
}
