use std::time::Instant;

use mlx_gate_core::encoder::{Encoder, Error, Text};
use mlx_gate_core::{Encoded, EngineError, Priority};
use tokio::sync::oneshot;

use super::queue::{CLASSES, Place, class_of};
use super::{Panicked, guarded};

/// Texts on their way to an encoder.
pub(crate) struct EncodeJob {
    /// Index of the encoder.
    pub(crate) encoder: usize,
    /// None is empty or too long.
    pub(crate) texts: Vec<Text>,
    /// Where the vectors go. A client that is gone has closed it.
    pub(crate) answer: oneshot::Sender<Result<Encoded, EngineError>>,
    pub(crate) priority: Priority,
    pub(crate) queued: Instant,
    pub(crate) place: Place,
}

impl EncodeJob {
    pub(crate) fn fail(self, error: EngineError) {
        let _ = self.answer.send(Err(error));
    }
}

/// The encoders on the device, each with its texts. They take turns with the decoders: in a round each does one piece of
/// one batch.
#[derive(Default)]
pub(crate) struct Encoders(Vec<Texts>);

impl Encoders {
    pub(crate) fn new(encoders: Vec<Box<dyn Encoder>>) -> Self {
        Self(encoders.into_iter().map(Texts::new).collect())
    }

    pub(super) fn submit(&mut self, job: EncodeJob) {
        self.0[job.encoder].submit(job);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.iter().all(|texts| texts.jobs.is_empty() && texts.running.is_none())
    }

    /// Bytes of keys and values of the batches that are being read.
    pub(super) fn kv_bytes(&self) -> u64 {
        self.0.iter().map(Texts::kv_bytes).sum()
    }

    /// Does a piece of work in each encoder. A batch that keeps keys and values begins where these fit into `room`, and where
    /// nobody waits for the same memory since before its texts came. Returns since when the first waits that does not fit.
    pub(super) fn tick(&mut self, now: Instant, mut room: u64, waits: Option<Instant>) -> Option<Instant> {
        let mut first = None;
        for texts in &mut self.0 {
            let before = texts.kv_bytes();
            match texts.tick(now, room, waits) {
                Turn::Done => room = room.saturating_sub(texts.kv_bytes().saturating_sub(before)),
                Turn::NoMemory(since) => first = Some(first.map_or(since, |first: Instant| first.min(since))),
            }
        }
        first
    }

    pub(super) fn fail_all(&mut self, error: &EngineError) {
        for texts in &mut self.0 {
            texts.running = None;
            for job in texts.jobs.drain(..) {
                job.end(Err(error.clone()));
            }
        }
    }
}

/// What came of an encoder's turn.
enum Turn {
    /// It did what it could.
    Done,
    /// A batch whose first text came then has no room for its keys and values.
    NoMemory(Instant),
}

/// A batch that is being read.
struct Running {
    /// Whose texts: the job's id, and which of its texts.
    owners: Vec<(u64, usize)>,
    /// What keys and values take at most.
    kv_bytes: u64,
}

/// An encoder and what it has to read.
struct Texts {
    encoder: Box<dyn Encoder>,
    /// In the order in which they came.
    jobs: Vec<Pending>,
    running: Option<Running>,
    next_id: u64,
}

/// A job, some of whose texts may have been read.
struct Pending {
    id: u64,
    /// Texts that wait, with their place in the request, the longest first.
    waiting: Vec<(usize, Text)>,
    /// Vectors so far; empty where there is none yet.
    vectors: Vec<Vec<f32>>,
    /// Texts without a vector.
    left: usize,
    answer: oneshot::Sender<Result<Encoded, EngineError>>,
    priority: Priority,
    queued: Instant,
    /// When its first text was begun.
    began: Option<Instant>,
    /// Given back when its last text is begun.
    place: Option<Place>,
}

impl Pending {
    fn new(id: u64, job: EncodeJob) -> Self {
        let EncodeJob { texts, answer, priority, queued, place, .. } = job;
        let left = texts.len();
        let mut waiting: Vec<_> = texts.into_iter().enumerate().collect();
        waiting.sort_by_key(|(_, text)| std::cmp::Reverse(text.tokens.len()));
        let (vectors, place) = (vec![Vec::new(); left], Some(place));
        Self { id, waiting, vectors, left, answer, priority, queued, began: None, place }
    }

    /// Takes out waiting texts of at most `longest` tokens and more than half of that, the longest first.
    fn take(&mut self, longest: usize, most: usize, now: Instant) -> Vec<(usize, Text)> {
        let start = self.waiting.partition_point(|(_, text)| text.tokens.len() > longest);
        let alike = self.waiting[start..].iter().take_while(|(_, text)| text.tokens.len() * 2 > longest);
        let end = start + alike.take(most).count();
        let taken: Vec<_> = self.waiting.drain(start..end).collect();
        if !taken.is_empty() {
            self.began.get_or_insert(now);
        }
        if self.waiting.is_empty() {
            self.place = None;
        }
        taken
    }

    fn end(self, result: Result<(), EngineError>) {
        let queued = self.began.unwrap_or(self.queued).saturating_duration_since(self.queued);
        let _ = self.answer.send(result.map(|()| Encoded { vectors: self.vectors, queued }));
    }
}

impl Texts {
    fn new(encoder: Box<dyn Encoder>) -> Self {
        Self { encoder, jobs: Vec::new(), running: None, next_id: 0 }
    }

    fn submit(&mut self, job: EncodeJob) {
        self.jobs.push(Pending::new(self.next_id, job));
        self.next_id += 1;
    }

    fn kv_bytes(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.kv_bytes)
    }

    /// Does one piece of the batch that is being read, or of the next one.
    fn tick(&mut self, now: Instant, room: u64, waits: Option<Instant>) -> Turn {
        self.jobs.retain(|job| !job.answer.is_closed());
        if let Some(running) = &self.running
            && !running.owners.iter().any(|(id, _)| self.jobs.iter().any(|job| job.id == *id))
        {
            self.running = None;
            // An encoder that panics here fails the next batch too, which is when somebody hears of it.
            let _ = guarded(|| self.encoder.abandon());
        }
        if self.running.is_none()
            && let Some(turn) = self.begin(now, room, waits)
        {
            return turn;
        }
        let outcome = guarded(|| self.encoder.advance());
        match outcome {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(vectors))) => self.take(vectors),
            Ok(Err(Error(message))) => self.fail_running(&message),
            Err(Panicked(message)) => self.fail_running(&format!("the encoder panicked: {message}")),
        }
        Turn::Done
    }

    /// Begins the next batch. `Some` where it did not, and why.
    ///
    /// The job whose turn it is decides how long its texts are: its longest. Texts of about that length, its own first and
    /// then those of others, fill the batch up, so that little of it is padding.
    fn begin(&mut self, now: Instant, room: u64, waits: Option<Instant>) -> Option<Turn> {
        let turn = |job: &Pending| {
            CLASSES.iter().position(|class| *class == class_of(job.priority, job.queued, now))
        };
        let mut order: Vec<usize> =
            (0..self.jobs.len()).filter(|&at| !self.jobs[at].waiting.is_empty()).collect();
        // Sorting is stable, so that inside a class the first that came is the first.
        order.sort_by_key(|&at| turn(&self.jobs[at]));
        let Some(&next) = order.first() else { return Some(Turn::Done) };
        let (longest, queued) = (self.jobs[next].waiting[0].1.tokens.len(), self.jobs[next].queued);
        let facts = self.encoder.facts();
        // Filled up, each text takes as much as the longest.
        let each = (longest as u64).saturating_mul(facts.kv_bytes_per_token);
        let affordable = room.checked_div(each).map_or(usize::MAX, |texts| texts as usize);
        if each > 0 && waits.is_some_and(|since| since < queued) {
            return Some(Turn::Done);
        }
        if affordable == 0 {
            return Some(Turn::NoMemory(queued));
        }
        let most = (facts.batch_tokens as usize / longest.max(1)).max(1).min(affordable);
        let (mut owners, mut batch) = (Vec::new(), Vec::new());
        for at in order {
            let job = &mut self.jobs[at];
            for (place, text) in job.take(longest, most - batch.len(), now) {
                owners.push((job.id, place));
                batch.push(text);
            }
            if batch.len() == most {
                break;
            }
        }
        let kv_bytes = each.saturating_mul(owners.len() as u64);
        self.running = Some(Running { owners, kv_bytes });
        let outcome = guarded(|| self.encoder.begin(batch));
        match outcome {
            Ok(Ok(())) => return None,
            Ok(Err(Error(message))) => self.fail_running(&message),
            Err(Panicked(message)) => self.fail_running(&format!("the encoder panicked: {message}")),
        }
        Some(Turn::Done)
    }

    /// Hands out the vectors of the batch.
    fn take(&mut self, vectors: Vec<Vec<f32>>) {
        let owners = self.running.as_ref().map_or(0, |running| running.owners.len());
        if vectors.len() != owners {
            let given = vectors.len();
            return self.fail_running(&format!("the encoder gave {given} vectors for {owners} texts"));
        }
        if vectors.iter().flatten().any(|number| !number.is_finite()) {
            return self.fail_running("the encoder gave numbers that are not finite");
        }
        let owners = self.running.take().map(|running| running.owners).unwrap_or_default();
        for ((id, place), vector) in owners.into_iter().zip(vectors) {
            let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else { continue };
            job.vectors[place] = vector;
            job.left -= 1;
        }
        for job in self.jobs.extract_if(.., |job| job.left == 0) {
            job.end(Ok(()));
        }
    }

    /// Ends the jobs that have a text in the batch.
    fn fail_running(&mut self, message: &str) {
        let running = self.running.take().map(|running| running.owners).unwrap_or_default();
        tracing::error!(
            texts = running.len(),
            cause = message,
            "an encoder failed; the requests in its batch fail"
        );
        let fails = |job: &mut Pending| running.iter().any(|(id, _)| *id == job.id);
        for job in self.jobs.extract_if(.., fails) {
            job.end(Err(EngineError::Internal(message.to_owned())));
        }
    }
}

#[cfg(test)]
mod tests;
