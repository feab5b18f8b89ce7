use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Granting, Grants, MalformedGrant, OutputTarget, Wanted};
use crate::Source;

fn add(name: &str, value: &str) -> Result<Vec<String>, String> {
    let mut grants = Grants::default();
    grants.add(name, value).map_err(|error| error.to_string())?;
    Ok(grants.describe())
}

fn wanted(imports: &[&str]) -> Wanted {
    Wanted { imports: imports.iter().map(ToString::to_string).collect(), ..Wanted::default() }
}

fn check(grants: &Grants, wanted: &Wanted) -> Result<(), String> {
    let source = Source::File(PathBuf::from("./mine.wasm"));
    grants.check(wanted, &source).map_err(|problem| problem.to_string())
}

#[test]
fn flags_are_read() {
    for (name, value, expected) in [
        ("kv", "true", &["kv"][..]),
        ("kv", "false", &[]),
        ("http", "https://auth.example.com", &["http https://auth.example.com"]),
        ("http", "https://AUTH.example.com:443", &["http https://auth.example.com"]),
        ("http", "http://auth.example.com:8080", &["http http://auth.example.com:8080"]),
        ("http", "https://bücher.example", &["http https://xn--bcher-kva.example"]),
        ("http", "http://127.0.0.1:9000", &["http-private http://127.0.0.1:9000"]),
        ("http", "http://0x7f.1", &["http-private http://127.0.0.1"]),
        ("http", "http://[::1]:9000", &["http-private http://[::1]:9000"]),
        ("http", "http://localhost:9000", &["http-private http://localhost:9000"]),
        ("http-private", "https://auth.internal", &["http-private https://auth.internal"]),
        ("http-ca", "ca.pem", &["http-ca ca.pem"]),
        ("output", "access.jsonl", &["output access.jsonl"]),
        ("output", "-", &["output standard output"]),
    ] {
        assert_eq!(add(name, value).unwrap(), expected, "{name}={value}");
    }
}

#[test]
fn mistakes_are_said() {
    for (name, value, problem) in [
        ("kv", "yes", "it is neither"),
        ("http", "auth.example.com", "it is not a URL"),
        ("http", "https://", "it is not a URL"),
        ("http", "*", "it is not a URL"),
        ("http", "ftp://auth.example.com", "its scheme is neither `https` nor `http`, or it has no host"),
        ("http", "https://auth.example.com/", "it goes on after the host and the port"),
        ("http", "https://auth.example.com/path", "it goes on after the host and the port"),
        ("http", "https://auth.example.com?a", "it goes on after the host and the port"),
        ("http-private", "https://user@auth.example.com", "it holds a user name or a password"),
        ("http-ca", "", "it is empty"),
        ("output", "", "it is empty"),
    ] {
        let error = add(name, value).unwrap_err();
        assert!(error.starts_with(&format!("the grant `{name}` has to be ")), "{error}");
        assert!(error.ends_with(problem), "{error}");
    }
    assert_eq!(
        add("htp", "x").unwrap_err(),
        "there is no grant `htp`; there are: kv, http, http-private, http-ca, output"
    );
}

#[test]
fn a_table_says_the_same() {
    let table = |value: Value| Grants::from_table(value.as_object().unwrap());
    let grants = table(json!({
        "kv": true,
        "http": ["https://a.example", "https://b.example"],
        "http-private": "https://b.example",
        "output": "access.jsonl",
    }))
    .unwrap();
    assert_eq!(
        grants.describe(),
        ["kv", "http https://a.example", "http-private https://b.example", "output access.jsonl"]
    );
    assert_eq!(grants.output, Some(OutputTarget::File("access.jsonl".into())));
    assert_eq!(table(json!({ "output": ["a", "b"] })), Err(MalformedGrant::Repeated("output")));
    assert!(table(json!({ "kv": { "a": 1 } })).is_err());
    assert!(table(json!({ "http": 5 })).is_err());
}

#[test]
fn what_is_missing_is_shown_as_it_has_to_be_written() {
    let none = Grants::default();
    assert_eq!(check(&none, &wanted(&[])), Ok(()));
    assert_eq!(
        check(&none, &wanted(&["kv"])).unwrap_err(),
        "it imports `kv`, which it is not granted. If it may have that, start with\n    \
         --plugin ./mine.wasm,grant.kv=true\n\
         or write under its [[plugin]] in the configuration file\n    \
         [plugin.grant]\n    \
         kv = true"
    );
    assert_eq!(
        check(&none, &wanted(&["jwks"])).unwrap_err(),
        "it imports `jwks`, which it is not granted. If it may have that, start with\n    \
         --plugin ./mine.wasm,grant.http=ORIGIN\n\
         or write under its [[plugin]] in the configuration file\n    \
         [plugin.grant]\n    \
         http = \"ORIGIN\"\n\
         ORIGIN is `https://auth.example.com` for instance."
    );
    let error = check(&none, &wanted(&["output"])).unwrap_err();
    assert!(error.contains("grant.output=PATH\n") && error.contains("    output = \"PATH\"\n"), "{error}");
}

#[test]
fn an_option_that_grants_need_not_be_used() {
    let options = Granting { http: true, output: true };
    let may = Wanted { options, ..wanted(&["jwks", "output"]) };
    assert_eq!(check(&Grants::default(), &may), Ok(()));
    let unrelated = Wanted { options, ..wanted(&["kv"]) };
    assert!(check(&Grants::default(), &unrelated).is_err());
}

#[test]
fn a_grant_that_nothing_wants_is_a_mistake() {
    let mut grants = Grants::default();
    grants.add("http", "https://a.example").unwrap();
    assert_eq!(check(&grants, &wanted(&["http"])), Ok(()));
    assert_eq!(check(&grants, &wanted(&["jwks"])), Ok(()));
    assert_eq!(
        check(&grants, &wanted(&["output"])).unwrap_err(),
        "it is granted `http`, which it does not import; of what can be granted it imports `output`"
    );
    let error = check(&Grants { kv: true, ..Grants::default() }, &wanted(&[])).unwrap_err();
    assert_eq!(error, "it is granted `kv`, which it does not import; it imports nothing that can be granted");
}
