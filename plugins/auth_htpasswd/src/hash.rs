//! Which hashes can be used. The host computes them; what it could not read has to be found out when the file is.

/// What bcrypt, apr1 and SHA-crypt write in base64's place.
fn is_crypt(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}

/// Says what is wrong with a hash, and what to do.
pub(crate) fn check(hash: &str) -> Result<(), String> {
    let bcrypt = ["$2y$", "$2a$", "$2b$"].iter().find_map(|prefix| hash.strip_prefix(prefix));
    let (kind, whole) = if let Some(rest) = bcrypt {
        ("bcrypt", bcrypt_is_whole(rest)?)
    } else if let Some(rest) = hash.strip_prefix("$apr1$") {
        ("apr1", salted(rest, 8, 22))
    } else if let Some(rest) = hash.strip_prefix("$5$") {
        ("SHA-256-crypt", salted(without_rounds(rest)?, 16, 43))
    } else if let Some(rest) = hash.strip_prefix("$6$") {
        ("SHA-512-crypt", salted(without_rounds(rest)?, 16, 86))
    } else if let Some(rest) = hash.strip_prefix("{SHA}") {
        let digits = rest.strip_suffix('=').unwrap_or_default();
        let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        // 20 bytes end in the middle of a digit.
        ("{SHA}", digits.len() == 27 && plain && digits.ends_with(|last| "AEIMQUYcgkosw048".contains(last)))
    } else {
        return Err(format!("{}; set it anew with `htpasswd -B`", unusable(hash)));
    };
    whole
        .then_some(())
        .ok_or_else(|| format!("the {kind} hash is damaged; set the password anew with `htpasswd -B`"))
}

/// `COST$`, then 22 characters of salt and 31 of digest, both of which end in the middle of a character.
fn bcrypt_is_whole(rest: &str) -> Result<bool, String> {
    let Some((cost, digest)) = rest.split_once('$') else { return Ok(false) };
    let Some(cost) = decimal(cost).filter(|_| cost.len() == 2) else { return Ok(false) };
    if !(4..=16).contains(&cost) {
        return Err(
            "the cost of a bcrypt hash is 4 to 16; set the password anew with `htpasswd -B`".to_owned()
        );
    }
    Ok(digest.len() == 53
        && is_crypt(digest)
        && digest[..22].ends_with(['.', 'O', 'e', 'u'])
        && digest.ends_with(|last| ".CGKOSWaeimquy26".contains(last)))
}

/// `SALT$DIGEST`.
fn salted(rest: &str, longest_salt: usize, digest: usize) -> bool {
    rest.split_once('$').is_some_and(|(salt, hash)| {
        (1..=longest_salt).contains(&salt.len()) && is_crypt(salt) && hash.len() == digest && is_crypt(hash)
    })
}

/// Takes `rounds=N$` off a SHA-crypt hash.
fn without_rounds(rest: &str) -> Result<&str, String> {
    let Some((rounds, salted)) = rest.strip_prefix("rounds=").and_then(|rest| rest.split_once('$')) else {
        return Ok(rest);
    };
    match decimal(rounds) {
        Some(1000..=1_000_000) => Ok(salted),
        _ => Err("a SHA-crypt hash has 1000 to 1000000 rounds; set the password anew with `htpasswd -B`"
            .to_owned()),
    }
}

/// A number in digits alone; `parse` takes a sign too.
fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Names what Apache takes or once took, and nobody should.
fn unusable(hash: &str) -> &'static str {
    if hash.is_empty() {
        "there is no password hash"
    } else if hash.starts_with(['$', '{']) {
        "the password hash is of a kind not known here ($2y$, $2a$, $2b$, $5$, $6$, $apr1$ and {SHA} are)"
    } else if hash.len() == 13 && is_crypt(hash) {
        "the password is stored as DES crypt, which is broken in hours"
    } else {
        "the password is stored in plain text"
    }
}
