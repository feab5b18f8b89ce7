//! Whole-router tests over a fake engine and a fake gate.

mod agents;
mod anthropic;
mod bad_input;
mod browsers;
mod chat;
mod choices;
mod completions;
mod compression;
mod drain;
mod embeddings;
mod endings;
mod engine_errors;
mod fake_gate;
pub(crate) mod fakes;
mod forged;
mod gate;
mod log;
mod logprobs;
mod models;
mod obfuscation;
mod openapi;
mod phases;
mod rerank;
mod responses;
mod serve;
mod streams;
mod tokenize;
