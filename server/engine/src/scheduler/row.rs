use std::time::Instant;

use mlx_gate_core::decoder::{Pick, RowError, RowId, RowStep, Score, Scored};
use mlx_gate_core::{EngineError, Priority};

use super::choice::{Choice, Choices};
use super::queue::Place;

/// A prompt on its way to the scheduler, and the answers it is to get.
pub(crate) struct Job {
    /// Index of the model.
    pub(crate) model: usize,
    pub(crate) prompt: Vec<u32>,
    /// Log probabilities of the prompt's tokens, with those of this many alternatives.
    pub(crate) prompt_logprobs: Option<u32>,
    /// At least one.
    pub(crate) choices: Vec<Choice>,
    /// What keys and values of the prompt and one answer will take at most.
    pub(crate) kv_bytes: u64,
    pub(crate) priority: Priority,
    pub(crate) queued: Instant,
    pub(crate) place: Place,
}

impl Job {
    pub(super) fn is_cancelled(&self) -> bool {
        self.choices.iter().all(Choice::is_cancelled)
    }

    pub(crate) fn fail(mut self, error: &EngineError) {
        for choice in &mut self.choices {
            choice.fail(error.clone());
        }
    }
}

/// What the rows of one prompt have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// The row that reads the prompt. Its name is theirs, also when it is gone.
    first: RowId,
    /// Length of the prompt.
    pub(super) prompt: u32,
    /// Index of the model.
    pub(super) model: usize,
    /// What keys and values of one row take at most.
    pub(super) kv_bytes: u64,
    pub(super) priority: Priority,
    pub(super) queued: Instant,
}

/// An answer that has its first token and waits for a row to go on in.
pub(super) struct Branch {
    pub(super) family: Family,
    pub(super) choice: Box<Choice>,
}

/// Keys and values on the device, and the answer that is being written with them.
pub(super) struct Row {
    id: RowId,
    family: Family,
    state: State,
    /// The failure after which nobody knows what the decoder holds.
    broken: Option<EngineError>,
}

enum State {
    Reading(Reading),
    Writing(Box<Choice>),
}

/// A prompt that is being read.
struct Reading {
    prompt: Vec<u32>,
    /// Tokens the decoder has.
    read: usize,
    /// How many alternatives to name to each token, and what is found, where that is asked for.
    scores: Option<(u32, Vec<Scored>)>,
    choices: Choices,
}

impl Row {
    /// Gives a job its row.
    pub(super) fn begin(id: RowId, job: Job, now: Instant) -> Self {
        let Job { model, prompt, prompt_logprobs, mut choices, kv_bytes, priority, queued, place } = job;
        // Given back before anybody can hear of the row, so that who has heard of it finds the place free.
        drop(place);
        for choice in &mut choices {
            choice.begin(prompt.len(), now - queued, now);
        }
        let length = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
        let family = Family { first: id, prompt: length, model, kv_bytes, priority, queued };
        let scores = prompt_logprobs.map(|top| (top, Vec::with_capacity(prompt.len())));
        let reading = Reading { prompt, read: 0, scores, choices: Choices::new(choices) };
        Self { id, family, state: State::Reading(reading), broken: None }
    }

    /// Gives a branch its row, which holds the prompt.
    pub(super) fn branch(id: RowId, branch: Branch) -> Self {
        let Branch { family, choice } = branch;
        Self { id, family, state: State::Writing(choice), broken: None }
    }

    /// Goes on with another answer to the same prompt, the last one being done.
    pub(super) fn go_on(&mut self, choice: Box<Choice>) {
        self.state = State::Writing(choice);
    }

    pub(super) fn id(&self) -> RowId {
        self.id
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// Whether it wants nothing more from the device.
    pub(super) fn is_done(&self) -> bool {
        match &self.state {
            State::Reading(reading) => reading.choices.all_done(),
            State::Writing(choice) => choice.is_done(),
        }
    }

    /// Whether the decoder has the whole prompt in it, for others to go on from.
    pub(super) fn holds_prompt(&self) -> bool {
        matches!(self.state, State::Writing(_)) && self.broken.is_none()
    }

    pub(super) fn broken(&self) -> Option<&EngineError> {
        self.broken.as_ref()
    }

    /// Prompt tokens that the decoder does not have yet.
    pub(super) fn unread(&self) -> usize {
        match &self.state {
            State::Reading(reading) => reading.unread(),
            State::Writing(_) => 0,
        }
    }

    /// The row's part of the next step: `read` more prompt tokens, or the last token where the prompt is read. `None`
    /// where the prompt has to wait.
    pub(super) fn next_step(&mut self, read: usize) -> Option<RowStep<'_>> {
        match &mut self.state {
            State::Reading(_) if read == 0 => None,
            State::Reading(reading) => Some(reading.next(self.id, read)),
            State::Writing(choice) => {
                let (tokens, pick) = choice.next();
                Some(RowStep { row: self.id, tokens, pick, score: None })
            }
        }
    }

    /// Takes the result of the step that [`next_step`](Self::next_step) gave for the same `read`. Returns the answers that
    /// go on in rows of their own from here.
    pub(super) fn take(
        &mut self,
        result: Result<Option<u32>, RowError>,
        read: usize,
        now: Instant,
    ) -> Vec<Branch> {
        if let Err(error) = &result
            && !error.is_choice()
        {
            self.broken = Some(EngineError::Internal(error.to_string()));
        }
        let reading = match &mut self.state {
            State::Writing(choice) => {
                choice.take(result, now);
                return Vec::new();
            }
            State::Reading(reading) => reading,
        };
        reading.read += read;
        if reading.unread() > 0 {
            match result {
                Ok(None) => {}
                Ok(Some(token)) => self.fail(&EngineError::Internal(format!(
                    "the decoder picked token {token} where none was asked for"
                ))),
                Err(error) => self.fail(&EngineError::Internal(error.to_string())),
            }
            return Vec::new();
        }
        let mut choices = std::mem::replace(&mut reading.choices, Choices::new(Vec::new()));
        if let Some((_, scored)) = reading.scores.take()
            && result.is_ok()
        {
            choices.show_prompt(&reading.prompt, scored);
        }
        let mut choices = choices.take(&result, now);
        // The first that goes on stays here; where none does, it does not matter which.
        let own = choices.iter().position(|choice| !choice.is_done()).unwrap_or(0);
        let family = self.family;
        self.go_on(Box::new(choices.remove(own)));
        let others = choices.into_iter().filter(|choice| !choice.is_done());
        others.map(|choice| Branch { family, choice: Box::new(choice) }).collect()
    }

    /// Ends everything in it by an error, after which the row is not to be used any more.
    pub(super) fn fail(&mut self, error: &EngineError) {
        match &mut self.state {
            State::Reading(reading) => {
                for choice in reading.choices.as_mut_slice() {
                    choice.fail(error.clone());
                }
            }
            State::Writing(choice) => choice.fail(error.clone()),
        }
        self.broken = Some(error.clone());
    }
}

impl Reading {
    fn unread(&self) -> usize {
        self.prompt.len() - self.read
    }

    fn next(&mut self, row: RowId, read: usize) -> RowStep<'_> {
        let end = self.read + read;
        let next = self.prompt.get(end).copied();
        let pick = if next.is_some() { Pick::Nothing } else { self.choices.pick() };
        let score = self.scores.as_mut().map(|(top, found)| Score { next, top: *top, found });
        RowStep { row, tokens: &self.prompt[self.read..end], pick, score }
    }
}
