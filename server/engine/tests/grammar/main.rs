//! Answers bound to grammars: whatever a model would like to say, what it says is what was asked for.

mod answers;
mod budgets;
mod calls;
mod generated;
mod refusals;
mod schemas;
mod setting;
mod syntaxes;
