//! A plugin is configured once. Its memory afterwards becomes part of a new component, from which every request's instance
//! is made: ten thousand keys then cost a request nothing.
//!
//! The work is `wasmtime-wizer`'s: it adds exports through which an instance's memory and globals can be read, and writes
//! what it finds back as the component's initial state.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{self, Component, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::Description;
use super::code::Inspected;
use crate::call::Instance;
use crate::guest::{Configuration, Guest};
use crate::host::{Bounds, State};
use crate::runtime::Runtime;
use crate::{Limits, Problem, answer};

/// A component on its way to being configured.
pub(super) struct Setup {
    runtime: Arc<Runtime>,
    bytes: Vec<u8>,
    component: Component,
    /// Whether `component` is the instrumented one, whose memory can be read.
    instrumented: bool,
}

impl Setup {
    /// Compiles the component, instrumented if it can be.
    pub(super) async fn compile(runtime: &Arc<Runtime>, bytes: Vec<u8>) -> Result<Self, Problem> {
        let engine = runtime.engine.clone();
        let (bytes, instrumented, component) = blocking(move || {
            let with_access = Wizer::new().instrument_component(&bytes).map(|(_, instrumented)| instrumented);
            let instrumented = with_access.is_ok();
            let component = match with_access {
                Ok(with_access) => Component::from_binary(&engine, &with_access),
                Err(_) => Component::from_binary(&engine, &bytes),
            };
            (bytes, instrumented, component)
        })
        .await?;
        Ok(Self { runtime: runtime.clone(), bytes, component: component?, instrumented })
    }

    pub(super) fn component(&self) -> &Component {
        &self.component
    }

    /// Asks the plugin what it is.
    pub(super) async fn describe(
        &self,
        inspected: &Inspected,
        limits: &Limits,
    ) -> Result<Description, Problem> {
        let (mut instance, guest) = self.instance("?".into(), inspected, limits).await?;
        let info = guest.describe(&mut instance).await;
        Description::new(info.map_err(|failure| Problem::Call { function: "describe", failure })?)
    }

    /// Configures the plugin. Returns what instances are made from, and whether it holds the configuration: where the
    /// memory cannot be captured, every instance has to be configured anew.
    pub(super) async fn configure(
        &self,
        name: &Arc<str>,
        inspected: &Inspected,
        configuration: &Configuration,
        limits: &Limits,
    ) -> Result<(Component, bool), Problem> {
        let (mut instance, guest) = self.instance(name.clone(), inspected, limits).await?;
        guest
            .configure(&mut instance, configuration)
            .await
            .map_err(|failure| Problem::Call { function: "configure", failure })?
            .map_err(|message| Problem::Refused {
                message: answer::text(&message),
                files: configuration.files.iter().map(|file| file.path.clone().into()).collect(),
            })?;
        if !self.instrumented {
            tracing::warn!(
                plugin = &**name,
                "the configured plugin cannot be captured, so every request configures it anew, which is slow"
            );
            return Ok((self.component.clone(), false));
        }
        let snapshot = capture(&self.bytes, &mut instance).await?;
        let engine = self.runtime.engine.clone();
        let component = blocking(move || Component::from_binary(&engine, &snapshot)).await??;
        Ok((component, true))
    }

    async fn instance(
        &self,
        name: Arc<str>,
        inspected: &Inspected,
        limits: &Limits,
    ) -> Result<(Instance, Guest), Problem> {
        let component = self.runtime.linker.instantiate_pre(&self.component)?;
        let guest = Guest::new(inspected.version, &component, &inspected.phases)?;
        let bounds = Bounds { time: limits.configure, memory: limits.memory, transfer: limits.transfer };
        let state = State::new(name, bounds).while_configuring();
        let instance = Instance::new(&self.runtime, &component, state)
            .await
            .map_err(|failure| Problem::Call { function: "instantiation", failure })?;
        Ok((instance, guest))
    }
}

async fn capture(bytes: &[u8], instance: &mut Instance) -> Result<Vec<u8>, Problem> {
    // Reading all of a memory counts as handing it over.
    instance.store.set_hostcall_fuel(usize::MAX);
    let wizer = Wizer::new();
    let (context, _) = wizer.instrument_component(bytes)?;
    let mut reader = Reader { store: &mut instance.store, instance: instance.instance };
    Ok(wizer.snapshot_component(&context, &mut reader).await?)
}

/// Reads an instrumented instance's state. The exports are `wasmtime-wizer`'s own and have the types it gave them.
struct Reader<'a> {
    store: &'a mut Store<State>,
    instance: component::Instance,
}

impl Reader<'_> {
    async fn read<R, T>(
        &mut self,
        instance: &str,
        function: &str,
        take: impl FnOnce(&Store<State>, R) -> T,
    ) -> T
    where
        R: Lift + Send + Sync + 'static,
    {
        const OURS: &str = "instrumentation added this function";
        let (_, interface) = self.instance.get_export(&mut *self.store, None, instance).expect(OURS);
        let (_, function) =
            self.instance.get_export(&mut *self.store, Some(&interface), function).expect(OURS);
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, function).expect(OURS);
        let (value,) = function.call_async(&mut *self.store, ()).await.expect("it only reads");
        take(self.store, value)
    }
}

impl ComponentInstanceState for Reader<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        self.read(instance, func, |store, list: WasmList<u8>| contents(list.as_le_slice(store))).await;
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func, |_, value| value).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func, |_, value| value).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read(instance, func, |_, value: f32| value.to_bits()).await
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read(instance, func, |_, value: f64| value.to_bits()).await
    }
}

/// Compiling takes tens of milliseconds and more: off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|failed| Problem::Invalid(failed.to_string()))
}
