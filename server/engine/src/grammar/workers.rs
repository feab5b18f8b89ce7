use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// The most threads that look ahead in grammars. A step of a batch takes milliseconds and a look ahead tens of
/// microseconds, so a few of them serve any batch.
const MOST_THREADS: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads beside the device, started when they are first needed. They end when the last handle is dropped.
#[derive(Clone, Default)]
pub(crate) struct Workers(Arc<OnceLock<Sender<Work>>>);

impl Workers {
    /// Has a thread do this; at once on this one where none can be started.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let queue = self.0.get_or_init(start);
        if let Err(refused) = queue.send(Box::new(work)) {
            (refused.0)();
        }
    }
}

fn start() -> Sender<Work> {
    let (queue, received) = channel();
    let received = Arc::new(Mutex::new(received));
    let threads = thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, MOST_THREADS));
    for number in 0..threads {
        let received = Arc::clone(&received);
        let started =
            thread::Builder::new().name(format!("grammar-{number}")).spawn(move || serve(&received));
        if let Err(error) = started {
            tracing::error!(%error, "a thread for grammars did not start");
        }
    }
    queue
}

fn serve(received: &Mutex<Receiver<Work>>) {
    loop {
        let next = received.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        // Whoever waits for this work finds out by what it drops.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}
