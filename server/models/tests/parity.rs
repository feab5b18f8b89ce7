//! Our logits and choices against mlx-lm's, on the tiny models of `parity/fixtures`. How they were made, and what they
//! hold, stands in `parity/make_fixtures.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use mlx_gate_core::Decoder;
use mlx_gate_core::decoder::{Pick, RowError, RowId, RowStep, Sampler};
use mlx_gate_models::{LoadOptions, ModelRef, WeightType, load};
use safetensors::SafeTensors;

/// Largest difference between a logit and mlx-lm's.
const TOLERANCE: f32 = 1e-4;

/// A model of the fixtures and what mlx-lm says about it.
struct Case {
    folder: PathBuf,
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name: &str| -> (Vec<u32>, usize) {
            let tensor = tensors.tensor(name).unwrap();
            let words = tensor.data().as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
            (words.collect(), *tensor.shape().last().unwrap())
        };
        let (logits, width) = numbers("logits");
        let logits: Vec<f32> = logits.into_iter().map(f32::from_bits).collect();
        Self {
            folder: folder.to_owned(),
            prompt: numbers("prompt").0,
            tokens: numbers("tokens").0,
            logits: logits.chunks(width).map(<[f32]>::to_vec).collect(),
        }
    }

    fn decoder(&self, dtype: WeightType) -> Box<dyn Decoder> {
        let source = ModelRef::parse(&self.folder.display().to_string()).unwrap().fetch().unwrap();
        load(&source, LoadOptions { dtype }).unwrap().into_decoder().unwrap()
    }
}

/// The likeliest token, and the logits it was chosen from.
#[derive(Default)]
struct Recorder {
    logits: Vec<f32>,
}

impl Sampler for Recorder {
    fn sample(&mut self, logits: &mut [f32]) -> Result<u32, RowError> {
        self.logits = logits.to_vec();
        let likeliest = (0..).zip(logits.iter()).max_by(|(_, a), (_, b)| a.total_cmp(b));
        likeliest.map(|(token, _)| token).ok_or(RowError::BadLogits)
    }
}

/// One step of one row, for tests in which no step fails.
fn step<'a>(decoder: &mut dyn Decoder, row: RowId, tokens: &'a [u32], pick: Pick<'a>) -> Option<u32> {
    decoder.step(&mut [RowStep { row, tokens, pick, score: None }]).unwrap().remove(0).unwrap()
}

/// Continues a row by the likeliest tokens, chosen on the device.
fn continue_greedily(decoder: &mut dyn Decoder, row: RowId, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut tokens = vec![step(decoder, row, prompt, Pick::Greedy).unwrap()];
    while tokens.len() < count {
        let last = [*tokens.last().unwrap()];
        tokens.push(step(decoder, row, &last, Pick::Greedy).unwrap());
    }
    tokens
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max)
}

/// Logits of the first choices within the tolerance, all choices the same.
fn check_case(folder: &Path, dtype: WeightType) {
    let case = Case::read(folder);
    let name = folder.file_name().unwrap().display();
    let mut decoder = case.decoder(dtype);

    let row = decoder.open().unwrap();
    let mut fed = case.prompt.clone();
    for (place, theirs) in case.logits.iter().enumerate() {
        let mut recorder = Recorder::default();
        let token = step(decoder.as_mut(), row, &fed, Pick::Sample(&mut recorder)).unwrap();
        let difference = largest_difference(&recorder.logits, theirs);
        assert!(difference < TOLERANCE, "{name}, {dtype:?}: choice {place} is off by {difference}");
        assert_eq!(token, case.tokens[place], "{name}, {dtype:?}: choice {place}");
        fed = vec![token];
    }
    decoder.close(row);

    let row = decoder.open().unwrap();
    let ours = continue_greedily(decoder.as_mut(), row, &case.prompt, case.tokens.len());
    assert_eq!(ours, case.tokens, "{name}, {dtype:?}");
}

fn cases(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("config.json").exists()).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/fixtures")
}

#[test]
fn every_case_says_what_mlx_lm_says() {
    let cases = cases(&fixtures());
    assert!(cases.len() > 25, "only {} cases found", cases.len());
    for case in cases {
        check_case(&case, WeightType::F32);
    }
}

#[test]
fn quantized_weights_kept_as_stored_say_the_same() {
    for name in ["llama_q2", "llama_q3", "llama_q4", "llama_q6", "llama_mixed", "mistral_q8", "qwen3_q8"] {
        check_case(&fixtures().join(name), WeightType::Native);
    }
}

/// The answers that mlx-lm gives with the demo model, as tokens.
#[test]
fn the_demo_model_answers_as_with_mlx_lm() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/demo.json");
    let questions: BTreeMap<String, BTreeMap<String, Vec<u32>>> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let source = ModelRef::demo().fetch().unwrap();
    let mut decoder = load(&source, LoadOptions::default()).unwrap().into_decoder().unwrap();
    for (question, expected) in questions {
        let row = decoder.open().unwrap();
        let tokens = &expected["tokens"];
        let ours = continue_greedily(decoder.as_mut(), row, &expected["prompt"], tokens.len());
        assert_eq!(&ours, tokens, "{question}");
        decoder.close(row);
    }
}

/// The same cases with other weights, made by the mlx-lm of this machine.
#[test]
fn fresh_cases_say_what_mlx_lm_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let installed = root.join("../../.native/python/bin/python");
    let python = std::env::var_os("MLX_GATE_PYTHON").map_or(installed, PathBuf::from);
    if !python.exists() {
        eprintln!("skipped: parity_live (no Python with mlx-lm; cargo xtask setup --tests installs it)");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parity-live");
    let seed = "500000";
    let made = Command::new(python)
        .arg(root.join("tests/parity/make_fixtures.py"))
        .arg(&folder)
        .args(["--seed", seed])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for case in cases(&folder) {
        check_case(&case, WeightType::F32);
    }
}
