//! Password hashes in crypt(3) and htpasswd form. Checking one is slow by design: callers run it off the async threads.

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha_crypt::ShaCrypt;

use super::{Error, equal};

/// Longer ones are refused unread, so that nobody can make the server hash megabytes.
const MAX_PASSWORD: usize = 1024;

/// bcrypt takes 2^cost rounds; 16 is several seconds.
const MAX_BCRYPT_COST: u32 = 16;

/// SHA-crypt allows 999,999,999 rounds, which is minutes.
const MAX_SHA_CRYPT_ROUNDS: u32 = 1_000_000;

/// argon2 in KiB of memory and passes over it.
const MAX_ARGON2_MEMORY_KIB: u32 = 262_144;
const MAX_ARGON2_PASSES: u32 = 16;

/// Checks a password against a hash.
pub(crate) fn verify(hash: &str, password: &str) -> Result<bool, Error> {
    let password = password.as_bytes();
    if password.len() > MAX_PASSWORD {
        return Ok(false);
    }
    if hash.starts_with("$2a$") || hash.starts_with("$2b$") || hash.starts_with("$2y$") {
        bcrypt(hash, password)
    } else if hash.starts_with("$5$") || hash.starts_with("$6$") {
        sha_crypt(hash, password)
    } else if let Some(rest) = hash.strip_prefix("$apr1$") {
        apr1(rest, password)
    } else if let Some(encoded) = hash.strip_prefix("{SHA}") {
        let expected =
            STANDARD.decode(encoded).map_err(|_| Error::bad_key("hash: {SHA} takes base64 after it"))?;
        Ok(equal(digest(&SHA1_FOR_LEGACY_USE_ONLY, password).as_ref(), &expected))
    } else if hash.starts_with("$argon2") {
        argon2(hash, password)
    } else {
        Err(Error::Unsupported)
    }
}

fn bcrypt(hash: &str, password: &[u8]) -> Result<bool, Error> {
    let malformed = || Error::bad_key("hash: not a bcrypt hash ($2y$cost$ and 53 characters)");
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| malformed())?;
    if parts.get_cost() > MAX_BCRYPT_COST {
        return Err(Error::bad_key(format!("hash: a bcrypt cost over {MAX_BCRYPT_COST} is not accepted")));
    }
    // Only the first 72 bytes count, as in every bcrypt that wrote such a file.
    bcrypt::verify(password, hash).map_err(|_| malformed())
}

fn sha_crypt(hash: &str, password: &[u8]) -> Result<bool, Error> {
    let malformed = || Error::bad_key("hash: not a SHA-crypt hash ($5$ or $6$, salt$hash)");
    if let Some(rounds) = hash.get(3..).and_then(|rest| rest.strip_prefix("rounds=")) {
        let rounds =
            rounds.split('$').next().and_then(|text| text.parse::<u32>().ok()).ok_or_else(malformed)?;
        if rounds > MAX_SHA_CRYPT_ROUNDS {
            return Err(Error::bad_key(format!("hash: over {MAX_SHA_CRYPT_ROUNDS} rounds are not accepted")));
        }
    }
    outcome(ShaCrypt::default().verify_password(password, hash)).ok_or_else(malformed)
}

fn argon2(hash: &str, password: &[u8]) -> Result<bool, Error> {
    let malformed = || Error::bad_key("hash: not an argon2 hash in PHC form");
    let parsed = PasswordHash::new(hash).map_err(|_| malformed())?;
    let number = |name| parsed.params.get_decimal(name).unwrap_or(0);
    if number("m") > MAX_ARGON2_MEMORY_KIB || number("t") > MAX_ARGON2_PASSES {
        return Err(Error::bad_key(format!(
            "hash: argon2 with over {MAX_ARGON2_MEMORY_KIB} KiB or {MAX_ARGON2_PASSES} passes is not accepted"
        )));
    }
    outcome(Argon2::default().verify_password(password, &parsed)).ok_or_else(malformed)
}

/// Whether the password fits; `None` where the hash cannot be read.
fn outcome(result: sha_crypt::password_hash::Result<()>) -> Option<bool> {
    match result {
        Ok(()) => Some(true),
        Err(sha_crypt::password_hash::Error::PasswordInvalid) => Some(false),
        Err(_) => None,
    }
}

/// Apache's MD5, `apr_md5_encode` in apr-util's `crypto/apr_md5.c`. No maintained crate has it; old files are full of it.
fn apr1(rest: &str, password: &[u8]) -> Result<bool, Error> {
    let (salt, expected) =
        rest.split_once('$').ok_or_else(|| Error::bad_key("hash: $apr1$ takes salt$hash after it"))?;
    let salt = &salt.as_bytes()[..salt.len().min(8)];

    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(b"$apr1$").chain_update(salt);
    for chunk in password.chunks(16) {
        outer.update(&inner[..chunk.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        outer.update(if bits & 1 == 1 { &[0_u8] } else { &password[..1] });
        bits >>= 1;
    }
    let mut state = outer.finalize();
    for round in 0..1000 {
        let mut hasher = Md5::new();
        hasher.update(if round % 2 == 1 { password } else { &state[..] });
        if round % 3 != 0 {
            hasher.update(salt);
        }
        if round % 7 != 0 {
            hasher.update(password);
        }
        hasher.update(if round % 2 == 1 { &state[..] } else { password });
        state = hasher.finalize();
    }
    Ok(equal(apr1_text(&state).as_bytes(), expected.as_bytes()))
}

/// The crypt(3) alphabet over the digest's bytes in apr1's own order.
fn apr1_text(state: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut text = String::with_capacity(22);
    let mut write = |mut value: u32, characters: usize| {
        for _ in 0..characters {
            text.push(char::from(ALPHABET[(value & 0x3f) as usize]));
            value >>= 6;
        }
    };
    for [a, b, c] in GROUPS {
        write(u32::from(state[a]) << 16 | u32::from(state[b]) << 8 | u32::from(state[c]), 4);
    }
    write(u32::from(state[11]), 2);
    text
}

#[cfg(test)]
mod tests;
