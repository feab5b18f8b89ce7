//! One issuer that is trusted here: its keys, and what is asked of its tokens.

use std::borrow::Cow;

use mlx_gate_plugin::http::without_query;
use mlx_gate_plugin::{crypto, host, jwks};

use crate::claims::Rules;
use crate::json::Object;
use crate::keys::{self, Allowed, Key};
use crate::refusal::Refusal;
use crate::token::{self, Header, Token};

/// An issuer that is trusted.
pub(crate) struct Issuer {
    pub(crate) keys: Keys,
    /// What the header's `typ` has to be.
    pub(crate) typ: Option<String>,
    pub(crate) rules: Rules,
}

/// Where an issuer's keys are.
pub(crate) enum Keys {
    /// In the configuration.
    Configured(Vec<Key>),
    /// At a URL. The host fetches them, keeps them, and fetches them again when a token names one that is new.
    Fetched { url: String, allowed: Allowed },
}

impl Issuer {
    /// The claims of a token that this issuer signed.
    pub(crate) fn verified(&self, token: &Token) -> Result<Object, Refusal> {
        if let Some(wanted) = &self.typ
            && !token.header.typ.as_deref().is_some_and(|typ| token::same_type(typ, wanted))
        {
            return Err(Refusal::invalid(format!("the token's `typ` is not `{wanted}`")));
        }
        let keys = self.keys.candidates(&token.header);
        if keys.is_empty() {
            return Err(Refusal::invalid("there is no key for the token's `kid` and `alg`"));
        }
        if !keys.iter().any(|key| self.keys.has_signed(token, key)) {
            return Err(Refusal::invalid("the token's signature is wrong"));
        }
        token.claims()
    }
}

impl Keys {
    /// The keys that may have signed the token: of the same name, where both have one, and for this very algorithm.
    fn candidates(&self, header: &Header) -> Vec<Cow<'_, Key>> {
        match self {
            Self::Configured(keys) => {
                keys.iter().filter(|key| header.may_use(key)).map(Cow::Borrowed).collect()
            }
            Self::Fetched { url, allowed } => {
                let named = fetched(url, header.kid.as_deref(), allowed);
                // A set may have a key without a name.
                let keys = if named.is_empty() { fetched(url, None, allowed) } else { named };
                keys.into_iter()
                    .filter(|key| header.may_use(key))
                    .take(keys::MOST_KEYS)
                    .map(Cow::Owned)
                    .collect()
            }
        }
    }

    fn has_signed(&self, token: &Token, key: &Key) -> bool {
        match crypto::verify(key.algorithm.id, &key.jwk, token.signed.as_bytes(), &token.signature) {
            Ok(fits) => fits,
            Err(error) => {
                let name = key.algorithm.name;
                // The host took the configured ones when the plugin was configured. It makes a 503 of a panic.
                assert!(
                    matches!(self, Self::Fetched { .. }),
                    "a signature by {name} cannot be checked: {error:?}"
                );
                host::log(host::Level::Warn, &format!("a fetched key for {name} cannot be used: {error:?}"));
                false
            }
        }
    }
}

/// The keys at a URL that are of use; what is not is passed over and said. Without a set that can be had nothing can be
/// decided: the host makes a 503 of a panic, and writes it down.
fn fetched(url: &str, kid: Option<&str>, allowed: &Allowed) -> Vec<Key> {
    let jwks = jwks::keys(url, kid).unwrap_or_else(|error| match error {
        jwks::Error::NotGranted(why) => {
            panic!("the key set {} may not be fetched: {why}", without_query(url))
        }
        jwks::Error::Unavailable(why) => panic!("the key set {} is not to be had: {why}", without_query(url)),
    });
    let keys = jwks.iter().filter_map(|jwk| match keys::from_fetched(jwk, allowed) {
        Ok(key) => key,
        Err(why) => {
            host::log(host::Level::Warn, &format!("a key of the set cannot be used: {why}"));
            None
        }
    });
    keys.collect()
}
