//! Where the admin API is, and the key to it.

use mlx_gate_core::Secret;

use super::options::{ADMIN, ADMIN_KEY, ADMIN_KEY_FILE, Opt};
use super::{Given, GivenOptions, Mistake, Value};
use crate::admin::{AdminAddress, AdminSettings};

/// A key that somebody thought up in a hurry can be guessed.
const SHORTEST_KEY: usize = 16;

/// Checks what was said about the admin API.
pub(super) fn resolve(
    given: &GivenOptions,
    public: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<AdminSettings> {
    let key = key(given).unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        None
    });
    let Given { source, values } = given.get(&ADMIN)?;
    let [Value::Text(text)] = values.as_slice() else {
        mistakes.push(Mistake::unexpected(source, "something else", ADMIN.value));
        return None;
    };
    let Some(address) = AdminAddress::parse(text) else {
        let expected = "an address and a port such as 127.0.0.1:8001, or unix:PATH";
        mistakes.push(Mistake::unexpected(source, &values[0], expected));
        return None;
    };
    let names_a_key = given.get(&ADMIN_KEY).is_some() || given.get(&ADMIN_KEY_FILE).is_some();
    if matches!(address, AdminAddress::Tcp(_)) && !names_a_key {
        let problem = format!(
            "every program on this machine can reach {text}, so it needs a key: set {} or --{}, or choose unix:PATH",
            ADMIN_KEY.variable(),
            ADMIN_KEY_FILE.name
        );
        mistakes.push(Mistake::new(source, problem));
    }
    Some(AdminSettings { address, key, public })
}

fn key(given: &GivenOptions) -> Result<Option<Secret>, Mistake> {
    let (said, key) = match (given.get(&ADMIN_KEY), given.get(&ADMIN_KEY_FILE)) {
        (None, None) => return Ok(None),
        (Some(_), Some(file)) => {
            let problem = format!("--{} gives a key too; give one of them", ADMIN_KEY.name);
            return Err(Mistake::new(&file.source, problem));
        }
        (Some(said), None) => match said.values.as_slice() {
            [Value::Secret(key)] => (said, key.clone()),
            _ => return Err(Mistake::unexpected(&said.source, "something else", ADMIN_KEY.value)),
        },
        (None, Some(said)) => (said, from_file(said, &ADMIN_KEY_FILE)?),
    };
    let problem = if key.expose().len() < SHORTEST_KEY {
        format!(
            "the key has fewer than {SHORTEST_KEY} characters and could be guessed; `openssl rand -hex 32` makes one"
        )
    } else if !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        "the key holds characters that an HTTP header cannot carry; use visible ASCII without spaces"
            .to_owned()
    } else {
        return Ok(Some(key));
    };
    Err(Mistake::new(&said.source, problem))
}

fn from_file(said: &Given, option: &Opt) -> Result<Secret, Mistake> {
    let [Value::Text(path)] = said.values.as_slice() else {
        return Err(Mistake::unexpected(&said.source, "something else", option.value));
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Secret::new(text.trim_end())),
        Err(error) => Err(Mistake::new(&said.source, format!("cannot read `{path}`: {error}"))),
    }
}
