//! Answers bound to schemas made at random are valid by them: real weights and a real tokenizer, at temperature 1, in the same
//! batches as answers that are free. The engine's tests hold random logits to larger schemas of the same making.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mlx_gate_tests::{Client, Server};
use serde_json::{Value, json};

#[path = "../../server/engine/tests/grammar/generated.rs"]
mod generated;

/// How many answers have to come to an end. They take minutes where there are hundreds, so another number can be asked for.
fn answers() -> u64 {
    std::env::var("MLX_GATE_SCHEMAS").ok().and_then(|number| number.parse().ok()).unwrap_or(40)
}

/// How deep the schema of a seed nests: not much, so that answers take little time and end before the model's context does.
const fn depth(seed: u64) -> u32 {
    if seed.is_multiple_of(4) { 1 } else { 0 }
}

/// Requests that run together: with one that has no grammar, as many as the server has rows.
const BOUND: usize = 7;

#[test]
fn every_answer_of_the_demo_model_is_valid_by_its_schema() {
    let server = Server::start(&["--max-rows", "8"]);
    let client = server.client();
    let answers = answers();
    let (next, proven, running) = (AtomicU64::new(0), AtomicU64::new(0), Arc::new(()));
    thread::scope(|scope| {
        for _ in 0..BOUND {
            let running = running.clone();
            let (next, proven, client) = (&next, &proven, &client);
            scope.spawn(move || {
                while proven.load(Ordering::Relaxed) < answers {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    assert!(seed < 2 * answers + 20, "too few answers come to an end");
                    if ends_well(client, seed) {
                        proven.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // It goes with the thread, however that ends.
                drop(running);
            });
        }
        scope.spawn(|| {
            let mut seed = 0;
            while Arc::strong_count(&running) > 1 {
                let free = answer(&client, json!({"max_tokens": 30}), seed);
                assert!(!free["message"]["content"].as_str().unwrap().is_empty(), "seed {seed}: {free}");
                seed += 1;
            }
        });
    });
    assert!(proven.into_inner() >= answers);
}

/// Bounds what a schema leaves open: at temperature 1 a small model that has begun to write digits, letters or further
/// properties goes on for as long as it may, and an answer without an end proves nothing.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        Value::Object(keywords) => match keywords.get("type").and_then(Value::as_str) {
            Some("number") => *schema = json!({"type": "integer", "minimum": -99, "maximum": 99}),
            Some("integer")
                if !keywords.contains_key("maximum") && !keywords.contains_key("exclusiveMaximum") =>
            {
                keywords.entry("minimum").or_insert(json!(-5000));
                keywords.insert("maximum".to_owned(), json!(50_000));
            }
            Some("object") => {
                keywords.insert("additionalProperties".to_owned(), json!(false));
                keywords.values_mut().for_each(close);
            }
            Some("string") => {
                if let Some(Value::String(pattern)) = keywords.get_mut("pattern") {
                    *pattern = pattern.replace('*', "{0,6}").replace('+', "{1,6}");
                }
                if keywords.get("format").is_some_and(|format| format != "uuid") {
                    keywords.insert("format".to_owned(), json!("date"));
                }
            }
            _ => keywords.values_mut().for_each(close),
        },
        _ => {}
    }
}

/// Judges the answer that is bound to the schema of this seed: one that was cut at the limit of tokens proves nothing.
fn ends_well(client: &Client, seed: u64) -> bool {
    let mut schema = generated::schema(seed, depth(seed));
    close(&mut schema);
    let format = json!({"name": "made", "schema": schema, "strict": true});
    let body = json!({"response_format": {"type": "json_schema", "json_schema": format}, "max_tokens": 200});
    let answer = answer(client, body, seed);
    if answer["finish_reason"] == "length" {
        return false;
    }
    let text = answer["message"]["content"].as_str().unwrap();
    let instance: Value = serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}: {answer} for {schema}"));
    if let Err(error) = generated::validator(&schema).validate(&instance) {
        panic!("seed {seed}: {error}: {answer} for {schema}");
    }
    true
}

/// The choice that answers a question which has nothing to do with any schema.
fn answer(client: &Client, mut body: Value, seed: u64) -> Value {
    body["messages"] = json!([{"role": "user", "content": "What is the capital of France?"}]);
    body["temperature"] = json!(1);
    body["seed"] = json!(seed);
    let reply = client.post("/v1/chat/completions", &body);
    assert_eq!(reply.status, 200, "seed {seed}: {} for {body}", reply.text);
    reply.json()["choices"][0].clone()
}
