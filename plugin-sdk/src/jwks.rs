//! JSON Web Key Sets (RFC 7517), fetched, cached and refreshed by the host. By the grant for [`http`](crate::http).

#[cfg(not(target_arch = "wasm32"))]
use crate::testing::jwks as imports;

#[cfg(target_arch = "wasm32")]
use crate::bindings::mlx_gate::plugin::jwks as imports;

pub use crate::bindings::mlx_gate::plugin::jwks::Error;

/// The keys of the set at this URL, one JWK as JSON each. With a `kid`, only those that carry it; where none does, the host
/// fetches the set again, if it has not just done so, because keys rotate.
pub fn keys(url: &str, kid: Option<&str>) -> Result<Vec<String>, Error> {
    imports::keys(url, kid)
}
