//! Which row gets the device next: a state machine without threads or clocks of its own, driven one [`tick`] at a time.
//!
//! A tick drops what clients have given up, admits what waits as far as rows and memory allow, and then steps each model
//! once: all rows that decode, and one chunk of prompts, the oldest first. So a long prompt delays the answers of others
//! by one chunk per token and no more, and short prompts share a chunk. Then each encoder does one piece of a batch.
//!
//! A prompt that gets several answers is read once. When it is, each of them has its first token, and one goes on in the
//! row; the others are *branches*, which wait in the queue for rows of their own. Such a row is a fork of one that holds the
//! prompt. So that there is one as long as a branch waits, the last row of a *family* is not closed when its answer ends but
//! cut back to the prompt and handed to the next branch: with room for one row only, the answers are written one by one.
//!
//! [`tick`]: Scheduler::tick

mod choice;
mod encoders;
mod queue;
mod row;

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mlx_gate_core::decoder::{self, Decoder};
use mlx_gate_core::{EngineError, Event};

pub(crate) use choice::Choice;
pub(crate) use encoders::{EncodeJob, Encoders};
pub(crate) use queue::{Place, Waiting};
pub(crate) use row::Job;

use queue::{Entry, Fit, Queue};
use row::{Branch, Row};

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
    /// Bytes of keys and values of all rows.
    kv_bytes: u64,
    encoders: Encoders,
    /// Since when a batch of texts waits for memory.
    texts_wait: Option<Instant>,
}

/// A decoder and its rows, oldest first.
struct Model {
    decoder: Box<dyn Decoder>,
    rows: Vec<Row>,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits, decoders: Vec<Box<dyn Decoder>>) -> Self {
        let models = decoders.into_iter().map(|decoder| Model { decoder, rows: Vec::new() }).collect();
        Self {
            limits,
            models,
            queue: Queue::default(),
            kv_bytes: 0,
            encoders: Encoders::default(),
            texts_wait: None,
        }
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
        self.settle()?;
        let waits = self.admit()?;
        for model in &mut self.models {
            let branches = model.step(self.limits.prefill_chunk)?;
            self.queue.push_branches(branches);
        }
        self.settle()?;
        let room = self.limits.kv_bytes.saturating_sub(self.kv_bytes + self.encoders.kv_bytes());
        self.texts_wait = self.encoders.tick(Instant::now(), room, waits);
        Ok(())
    }

    /// Ends every row and everything that waits.
    pub(crate) fn fail_all(&mut self, error: &EngineError) {
        self.encoders.fail_all(error);
        for entry in self.queue.drain() {
            entry.fail(error);
        }
        for model in &mut self.models {
            for mut row in model.rows.drain(..) {
                row.fail(error);
                // A decoder that panics here is about to be dropped anyway.
                let _ = guarded(|| model.decoder.close(row.id()));
            }
        }
        self.kv_bytes = 0;
    }

    /// Hands rows that are done to branches of their prompt, where these have no other row to fork from, and closes the
    /// others.
    fn settle(&mut self) -> Result<(), DeviceLost> {
        let Self { models, queue, kv_bytes, .. } = self;
        for model in models {
            let mut at = 0;
            while at < model.rows.len() {
                if !model.rows[at].is_done() || model.hand_on(at, queue)? {
                    at += 1;
                } else {
                    *kv_bytes -= model.close(at, queue)?;
                }
            }
        }
        Ok(())
    }

    /// Gives rows to those who wait, as far as rows and memory allow. Returns since when the one waits that has no memory.
    ///
    /// Rows and texts take their memory from one budget: where both wait for it, who came first is first.
    fn admit(&mut self) -> Result<Option<Instant>, DeviceLost> {
        let Self { limits, models, queue, kv_bytes, encoders, texts_wait } = self;
        let now = Instant::now();
        let blocked = Cell::new(None);
        loop {
            let used = *kv_bytes + encoders.kv_bytes();
            let next = queue.take_next(now, |entry| {
                let fits = used.saturating_add(entry.kv_bytes()) <= limits.kv_bytes
                    && texts_wait.is_none_or(|since| entry.queued() <= since);
                match entry {
                    _ if models[entry.model()].rows.len() >= limits.rows => Fit::Waits,
                    _ if fits => Fit::Now,
                    Entry::Branch(_) => Fit::Waits,
                    Entry::Job(_) => {
                        blocked.set(Some(entry.queued()));
                        Fit::Blocks
                    }
                }
            });
            let Some(entry) = next else { return Ok(blocked.get()) };
            blocked.set(None);
            *kv_bytes += entry.kv_bytes();
            models[entry.model()].open(entry)?;
        }
    }
}

impl Model {
    /// Gives somebody his row.
    fn open(&mut self, entry: Entry) -> Result<(), DeviceLost> {
        let opened = guarded(|| match &entry {
            Entry::Job(_) => self.decoder.open(),
            Entry::Branch(Branch { family, .. }) => {
                let holder = self.rows.iter().find(|row| row.family() == *family && row.holds_prompt());
                let lost = || decoder::Error("a prompt is gone that an answer waits for".to_owned());
                self.decoder.fork(holder.ok_or_else(lost)?.id(), family.prompt)
            }
        });
        match opened {
            Ok(Ok(id)) => {
                self.rows.push(match entry {
                    Entry::Job(job) => Row::begin(id, job, Instant::now()),
                    Entry::Branch(branch) => Row::branch(id, branch),
                });
                Ok(())
            }
            Ok(Err(decoder::Error(message))) | Err(Panicked(message)) => {
                entry.fail(&EngineError::Internal(message.clone()));
                Err(DeviceLost(message))
            }
        }
    }

    /// Has a row that is done go on with another answer to its prompt, if it is the last that holds it and one waits.
    fn hand_on(&mut self, at: usize, queue: &mut Queue) -> Result<bool, DeviceLost> {
        let family = self.rows[at].family();
        let holds = |row: &Row| row.family() == family && row.holds_prompt() && !row.is_done();
        if !self.rows[at].holds_prompt() || self.rows.iter().any(holds) {
            return Ok(false);
        }
        let Some(branch) = queue.take_branch(family) else { return Ok(false) };
        let row = &mut self.rows[at];
        row.go_on(branch.choice);
        let (id, error) = (row.id(), |message| DeviceLost(format!("a row could not be cut: {message}")));
        match guarded(|| self.decoder.trim(id, family.prompt)) {
            Ok(Ok(())) => Ok(true),
            Ok(Err(decoder::Error(message))) | Err(Panicked(message)) => Err(error(message)),
        }
    }

    /// Closes a row and gives the bytes of keys and values that are free now. Branches that nobody holds the prompt of any
    /// more fail as the row did.
    fn close(&mut self, at: usize, queue: &mut Queue) -> Result<u64, DeviceLost> {
        let row = self.rows.remove(at);
        let family = row.family();
        if let Some(error) = row.broken()
            && !self.rows.iter().any(|row| row.family() == family && row.holds_prompt())
        {
            while let Some(mut branch) = queue.take_branch(family) {
                branch.choice.fail(error.clone());
            }
        }
        guarded(|| self.decoder.close(row.id())).map_err(|Panicked(message)| {
            DeviceLost(format!("the decoder panicked while closing a row: {message}"))
        })?;
        Ok(family.kv_bytes)
    }

    /// Steps all decoding rows, and reads on in prompts up to `prefill_chunk` tokens. Returns the answers that branch off.
    fn step(&mut self, prefill_chunk: u32) -> Result<Vec<Branch>, DeviceLost> {
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
            return Ok(Vec::new());
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
                return Ok(Vec::new());
            }
        };
        let now = Instant::now();
        let mut branches = Vec::new();
        for ((index, read), result) in stepped.into_iter().zip(results) {
            branches.append(&mut self.rows[index].take(result, read, now));
        }
        Ok(branches)
    }

    /// After a panic nobody knows which of the rows was guilty, nor what became of the others' keys and values.
    fn fail_rows(&mut self, rows: &[(usize, usize)], message: &str) {
        tracing::error!(rows = rows.len(), panic = message, "the decoder panicked; its rows fail");
        for &(index, _) in rows {
            self.rows[index].fail(&EngineError::Internal(format!("the decoder panicked: {message}")));
        }
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
