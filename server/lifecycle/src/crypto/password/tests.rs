use serde::Deserialize;

use super::{Error, verify};

#[derive(Deserialize)]
struct Case {
    kind: String,
    password: String,
    hash: String,
}

/// Written by Apache's `htpasswd`, `openssl passwd` and argon2-cffi; `fixtures.py` makes them.
fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("hashes.json")).expect("the fixture is JSON")
}

#[test]
fn accepts_the_right_password_and_no_other() {
    let cases = cases();
    assert_eq!(cases.len(), 30);
    for Case { kind, password, hash } in cases {
        assert_eq!(verify(&hash, &password), Ok(true), "{kind} {hash}");
        for wrong in ["", "y", &format!("{password} "), &password.to_uppercase()] {
            let expected = Ok(wrong == password);
            assert_eq!(verify(&hash, wrong), expected, "{kind} {hash} with {wrong:?}");
        }
    }
}

#[test]
fn refuses_what_it_cannot_read_or_afford() {
    let too_dear = [
        "$2y$31$abcdefghijklmnopqrstuuTzVvLxaIMoGKMkGFPUwLkbeXn1bGdSe",
        "$6$rounds=999999999$salt$x",
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA",
    ];
    let malformed =
        ["$2y$", "$2y$04$short", "$5$", "$6$rounds=many$salt$x", "$apr1$salt", "{SHA}!", "$argon2id$"];
    for hash in too_dear.into_iter().chain(malformed) {
        assert!(matches!(verify(hash, "x"), Err(Error::BadKey(_))), "{hash}");
    }
    for hash in ["", "plain", "$1$salt$x", "{SSHA}x", "$y$x"] {
        assert_eq!(verify(hash, "x"), Err(Error::Unsupported), "{hash}");
    }
}

#[test]
fn a_huge_password_is_not_hashed() {
    let hash = &cases()[0].hash;
    assert_eq!(verify(hash, &"a".repeat(1_000_000)), Ok(false));
}
