//! Structured output: which tokens may come next in an answer that has to follow a grammar.
//!
//! The grammars are those of the `llguidance` crate. What the client wants becomes a [`Plan`] while its request is
//! prepared (`plan`, `calls`), is [compiled](Grammars::compile) against the model's vocabulary on a thread of its own,
//! and travels to the scheduler as a [`Compiled`]. There each row follows its own copy ([`Guide`]): as soon as a token is
//! chosen, one of the [`Workers`] finds out what may follow it, while the device computes the logits that this is going
//! to restrict.
//!
//! What compiles only in more time or memory than its size tells (`tame`) is first tried in another process (`trial`).
//!
//! A plan is a list of grammars, of which the answer follows one. They start together, and those that the answer
//! departs from are dropped: llguidance could express the choice in one grammar only where all share one set of lexemes.

mod calls;
mod compile;
mod guide;
mod plan;
mod schema;
mod tame;
mod trial;
mod trie;
mod workers;

pub(crate) use compile::{Compiled, Grammars};
pub(crate) use guide::Guide;
pub(crate) use plan::{Plan, Reasoning, plan};
pub use trial::{Trial, try_grammar};
pub(crate) use workers::Workers;
