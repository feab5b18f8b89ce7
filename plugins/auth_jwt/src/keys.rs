//! The keys, each bound to the one algorithm it is for (RFC 8725 section 3.1). A token has no say in that.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mlx_gate_plugin::crypto::{self, SignatureAlgorithm};
use mlx_gate_plugin::{HostFile, Rejected, host};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// A token that names no key is tried with every key of its algorithm, so there is a bound on them.
pub(crate) const MOST_KEYS: usize = 64;

/// A signature algorithm, with the keys it takes.
pub(crate) struct Algorithm {
    /// In a token's header and a key's `alg`.
    pub(crate) name: &'static str,
    pub(crate) id: SignatureAlgorithm,
    kty: &'static str,
    crv: Option<&'static str>,
}

const fn algorithm(
    name: &'static str,
    id: SignatureAlgorithm,
    kty: &'static str,
    crv: Option<&'static str>,
) -> Algorithm {
    Algorithm { name, id, kty, crv }
}

/// RFC 7518 section 3.1, RFC 8037 section 3.1 and RFC 9864 section 2.2, without `none`. The first that takes a key is that of a key without `alg`.
static ALGORITHMS: [Algorithm; 14] = [
    algorithm("HS256", SignatureAlgorithm::Hs256, "oct", None),
    algorithm("HS384", SignatureAlgorithm::Hs384, "oct", None),
    algorithm("HS512", SignatureAlgorithm::Hs512, "oct", None),
    algorithm("RS256", SignatureAlgorithm::Rs256, "RSA", None),
    algorithm("RS384", SignatureAlgorithm::Rs384, "RSA", None),
    algorithm("RS512", SignatureAlgorithm::Rs512, "RSA", None),
    algorithm("PS256", SignatureAlgorithm::Ps256, "RSA", None),
    algorithm("PS384", SignatureAlgorithm::Ps384, "RSA", None),
    algorithm("PS512", SignatureAlgorithm::Ps512, "RSA", None),
    algorithm("ES256", SignatureAlgorithm::Es256, "EC", Some("P-256")),
    algorithm("ES384", SignatureAlgorithm::Es384, "EC", Some("P-384")),
    algorithm("ES512", SignatureAlgorithm::Es512, "EC", Some("P-521")),
    algorithm("EdDSA", SignatureAlgorithm::Eddsa, "OKP", Some("Ed25519")),
    algorithm("Ed25519", SignatureAlgorithm::Eddsa, "OKP", Some("Ed25519")),
];

/// A key that signatures are checked with.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: &'static Algorithm,
    /// For the host: a JWK with the members that matter, and no others.
    pub(crate) jwk: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// A key as RFC 7517 writes it. What is not here (`x5c`, `x5u`, ...) is ignored.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    intended_use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

/// The algorithms that the options allow; none listed are all.
pub(crate) struct Allowed(Vec<&'static Algorithm>);

impl Allowed {
    pub(crate) fn new(names: &[String]) -> Result<Self, Rejected> {
        let known = |name: &String| {
            ALGORITHMS.iter().find(|algorithm| algorithm.name == name).ok_or_else(|| {
                let names: Vec<_> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
                Rejected::new(format_args!("`algorithms`: `{name}` is none of {}", names.join(", ")))
            })
        };
        names.iter().map(known).collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, algorithm: &Algorithm) -> bool {
        self.0.is_empty() || self.0.iter().any(|allowed| allowed.name == algorithm.name)
    }
}

/// The keys of a set that are for checking signatures by an allowed algorithm. Sets have others too, for encryption say; they
/// are passed over, as RFC 7517 section 5 asks.
pub(crate) fn from_set(file: &HostFile, allowed: &Allowed) -> Result<Vec<Key>, Rejected> {
    // The parser's own text may quote what stands there.
    let set: Jwks = serde_json::from_str(file.text()?).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Rejected::new(format_args!("{file}: not a JSON Web Key Set; mistake at line {line}, column {column}"))
    })?;
    let (given, mut keys) = (set.keys.len(), Vec::new());
    for (index, jwk) in set.keys.into_iter().enumerate() {
        let name = jwk.kid.as_ref().map_or_else(|| format!("keys[{index}]"), |kid| format!("key `{kid}`"));
        let named = |what: String| Rejected::new(format_args!("{file}, {name}: {what}"));
        keys.extend(jwk.bind(allowed).and_then(probed).map_err(named)?);
    }
    if keys.is_empty() {
        return Err(Rejected::new(format_args!(
            "{file}: none of its {given} keys checks signatures by an allowed algorithm"
        )));
    }
    if keys.len() > MOST_KEYS {
        return Err(Rejected::new(format_args!(
            "{file}: it has {} keys; at most {MOST_KEYS} are taken",
            keys.len()
        )));
    }
    if keys.len() < given {
        host::log(host::Level::Info, &format!("{} of {given} keys are of use here", keys.len()));
    }
    Ok(keys)
}

/// A shared secret as the one key. `source` is the file or option it stands in.
pub(crate) fn from_secret(source: &dyn Display, secret: &str, allowed: &Allowed) -> Result<Key, Rejected> {
    let named = |what: String| Rejected::new(format_args!("{source}: {what}"));
    let jwk = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(secret) });
    let key = Jwk::deserialize(jwk)?.bind(allowed).and_then(probed).map_err(named)?;
    key.ok_or_else(|| named("`algorithms` names none for a secret (HS256, HS384, HS512)".to_owned()))
}

/// A key of a set that is fetched anew, as one JWK; `None` where it is for something else. That the host can read it shows
/// when it is used.
pub(crate) fn from_fetched(jwk: &str, allowed: &Allowed) -> Result<Option<Key>, String> {
    let jwk: Jwk = serde_json::from_str(jwk).map_err(|_| "it is no JSON Web Key".to_owned())?;
    if jwk.kty == "oct" {
        return Err("it is a secret (`oct`), and what can be fetched is none".to_owned());
    }
    jwk.bind(allowed)
}

/// Whether the host can read a key has to be found out now, and not when a caller comes.
fn probed(key: Option<Key>) -> Result<Option<Key>, String> {
    let Some(key) = key else { return Ok(None) };
    match crypto::verify(key.algorithm.id, &key.jwk, b"", b"") {
        Ok(_) => Ok(Some(key)),
        Err(crypto::Error::BadKey(why)) => Err(why),
        Err(crypto::Error::Unsupported) => Err(format!("this host does not have {}", key.algorithm.name)),
    }
}

impl Jwk {
    /// Makes the key usable; `None` where it is for something else.
    fn bind(self, allowed: &Allowed) -> Result<Option<Key>, String> {
        let for_signatures = self.intended_use.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let Some(algorithm) = self.algorithm(allowed)?.filter(|_| for_signatures) else { return Ok(None) };
        if self.d.is_some() {
            return Err("it is a private key (`d`); checking takes the public one alone".to_owned());
        }
        let members = [
            ("kty", Some(self.kty)),
            ("crv", self.crv),
            ("k", self.k),
            ("n", self.n),
            ("e", self.e),
            ("x", self.x),
            ("y", self.y),
        ];
        let members =
            members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))));
        let jwk = members.collect::<Map<_, _>>();
        if let ("oct", Some(secret)) = (algorithm.kty, jwk.get("k").and_then(Value::as_str)) {
            algorithm.check_secret(secret)?;
        }
        Ok(Some(Key { kid: self.kid, algorithm, jwk: Value::from(jwk).to_string() }))
    }

    /// The one algorithm of this key: what its `alg` says, else the one that `algorithms` names for keys of its kind, else the
    /// usual one.
    fn algorithm(&self, allowed: &Allowed) -> Result<Option<&'static Algorithm>, String> {
        let fits = |algorithm: &&Algorithm| algorithm.kty == self.kty && algorithm.crv == self.crv.as_deref();
        let Some(alg) = &self.alg else {
            return match allowed.0.iter().copied().filter(fits).collect::<Vec<_>>()[..] {
                [] if allowed.0.is_empty() => Ok(ALGORITHMS.iter().find(fits)),
                [] => Ok(None),
                [only] => Ok(Some(only)),
                [one, other, ..] => Err(format!(
                    "it has no `alg`, and `algorithms` has both {} and {} for it; a key is for one algorithm",
                    one.name, other.name
                )),
            };
        };
        match ALGORITHMS.iter().find(|algorithm| algorithm.name == alg) {
            Some(algorithm) if !fits(&algorithm) => {
                Err(format!("`alg` is {}, which its `kty` and `crv` do not fit", algorithm.name))
            }
            known => Ok(known.filter(|algorithm| allowed.has(algorithm))),
        }
    }
}

impl Algorithm {
    /// RFC 7518 section 3.2: a secret has at least as many bytes as the hash. `HS256` has 256 bits in its name.
    fn check_secret(&self, encoded: &str) -> Result<(), String> {
        let least = self.name[2..].parse::<usize>().unwrap_or_default() / 8;
        let bytes =
            URL_SAFE_NO_PAD.decode(encoded).map_err(|_| "`k` is not base64url without padding")?.len();
        if bytes < least {
            return Err(format!(
                "{} needs a secret of at least {least} bytes, and this one has {bytes}",
                self.name
            ));
        }
        Ok(())
    }
}
