//! Signatures: `auth_jwt` with keys and tokens made here. What is measured is the whole authentication, from the head to the
//! principal, in a fresh instance and with the decision cache off; the server has seen the issuer's key before. `native` is the
//! check of the signature alone, without any plugin: what of the figure is the machine's.

use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mlx_gate_core::Secret;
use serde_json::{Value, json};

use crate::chain;
use crate::report::Report;
use crate::requests::{self, Times};
use crate::setting::{Isolation, Setting};
use crate::{Only, Result};

/// Tokens in turn, so that none is in a cache of anybody's.
const TOKENS: usize = 64;

pub(crate) async fn measure(setting: &Setting, only: &Only, report: &mut Report) -> Result<()> {
    let signers = [("rs256", Signer::rsa()?), ("es256", Signer::p256()?)];
    for (name, signer) in &signers {
        if !only.includes(name) {
            continue;
        }
        let file = setting.file(&format!("{name}.json"));
        std::fs::write(&file, json!({ "keys": [signer.public_key()] }).to_string())?;
        let options = [
            ("issuer", "https://issuer.example"),
            ("audience", "mlx-gate"),
            ("jwks", &*file.display().to_string()),
            ("host.cache", "false"),
        ];
        let gate = Setting::gate(&[setting.plugin("auth_jwt", Isolation::Fresh, &options)]).await?;
        let tokens = (0..TOKENS).map(|number| signer.token(number)).collect::<Result<Vec<_>>>()?;
        let heads = (0..).map(|number: usize| requests::head(number, &tokens[number % TOKENS]));
        report.times(name, &chain::authenticate(&gate, heads, only.requests).await?);
        report.times(&format!("{name}_native"), &signer.native(&tokens, only.requests)?);
    }
    Ok(())
}

enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Signer {
    fn rsa() -> Result<Self> {
        Ok(Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?))
    }

    fn p256() -> Result<Self> {
        Ok(Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?))
    }

    fn public_key(&self) -> Value {
        match self {
            Self::Rsa(pair) => {
                // An `RSAPublicKey` (RFC 8017 appendix A.1.1): heads of sequence and integer, a zero, the modulus of 256
                // bytes, and the exponent 65537.
                let modulus = &pair.public_key().as_ref()[9..265];
                json!({ "kty": "RSA", "kid": "1", "alg": "RS256", "n": encode(modulus), "e": "AQAB" })
            }
            Self::P256(pair) => {
                // Uncompressed: 4, then the two coordinates.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (encode(x), encode(y));
                json!({ "kty": "EC", "kid": "1", "alg": "ES256", "crv": "P-256", "x": x, "y": y })
            }
        }
    }

    fn token(&self, number: usize) -> Result<Secret> {
        let algorithm = match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let claims = json!({
            "iss": "https://issuer.example", "aud": "mlx-gate", "sub": format!("user-{number}"),
            "iat": now.as_secs(), "exp": (now + Duration::from_hours(1)).as_secs(),
            "tenant": "acme", "roles": ["member"], "scope": "chat models",
        });
        let header = json!({ "alg": algorithm, "kid": "1", "typ": "JWT" });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.sign(signed.as_bytes())?;
        Ok(Secret::new(format!("{signed}.{}", encode(signature))))
    }

    /// Checks the signatures of tokens with the library and the kind of key that the host does it with.
    fn native(&self, tokens: &[Secret], count: usize) -> Result<Times> {
        let key = match self {
            Self::Rsa(pair) => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())?,
            Self::P256(pair) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?,
        };
        let parts = tokens.iter().map(|token| {
            let (signed, signature) = token.expose().rsplit_once('.').ok_or("a token without a signature")?;
            Ok((signed, URL_SAFE_NO_PAD.decode(signature)?))
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let mut times = Vec::with_capacity(count);
        for (signed, signature) in parts.iter().cycle().take(count) {
            let started = Instant::now();
            key.verify_sig(signed.as_bytes(), signature)?;
            times.push(started.elapsed());
        }
        Ok(Times::of(times))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::P256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
