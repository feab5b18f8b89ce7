//! The options.

use mlx_gate_plugin::pattern::Pattern;
use mlx_gate_plugin::{HostFile, Rejected};
use serde::Deserialize;

use crate::privacy::{Privacy, Shown};
use crate::{AccessLog, line};

/// The options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The host opens it.
    #[serde(rename = "file")]
    _file: String,
    fields: Option<Vec<Pattern>>,
    #[serde(default)]
    client_address: Shown,
    #[serde(default)]
    user: Shown,
    hash_key: Option<HostFile>,
    sample: Option<f64>,
}

impl Config {
    pub(crate) fn resolve(self) -> Result<AccessLog, Rejected> {
        for pattern in self.fields.iter().flatten() {
            if !line::FIELDS.iter().any(|field| pattern.fits(field))
                && !pattern.as_str().starts_with(line::LABEL)
            {
                return Err(Rejected::new(format_args!(
                    "`fields`: there is no field `{}`; there are {} and {}NAME",
                    pattern.as_str(),
                    line::FIELDS.join(", "),
                    line::LABEL
                )));
            }
        }
        if self.fields.as_ref().is_some_and(Vec::is_empty) {
            return Err(Rejected::new("`fields` is empty; leave it out for all of them"));
        }
        if self.user == Shown::Truncated {
            return Err(Rejected::new("`user` is `full`, `hashed` or `none`"));
        }
        let sample = self.sample.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            return Err(Rejected::new("`sample` is the part of the successes to write, from 0 to 1"));
        }
        let key = match &self.hash_key {
            // What an editor adds at the end of a file is not part of the key.
            Some(file) => file.bytes().trim_ascii_end(),
            None if self.user == Shown::Hashed || self.client_address == Shown::Hashed => {
                return Err(Rejected::new(
                    "`hash-key`: `hashed` needs a file with a secret; without one, whoever has the log can try out all \
                     addresses and names",
                ));
            }
            None => &[],
        };
        if let Some(file) = &self.hash_key
            && key.len() < 16
        {
            return Err(Rejected::new(format_args!(
                "`hash-key`, {file}: a secret has at least 16 bytes, and this one has {}",
                key.len()
            )));
        }
        let privacy = Privacy { client_address: self.client_address, user: self.user, key: key.to_vec() };
        Ok(AccessLog { fields: self.fields, privacy, sample })
    }
}
