use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlx_gate_plugin::authenticate::{Authenticate as _, Grant, Verdict};
use mlx_gate_plugin::crypto::Error;
use mlx_gate_plugin::host::Level;
use mlx_gate_plugin::testing::{FakeHost, configure_with_files, request};
use serde_json::{Value, json};

use crate::Htpasswd;

mod attempts;

/// Written by Apache's `htpasswd`; `fixtures.sh` makes them.
const USERS: &str = include_str!("../fixtures/users.htpasswd");
const PASSWORDS: &str = include_str!("../fixtures/users.tsv");

const CHALLENGE: &str = r#"Basic realm="mlx-gate", charset="UTF-8""#;
const SHA: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

fn from_file(text: &str) -> Result<Htpasswd, String> {
    with_options(&json!({ "file": text, "failures-per-minute": 0 }))
}

/// Options in which the content of the two files stands in place of their paths.
fn with_options(options: &Value) -> Result<Htpasswd, String> {
    let (mut options, mut files) = (options.clone(), Vec::new());
    for (option, path) in [("file", "users.htpasswd"), ("groups", "groups.txt")] {
        if let Some(content) = options.get_mut(option) {
            files.push((path, content.as_str().expect("the content is text").to_owned()));
            *content = path.into();
        }
    }
    configure_with_files(&options.to_string(), &files)
}

/// Users and their passwords, as they were given to `htpasswd`.
fn passwords() -> impl Iterator<Item = (&'static str, &'static str)> {
    PASSWORDS.lines().map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        (fields[0], fields[1])
    })
}

/// A host for which exactly these passwords fit the hashes of the file. That the real one agrees is for the whole-server tests.
fn host_knows_the_passwords() {
    let hashes: HashMap<_, _> = USERS.lines().filter_map(|line| line.split_once(':')).collect();
    let fitting: HashMap<_, _> = passwords().map(|(user, password)| (hashes[user], password)).collect();
    FakeHost::on_verify_password(move |hash, password| Ok(fitting[hash] == password));
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// What the plugin says to these headers, in a few words.
fn check(plugin: &Htpasswd, headers: &[(&str, &str)]) -> String {
    match plugin.authenticate(request("POST", "/v1/chat/completions", headers)) {
        Verdict::Abstain(challenge) => format!("abstain {}", challenge.unwrap_or_default()),
        Verdict::Allow(Grant { principal, .. }) => format!("allow {}", principal.subject),
        Verdict::Deny(denial) => {
            assert_eq!(denial.challenge.as_deref(), (denial.status == 401).then_some(CHALLENGE));
            format!("deny {} {}", denial.status, denial.code)
        }
    }
}

#[test]
fn every_user_of_apaches_file_gets_in_with_the_own_password_alone() {
    host_knows_the_passwords();
    let plugin = from_file(USERS).expect("what Apache writes is sound");
    assert_eq!(passwords().count(), 11);
    for (user, password) in passwords() {
        let ask = |user: &str, password: &str| check(&plugin, &[("authorization", &basic(user, password))]);
        assert_eq!(ask(user, password), format!("allow {user}"));
        for wrong in ["", &password[..1.min(password.floor_char_boundary(1))], &format!("{password} "), "x:y"]
        {
            assert_eq!(ask(user, wrong), "deny 401 invalid_credentials", "{user} {wrong}");
        }
        assert_eq!(ask(&user.to_uppercase(), password), "deny 401 invalid_credentials", "{user}");
        assert_eq!(ask(&format!("{user}x"), password), "deny 401 invalid_credentials", "{user}");
    }
}

#[test]
fn verdicts() {
    host_knows_the_passwords();
    let plugin = from_file(USERS).expect("what Apache writes is sound");
    let anna = basic("anna", "correct horse battery staple");
    let raw = |bytes: &[u8]| format!("Basic {}", STANDARD.encode(bytes));
    let abstains = format!("abstain {CHALLENGE}");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], &abstains),
        (&[("authorization", "Bearer abc")], &abstains),
        (&[("x-api-key", "abc")], &abstains),
        (&[("authorization", &anna)], "allow anna"),
        (&[("authorization", &anna.replace("Basic", "bAsIc "))], "allow anna"),
        (&[("authorization", &anna), ("x-api-key", "abc")], "deny 400 conflicting_credentials"),
        (&[("authorization", "Basic")], "deny 401 malformed_credentials"),
        (&[("authorization", "Basic !!")], "deny 401 malformed_credentials"),
        (&[("authorization", &raw(b"anna:12").replace("==", ""))], "deny 401 malformed_credentials"),
        (&[("authorization", &format!("{anna} {anna}"))], "deny 401 malformed_credentials"),
        (&[("authorization", &raw(b"no colon"))], "deny 401 malformed_credentials"),
        (&[("authorization", &raw(b"anna:\xff\xfe"))], "deny 401 malformed_credentials"),
        (&[("authorization", &raw(b"anna:a\0b"))], "deny 401 malformed_credentials"),
        (&[("authorization", &raw(b"anna\n:a"))], "deny 401 malformed_credentials"),
        (&[("authorization", &raw(b":"))], "deny 401 invalid_credentials"),
        (&[("authorization", &raw(b":password"))], "deny 401 invalid_credentials"),
    ];
    for (headers, expected) in cases {
        assert_eq!(check(&plugin, headers), *expected, "{headers:?}");
    }
}

#[test]
fn a_stranger_costs_a_hash_like_a_user_and_always_the_same_one() {
    let plugin = from_file(USERS).expect("what Apache writes is sound");
    // Even a password that fits the stand-in's hash lets nobody in.
    let asked = Rc::new(RefCell::new(Vec::new()));
    FakeHost::on_verify_password({
        let asked = asked.clone();
        move |hash, _| {
            asked.borrow_mut().push(hash.to_owned());
            Ok(true)
        }
    });
    let computed = |user: &str| {
        let said = check(&plugin, &[("authorization", &basic(user, "p"))]);
        assert_eq!(said, "deny 401 invalid_credentials");
        asked.take()
    };
    let hashes: HashSet<String> = (0..200)
        .map(|number| {
            let name = format!("stranger-{number}");
            let hashes = computed(&name);
            assert_eq!(hashes.len(), 1);
            assert_eq!(computed(&name), hashes);
            hashes[0].clone()
        })
        .collect();
    assert_eq!(hashes.len(), passwords().count(), "every kind of hash is somebody's stand-in");
}

#[test]
#[should_panic(expected = "the password of user `anna` cannot be checked")]
fn a_host_that_cannot_check_is_a_failure_and_no_answer() {
    FakeHost::on_verify_password(|_, _| Err(Error::Unsupported));
    let plugin = from_file(&format!("anna:{SHA}")).expect("a sound file");
    check(&plugin, &[("authorization", &basic("anna", "x"))]);
}

#[test]
fn an_empty_file_lets_nobody_in() {
    let plugin = from_file("# everybody has left\n\n").expect("an empty file is a valid one");
    assert_eq!(check(&plugin, &[("authorization", &basic("anna", "x"))]), "deny 401 invalid_credentials");
}

#[test]
fn options_reach_the_principal_and_the_challenge() {
    FakeHost::on_verify_password(|_, _| Ok(true));
    let grant = |options: serde_json::Value| {
        let plugin: Htpasswd = with_options(&options).expect("sound options");
        match plugin.authenticate(request("GET", "/", &[("authorization", &basic("bob", "x"))])) {
            Verdict::Allow(grant) => grant,
            _ => panic!("the host says the password fits"),
        }
    };
    // A carriage return, spaces around, further fields: Apache reads over all of them.
    let file = format!("#c\r\n  bob:{SHA}:Bob:further\r\ncarl:{SHA}\r\n");
    let plain = grant(json!({ "file": file }));
    assert_eq!((plain.principal.tenant, plain.principal.roles.len()), (None, 0));
    assert_eq!((plain.cache_for_ms, plain.principal.claims.len()), (Some(60_000), 0));

    let groups = "# c\nadmin: bob\nreaders:carl bob bob\n\nadmin: carl zoe\nempty:\n";
    let full = grant(json!({ "file": file, "groups": groups, "tenant": "acme", "cache-for-ms": 0 }));
    assert_eq!(full.principal.tenant.as_deref(), Some("acme"));
    assert_eq!(full.principal.roles, ["admin", "readers"]);
    assert_eq!(full.cache_for_ms, None);
    let warned = [(Level::Warn, "`groups.txt` names 1 users that are not in `users.htpasswd`".to_owned())];
    assert_eq!(FakeHost::take_log(), warned);

    let plugin = with_options(&json!({ "file": file, "realm": "the lab" })).expect("sound");
    assert_eq!(check(&plugin, &[]), r#"abstain Basic realm="the lab", charset="UTF-8""#);
}

#[test]
fn mistakes_name_the_line_and_never_the_hash() {
    let anew = "; set it anew with `htpasswd -B`";
    let bcrypt = "$2y$04$aG7IkxXoRBkhAGg00DhxguU2NEKx7BEFXbOW8bbsMwxKF/Vvm0qpS";
    let damaged =
        |kind: &str| format!("the {kind} hash is damaged; set the password anew with `htpasswd -B`");
    let cost = "the cost of a bcrypt hash is 4 to 16; set the password anew with `htpasswd -B`";
    let rounds = "a SHA-crypt hash has 1000 to 1000000 rounds; set the password anew with `htpasswd -B`";
    let plain = format!("the password is stored in plain text{anew}");
    let unknown = format!(
        "the password hash is of a kind not known here ($2y$, $2a$, $2b$, $5$, $6$, $apr1$ and {{SHA}} are){anew}"
    );
    let cases: &[(&str, &str)] = &[
        ("hunter2", &plain),
        ("", &format!("there is no password hash{anew}")),
        ("rLRcMLGWrm4Yk", &format!("the password is stored as DES crypt, which is broken in hours{anew}")),
        ("$1$salt$uE4PHn9XpDiAfqB1cTBmx1", &unknown),
        ("$2x$04$aG7IkxXoRBkhAGg00DhxguU2NEKx7BEFXbOW8bbsMwxKF/Vvm0qpS", &unknown),
        ("{SSHA}xxxx", &unknown),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g", &damaged("{SHA}")),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9h=", &damaged("{SHA}")),
        ("{SHA}", &damaged("{SHA}")),
        (&bcrypt[..59], &damaged("bcrypt")),
        (&format!("{bcrypt}x"), &damaged("bcrypt")),
        (&bcrypt.replace("DhxguU", "DhxgvU"), &damaged("bcrypt")),
        (&bcrypt.replace("04", "4"), &damaged("bcrypt")),
        (&bcrypt.replace("04", "+4"), &damaged("bcrypt")),
        (&bcrypt.replace("04", "17"), cost),
        (&bcrypt.replace("04", "03"), cost),
        (&bcrypt.replace("RBk", "R€"), &damaged("bcrypt")),
        ("$apr1$r6P6M4Ok", &damaged("apr1")),
        ("$apr1$r6P6M4OkX$/1aHzdCBndrjfZohg.Qya.", &damaged("apr1")),
        ("$5$yV66Unelp5l2m9lC$K2j7F4rSvQKXjKeWS8duCIcAfLbZzzuwppp4s.mMv", &damaged("SHA-256-crypt")),
        ("$6$rounds=999999999$saltstring$x", rounds),
        ("$5$rounds=10$saltstring$x", rounds),
        ("$6$saltstring$CWO3pnVxqUMtdDqk7gJ84eEXL8QmMHeR9YxuP4Paplo1mBQb5V", &damaged("SHA-512-crypt")),
    ];
    for (hash, expected) in cases {
        let text = format!("# users\nanna:{SHA}\nbob:{hash}\n");
        let expected = format!("`users.htpasswd`, line 3: user `bob`: {expected}");
        assert_eq!(from_file(&text).err(), Some(expected), "{hash}");
    }
    for (text, expected) in [
        ("hunter2\n".to_owned(), "`users.htpasswd`, line 1: not of the form USER:HASH"),
        (
            format!(":{SHA}"),
            "`users.htpasswd`, line 1: a user's name has 1 to 256 bytes and no control characters",
        ),
        (
            format!("bob:{SHA}\nanna:{SHA}\nbob:{SHA}"),
            "`users.htpasswd`, line 3: user `bob` is on line 1 too",
        ),
    ] {
        assert_eq!(from_file(&text).err().as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn mistakes_in_other_options_are_named() {
    let file = format!("anna:{SHA}");
    let many: Vec<_> = (0..200).map(|number| format!("g{number}: anna")).collect();
    let many = many.join("\n");
    for (options, expected) in [
        (json!({}), "missing field `file`"),
        (
            json!({ "file": file, "groups": "admin anna" }),
            "`groups.txt`, line 1: not of the form GROUP: USER USER ...",
        ),
        (
            json!({ "file": file, "groups": " : anna" }),
            "`groups.txt`, line 1: a group's name has 1 to 256 bytes and no control characters",
        ),
        (
            json!({ "file": file, "groups": "\nadmin: \"anna maria\"" }),
            "`groups.txt`, line 2: names in quotes are not read; rename the user to one without spaces",
        ),
        (
            json!({ "file": file, "groups": many }),
            "`groups.txt`, line 129: user `anna` is in more than 128 groups",
        ),
        (json!({ "file": file, "tenant": "" }), "`tenant` has 1 to 256 bytes and no control characters"),
        (
            json!({ "file": file, "realm": "\"" }),
            "`realm` has at most 256 characters, printable ASCII without `\"` and `\\`",
        ),
    ] {
        assert_eq!(with_options(&options).err().as_deref(), Some(expected), "{options}");
    }
}
