//! The server as its users meet it: over HTTP, on the command line, in its log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access_log;
mod admin;
mod agents;
mod auth;
mod authz;
mod chat;
mod clients;
mod configuration;
mod embeddings;
mod external;
mod forged;
mod grammars;
mod hostile;
mod htpasswd;
mod hub;
mod jwks;
mod jwt;
mod kit;
mod loglikelihood;
mod logs;
mod markers;
mod rate_limit;
mod requests;
mod schemas;
mod shutdown;
mod startup;
mod structured;
mod swap;
mod tags;
