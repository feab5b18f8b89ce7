//! Answers bound to schemas made at random are valid by them: real weights and a real tokenizer, at temperature 1, in the same
//! batches as answers that are free. The engine's tests hold random logits to larger schemas of the same making.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mlx_gate_tests::{Client, Folder, Server, random_model};
use serde_json::{Value, json};

#[path = "../../server/engine/tests/grammar/generated.rs"]
mod generated;

/// Answers that a model has to bring to an end, each bound to a schema of its own.
struct Trial<'s> {
    server: &'s Server,
    /// How many answers.
    answers: u64,
    /// How deep the schema of a seed nests.
    depth: fn(u64) -> u32,
    /// Tokens after which an answer is cut.
    max_tokens: u32,
}

/// Requests that run together: with one that has no grammar, as many as the server has rows.
const BOUND: usize = 7;
const ROWS: [&str; 2] = ["--max-rows", "8"];

#[test]
fn every_answer_of_the_demo_model_is_valid_by_its_schema() {
    // They take minutes where there are hundreds, so another number can be asked for.
    let asked = std::env::var("MLX_GATE_SCHEMAS").ok().and_then(|number| number.parse().ok());
    let server = Server::start(&ROWS);
    // Not deep, so that answers take little time and end before the model's context does.
    let depth = |seed: u64| u32::from(seed.is_multiple_of(4));
    Trial { server: &server, answers: asked.unwrap_or(40), depth, max_tokens: 200 }.run();
}

#[test]
fn every_answer_of_a_model_with_random_weights_is_valid_by_its_schema() {
    let folder = Folder::new();
    let server = Server::start(&[&["--model", &random_model(&folder, 1)][..], &ROWS].concat());
    Trial { server: &server, answers: 500, depth: |seed| (seed % 3) as u32, max_tokens: 300 }.run();
}

impl Trial<'_> {
    fn run(&self) {
        let client = self.server.client();
        let (next, proven, running) = (AtomicU64::new(0), AtomicU64::new(0), Arc::new(()));
        thread::scope(|scope| {
            for _ in 0..BOUND {
                let running = running.clone();
                let (next, proven, client) = (&next, &proven, &client);
                scope.spawn(move || {
                    while proven.load(Ordering::Relaxed) < self.answers {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        assert!(seed < 2 * self.answers + 20, "too few answers come to an end");
                        if self.ends_well(client, seed) {
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
                    let is_text = !free["message"]["content"].as_str().unwrap().is_empty();
                    // Random weights may well end an answer with its first token.
                    assert!(is_text || free["finish_reason"] == "stop", "seed {seed}: {free}");
                    seed += 1;
                }
            });
        });
        assert!(proven.into_inner() >= self.answers);
    }

    /// Judges the answer that is bound to the schema of this seed. One that was cut at the limit of tokens proves little: only
    /// that it was JSON so far.
    fn ends_well(&self, client: &Client, seed: u64) -> bool {
        let mut schema = generated::schema(seed, (self.depth)(seed));
        close(&mut schema);
        let format = json!({"name": "made", "schema": schema, "strict": true});
        let format = json!({"type": "json_schema", "json_schema": format});
        let answer = answer(client, json!({"response_format": format, "max_tokens": self.max_tokens}), seed);
        let text = answer["message"]["content"].as_str().unwrap();
        let instance: Value = match serde_json::from_str(text) {
            Ok(instance) => instance,
            Err(error) if error.is_eof() && answer["finish_reason"] == "length" => return false,
            Err(error) => panic!("seed {seed}: {error}: {answer} for {schema}"),
        };
        if let Err(error) = generated::validator(&schema).validate(&instance) {
            panic!("seed {seed}: {error}: {answer} for {schema}");
        }
        true
    }
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

/// The choice that answers a question which has nothing to do with any schema.
fn answer(client: &Client, mut body: Value, seed: u64) -> Value {
    body["messages"] = json!([{"role": "user", "content": "What is the capital of France?"}]);
    body["temperature"] = json!(1);
    body["seed"] = json!(seed);
    let reply = client.post("/v1/chat/completions", &body);
    assert_eq!(reply.status, 200, "seed {seed}: {} for {body}", reply.text);
    reply.json()["choices"][0].clone()
}
