//! The interfaces whose functions may have to wait, for calls that cannot: made on the thread's own stack, a call has no way to
//! leave it. Most of these functions know their answer at once, a key set that was fetched before, or a counter in this
//! process. Where one does not, the call is given up and made again on a stack of its own.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance};

use super::State;
use crate::bindings::v0_1::mlx_gate::plugin::{http, jwks, kv, output};

/// Links them.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut interface = linker.instance("mlx-gate:plugin/kv@0.1.0")?;
    link_kv(&mut interface)?;
    let mut interface = linker.instance("mlx-gate:plugin/jwks@0.1.0")?;
    interface.func_wrap("keys", |store, (url, kid): (String, Option<String>)| {
        at_once(store, async |state| jwks::Host::keys(state, url, kid).await)
    })?;
    let mut interface = linker.instance("mlx-gate:plugin/http@0.1.0")?;
    interface.func_wrap("send", |store, (request,): (http::Request,)| {
        at_once(store, async |state| http::Host::send(state, request).await)
    })?;
    let mut interface = linker.instance("mlx-gate:plugin/output@0.1.0")?;
    interface.func_wrap("write", |store, (lines,): (Vec<String>,)| {
        at_once(store, async |state| output::Host::write(state, lines).await)
    })
}

/// What `increment` takes: key, addend, bound, time to live.
type Increment = (String, i64, Option<i64>, Option<u64>);

fn link_kv(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap("get", |store, (key,): (String,)| {
        at_once(store, async |state| kv::Host::get(state, key).await)
    })?;
    interface.func_wrap("put", |store, (key, value, ttl_ms): (String, Vec<u8>, Option<u64>)| {
        at_once(store, async |state| kv::Host::put(state, key, value, ttl_ms).await)
    })?;
    interface.func_wrap("delete", |store, (key,): (String,)| {
        at_once(store, async |state| kv::Host::delete(state, key).await)
    })?;
    interface.func_wrap("increment", |store, (key, by, at_most, ttl_ms): Increment| {
        at_once(store, async |state| kv::Host::increment(state, key, by, at_most, ttl_ms).await)
    })?;
    interface.func_wrap("take", |store, (key, bucket, amount): (String, kv::Bucket, u64)| {
        at_once(store, async |state| kv::Host::take(state, key, bucket, amount).await)
    })?;
    interface.func_wrap("adjust", |store, (key, bucket, amount): (String, kv::Bucket, i64)| {
        at_once(store, async |state| kv::Host::adjust(state, key, bucket, amount).await)
    })
}

/// An answer that is there already.
fn at_once<T>(
    mut store: StoreContextMut<'_, State>,
    ask: impl AsyncFnOnce(&mut State) -> wasmtime::Result<T>,
) -> wasmtime::Result<(T,)> {
    let state = store.data_mut();
    let answer = pin!(ask(state)).poll(&mut Context::from_waker(Waker::noop()));
    match answer {
        Poll::Ready(answer) => Ok((answer?,)),
        Poll::Pending => {
            store.data_mut().has_to_wait = true;
            wasmtime::bail!("the host has to wait for something, and the call cannot")
        }
    }
}
