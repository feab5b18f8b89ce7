//! The property that matters: an answer bound to a schema is valid by that schema, whatever the logits.

use futures_util::future::{join, join_all};
use mlx_gate_core::{FinishReason, Grammar, Request};
use serde_json::Value;

use crate::generated::{schema, validator};
use crate::setting::{answer, following, free, rambling};

const SCHEMAS: u64 = 500;

/// Schemas nest no deeper than this.
const DEPTH: u32 = 3;

/// Requests that run together; every fourth has no grammar.
const BATCH: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_valid_by_their_schemas() {
    let engine = rambling(1);
    let schemas: Vec<Value> = (0..SCHEMAS).map(|seed| schema(seed, DEPTH)).collect();
    let mut cut = 0;
    let numbered: Vec<(u64, &Value)> = (0..).zip(&schemas).collect();
    for batch in numbered.chunks(BATCH) {
        let bound = batch.iter().map(|(seed, schema)| async {
            let request = following(Grammar::JsonSchema((*schema).clone()), *seed);
            answer(&engine, Request { max_output_tokens: Some(4_000), ..request }).await
        });
        let unbound = batch.iter().step_by(4).map(|(seed, _)| async {
            answer(&engine, Request { max_output_tokens: Some(100), ..free("Say:", *seed) }).await
        });
        let (bound, unbound) = join(join_all(bound), join_all(unbound)).await;
        for ((_, schema), answer) in batch.iter().zip(bound) {
            assert_eq!(answer.error, None, "{schema}");
            if answer.reason == Some(FinishReason::Length) {
                cut += 1;
                continue;
            }
            let instance: Value = match serde_json::from_str(&answer.text) {
                Ok(instance) => instance,
                // JSON knows no largest number, and a schema that names none allows any.
                Err(error) if error.to_string().starts_with("number out of range") => {
                    cut += 1;
                    continue;
                }
                Err(error) => panic!("{error}: {:?} for {schema}", answer.text),
            };
            if let Err(error) = validator(schema).validate(&instance) {
                panic!("{error}: {instance} for {schema}");
            }
        }
        for answer in unbound {
            assert_eq!(answer.error, None);
            assert!(!answer.text.is_empty());
        }
    }
    assert!(
        cut * 20 <= SCHEMAS,
        "{cut} of {SCHEMAS} answers were cut or too large, which is too many to prove anything"
    );
}
