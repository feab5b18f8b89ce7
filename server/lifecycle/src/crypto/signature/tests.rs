use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Algorithm, Error, verify};

const ALGORITHMS: [Algorithm; 13] = [
    Algorithm::Hs256,
    Algorithm::Hs384,
    Algorithm::Hs512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

struct Case {
    algorithm: Algorithm,
    jwk: Value,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// Tokens signed by PyJWT, one for each algorithm; `fixtures.py` makes them.
fn cases() -> Vec<Case> {
    let rows: Vec<Value> = serde_json::from_str(include_str!("jws.json")).expect("the fixture is JSON");
    let text = |row: &Value, key: &str| row[key].as_str().expect("a string").to_owned();
    rows.iter()
        .map(|row| Case {
            algorithm: *ALGORITHMS
                .iter()
                .find(|algorithm| algorithm.name() == row["algorithm"])
                .expect("a known algorithm"),
            jwk: row["jwk"].clone(),
            message: text(row, "message").into_bytes(),
            signature: URL_SAFE_NO_PAD.decode(text(row, "signature")).expect("base64url"),
        })
        .collect()
}

impl Case {
    fn verify(&self) -> Result<bool, Error> {
        verify(self.algorithm, &self.jwk.to_string(), &self.message, &self.signature)
    }
}

#[test]
fn accepts_what_other_libraries_sign() {
    let cases = cases();
    assert_eq!(cases.len(), ALGORITHMS.len());
    for case in cases {
        assert_eq!(case.verify(), Ok(true), "{}", case.algorithm.name());
    }
}

#[test]
fn refuses_what_was_changed_on_the_way() {
    for case in cases() {
        let name = case.algorithm.name();
        let changed = |message: &[u8], signature: &[u8]| {
            verify(case.algorithm, &case.jwk.to_string(), message, signature)
        };
        let mut message = case.message.clone();
        message[3] ^= 1;
        assert_eq!(changed(&message, &case.signature), Ok(false), "{name}: message");
        let mut signature = case.signature.clone();
        signature[7] ^= 1;
        assert_eq!(changed(&case.message, &signature), Ok(false), "{name}: signature");
        let shorter = &case.signature[..case.signature.len() - 1];
        assert_eq!(changed(&case.message, shorter), Ok(false), "{name}: truncated");
        assert_eq!(changed(&case.message, b""), Ok(false), "{name}: empty");
    }
}

/// RFC 8725 section 3.1: the algorithm is bound to the key.
#[test]
fn a_key_serves_no_other_algorithm() {
    for case in cases() {
        for algorithm in ALGORITHMS {
            if algorithm == case.algorithm {
                continue;
            }
            let accepted = verify(algorithm, &case.jwk.to_string(), &case.message, &case.signature);
            assert_ne!(accepted, Ok(true), "{} as {}", case.algorithm.name(), algorithm.name());
            let mut bound = case.jwk.clone();
            bound["alg"] = json!(case.algorithm.name());
            let refused = verify(algorithm, &bound.to_string(), &case.message, &case.signature);
            assert!(matches!(refused, Err(Error::BadKey(_))), "{}", algorithm.name());
        }
    }
}

#[test]
fn says_which_member_of_a_key_is_wrong() {
    let es256 = cases().into_iter().find(|case| case.algorithm == Algorithm::Es256).expect("a case");
    let changes = [
        ("kty", json!("RSA"), "kty: ES256 needs `EC`"),
        ("crv", json!("P-384"), "crv: ES256 needs `P-256`"),
        ("use", json!("enc"), "use: the key is not for signatures"),
        ("key_ops", json!(["sign"]), "key_ops: the key is not for `verify`"),
        ("x", json!("AAAA"), "x: 3 bytes long, not 32"),
        ("y", json!("not base64url!"), "y: not base64url without padding"),
        ("y", Value::Null, "y: missing"),
    ];
    for (member, value, expected) in changes {
        let mut jwk = es256.jwk.clone();
        jwk[member] = value;
        let refused = verify(es256.algorithm, &jwk.to_string(), &es256.message, &es256.signature);
        assert_eq!(refused, Err(Error::BadKey(expected.to_owned())));
    }
    let short = json!({"kty": "oct", "k": "c2hvcnQ"}).to_string();
    let refused = verify(Algorithm::Hs256, &short, b"", b"");
    assert_eq!(refused, Err(Error::BadKey("k: HS256 needs at least 32 bytes".to_owned())));
    let weak = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}).to_string();
    let refused = verify(Algorithm::Rs256, &weak, b"", b"");
    assert_eq!(refused, Err(Error::BadKey("n: an RSA key has 2048 to 8192 bits".to_owned())));
    assert!(matches!(verify(Algorithm::Rs256, "{", b"", b""), Err(Error::BadKey(_))));
}

/// What a key is remembered by has to tell it from every other key, and one algorithm from another.
#[test]
fn a_key_that_was_read_is_used_for_nothing_else() {
    let cases = cases();
    let of = |name: &str| cases.iter().find(|case| case.algorithm.name() == name).expect("there is one");
    let case = of("RS256");
    assert_eq!(case.verify(), Ok(true));
    assert_eq!(case.verify(), Ok(true), "the second time it is remembered");
    let key = case.jwk.to_string();
    let under_another = verify(Algorithm::Rs384, &key, &case.message, &case.signature);
    assert!(matches!(under_another, Ok(false) | Err(Error::BadKey(_))), "{under_another:?}");
    let mut other = case.jwk.clone();
    other["n"] = of("PS256").jwk["n"].clone();
    if other["n"] != case.jwk["n"] {
        assert_eq!(verify(Algorithm::Rs256, &other.to_string(), &case.message, &case.signature), Ok(false));
    }
}

#[test]
fn a_point_off_the_curve_is_no_key() {
    let cases = cases();
    let case = cases.iter().find(|case| case.algorithm == Algorithm::Es256).expect("there is one");
    let mut jwk = case.jwk.clone();
    jwk["y"] = jwk["x"].clone();
    let answer = verify(Algorithm::Es256, &jwk.to_string(), &case.message, &case.signature);
    assert_eq!(answer, Err(Error::BadKey("not a public key for ES256".to_owned())));
}
