//! Whole-router tests over a fake engine and a fake gate.

mod bad_input;
mod chat;
mod completions;
mod drain;
mod engine_errors;
mod fakes;
mod gate;
mod log;
mod models;
mod serve;
mod streams;
