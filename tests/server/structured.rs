//! Answers bound to grammars, from the demo model at temperature 1: what it says is what was asked for.

use mlx_gate_tests::{Client, Server};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// The first choice of an answer to a question that has nothing to do with the format.
fn choice(client: &Client, mut body: Value, seed: u64) -> Value {
    body["messages"] = json!([{"role": "user", "content": "What is the capital of France?"}]);
    body["temperature"] = json!(1);
    body["seed"] = json!(seed);
    body["max_tokens"] = json!(600);
    let reply = client.post(CHAT, &body);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["choices"][0].clone()
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "born": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": {"enum": ["new", "old", null]}, "maxItems": 3},
            "home": {"$ref": "#/$defs/place"},
        },
        "required": ["name", "age", "born", "tags", "home"],
        "additionalProperties": false,
        "$defs": {
            "place": {
                "type": "object",
                "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "in": {"type": "boolean"}},
                "required": ["zip"],
                "additionalProperties": false,
            },
        },
    })
}

fn is_valid(schema: &Value, text: &str) -> bool {
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    serde_json::from_str(text).is_ok_and(|instance: Value| validator.is_valid(&instance))
}

#[test]
fn answers_are_valid_by_their_schema_also_beside_free_ones() {
    let server = Server::start(&[]);
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "person", "schema": person(), "strict": true}});
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let (client, format) = (server.client(), &format);
            scope.spawn(move || {
                let bound = choice(&client, json!({"response_format": format}), seed);
                let text = bound["message"]["content"].as_str().unwrap();
                assert!(bound["finish_reason"] == "length" || is_valid(&person(), text), "{bound}");
            });
            let client = server.client();
            scope.spawn(move || {
                let free = choice(&client, json!({}), seed);
                assert!(!free["message"]["content"].as_str().unwrap().is_empty(), "{free}");
            });
        }
    });
}

#[test]
fn grammars_of_every_kind_are_followed() {
    let server = Server::start(&[]);
    let client = server.client();
    let text = |body: Value| choice(&client, body, 1)["message"]["content"].as_str().unwrap().to_owned();
    assert!(["red", "green"].contains(&text(json!({"guided_choice": ["red", "green"]})).as_str()));
    assert_eq!(text(json!({"structured_outputs": {"regex": "[0-9]{4}-[0-9]{2}"}})).len(), 7);
    assert_eq!(text(json!({"guided_grammar": "start: \"(\" start \")\" | \"x\"\n"})).matches('x').count(), 1);
    // Twice the same question: the same seed gives the same answer.
    let again = || text(json!({"response_format": {"type": "json_object"}}));
    assert_eq!(again(), again());
}

#[test]
fn a_tool_is_called_where_it_has_to_be() {
    let server = Server::start(&[]);
    let client = server.client();
    // Small, so that the demo model, which likes white space, comes to its end.
    let parameters = json!({
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 150}},
        "required": ["age"],
        "additionalProperties": false,
    });
    let tools = json!([{"type": "function", "function": {"name": "save", "parameters": parameters}}]);
    let named = json!({"type": "function", "function": {"name": "save"}});
    // OpenAI: a function that is forced by its name is no reason to end.
    for (tool_choice, finish_reason) in [(json!("required"), "tool_calls"), (named, "stop")] {
        let body = json!({"tools": tools, "tool_choice": tool_choice, "parallel_tool_calls": false});
        let called = choice(&client, body, 2);
        assert_eq!(called["finish_reason"], finish_reason, "{called}");
        let call = &called["message"]["tool_calls"][0]["function"];
        assert_eq!(call["name"], "save");
        assert!(is_valid(&parameters, call["arguments"].as_str().unwrap()), "{call}");
    }
}

#[test]
fn a_schema_that_cannot_be_followed_is_refused_with_the_reason() {
    let server = Server::start(&[]);
    let client = server.client();
    let schema = json!({"type": "array", "uniqueItems": true});
    let cases = [
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}),
            "uniqueItems",
        ),
        ("guided_regex", json!("a(b"), "unclosed group"),
        ("guided_grammar", json!("start: missing"), "missing"),
    ];
    for (field, value, reason) in cases {
        let reply =
            client.post(CHAT, &json!({"messages": [{"role": "user", "content": "Hi"}], field: value}));
        assert_eq!(reply.status, 400, "{}", reply.text);
        let error = &reply.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(reason), "{error}");
        assert_eq!(error["param"], field, "{error}");
    }
}
