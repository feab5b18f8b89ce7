//! Which row gets the device next: a state machine without threads or clocks of its own, driven one [`tick`] at a time.
//!
//! A tick drops what clients have given up, admits what waits as far as rows and memory allow, and then steps each model
//! once: all rows that decode, and one chunk of prompts, the oldest first. So a long prompt delays the answers of others
//! by one chunk per token and no more, and short prompts share a chunk. Then each encoder does one piece of a batch.
//!
//! [`tick`]: Scheduler::tick

mod encoders;
mod queue;
mod row;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mlx_gate_core::decoder::{self, Decoder};
use mlx_gate_core::{EngineError, Event};

pub(crate) use encoders::{EncodeJob, Encoders};
pub(crate) use queue::{Place, Waiting};
pub(crate) use row::Job;

use queue::{Fit, Queue};
use row::Row;

/// What the scheduler may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows of one model at a time.
    pub(crate) rows: usize,
    /// Bytes of keys and values, all models together.
    pub(crate) kv_bytes: u64,
    /// Prompt tokens in one step, all rows together.
    pub(crate) prefill_chunk: u32,
}

/// The device is lost, and every row with it.
#[derive(Debug)]
pub(crate) struct DeviceLost(pub(crate) String);

pub(crate) struct Scheduler {
    limits: Limits,
    models: Vec<Model>,
    queue: Queue,
    kv_bytes: u64,
    encoders: Encoders,
}

/// A decoder and its rows, oldest first.
struct Model {
    decoder: Box<dyn Decoder>,
    rows: Vec<Row>,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits, decoders: Vec<Box<dyn Decoder>>) -> Self {
        let models = decoders.into_iter().map(|decoder| Model { decoder, rows: Vec::new() }).collect();
        Self { limits, models, queue: Queue::default(), kv_bytes: 0, encoders: Encoders::default() }
    }

    /// With models that read texts whole.
    pub(crate) fn with_encoders(self, encoders: Encoders) -> Self {
        Self { encoders, ..self }
    }

    /// Puts a job into the queue. Alone on the device it fits: whoever makes jobs has checked that.
    pub(crate) fn submit(&mut self, job: Job) {
        self.queue.push(job);
    }

    /// Hands texts to their encoder.
    pub(crate) fn submit_encode(&mut self, job: EncodeJob) {
        self.encoders.submit(job);
    }

    /// Whether there is nothing to do until the next job.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.models.iter().all(|model| model.rows.is_empty())
            && self.encoders.is_idle()
    }

    /// Does one round of work. After an error nothing but [`fail_all`](Self::fail_all) makes sense.
    pub(crate) fn tick(&mut self) -> Result<(), DeviceLost> {
        self.queue.forget_cancelled();
        for model in &mut self.models {
            self.kv_bytes -= model.close_where(Row::is_cancelled)?;
        }
        self.admit()?;
        for model in &mut self.models {
            model.step(self.limits.prefill_chunk)?;
            self.kv_bytes -= model.close_where(Row::is_over)?;
        }
        self.encoders.tick(Instant::now());
        Ok(())
    }

    /// Ends every row and everything that waits.
    pub(crate) fn fail_all(&mut self, error: &EngineError) {
        self.encoders.fail_all(error);
        for job in self.queue.drain() {
            job.fail(error.clone());
        }
        for model in &mut self.models {
            for row in &mut model.rows {
                row.fail(error.clone());
            }
            // A decoder that panics here is about to be dropped anyway.
            let _ = model.close_where(|_| true);
        }
        self.kv_bytes = 0;
    }

    fn admit(&mut self) -> Result<(), DeviceLost> {
        let Self { limits, models, queue, kv_bytes, .. } = self;
        let now = Instant::now();
        loop {
            let next = queue.take_next(now, |job| {
                if models[job.model].rows.len() >= limits.rows {
                    Fit::NoRow
                } else if kv_bytes.saturating_add(job.kv_bytes) > limits.kv_bytes {
                    Fit::NoMemory
                } else {
                    Fit::Now
                }
            });
            let Some(job) = next else { return Ok(()) };
            *kv_bytes += job.kv_bytes;
            models[job.model].open(job)?;
        }
    }
}

impl Model {
    fn open(&mut self, job: Job) -> Result<(), DeviceLost> {
        match guarded(|| self.decoder.open()) {
            Ok(Ok(id)) => {
                self.rows.push(Row::begin(id, job));
                Ok(())
            }
            Ok(Err(error)) => {
                job.fail(EngineError::Internal(error.to_string()));
                Err(DeviceLost(error.to_string()))
            }
            Err(Panicked(message)) => {
                job.fail(EngineError::Internal(message.clone()));
                Err(DeviceLost(message))
            }
        }
    }

    /// Steps all decoding rows, and reads on in prompts up to `prefill_chunk` tokens.
    fn step(&mut self, prefill_chunk: u32) -> Result<(), DeviceLost> {
        let mut left = prefill_chunk.min(self.decoder.facts().prefill_chunk).max(1) as usize;
        let (mut stepped, mut steps) = (Vec::new(), Vec::new());
        for (index, row) in self.rows.iter_mut().enumerate() {
            let unread = row.unread().min(left);
            left -= unread;
            if let Some(step) = row.next_step(unread) {
                stepped.push((index, unread));
                steps.push(step);
            }
        }
        if steps.is_empty() {
            return Ok(());
        }
        let outcome = guarded(|| self.decoder.step(&mut steps));
        drop(steps);
        let results = match outcome {
            Ok(Ok(results)) if results.len() == stepped.len() => results,
            Ok(Ok(results)) => {
                let (given, wanted) = (results.len(), stepped.len());
                return Err(DeviceLost(format!("the decoder gave {given} results for {wanted} rows")));
            }
            Ok(Err(decoder::Error(message))) => return Err(DeviceLost(message)),
            Err(Panicked(message)) => {
                self.fail_rows(&stepped, &message);
                return Ok(());
            }
        };
        let now = Instant::now();
        for ((index, read), result) in stepped.into_iter().zip(results) {
            self.rows[index].take(result, read, now);
        }
        Ok(())
    }

    /// After a panic nobody knows which of the rows was guilty, nor what became of the others' keys and values.
    fn fail_rows(&mut self, rows: &[(usize, usize)], message: &str) {
        tracing::error!(rows = rows.len(), panic = message, "the decoder panicked; its rows fail");
        for &(index, _) in rows {
            self.rows[index].fail(EngineError::Internal(format!("the decoder panicked: {message}")));
        }
    }

    /// Closes rows and gives the bytes of keys and values that are free now.
    fn close_where(&mut self, closes: impl Fn(&Row) -> bool) -> Result<u64, DeviceLost> {
        let mut freed = 0;
        let mut outcome = Ok(());
        for row in self.rows.extract_if(.., |row| closes(row)) {
            freed += row.kv_bytes();
            if let Err(Panicked(message)) = guarded(|| self.decoder.close(row.id())) {
                outcome = Err(DeviceLost(format!("the decoder panicked while closing a row: {message}")));
            }
        }
        outcome.map(|()| freed)
    }
}

/// A decoder panicked, with this message.
struct Panicked(String);

/// Runs a decoder's code. A panic in it is a bug, but no reason to leave clients waiting for ever.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panicked(panic_message(payload.as_ref())))
}

/// The text of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}

/// Sends an event. A client that is gone is noticed at the next tick.
fn send(events: &tokio::sync::mpsc::UnboundedSender<Event>, event: Event) {
    let _ = events.send(event);
}

#[cfg(test)]
mod tests;
