use mlx_gate_core::{HeaderValue, RequestHead, Secret};

use super::Description;
use crate::bindings::v0_1::exports::mlx_gate::plugin::authenticate as v0_1;

/// What one plugin sees of a request's head: the headers it declared, and no others.
pub(super) struct Seen {
    head: v0_1::RequestHead,
}

impl Seen {
    pub(super) fn new(head: &RequestHead, description: &Description) -> Self {
        Self {
            head: v0_1::RequestHead {
                id: head.id.clone(),
                method: head.method.clone(),
                path: head.path.clone(),
                dialect: head.dialect.as_str().to_owned(),
                peer: head.peer.map(|peer| peer.to_string()),
                tls_subject: None,
                credentials: declared(head, &description.credential_headers),
                headers: declared(head, &description.headers),
            },
        }
    }

    pub(super) fn head(&self) -> &v0_1::RequestHead {
        &self.head
    }

    /// The credentials, for the log to blot out.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        self.head.credentials.iter().map(|(_, value)| Secret::new(value.as_str())).collect()
    }
}

/// Values that are not UTF-8 are left out. Of credentials there are none: the chain refuses them before any plugin is asked.
fn declared(head: &RequestHead, names: &[String]) -> Vec<(String, String)> {
    head.headers
        .iter()
        .filter(|(name, _)| names.contains(name))
        .filter_map(|(name, value)| match value {
            HeaderValue::Text(text) => Some((name.clone(), text.expose().to_owned())),
            HeaderValue::NotUtf8 => None,
        })
        .collect()
}
