//! Answers bound to schemas made at random are valid by them: real weights and a real tokenizer, at temperature 1, in the same
//! batches as answers that are free. The engine's tests hold random logits to larger schemas of the same making.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use mlx_gate_tests::{Client, Server};
use serde_json::{Value, json};

#[path = "../../server/engine/tests/grammar/generated.rs"]
mod generated;

const SCHEMAS: u64 = 500;

/// How deep the schema of a seed nests: not much, so that answers take little time and end before the model's context does.
const fn depth(seed: u64) -> u32 {
    (seed % 2) as u32
}

/// Requests that run together: with one that has no grammar, as many as the server has rows.
const BOUND: usize = 7;

/// What an answer proves.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is valid.
    Valid,
    /// Nothing: it was cut at the limit of tokens, or has a number that no parser here can hold.
    Nothing,
}

#[test]
fn every_answer_of_the_demo_model_is_valid_by_its_schema() {
    let server = Server::start(&["--max-rows", "8"]);
    let client = server.client();
    let (next, proven) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..BOUND {
            scope.spawn(|| {
                for seed in seeds(&next) {
                    if bound(&client, seed) == Verdict::Valid {
                        proven.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut seed = 0;
            while next.load(Ordering::Relaxed) < SCHEMAS {
                let free = answer(&client, json!({"max_tokens": 30}), seed);
                assert!(!free["message"]["content"].as_str().unwrap().is_empty(), "seed {seed}: {free}");
                seed += 1;
            }
        });
    });
    let proven = proven.into_inner();
    assert!(proven * 100 >= SCHEMAS * 97, "only {proven} of {SCHEMAS} answers came to an end");
}

/// Seeds that nobody else has, until there are no more.
fn seeds(next: &AtomicU64) -> impl Iterator<Item = u64> {
    std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < SCHEMAS))
}

/// Judges the answer that is bound to the schema of this seed.
fn bound(client: &Client, seed: u64) -> Verdict {
    let schema = generated::schema(seed, depth(seed));
    let format = json!({"name": "made", "schema": schema, "strict": true});
    let body = json!({"response_format": {"type": "json_schema", "json_schema": format}, "max_tokens": 900});
    let answer = answer(client, body, seed);
    if answer["finish_reason"] == "length" {
        return Verdict::Nothing;
    }
    let text = answer["message"]["content"].as_str().unwrap();
    let instance: Value = match serde_json::from_str(text) {
        Ok(instance) => instance,
        // JSON knows no largest number, and a schema that names none allows any.
        Err(error) if error.to_string().starts_with("number out of range") => return Verdict::Nothing,
        Err(error) => panic!("seed {seed}: {error}: {answer} for {schema}"),
    };
    if let Err(error) = generated::validator(&schema).validate(&instance) {
        panic!("seed {seed}: {error}: {answer} for {schema}");
    }
    Verdict::Valid
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
