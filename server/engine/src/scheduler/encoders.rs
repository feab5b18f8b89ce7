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

    pub(super) fn tick(&mut self, now: Instant) {
        for texts in &mut self.0 {
            texts.tick(now);
        }
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

/// An encoder and what it has to read.
struct Texts {
    encoder: Box<dyn Encoder>,
    /// In the order in which they came.
    jobs: Vec<Pending>,
    /// Whose texts are being read: the job's id, and which of its texts.
    running: Option<Vec<(u64, usize)>>,
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

    /// Does one piece of the batch that is being read, or of the next one.
    fn tick(&mut self, now: Instant) {
        self.jobs.retain(|job| !job.answer.is_closed());
        if let Some(running) = &self.running
            && !running.iter().any(|(id, _)| self.jobs.iter().any(|job| job.id == *id))
        {
            self.running = None;
            // An encoder that panics here fails the next batch too, which is when somebody hears of it.
            let _ = guarded(|| self.encoder.abandon());
        }
        if self.running.is_none() && !self.begin(now) {
            return;
        }
        let outcome = guarded(|| self.encoder.advance());
        match outcome {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(vectors))) => self.take(vectors),
            Ok(Err(Error(message))) => self.fail_running(&message),
            Err(Panicked(message)) => self.fail_running(&format!("the encoder panicked: {message}")),
        }
    }

    /// Begins the next batch; whether there is one.
    ///
    /// The job whose turn it is decides how long its texts are: its longest. Texts of about that length, its own first and
    /// then those of others, fill the batch up, so that little of it is padding.
    fn begin(&mut self, now: Instant) -> bool {
        let turn = |job: &Pending| {
            CLASSES.iter().position(|class| *class == class_of(job.priority, job.queued, now))
        };
        let mut order: Vec<usize> =
            (0..self.jobs.len()).filter(|&at| !self.jobs[at].waiting.is_empty()).collect();
        // Sorting is stable, so that inside a class the first that came is the first.
        order.sort_by_key(|&at| turn(&self.jobs[at]));
        let Some(longest) = order.first().map(|&at| self.jobs[at].waiting[0].1.tokens.len()) else {
            return false;
        };
        let most = (self.encoder.facts().batch_tokens as usize / longest.max(1)).max(1);
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
        self.running = Some(owners);
        let outcome = guarded(|| self.encoder.begin(batch));
        match outcome {
            Ok(Ok(())) => return true,
            Ok(Err(Error(message))) => self.fail_running(&message),
            Err(Panicked(message)) => self.fail_running(&format!("the encoder panicked: {message}")),
        }
        false
    }

    /// Hands out the vectors of the batch.
    fn take(&mut self, vectors: Vec<Vec<f32>>) {
        let owners = self.running.as_ref().map_or(0, Vec::len);
        if vectors.len() != owners {
            let given = vectors.len();
            return self.fail_running(&format!("the encoder gave {given} vectors for {owners} texts"));
        }
        if vectors.iter().flatten().any(|number| !number.is_finite()) {
            return self.fail_running("the encoder gave numbers that are not finite");
        }
        for ((id, place), vector) in self.running.take().unwrap_or_default().into_iter().zip(vectors) {
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
        let running = self.running.take().unwrap_or_default();
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
