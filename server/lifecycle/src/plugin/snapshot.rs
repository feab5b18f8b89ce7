//! A plugin is configured once. Its memory afterwards becomes part of a new component, from which every request's instance
//! is made: ten thousand keys then cost a request nothing.
//!
//! The work is `wasmtime-wizer`'s: it adds exports through which an instance's memory and globals can be read, and writes
//! what it finds back as the component's initial state.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{self, Component, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::code::{self, Inspected};
use super::{Description, alike};
use crate::call::{Instance, Pace};
use crate::guest::{Configuration, Guest};
use crate::host::{Bounds, Services, State};
use crate::runtime::{Runtime, Sandbox};
use crate::watch::Digest;
use crate::{Limits, Problem, answer};

/// A plugin's code: compiled and looked at, not configured. Every configuration starts from it, so it is kept as long as
/// a plugin of it is in force.
pub(crate) struct Code {
    /// Where its instances live.
    sandbox: Arc<Sandbox>,
    digest: Digest,
    bytes: Vec<u8>,
    component: Component,
    /// Whether `component` is the instrumented one, whose memory can be read.
    instrumented: bool,
    pub(super) inspected: Inspected,
    pub(super) description: Description,
}

impl Code {
    /// Compiles a component, instrumented if it can be, for the sandbox it fits, inspects it, and asks it what it is.
    pub(super) async fn compile(
        runtime: &Arc<Runtime>,
        bytes: Vec<u8>,
        digest: Digest,
        limits: &Limits,
    ) -> Result<Self, Problem> {
        let (runtime, memory) = (runtime.clone(), limits.memory);
        let (bytes, instrumented, compiled) = blocking(move || {
            let bytes = alike::with_globals_exported(&bytes).unwrap_or(bytes);
            let with_access = Wizer::new().instrument_component(&bytes).map(|(_, instrumented)| instrumented);
            let instrumented = with_access.is_ok();
            let compiled = runtime.compile(with_access.as_ref().unwrap_or(&bytes), memory);
            (bytes, instrumented, compiled)
        })
        .await?;
        let (sandbox, component) = compiled?;
        let inspected = code::inspect(&sandbox.engine, &component)?;
        let limits = Limits { memory: limits.memory.max(sandbox.usual_memory), ..limits.clone() };
        // Whom it is and what it is granted is not known yet, so there is nothing behind its imports.
        let state = state("?".into(), &Arc::new(Services::new()), &limits);
        let (mut instance, guest) = instantiate(&sandbox, &component, &inspected, state).await?;
        let info = guest.describe(&mut instance).await;
        let info = info.map_err(|failure| Problem::Call { function: "describe", failure })?;
        let description = Description::new(info)?;
        Ok(Self { sandbox, digest, bytes, component, instrumented, inspected, description })
    }

    /// Where its instances live.
    pub(super) fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// Its limits: one that needs room has memory to match, unless somebody has written down how much it may have.
    pub(super) fn limits(&self, usual: &Limits, memory: Option<usize>) -> Limits {
        let memory = memory.unwrap_or(usual.memory.max(self.sandbox.usual_memory));
        Limits { memory, ..usual.clone() }
    }

    /// SHA-256 of the component as it was read.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The interfaces it imports.
    pub(super) fn imports(&self) -> Vec<String> {
        let ty = self.component.component_type();
        ty.imports(&self.sandbox.engine).map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether its memory can be captured once it is configured.
    pub(super) fn can_be_captured(&self) -> bool {
        self.instrumented
    }

    /// The version of the interface it was built for.
    pub(crate) fn interface(&self) -> &'static str {
        self.inspected.version.as_str()
    }

    /// Configures the plugin. Returns what instances are made from, and its size in bytes where it holds the configuration:
    /// where the memory cannot be captured, every instance has to be configured anew.
    pub(super) async fn configure(
        &self,
        configuration: &Configuration,
        limits: &Limits,
        services: &Arc<Services>,
    ) -> Result<(Component, Option<usize>), Problem> {
        let name: Arc<str> = self.description.name.as_str().into();
        let state = state(name.clone(), services, limits);
        let (mut instance, guest) =
            instantiate(&self.sandbox, &self.component, &self.inspected, state).await?;
        guest
            .configure(&mut instance, configuration)
            .await
            .map_err(|failure| Problem::Call { function: "configure", failure })?
            .map_err(|message| Problem::Refused {
                message: answer::text(&message),
                files: configuration.files.iter().map(|file| file.path.clone().into()).collect(),
            })?;
        if !self.instrumented {
            return Ok((self.component.clone(), None));
        }
        let snapshot = capture(&self.bytes, &mut instance).await?;
        let size = snapshot.len();
        let engine = self.sandbox.engine.clone();
        let component = blocking(move || Component::from_binary(&engine, &snapshot)).await??;
        Ok((component, Some(size)))
    }
}

fn state(name: Arc<str>, services: &Arc<Services>, limits: &Limits) -> State {
    let bounds = Bounds { time: limits.configure, memory: limits.memory, transfer: limits.transfer };
    State::new(name, services.clone(), bounds).while_configuring()
}

/// An instance that is not configured.
async fn instantiate(
    sandbox: &Sandbox,
    component: &Component,
    inspected: &Inspected,
    state: State,
) -> Result<(Instance, Guest), Problem> {
    let component = sandbox.linker(inspected.version, Pace::Yielding).instantiate_pre(component)?;
    let guest = Guest::new(inspected.version, &component, &inspected.phases)?;
    let instance = Instance::new(sandbox, &component, state, Pace::Yielding)
        .await
        .map_err(|failure| Problem::Call { function: "instantiation", failure })?;
    Ok((instance, guest))
}

async fn capture(bytes: &[u8], instance: &mut Instance) -> Result<Vec<u8>, Problem> {
    // Reading all of a memory counts as handing it over.
    instance.store.set_hostcall_fuel(usize::MAX);
    let wizer = Wizer::new();
    let (context, _) = wizer.instrument_component(bytes)?;
    let mut reader = Reader { store: &mut instance.store, instance: instance.inner };
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
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|failed| Problem::Invalid(failed.to_string()))
}
