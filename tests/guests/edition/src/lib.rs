//! A plugin that takes part in every phase and makes sure that one and the same plugin decides in all of them.
//!
//! It knows which it is: its edition is eight bytes that a test puts into the component, and the content of the file its
//! option `mark` names. `authenticate` makes it the principal's tenant; every later phase refuses a principal of another
//! edition. The response's header `x-ratelimit-edition` says it too. A bearer token `not EDITION` is refused by that edition
//! alone.

use std::hint::black_box;

use mlx_gate_plugin::authenticate::{Authenticate, Verdict};
use mlx_gate_plugin::authorize::{self, Authorize};
use mlx_gate_plugin::logging::Logging;
use mlx_gate_plugin::rate_limit::{self, Ending, RateLimit, Reservation};
use mlx_gate_plugin::tagging::Tagging;
use mlx_gate_plugin::{
    Completed, Constraints, Denial, Description, HostFile, Operation, Plugin, Principal, Rejected,
    RequestHead, Tags, Usage,
};

/// The eight bytes after the first nine are what a test replaces.
static EDITION: [u8; 17] = *b"edition: original";

struct Edition {
    name: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    mark: Option<HostFile>,
}

impl Plugin for Edition {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "edition",
            version: env!("CARGO_PKG_VERSION"),
            config_schema: r#"{
                "type": "object",
                "properties": { "mark": { "type": "string", "format": "host-file" } }
            }"#,
            credential_headers: &["authorization"],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        // Read from memory, where a test has put it, whatever the compiler knows of the original.
        let bytes = &black_box(&EDITION)[9..];
        let mut name = String::from_utf8_lossy(bytes).into_owned();
        if let Some(file) = &config.mark {
            let mark = file.text()?.trim();
            if mark.is_empty() || mark == "bad" {
                return Err(Rejected::new(format_args!("{file} holds no good mark")));
            }
            name.push('-');
            name.push_str(mark);
        }
        Ok(Self { name })
    }
}

impl Edition {
    /// What is wrong with a principal that another edition vouched for.
    fn mixed(&self, who: Option<&Principal>) -> Option<String> {
        let tenant = who.and_then(|who| who.tenant.as_deref()).unwrap_or("nobody");
        (tenant != self.name).then(|| format!("vouched for by {tenant}, asked of {}", self.name))
    }

    fn refusal(&self, who: Option<&Principal>) -> Option<Denial> {
        self.mixed(who).map(|message| Denial::new(409, "mixed_editions", message))
    }

    /// Of the edition's name, so that a settle shows who reserved.
    fn ticket(&self) -> u64 {
        self.name.bytes().fold(0, |ticket, byte| ticket.wrapping_mul(31) + u64::from(byte))
    }
}

impl Authenticate for Edition {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        if head.credential("authorization") == Some(&format!("Bearer not {}", self.name)) {
            return Verdict::Deny(Denial::new(401, "refused", "not to this edition"));
        }
        let mut principal = Principal::new("somebody");
        principal.tenant = Some(self.name.clone());
        Verdict::allow(principal)
    }
}

impl Authorize for Edition {
    fn authorize(&self, who: Option<Principal>, _: Operation) -> authorize::Verdict {
        match self.refusal(who.as_ref()) {
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

impl RateLimit for Edition {
    fn admit(&self, who: Option<Principal>, _: Operation) -> rate_limit::Verdict {
        match self.refusal(who.as_ref()) {
            Some(denial) => rate_limit::Verdict::Deny(denial),
            None => rate_limit::Verdict::Reserve(Reservation {
                ticket: self.ticket(),
                headers: vec![("x-ratelimit-edition".to_owned(), self.name.clone())],
            }),
        }
    }

    fn settle(&self, who: Option<Principal>, _: Operation, ticket: u64, _: Ending, _: Usage) {
        assert_eq!(self.mixed(who.as_ref()), None);
        assert_eq!(ticket, self.ticket(), "reserved with another edition");
    }
}

impl Tagging for Edition {
    fn tag(&self, who: Option<Principal>, _: Operation) -> Tags {
        assert_eq!(self.mixed(who.as_ref()), None);
        Tags {
            tenant: Some(self.name.clone()),
            priority: None,
            weight: None,
            adapter: None,
            cache_scope: None,
            labels: vec![("edition".to_owned(), self.name.clone())],
            upstream_headers: Vec::new(),
        }
    }
}

impl Logging for Edition {
    fn log(&self, events: Vec<Completed>) {
        for event in events.iter().filter(|event| event.principal.is_some()) {
            assert_eq!(self.mixed(event.principal.as_ref()), None);
        }
    }
}

mlx_gate_plugin::export!(Edition: authenticate, authorize, rate_limit, tagging, logging);
