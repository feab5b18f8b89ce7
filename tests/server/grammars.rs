//! Schemas and grammars that are small to send and would be endless to compile.

use mlx_gate_tests::{Client, Reply, Server};
use serde_json::{Value, json};

/// What a server without load takes, several times over.
const MOST_KIB: u64 = 700 << 10;

fn ask(client: &Client, mut body: Value) -> Reply {
    body["messages"] = json!([{"role": "user", "content": "What is the capital of France?"}]);
    body["max_tokens"] = json!(8);
    client.post("/v1/chat/completions", &body)
}

fn bound(schema: &Value) -> Value {
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "hostile", "schema": schema}}})
}

/// A tool that has to be called, with a parameter of this schema.
fn forced(parameter: &Value, definitions: &Value) -> Value {
    let parameters =
        json!({"type": "object", "properties": {"p": parameter}, "required": ["p"], "$defs": definitions});
    json!({
        "tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": parameters}}],
        "tool_choice": "required",
    })
}

/// Definitions of which each refers to the next so many times, by the keyword; the last is `end`.
fn tower(keyword: &str, height: usize, width: usize, end: Value) -> Value {
    let level =
        |number: usize| json!({keyword: vec![json!({"$ref": format!("#/$defs/D{}", number + 1)}); width]});
    let mut levels: serde_json::Map<_, _> =
        (0..height).map(|number| (format!("D{number}"), level(number))).collect();
    levels.insert(format!("D{height}"), end);
    levels.into()
}

#[test]
fn what_would_take_all_memory_is_refused_and_others_are_served() {
    let server = Server::start(&[]);
    let patterns: Vec<Value> =
        (1..=20).map(|n| json!({"type": "string", "pattern": format!("a.*b{{{n}}}")})).collect();
    let unions: Vec<Value> = (0..10)
        .map(|n| {
            let branches = (0..10).map(|m| json!({"required": [format!("p{n}{m}")]}));
            json!({"anyOf": branches.collect::<Vec<_>>()})
        })
        .collect();
    let lark: Vec<String> = (1..=20).map(|n| format!("/a.*b{{{n}}}/")).collect();
    let cases = [
        bound(&json!({"allOf": patterns})),
        bound(&json!({"type": "object", "allOf": unions})),
        json!({"guided_grammar": format!("start: T\nT: {}\n", lark.join(" & "))}),
        json!({"guided_grammar": format!("start: %json {}\n", json!({"allOf": patterns}))}),
        forced(&json!({"type": "array", "items": {"allOf": patterns}}), &json!({})),
    ];
    std::thread::scope(|scope| {
        // One at a time: more than a few that take all of their time would be told that the server is busy.
        let hostile = scope.spawn(|| {
            for case in &cases {
                let reply = ask(&server.client(), case.clone());
                assert_eq!(reply.status, 400, "{} for {case}", reply.text);
                let says_why = ["time or memory", "too large", "takes longer"]
                    .iter()
                    .any(|why| reply.text.contains(why));
                assert!(says_why, "{} for {case}", reply.text);
            }
        });
        for number in 0.. {
            let reply = ask(&server.client(), json!({"guided_choice": ["red", format!("green {number}")]}));
            assert_eq!(reply.status, 200, "{}", reply.text);
            if hostile.is_finished() {
                break;
            }
        }
    });
    assert!(server.resident_kib() < MOST_KIB, "{} KiB", server.resident_kib());
}

#[test]
fn what_is_only_unusual_is_compiled() {
    // They are tried in another process first, which may have to wait for its turn on a busy machine.
    let server = Server::start(&["--grammar-timeout", "120"]);
    let cases = [
        bound(&json!({"type": "string", "pattern": "^[a-z]+$", "minLength": 1, "maxLength": 4})),
        bound(&json!({"allOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "b$"}]})),
        bound(&json!({"type": "number", "multipleOf": 0.5, "minimum": 1, "maximum": 9})),
        json!({"guided_grammar": "start: T\nT: /[a-z]+/ & ~/x.*/\n"}),
    ];
    for case in cases {
        let reply = ask(&server.client(), case.clone());
        assert_eq!(reply.status, 200, "{} for {case}", reply.text);
    }
}

#[test]
fn schemas_whose_parts_refer_to_parts_are_followed_no_longer_than_is_reasonable() {
    let server = Server::start(&["--tool-parser", "qwen3_coder"]);
    let client = server.client();
    let reference = json!({"$ref": "#/$defs/D0"});
    let apart =
        |definitions: Value| bound(&json!({"$defs": definitions, "oneOf": [reference, {"type": "string"}]}));
    let itself = json!({"D0": {"allOf": vec![json!({"$ref": "#/$defs/D0"}); 10]}});
    let constants: Vec<Value> = (0..20_000).map(|number| json!({"const": format!("c{number}")})).collect();
    let cases = [
        apart(itself),
        apart(tower("allOf", 15, 10, json!({"type": "object"}))),
        bound(&json!({"oneOf": constants})),
        forced(&reference, &tower("anyOf", 6, 14, json!({"type": "string"}))),
        forced(&reference, &tower("anyOf", 15, 4, json!({"type": "integer"}))),
        forced(&reference, &tower("oneOf", 8, 4, json!({"enum": vec!["text"; 1000]}))),
    ];
    for case in cases {
        let reply = ask(&client, case.clone());
        let text = case.to_string();
        assert!(reply.status == 200 || reply.status == 400, "{} for {text:.200}", reply.text);
    }
    assert!(server.resident_kib() < MOST_KIB, "{} KiB", server.resident_kib());
}

#[test]
fn a_tool_without_strict_is_kept_to_as_far_as_it_can_be() {
    let server = Server::start(&[]);
    let tool = |strict: bool| {
        let parameters = json!({
            "type": "object",
            "properties": {
                "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
                "file": {"type": "string", "format": "path"},
                "counts": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "integer"}},
            },
        });
        json!({
            "tools": [{"type": "function", "function": {"name": "f", "strict": strict, "parameters": parameters}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        })
    };
    let refused = ask(&server.client(), tool(true));
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("the parameters of `f`"), "{}", refused.text);
    let reply = ask(&server.client(), tool(false));
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[test]
fn names_of_any_kind_are_no_condition() {
    let server = Server::start(&[]);
    let map = |names: Value| bound(&json!({"type": "object", "propertyNames": names, "maxProperties": 1}));
    for names in [json!({"type": "string"}), json!({}), json!(true)] {
        let reply = ask(&server.client(), map(names));
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let refused = ask(&server.client(), map(json!({"pattern": "^a"})));
    assert_eq!(refused.status, 400, "{}", refused.text);
}
