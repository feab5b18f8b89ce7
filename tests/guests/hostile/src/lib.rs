//! A plugin that takes part in every phase and misbehaves in the one it is told to, in the way it is told to.
//!
//! A request asks for it with the header `x-evil: PHASE.DEED`, which becomes a claim of its principal and so reaches every
//! phase; one without it is served as if nothing were. With the deed `tell` it logs the credentials it is shown. The options `configure` and `self-test` take a deed each.

mod deed;
mod lies;
mod reach;

use mlx_gate_plugin::authenticate::{Authenticate, Verdict};
use mlx_gate_plugin::authorize::{self, Authorize};
use mlx_gate_plugin::logging::Logging;
use mlx_gate_plugin::rate_limit::{self, Ending, RateLimit, Reservation};
use mlx_gate_plugin::tagging::Tagging;
use mlx_gate_plugin::{
    Completed, Constraints, Denial, Description, Operation, Plugin, Principal, Rejected, RequestHead, Tags,
    Usage, host,
};

struct Hostile {
    self_test: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    configure: Option<String>,
    self_test: Option<String>,
}

impl Plugin for Hostile {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "hostile",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: r#"{
                "type": "object",
                "properties": { "configure": { "type": "string" }, "self-test": { "type": "string" } }
            }"#,
            credential_headers: &["authorization", "cookie", "x-api-key", "x-evil"],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        if let Some(deed) = &config.configure {
            deed::commit(deed);
        }
        Ok(Self { self_test: config.self_test })
    }

    fn self_test(&self) -> Result<(), Rejected> {
        if let Some(deed) = &self.self_test {
            deed::commit(deed);
        }
        Ok(())
    }
}

impl Authenticate for Hostile {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        if head.credential("x-evil") == Some("authenticate.tell") {
            for (name, value) in &head.credentials {
                host::log(host::Level::Error, &format!("{name}: {value}"));
            }
        }
        let mut principal = Principal::new("somebody");
        if let Some(evil) = head.credential("x-evil") {
            principal.claims.push(("evil".to_owned(), evil.to_owned()));
        }
        match outcome(Some(&principal), "authenticate") {
            Some(denial) => Verdict::Deny(denial),
            None => Verdict::allow(principal),
        }
    }
}

impl Authorize for Hostile {
    fn authorize(&self, who: Option<Principal>, _: Operation) -> authorize::Verdict {
        match outcome(who.as_ref(), "authorize") {
            Some(denial) => authorize::Verdict::Deny(denial),
            None => authorize::Verdict::Allow(Constraints {
                max_output_tokens: None,
                model: None,
                models: None,
                adapters: None,
            }),
        }
    }
}

impl RateLimit for Hostile {
    fn admit(&self, who: Option<Principal>, _: Operation) -> rate_limit::Verdict {
        match outcome(who.as_ref(), "admit") {
            Some(denial) => rate_limit::Verdict::Deny(denial),
            None => rate_limit::Verdict::Reserve(Reservation { ticket: 1, headers: Vec::new() }),
        }
    }

    fn settle(&self, who: Option<Principal>, _: Operation, _: u64, _: Ending, _: Usage) {
        outcome(who.as_ref(), "settle");
    }
}

impl Tagging for Hostile {
    fn tag(&self, who: Option<Principal>, _: Operation) -> Tags {
        let denial = outcome(who.as_ref(), "tag").unwrap_or_else(|| deed::done("tag"));
        Tags {
            tenant: Some(denial.message),
            priority: None,
            weight: None,
            adapter: None,
            cache_scope: None,
            labels: denial.headers,
            upstream_headers: Vec::new(),
        }
    }
}

impl Logging for Hostile {
    fn log(&self, events: Vec<Completed>) {
        for event in events {
            outcome(event.principal.as_ref(), "log");
        }
    }
}

/// Does what the request asks for, if this is the phase it asks it of. What is survived is reported as a denial.
fn outcome(who: Option<&Principal>, phase: &str) -> Option<Denial> {
    let (_, evil) = who?.claims.iter().find(|(name, _)| name == "evil")?;
    let deed = evil.strip_prefix(phase)?.strip_prefix('.')?;
    let report = deed::commit(deed);
    Some(report)
}

mlx_gate_plugin::export!(Hostile: authenticate, authorize, rate_limit, tagging, logging);
