use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// Ticks without a call after which the thread goes to sleep.
const IDLE_TICKS: u32 = 1000;

/// Advances an engine's epoch while calls are running, which is what lets them be interrupted. An idle server does not
/// wake up a thousand times a second.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Default)]
struct State {
    running: AtomicUsize,
    asleep: AtomicBool,
}

/// A call is running until this is dropped.
pub(crate) struct Running(Arc<State>);

impl Ticker {
    /// The thread ends with the engine.
    pub(crate) fn start(engine: &Engine, period: Duration) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let (engine, shared) = (engine.weak(), state.clone());
        let handle = thread::Builder::new()
            .name("plugin-clock".to_owned())
            .spawn(move || tick(&engine, &shared, period))?;
        Ok(Self { state, thread: handle.thread().clone() })
    }

    pub(crate) fn running(&self) -> Running {
        self.state.running.fetch_add(1, SeqCst);
        // Either this sees that the thread sleeps, or the thread, which looks again after it has said so, sees the call.
        if self.state.asleep.load(SeqCst) {
            self.thread.unpark();
        }
        Running(self.state.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

fn tick(engine: &EngineWeak, state: &State, period: Duration) {
    let mut idle = 0;
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        idle = if state.running.load(SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            thread::sleep(period);
            continue;
        }
        state.asleep.store(true, SeqCst);
        if state.running.load(SeqCst) == 0 {
            thread::park();
        }
        state.asleep.store(false, SeqCst);
        idle = 0;
    }
}
