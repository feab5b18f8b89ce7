//! The vocabulary every other crate of mlx-gate shares: who asks ([`Principal`]), for what ([`Operation`]), how it is
//! treated ([`Tags`]), what is generated ([`Request`], [`Event`]) or read whole ([`EncodeRequest`], [`Encoded`]), and the
//! traits the server is wired from: [`Lifecycle`] (the gate), [`Engine`] (the scheduler), [`Decoder`] and [`Encoder`]
//! (the device).
//!
//! Nothing here knows HTTP, WebAssembly, MLX or any I/O; `cargo xtask tidy` holds that line.

mod admin;
pub mod decoder;
mod device;
mod encode;
pub mod encoder;
mod engine;
mod event;
mod identity;
mod lifecycle;
mod model;
mod operation;
mod output_format;
mod request;
mod secret;
mod usage;

pub use admin::{FunctionCalls, GateCounters, PluginAdmin, PluginChange, PluginChangeError, PluginState};
pub use decoder::Decoder;
pub use device::DeviceModel;
pub use encode::{EncodeInput, EncodeRequest, EncodeTask, Encoded, PreparedEncode, Truncate};
pub use encoder::Encoder;
pub use engine::{
    CompiledGrammar, Encoding, Engine, EngineError, EventStream, Prepared, ReasoningBudget, Tokenize,
    Tokenized,
};
pub use event::{Event, FinishReason, Finished, PromptLogprobs, TokenLogprob, ToolCallDelta};
pub use identity::Principal;
pub use lifecycle::{
    Admission, Denial, Ended, HeaderValue, Lifecycle, Outcome, Passage, Phase, Refusal, RequestHead,
};
pub use model::{Capabilities, ModelCard};
pub use operation::{Api, Constraints, Dialect, Operation};
pub use output_format::{OutputFormat, ReasoningSyntax, ToolSyntax};
pub use request::{
    Conversation, Effort, EndRules, Grammar, MOST_CHOICES, MOST_LOGPROBS, Message, Prompt, ReasoningOptions,
    Request, Role, Sampling, SamplingOverrides, ToolCall, ToolChoice,
};
pub use secret::Secret;
pub use usage::{Priority, Tags, Usage};

/// A boxed future, for the object-safe async methods of [`Lifecycle`] and [`Engine`].
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
