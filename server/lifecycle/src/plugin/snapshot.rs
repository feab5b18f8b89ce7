//! A plugin is configured once. Its memory afterwards becomes part of a new component, from which every request's instance
//! is made: ten thousand keys then cost a request nothing.
//!
//! The work is `wasmtime-wizer`'s: it adds exports through which an instance's memory and globals can be read, and writes
//! what it finds back as the component's initial state.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{self, Component, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::code::{self, Inspected};
use super::{Description, alike};
use crate::call::{Instance, Pace};
use crate::guest::{Configuration, Guest};
use crate::host::{About, Bounds, Services, State};
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
        let (bytes, instrumented, compiled) = compiling(move || {
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
        // The plugin may have used up its own time, and what follows is the host's work.
        instance.begin(&self.sandbox, bounds(limits), About::default(), Pace::Yielding);
        let snapshot = capture(&self.bytes, &mut instance).await?;
        let size = snapshot.len();
        let engine = self.sandbox.engine.clone();
        let component = compiling(move || Component::from_binary(&engine, &snapshot)).await??;
        Ok((component, Some(size)))
    }
}

fn state(name: Arc<str>, services: &Arc<Services>, limits: &Limits) -> State {
    State::new(name, services.clone(), bounds(limits)).while_configuring()
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds { time: limits.configure, memory: limits.memory, transfer: limits.transfer }
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
    let mut reader = Reader {
        store: &mut instance.store,
        instance: instance.inner,
        failed: None,
        lengths: HashMap::new(),
    };
    let snapshot = wizer.snapshot_component(&context, &mut reader).await;
    match reader.failed {
        Some(error) => {
            let failure = instance.explain(&error);
            Err(Problem::Call { function: "capture of its memory", failure })
        }
        None => Ok(snapshot?),
    }
}

/// Reads an instrumented instance's state. The exports are `wasmtime-wizer`'s own and have the types it gave them.
struct Reader<'a> {
    store: &'a mut Store<State>,
    instance: component::Instance,
    /// Why what was read is worth nothing. The trait has no way to say so.
    failed: Option<wasmtime::Error>,
    /// Of each memory that was read, in bytes, by the function that reads it.
    lengths: HashMap<String, usize>,
}

impl Reader<'_> {
    /// `None` once something has failed.
    async fn read<R, T>(
        &mut self,
        instance: &str,
        function: &str,
        take: impl FnOnce(&Store<State>, R) -> T,
    ) -> Option<T>
    where
        R: Lift + Send + Sync + 'static,
    {
        if self.failed.is_some() {
            return None;
        }
        match self.call(instance, function).await {
            Ok(value) => Some(take(self.store, value)),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    async fn call<R>(&mut self, instance: &str, function: &str) -> wasmtime::Result<R>
    where
        R: Lift + Send + Sync + 'static,
    {
        let missing = || wasmtime::format_err!("there is no `{instance}.{function}` to read it by");
        let (_, interface) =
            self.instance.get_export(&mut *self.store, None, instance).ok_or_else(missing)?;
        let (_, function) =
            self.instance.get_export(&mut *self.store, Some(&interface), function).ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, function)?;
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }
}

impl ComponentInstanceState for Reader<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let mut contents = Some(contents);
        let length = self.read(instance, func, |store, list: WasmList<u8>| {
            let bytes = list.as_le_slice(store);
            if let Some(contents) = contents.take() {
                contents(bytes);
            }
            bytes.len()
        });
        if let Some(length) = length.await {
            self.lengths.insert(func.to_owned(), length);
        }
        // `wasmtime-wizer` looks at every memory twice, and counts on seeing it as long as it was.
        if let Some(contents) = contents {
            contents(&vec![0; self.lengths.get(func).copied().unwrap_or_default()]);
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func, |_, value| value).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func, |_, value| value).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read(instance, func, |_, value: f32| value.to_bits()).await.unwrap_or_default()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read(instance, func, |_, value: f64| value.to_bits()).await.unwrap_or_default()
    }
}

/// Compiles, on threads that end with it. What the allocator keeps for a thread, for its next allocations, it keeps as long as
/// the thread lives, and a compilation takes some 20 MB in small pieces.
async fn compiling<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let threads = || rayon::ThreadPoolBuilder::new().thread_name(|_| "plugin-compiler".to_owned()).build();
    blocking(move || match threads() {
        Ok(threads) => threads.install(work),
        Err(_) => work(),
    })
    .await
}

/// Compiling takes tens of milliseconds and more: off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|failed| Problem::Invalid(failed.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use wasmtime_wizer::Wizer;

    use super::capture;
    use crate::call::{Instance, Pace};
    use crate::guest::Version;
    use crate::host::{About, Bounds, Services, State};
    use crate::runtime::Runtime;

    const COMPONENT: &str = r#"(component (core module $m
        (memory (export "memory") 1) (global (export "g") (mut i32) (i32.const 7))
        (data (i32.const 16) "configured"))
        (core instance (instantiate $m)))"#;

    #[tokio::test]
    async fn a_capture_that_runs_out_of_time_is_an_error() {
        let bytes = wat::parse_str(COMPONENT).expect("valid text");
        let (_, instrumented) = Wizer::new().instrument_component(&bytes).expect("it can be captured");
        let runtime = Arc::new(Runtime::new(None).expect("a runtime"));
        let (sandbox, component) = runtime.compile(&instrumented, 1 << 20).expect("it compiles");
        let component = sandbox.linker(Version::V0_1, Pace::Yielding).instantiate_pre(&component);
        let component = component.expect("it imports nothing");
        let bounds = |time| Bounds { time, memory: 1 << 20, transfer: 1 << 20 };
        let state = State::new("p".into(), Arc::new(Services::new()), bounds(Duration::ZERO));
        let mut instance =
            Instance::new(&sandbox, &component, state, Pace::Yielding).await.expect("an instance");

        // The plugin's own time is over, which is not the host's.
        assert!(instance.store.data().overdue());
        instance.begin(&sandbox, bounds(Duration::from_mins(1)), About::default(), Pace::Yielding);
        let captured = capture(&bytes, &mut instance).await.expect("there is time");
        assert!(captured.windows(10).any(|bytes| bytes == b"configured"));

        // Once the clock has ticked, there is none. Where it ticks late there is no memory any more: each capture takes some.
        instance.begin(&sandbox, bounds(Duration::ZERO), About::default(), Pace::Yielding);
        let problem = loop {
            match capture(&bytes, &mut instance).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(problem) => break problem.to_string(),
            }
        };
        assert!(problem.starts_with("`capture of its memory` "), "{problem}");
    }
}
