//! Write plugins for mlx-gate.
//!
//! A plugin is one type. [`Plugin`] says what it is and how it is configured; each phase of a request it takes part in is
//! one more trait; [`export!`] makes a WebAssembly component of it that has exactly those phases:
//!
//! ```
//! use mlx_gate_plugin::authenticate::{Authenticate, Verdict};
//! use mlx_gate_plugin::{Denial, Description, Plugin, Principal, Rejected, RequestHead};
//!
//! struct Password(String);
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     password: String,
//! }
//!
//! impl Plugin for Password {
//!     type Config = Config;
//!
//!     fn describe() -> Description {
//!         Description {
//!             name: "password",
//!             version: "0.1.0",
//!             config_schema: r#"{"type": "object", "required": ["password"], "properties": {"password": {"type": "string"}}}"#,
//!             credential_headers: &["x-password"],
//!             headers: &[],
//!         }
//!     }
//!
//!     fn configure(config: Config) -> Result<Self, Rejected> {
//!         Ok(Self(config.password))
//!     }
//! }
//!
//! impl Authenticate for Password {
//!     fn authenticate(&self, head: RequestHead) -> Verdict {
//!         match head.credential("x-password") {
//!             None => Verdict::Abstain(None),
//!             Some(given) if mlx_gate_plugin::crypto::equal(given.as_bytes(), self.0.as_bytes()) => {
//!                 Verdict::allow(Principal::new("friend"))
//!             }
//!             Some(_) => Verdict::Deny(Denial::unauthorized("wrong_password", "that is not the password")),
//!         }
//!     }
//! }
//!
//! mlx_gate_plugin::export!(Password: authenticate);
//! ```
//!
//! Options that name files are [`HostFile`]s. What a plugin may reach beyond [`host`] and [`crypto`] is granted by whoever
//! runs the server: a [`kv`] space of its own, [`http`] to named origins, [`jwks`] from them, lines to an [`output`]. A
//! component imports only what it calls.
//!
//! The same code runs natively in `cargo test`, on the fake host of [`testing`]. There
//! [`configure_with_files`](testing::configure_with_files) hands files over.

mod alloc;
#[doc(hidden)]
pub mod bindings;
mod export;
mod file;
mod phase;
mod plugin;
#[doc(hidden)]
pub mod runtime;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(feature = "toml")]
mod toml;
mod vocabulary;

pub mod crypto;
pub mod headers;
pub mod host;
pub mod http;
pub mod jwks;
pub mod kv;
pub mod output;
pub mod pattern;

pub use bindings::mlx_gate::plugin::types::{
    Completed, Constraints, Denial, Operation, Principal, Priority, RequestHead, Tags, Usage,
};
pub use file::HostFile;
pub use phase::{authenticate, authorize, logging, rate_limit, tagging};
pub use plugin::{Description, Plugin, Rejected, without_text};
