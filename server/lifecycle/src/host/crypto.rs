//! `crypto`: the expensive or delicate primitives, native.

use zeroize::Zeroizing;

use super::State;
use super::turns::{Busy, Turns};
use crate::bindings::v0_1::mlx_gate::plugin::crypto::{DigestAlgorithm, Error, Host, SignatureAlgorithm};
use crate::crypto::signature::Algorithm;
use crate::crypto::{self, password, signature};

impl Host for State {
    fn digest(&mut self, algorithm: DigestAlgorithm, data: Vec<u8>) -> Vec<u8> {
        let algorithm = match algorithm {
            DigestAlgorithm::Sha256 => crypto::DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384 => crypto::DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512 => crypto::DigestAlgorithm::Sha512,
        };
        crypto::digest(algorithm, &data)
    }

    fn equal(&mut self, a: Vec<u8>, b: Vec<u8>) -> bool {
        crypto::equal(&a, &b)
    }

    fn verify(
        &mut self,
        algorithm: SignatureAlgorithm,
        key: String,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool, Error> {
        // It may be a symmetric one.
        let key = Zeroizing::new(key);
        signature::verify(algorithm.into(), &key, &message, &signature).map_err(Error::from)
    }

    async fn verify_password(
        &mut self,
        hash: String,
        password: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let password = Zeroizing::new(password);
        let (peer, patience) = (self.peer, self.patience());
        // The hash's time is not the plugin's.
        let verdict = self.waiting(async {
            let turn = tokio::time::timeout(patience, Turns::of_passwords().turn(peer)).await;
            let turn = turn.unwrap_or(Err(Busy::Late)).map_err(wasmtime::Error::new)?;
            // The turn is held until the hash is done, not until the request is: a client that hangs up frees nothing.
            let hashing = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                password::verify(&hash, &password)
            });
            // The runtime is going down, or the hash's code panicked. Neither is a password that fits.
            let verdict =
                hashing.await.map_err(|_| wasmtime::format_err!("a password's hash was not computed"))?;
            Ok(verdict.map_err(Error::from))
        });
        verdict.await
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        match error {
            crypto::Error::Unsupported => Self::Unsupported,
            crypto::Error::BadKey(message) => Self::BadKey(message),
        }
    }
}

impl From<SignatureAlgorithm> for Algorithm {
    fn from(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::Hs256 => Self::Hs256,
            SignatureAlgorithm::Hs384 => Self::Hs384,
            SignatureAlgorithm::Hs512 => Self::Hs512,
            SignatureAlgorithm::Rs256 => Self::Rs256,
            SignatureAlgorithm::Rs384 => Self::Rs384,
            SignatureAlgorithm::Rs512 => Self::Rs512,
            SignatureAlgorithm::Ps256 => Self::Ps256,
            SignatureAlgorithm::Ps384 => Self::Ps384,
            SignatureAlgorithm::Ps512 => Self::Ps512,
            SignatureAlgorithm::Es256 => Self::Es256,
            SignatureAlgorithm::Es384 => Self::Es384,
            SignatureAlgorithm::Es512 => Self::Es512,
            SignatureAlgorithm::Eddsa => Self::EdDsa,
        }
    }
}
