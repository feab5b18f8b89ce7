//! Authenticates callers by asking a server of yours over HTTP, as nginx's `auth_request`, Traefik's `ForwardAuth` and
//! Envoy's `ext_authz` do.

mod answer;
mod config;
mod source;
#[cfg(test)]
mod tests;

use mlx_gate_plugin::authenticate::{Authenticate, Grant, Verdict};
use mlx_gate_plugin::http::{self, Error, Request, Response};
use mlx_gate_plugin::{Denial, Description, Plugin, Rejected, RequestHead};

pub use config::Config;
use source::Sources;

/// The headers that credentials come in. What is forwarded is one of these, so that nothing else of a client's request ever
/// is, and all of them are taken out of the request behind the gate.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// The most bytes of credentials that are passed on. Longer ones fit no server's header.
const MOST_CREDENTIAL_BYTES: usize = 8 * 1024;

/// The plugin: whom to ask, and how to read the answer.
pub struct External {
    url: String,
    timeout_ms: u32,
    forward: Vec<&'static str>,
    /// Whether to ask about callers without any credential.
    always: bool,
    challenge: Option<String>,
    sources: Sources,
    /// The longest that an answer holds, whatever the server says.
    most_cache_ms: u64,
}

impl Plugin for External {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "auth_external",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: include_str!("../config.schema.json"),
            credential_headers: &CREDENTIALS,
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        config.resolve()
    }
}

impl Authenticate for External {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        let credentials: Vec<_> = self.credentials(&head).collect();
        if credentials.is_empty() && !self.always {
            return Verdict::Abstain(self.challenge.clone());
        }
        if credentials.iter().map(|(_, value)| value.len()).sum::<usize>() > MOST_CREDENTIAL_BYTES {
            let message = format!("credentials have at most {MOST_CREDENTIAL_BYTES} bytes");
            let denial = Denial::unauthorized("malformed_credentials", message);
            return Verdict::Deny(Denial { challenge: self.challenge.clone(), ..denial });
        }
        let anonymous = credentials.is_empty();
        let response = self.ask(&head, credentials);
        // The host makes a 503 of a panic, and writes it down: not to know is no reason to refuse somebody, and none to let
        // anybody in.
        let verdict = self.verdict(&response);
        match verdict.unwrap_or_else(|problem| panic!("the authentication server's answer {problem}")) {
            // Without a credential, what was said of one caller would be reused for all.
            Verdict::Allow(grant) if anonymous => Verdict::Allow(Grant { cache_for_ms: None, ..grant }),
            verdict => verdict,
        }
    }
}

impl External {
    fn credentials(&self, head: &RequestHead) -> impl Iterator<Item = (String, String)> {
        let given = self
            .forward
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), head.credential(name)?.to_owned())));
        given.collect::<Vec<_>>().into_iter()
    }

    fn ask(&self, head: &RequestHead, credentials: Vec<(String, String)>) -> Response {
        let mut headers = credentials;
        let about = [
            ("x-forwarded-method", Some(head.method.clone())),
            ("x-forwarded-uri", Some(head.path.clone())),
            ("x-forwarded-for", head.peer.clone()),
            ("x-request-id", Some(head.id.clone())),
        ];
        headers.extend(about.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let request = Request { headers, timeout_ms: self.timeout_ms, ..Request::get(&self.url) };
        http::send(&request).unwrap_or_else(|error| {
            let problem = match error {
                Error::Timeout => format!("did not answer within {} ms", self.timeout_ms),
                Error::TooLarge => "answers with more than the host takes".to_owned(),
                Error::NotGranted(why) => format!("may not be asked: {why}"),
                Error::Failed(why) => format!("cannot be asked: {why}"),
            };
            panic!("the authentication server {} {problem}", http::without_query(&self.url))
        })
    }
}

mlx_gate_plugin::export!(External: authenticate);
