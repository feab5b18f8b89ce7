//! The thread that owns the device: it makes the decoders, drives the scheduler, and drops both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use mlx_gate_core::{DeviceModel, EngineError, decoder, encoder};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::scheduler::{DeviceLost, EncodeJob, Encoders, Job, Limits, Scheduler, panic_message};

/// Puts a model on the device, on the thread it will live on.
pub type Load = Box<dyn FnOnce() -> Result<DeviceModel, Box<dyn std::error::Error + Send + Sync>> + Send>;

/// What the thread is told.
pub(crate) enum Command {
    /// Run this.
    Start(Box<Job>),
    /// Embed or score this.
    Encode(Box<EncodeJob>),
    /// Finish what there is, then stop, and drop the sender.
    Drain(oneshot::Sender<()>),
    /// Stop now.
    Shutdown,
}

/// A running device thread with all its models loaded.
pub(crate) struct Device {
    pub(crate) commands: Sender<Command>,
    /// The models' facts, in the order they were given.
    pub(crate) facts: Vec<ModelFacts>,
    pub(crate) thread: JoinHandle<()>,
}

/// The facts of a model of either kind.
pub(crate) enum ModelFacts {
    Decoder(decoder::Facts),
    Encoder(encoder::Facts),
}

impl From<&DeviceModel> for ModelFacts {
    fn from(model: &DeviceModel) -> Self {
        match model {
            DeviceModel::Decoder(decoder) => Self::Decoder(decoder.facts().clone()),
            DeviceModel::Encoder(encoder) => Self::Encoder(encoder.facts().clone()),
        }
    }
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
            let models = match load_all(loads) {
                Ok(models) => models,
                Err(error) => {
                    let _ = loaded.send(Err(error));
                    return;
                }
            };
            let _ = loaded.send(Ok(models.iter().map(ModelFacts::from).collect()));
            let mut scheduler = scheduler(limits, models);
            let ended = catch_unwind(AssertUnwindSafe(|| run(&mut scheduler, &received)));
            closed.store(true, Ordering::Release);
            let error = match ended {
                Ok(Ok(())) => EngineError::ShuttingDown,
                Ok(Err(DeviceLost(cause))) => lost(&cause),
                Err(payload) => lost(&panic_message(payload.as_ref())),
            };
            scheduler.fail_all(&error);
            for command in received.try_iter() {
                match command {
                    Command::Start(job) => job.fail(&EngineError::ShuttingDown),
                    Command::Encode(job) => job.fail(EngineError::ShuttingDown),
                    Command::Drain(_) | Command::Shutdown => {}
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

fn load_all(loads: Vec<(String, Load)>) -> Result<Vec<DeviceModel>, Error> {
    loads
        .into_iter()
        .map(|(model, load)| {
            catch_unwind(AssertUnwindSafe(load))
                .unwrap_or_else(|payload| Err(panic_message(payload.as_ref()).into()))
                .map_err(|source| Error::Load { model, source })
        })
        .collect()
}

/// A scheduler of the models, those of each kind in their order.
fn scheduler(limits: Limits, models: Vec<DeviceModel>) -> Scheduler {
    let (mut decoders, mut encoders) = (Vec::new(), Vec::new());
    for model in models {
        match model {
            DeviceModel::Decoder(decoder) => decoders.push(decoder),
            DeviceModel::Encoder(encoder) => encoders.push(encoder),
        }
    }
    Scheduler::new(limits, decoders).with_encoders(Encoders::new(encoders))
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
                Ok(Command::Encode(job)) => scheduler.submit_encode(*job),
                Ok(Command::Drain(done)) => draining.push(done),
                Ok(Command::Shutdown) | Err(_) => return Ok(()),
            }
        }
        for command in commands.try_iter() {
            match command {
                Command::Start(job) => scheduler.submit(*job),
                Command::Encode(job) => scheduler.submit_encode(*job),
                Command::Drain(done) => draining.push(done),
                Command::Shutdown => return Ok(()),
            }
        }
        scheduler.tick()?;
    }
}
