//! The server as its users meet it: over HTTP, on the command line, in its log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod chat;
mod clients;
mod configuration;
mod hostile;
mod htpasswd;
mod hub;
mod jwt;
mod logs;
mod requests;
mod shutdown;
mod startup;
