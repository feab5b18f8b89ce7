//! A custom authenticator: whoever knows the password is let in.

use mlx_gate_plugin::authenticate::{Authenticate, Verdict};
use mlx_gate_plugin::{Denial, Description, Plugin, Principal, Rejected, RequestHead, crypto, host};

const HEADER: &str = "x-password";

/// The plugin's state: what `configure` makes of the options.
struct Doorman {
    password: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    password: String,
}

impl Plugin for Doorman {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            config_schema: r#"{
                "type": "object",
                "required": ["password"],
                "properties": {
                    "password": { "type": "string", "description": "What callers send in x-password" }
                }
            }"#,
            credential_headers: &[HEADER],
            headers: &[],
        }
    }

    fn configure(config: Config) -> Result<Self, Rejected> {
        if config.password.len() < 4 {
            return Err(Rejected::new("`password` has to be at least 4 bytes long"));
        }
        Ok(Self { password: config.password })
    }
}

impl Authenticate for Doorman {
    fn authenticate(&self, head: RequestHead) -> Verdict {
        let Some(given) = head.credential(HEADER) else {
            return Verdict::Abstain(None);
        };
        if !crypto::equal(given.as_bytes(), self.password.as_bytes()) {
            return Verdict::Deny(Denial::unauthorized("wrong_password", "that is not the password"));
        }
        host::log(host::Level::Debug, &format!("request {} knows the password", head.id));
        Verdict::allow(Principal::new("friend"))
    }
}

mlx_gate_plugin::export!(Doorman: authenticate);

/// `cargo test` runs these on this machine, with the SDK's fake host in place of the server. The cases of
/// `mlx-gate plugin test` are in `cases`.
#[cfg(test)]
mod tests {
    use mlx_gate_plugin::authenticate::{Authenticate, Verdict};
    use mlx_gate_plugin::testing::{configure, request};

    use super::Doorman;

    fn verdict(headers: &[(&str, &str)]) -> Verdict {
        let plugin: Doorman = configure(r#"{"password": "open sesame"}"#).expect("a good configuration");
        plugin.authenticate(request("GET", "/v1/models", headers))
    }

    #[test]
    fn only_the_right_password_opens_the_door() {
        assert!(matches!(verdict(&[("x-password", "open sesame")]), Verdict::Allow(_)));
        assert!(matches!(verdict(&[("x-password", "open")]), Verdict::Deny(denial) if denial.status == 401));
        assert!(matches!(verdict(&[]), Verdict::Abstain(None)));
    }
}
