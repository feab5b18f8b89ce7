use serde_json::{Value, json};

use super::resolve;
use crate::OptionValue;

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": { "type": "string" },
            "leeway": { "type": "integer", "minimum": 0, "maximum": 60 },
            "strict": { "type": "boolean" },
            "mode": { "enum": ["fast", "slow"] },
            "origin": { "type": "array", "items": { "type": "string" } },
            "file": { "type": "string", "format": "host-file" },
            "lists": { "type": "array", "items": { "type": "string", "format": "host-file" } },
            "keys": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": { "name": { "type": "string" }, "roles": { "type": "array" } },
                },
            },
        },
    })
}

fn flags(options: &[(&str, &str)]) -> Result<String, String> {
    let options: Vec<_> = options
        .iter()
        .map(|(name, text)| ((*name).to_owned(), OptionValue::Text((*text).to_owned())))
        .collect();
    resolve(&options, &schema())
        .map(|resolved| resolved.configuration.json.expose().to_owned())
        .map_err(|problem| problem.to_string())
}

fn config(options: Value) -> Result<String, String> {
    let Value::Object(options) = options else { panic!("options are an object") };
    let options: Vec<_> = options.into_iter().map(|(name, value)| (name, OptionValue::Json(value))).collect();
    resolve(&options, &schema())
        .map(|resolved| resolved.configuration.json.expose().to_owned())
        .map_err(|problem| problem.to_string())
}

#[test]
fn flags_take_the_type_the_schema_asks_for() {
    let given = [
        ("url", "5"),
        ("leeway", "5"),
        ("strict", "true"),
        ("mode", "fast"),
        ("origin", "https://a"),
        ("origin", "https://b"),
    ];
    let expected = r#"{"url":"5","leeway":5,"strict":true,"mode":"fast","origin":["https://a","https://b"]}"#;
    assert_eq!(flags(&given).as_deref(), Ok(expected));
}

#[test]
fn mistakes_name_the_option_and_not_the_value() {
    let known = "there are: url, leeway, strict, mode, origin, file, lists, keys";
    for (given, expected) in [
        (&[("url", "x"), ("uri", "secret")][..], format!("there is no option `uri`; {known}")),
        (&[], "the option `url` is missing".to_owned()),
        (&[("url", "x"), ("url", "y")], "the option `url` is given twice".to_owned()),
        (
            &[("url", "x"), ("leeway", "secret")],
            "the option `leeway` has to be a whole number, at least 0, at most 60".to_owned(),
        ),
        (
            &[("url", "x"), ("leeway", "61")],
            "the option `leeway` has to be a whole number, at least 0, at most 60".to_owned(),
        ),
        (&[("url", "x"), ("strict", "yes")], "the option `strict` has to be true or false".to_owned()),
        (
            &[("url", "x"), ("mode", "secret")],
            r#"the option `mode` has to be one of "fast", "slow""#.to_owned(),
        ),
    ] {
        assert_eq!(flags(given), Err(expected));
    }
    for (given, expected) in [
        (json!({ "url": 5 }), "the option `url` has to be a string"),
        (json!({ "url": "x", "keys": [{ "name": 5 }] }), "the option `keys[0].name` has to be a string"),
        (json!({ "url": "x", "keys": [{}] }), "the option `keys[0].name` is missing"),
        (
            json!({ "url": "x", "keys": [{ "name": "a", "rolls": [] }] }),
            "there is no option `keys[0].rolls`; there are: name, roles",
        ),
    ] {
        assert_eq!(config(given), Err(expected.to_owned()));
    }
}

#[test]
fn files_travel_beside_the_options_that_name_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (one, two, missing) = (path("one"), path("two"), path("missing"));
    std::fs::write(&one, [0xff, 0, b'a']).expect("written");
    std::fs::write(&two, "two").expect("written");
    let text = |value: &str| OptionValue::Text(value.to_owned());
    let given = [
        ("url".to_owned(), text("x")),
        ("file".to_owned(), text(&one)),
        ("lists".to_owned(), text(&two)),
        ("lists".to_owned(), text(&one)),
    ];

    let resolved = resolve(&given, &schema()).expect("resolved").configuration;
    let json: Value = serde_json::from_str(resolved.json.expose()).expect("JSON");
    assert_eq!(json, json!({ "url": "x", "file": one, "lists": [two, one] }));
    let files: Vec<_> =
        resolved.files.iter().map(|file| (file.path.as_str(), file.content.as_slice())).collect();
    assert_eq!(files, [(&*one, &[0xff, 0, b'a'][..]), (&*two, b"two")]);

    let error = flags(&[("url", "x"), ("file", &missing)]).expect_err("there is no such file");
    assert_eq!(
        error,
        format!("the option `file`: {missing} cannot be read: No such file or directory (os error 2)")
    );
    let error = flags(&[("url", "x"), ("lists", &missing)]).expect_err("there is no such file");
    assert_eq!(
        error,
        format!("the option `lists[0]`: {missing} cannot be read: No such file or directory (os error 2)")
    );
}

#[test]
fn what_an_option_names_is_granted() {
    let schema = json!({
        "type": "object",
        "properties": {
            "jwks": { "type": "array", "items": { "type": "string", "format": "host-url" } },
            "log": { "type": "string", "format": "host-output" },
            "old-log": { "type": "string", "format": "host-output" },
        },
    });
    let given = |options: &[(&str, &str)]| {
        let text = |value: &str| OptionValue::Text(value.to_owned());
        let options: Vec<_> = options.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        let resolved = resolve(&options, &schema).map_err(|problem| problem.to_string());
        resolved.map(|resolved| resolved.grants.describe())
    };
    assert_eq!(given(&[]), Ok(Vec::new()));
    assert_eq!(
        given(&[
            ("jwks", "https://a.example/keys?tenant=1"),
            ("jwks", "http://127.0.0.1:8080/keys"),
            ("log", "access.jsonl"),
        ]),
        Ok(["http https://a.example", "http-private http://127.0.0.1:8080", "output access.jsonl"]
            .map(str::to_owned)
            .to_vec())
    );
    for (options, problem) in [
        (&[("jwks", "keys.json")][..], "the option `jwks[0]` has to be an absolute URL"),
        (
            &[("jwks", "file:///keys")],
            "the option `jwks[0]` has to be a URL that begins with https:// or http://",
        ),
        (
            &[("jwks", "https://user:secret@a.example/")],
            "the option `jwks[0]` has to be a URL without a user name and a password",
        ),
        (&[("log", "")], "the option `log` has to be the path of a file, or `-` for standard output"),
        (
            &[("log", "a"), ("old-log", "b")],
            "the option `old-log` has to be the same as the other options that name an output: a plugin has one",
        ),
    ] {
        assert_eq!(given(options), Err(problem.to_owned()));
    }
}

#[test]
fn what_an_option_names_counts_however_deep_it_stands() {
    let schema = json!({
        "type": "object",
        "properties": {
            "issuers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "jwks": { "type": "string", "format": "host-file" },
                        "jwks-url": { "type": "string", "format": "host-url" },
                    },
                },
            },
        },
    });
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, "{}").expect("a file in it");
    let path = file.to_str().expect("temporary paths are UTF-8");
    let given = |issuers: Value| resolve(&[("issuers".to_owned(), OptionValue::Json(issuers))], &schema);
    let sound = json!([
        { "name": "https://c.example", "jwks": path },
        { "name": "b", "jwks-url": "https://b.example/keys" },
    ]);
    let resolved = given(sound).expect("sound options");
    assert_eq!(resolved.grants.describe(), ["http https://b.example"]);
    let files: Vec<_> = resolved.configuration.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, [path]);
    let wrong = given(json!([{}, { "jwks-url": "keys" }])).err().expect("that is no URL").to_string();
    assert_eq!(wrong, "the option `issuers[1].jwks-url` has to be an absolute URL");
    assert!(super::granting(&schema).http);
}
