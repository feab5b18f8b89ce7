use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;
use mlx_gate_core::decoder::RowError;

use super::compile::{Compiled, reason};
use super::workers::Workers;

/// Follows one row's answer through its grammar.
///
/// What may come next is computed by the [`Workers`] from the moment the token before is known, so that a row finds it
/// done when its logits are.
pub(crate) struct Guide {
    workers: Workers,
    state: State,
}

enum State {
    /// Nothing is begun.
    Waiting(Arc<Compiled>),
    /// What may come next is being computed.
    Looking(Receiver<Ahead>),
    /// It is known, and the next token is awaited.
    Known(Vec<Matcher>),
    /// The grammar has failed, or the row has.
    Over,
}

/// What may come next, and the grammars that the answer follows up to here.
struct Ahead {
    matchers: Vec<Matcher>,
    allowed: Result<SimpleVob, String>,
}

impl Guide {
    pub(crate) fn new(grammar: Arc<Compiled>, workers: Workers) -> Self {
        Self { workers, state: State::Waiting(grammar) }
    }

    /// Begins to compute what the answer may begin with, unless that has begun.
    pub(crate) fn begin(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting(grammar) => self.look_ahead(move || grammar.matchers(), None),
            begun => self.state = begun,
        }
    }

    /// Takes away every token that may not come next.
    pub(crate) fn restrict(&mut self, logits: &mut [f32]) -> Result<(), RowError> {
        self.begin();
        let State::Looking(coming) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(RowError::Grammar("a token was asked for after the end of a grammar".to_owned()));
        };
        let ahead =
            coming.recv().map_err(|_| RowError::Grammar("a thread for grammars failed".to_owned()))?;
        apply(&ahead.allowed.map_err(RowError::Grammar)?, logits);
        self.state = State::Known(ahead.matchers);
        Ok(())
    }

    /// Takes the token that was chosen.
    pub(crate) fn advance(&mut self, token: u32) {
        if let State::Known(matchers) = std::mem::replace(&mut self.state, State::Over) {
            self.look_ahead(move || matchers, Some(token));
        }
    }

    fn look_ahead(&mut self, matchers: impl FnOnce() -> Vec<Matcher> + Send + 'static, token: Option<u32>) {
        let (done, coming) = sync_channel(1);
        self.state = State::Looking(coming);
        self.workers.run(move || {
            let mut matchers = matchers();
            let allowed = next(&mut matchers, token);
            // A row that is gone wants nothing any more.
            let _ = done.send(Ahead { matchers, allowed });
        });
    }
}

/// Takes a token, drops the grammars that do not allow it, and says what may follow in those that are left.
fn next(matchers: &mut Vec<Matcher>, token: Option<u32>) -> Result<SimpleVob, String> {
    let mut failure = None;
    if let Some(token) = token {
        matchers.retain_mut(|matcher| match matcher.try_consume_tokens(&[token]) {
            Ok(taken) => taken == 1,
            Err(error) => {
                failure = Some(reason(&error));
                false
            }
        });
    }
    let mut allowed: Option<SimpleVob> = None;
    matchers.retain_mut(|matcher| match matcher.compute_mask_or_eos() {
        Ok(more) => {
            match &mut allowed {
                Some(allowed) => allowed.or(&more),
                None => allowed = Some(more),
            }
            true
        }
        Err(error) => {
            failure = Some(reason(&error));
            false
        }
    });
    let stuck =
        || failure.unwrap_or_else(|| "the grammar does not allow the token that was chosen".to_owned());
    allowed.ok_or_else(stuck)
}

/// Makes what is not allowed impossible. A token that is not in the set is not allowed.
fn apply(allowed: &SimpleVob, logits: &mut [f32]) {
    let mut words = allowed.as_slice().iter().copied();
    for logits in logits.chunks_mut(u32::BITS as usize) {
        match words.next().unwrap_or(0) {
            0 => logits.fill(f32::NEG_INFINITY),
            u32::MAX => {}
            word => {
                for (bit, logit) in logits.iter_mut().enumerate() {
                    if word >> bit & 1 == 0 {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}
