//! The thread that owns the device: it makes the decoders, drives the scheduler, and drops both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use mlx_gate_core::EngineError;
use mlx_gate_core::decoder::{Decoder, Facts};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::scheduler::{DeviceLost, Job, Limits, Scheduler, panic_message};

/// Makes a decoder, on the thread it will live on.
pub type Load =
    Box<dyn FnOnce() -> Result<Box<dyn Decoder>, Box<dyn std::error::Error + Send + Sync>> + Send>;

/// What the thread is told.
pub(crate) enum Command {
    /// Run this.
    Start(Box<Job>),
    /// Finish what there is, then stop, and drop the sender.
    Drain(oneshot::Sender<()>),
    /// Stop now.
    Shutdown,
}

/// A running device thread with all its models loaded.
pub(crate) struct Device {
    pub(crate) commands: Sender<Command>,
    /// The models' facts, in the order they were given.
    pub(crate) facts: Vec<Facts>,
    pub(crate) thread: JoinHandle<()>,
}

/// Starts the thread and waits until it has loaded the models. `closed` is set when the thread ends by itself.
pub(crate) fn start(
    limits: Limits,
    loads: Vec<(String, Load)>,
    closed: Arc<AtomicBool>,
) -> Result<Device, Error> {
    let (commands, received) = mpsc::channel();
    let (loaded, outcome) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("device".to_owned())
        .spawn(move || {
            let decoders = match load_all(loads) {
                Ok(decoders) => decoders,
                Err(error) => {
                    let _ = loaded.send(Err(error));
                    return;
                }
            };
            let _ = loaded.send(Ok(decoders.iter().map(|decoder| decoder.facts().clone()).collect()));
            let mut scheduler = Scheduler::new(limits, decoders);
            let ended = catch_unwind(AssertUnwindSafe(|| run(&mut scheduler, &received)));
            closed.store(true, Ordering::Release);
            let error = match ended {
                Ok(Ok(())) => EngineError::ShuttingDown,
                Ok(Err(DeviceLost(cause))) => lost(&cause),
                Err(payload) => lost(&panic_message(payload.as_ref())),
            };
            scheduler.fail_all(&error);
            for command in received.try_iter() {
                if let Command::Start(job) = command {
                    job.fail(EngineError::ShuttingDown);
                }
            }
        })
        .map_err(Error::Thread)?;
    // A thread that dies before it says anything would be a bug; its panic is on standard error.
    let gone = || Error::Thread(std::io::Error::other("it ended while loading"));
    let facts = outcome.recv().map_err(|_| gone())??;
    Ok(Device { commands, facts, thread })
}

fn lost(cause: &str) -> EngineError {
    tracing::error!(cause, "the device is lost; the engine shuts down");
    EngineError::Internal(format!("the device is lost: {cause}"))
}

fn load_all(loads: Vec<(String, Load)>) -> Result<Vec<Box<dyn Decoder>>, Error> {
    loads
        .into_iter()
        .map(|(model, load)| {
            catch_unwind(AssertUnwindSafe(load))
                .unwrap_or_else(|payload| Err(panic_message(payload.as_ref()).into()))
                .map_err(|source| Error::Load { model, source })
        })
        .collect()
}

/// Works until told to stop. Commands are taken between ticks, and waited for only where there is nothing else to do.
fn run(scheduler: &mut Scheduler, commands: &Receiver<Command>) -> Result<(), DeviceLost> {
    let mut draining = Vec::new();
    loop {
        if scheduler.is_idle() {
            if !draining.is_empty() {
                return Ok(());
            }
            match commands.recv() {
                Ok(Command::Start(job)) => scheduler.submit(*job),
                Ok(Command::Drain(done)) => draining.push(done),
                Ok(Command::Shutdown) | Err(_) => return Ok(()),
            }
        }
        for command in commands.try_iter() {
            match command {
                Command::Start(job) => scheduler.submit(*job),
                Command::Drain(done) => draining.push(done),
                Command::Shutdown => return Ok(()),
            }
        }
        scheduler.tick()?;
    }
}
