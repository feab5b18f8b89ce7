//! How much of a person is written down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mlx_gate_plugin::crypto;
use serde::Deserialize;

/// What is done to a name or an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shown {
    /// Nothing.
    #[default]
    Full,
    /// The network alone: 24 bits of IPv4, 48 of IPv6.
    Truncated,
    /// A keyed hash: the same for the same person, and of no use to whoever does not have the key.
    Hashed,
    /// It is left out.
    None,
}

/// What is done to whom.
pub(crate) struct Privacy {
    pub(crate) client_address: Shown,
    pub(crate) user: Shown,
    pub(crate) key: Vec<u8>,
}

impl Privacy {
    pub(crate) fn address(&self, address: &str) -> Option<String> {
        match self.client_address {
            Shown::Full => Some(address.to_owned()),
            // What is no address cannot be cut to its network.
            Shown::Truncated => address.parse().ok().map(network),
            Shown::Hashed => Some(self.hash(address)),
            Shown::None => None,
        }
    }

    /// A keyed hash, short enough to read and long enough to be unique.
    pub(crate) fn hash(&self, name: &str) -> String {
        crypto::hex(&crypto::hmac_sha256(&self.key, name.as_bytes())[..16])
    }
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (!0 << 8)).to_string(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 80)).to_string(),
    }
}
