//! What a grammar costs the device thread for each token: the time a decoder spends in its sampler, with and without one.
//!
//! `cargo run --release -p mlx-gate-engine --example grammar_bench [FOLDER OF A MODEL]`
//!
//! The decoder has random logits and takes as long for a step as it is told. With no time at all, a row waits for the
//! whole look ahead in its grammar; with some, it waits only for what is left of it. Without a folder, the vocabulary is
//! 150,000 made-up tokens, which is as many as today's large models have.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use futures_util::StreamExt;
use mlx_gate_core::decoder::{Decoder, Error, Facts, Pick, RowError, RowId, RowStep};
use mlx_gate_core::{DeviceModel, Engine, Event, Grammar, Prompt, Request, SamplingOverrides, Tags};
use mlx_gate_engine::text::{Assets, ModelText};
use mlx_gate_engine::{Config, LocalEngine, ModelSpec};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};

const TOKENS: u32 = 150_000;
const ANSWERS: u64 = 40;
const LONGEST: u32 = 300;

type Times = Arc<Mutex<Vec<Duration>>>;

/// Random logits after a pause, and how long the sampler took over them.
struct Paused {
    facts: Facts,
    pause: Duration,
    random: Vec<f32>,
    rows: u64,
    times: Times,
}

impl Decoder for Paused {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn open(&mut self) -> Result<RowId, Error> {
        self.rows += 1;
        Ok(RowId(self.rows))
    }

    fn step(&mut self, rows: &mut [RowStep<'_>]) -> Result<Vec<Result<Option<u32>, RowError>>, Error> {
        let mut results = Vec::new();
        for row in rows {
            let Pick::Sample(sampler) = &mut row.pick else {
                results.push(Ok(None));
                continue;
            };
            std::thread::sleep(self.pause);
            // Other logits for every token, without the time to make them.
            self.random.rotate_left(row.tokens[0] as usize % 97 + 1);
            let mut logits = self.random.clone();
            let begin = Instant::now();
            results.push(sampler.sample(&mut logits).map(Some));
            self.times.lock().unwrap_or_else(PoisonError::into_inner).push(begin.elapsed());
        }
        Ok(results)
    }

    fn fork(&mut self, _: RowId, _: u32) -> Result<RowId, Error> {
        self.open()
    }

    fn trim(&mut self, _: RowId, _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn close(&mut self, _: RowId) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args().nth(1);
    for pause in [0, 10] {
        for (name, grammar) in
            [("no grammar", None), ("JSON schema", Some(person())), ("any object", Some(Grammar::JsonObject))]
        {
            let assets = folder.as_ref().map_or_else(|| Ok(synthetic()), |folder| read(Path::new(folder)))?;
            measure(assets, Duration::from_millis(pause), name, grammar).await?;
        }
    }
    Ok(())
}

async fn measure(
    (assets, vocab_size): (Assets, u32),
    pause: Duration,
    name: &str,
    grammar: Option<Grammar>,
) -> Result<(), Box<dyn std::error::Error>> {
    let text = ModelText::load("model", &assets)?;
    let times = Times::default();
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let decoder = Paused {
        facts: Facts { vocab_size, context_length: 4096, kv_bytes_per_token: 1, prefill_chunk: 512 },
        pause,
        random: (0..vocab_size).map(|_| random.random_range(-4.0..4.0)).collect(),
        rows: 0,
        times: Arc::clone(&times),
    };
    let load = Box::new(move || Ok(DeviceModel::Decoder(Box::new(decoder))));
    let begin = Instant::now();
    let model = ModelSpec { id: "model".to_owned(), architecture: "bench".to_owned(), text, load };
    let engine = LocalEngine::spawn(Config::default(), vec![model])?;
    let loaded = begin.elapsed();
    let begin = Instant::now();
    engine.prepare(request(grammar.clone(), 0)).await?;
    let compiled = begin.elapsed();
    for seed in 0..ANSWERS {
        let prepared = engine.prepare(request(grammar.clone(), seed)).await?;
        let mut events = engine.start(prepared, &Tags::default())?.remove(0);
        while let Some(event) = events.next().await {
            if let Event::Failed(error) = event {
                return Err(error.into());
            }
        }
    }
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
    eprintln!(
        "{vocab_size} tokens, step {pause:?}, {name}: sampler us p50 {} p90 {} p99 {} max {}; {} tokens; spawn {loaded:.0?}, first prepare {compiled:.1?}",
        at(50),
        at(90),
        at(99),
        at(100),
        times.len()
    );
    Ok(())
}

fn request(grammar: Option<Grammar>, seed: u64) -> Request {
    let sampling =
        SamplingOverrides { temperature: Some(1.0), seed: Some(seed), ..SamplingOverrides::default() };
    let request = Request::new("r".to_owned(), Prompt::Tokens(vec![1, 2, 3]));
    Request { grammar, sampling, max_output_tokens: Some(LONGEST), ..request }
}

fn person() -> Grammar {
    Grammar::JsonSchema(json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
            "email": { "type": "string", "format": "email" },
            "tags": { "type": "array", "items": { "enum": ["new", "old", "other"] }, "maxItems": 5 },
            "address": {
                "type": "object",
                "properties": { "street": { "type": "string" }, "zip": { "type": "string", "pattern": "^[0-9]{5}$" } },
                "required": ["street", "zip"],
                "additionalProperties": false,
            },
        },
        "required": ["name", "age", "email", "tags", "address"],
        "additionalProperties": false,
    }))
}

fn read(folder: &Path) -> Result<(Assets, u32), std::io::Error> {
    let config = fs::read(folder.join("config.json"))?;
    let size = serde_json::from_slice::<Value>(&config).ok().and_then(|config| config["vocab_size"].as_u64());
    let assets = Assets {
        tokenizer: fs::read(folder.join("tokenizer.json"))?,
        generation_config: fs::read(folder.join("generation_config.json")).ok(),
        config: Some(config),
        ..Assets::default()
    };
    Ok((assets, size.unwrap_or_default() as u32))
}

/// A byte-level vocabulary: all visible bytes, and random words of two to twelve letters, half of them behind a space.
fn synthetic() -> (Assets, u32) {
    let mut random = ChaCha12Rng::seed_from_u64(7);
    let mut words: Map<String, Value> = Map::new();
    let bytes = (b'!'..=b'~').map(char::from).chain((0x100..0x144).filter_map(char::from_u32));
    for byte in bytes {
        words.insert(byte.to_string(), words.len().into());
    }
    while words.len() < TOKENS as usize - 1 {
        let length = random.random_range(2..=12);
        let letters = b"etaoinshrdlucmfwypvbgkqjxz0123456789ETAOINSHRDLU\".,:{}[]_-";
        // The first letters more often than the last, as in texts.
        let mut letter =
            || char::from(letters[(random.random::<f32>().powi(2) * letters.len() as f32) as usize]);
        let word: String = (0..length).map(|_| letter()).collect();
        let word = if word.len().is_multiple_of(2) { format!("\u{120}{word}") } else { word };
        let next = words.len();
        words.entry(word).or_insert_with(|| next.into());
    }
    let end = TOKENS - 1;
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
    let special = json!({
        "id": end, "content": "<|end|>", "special": true,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    });
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [special], "pre_tokenizer": bytes, "decoder": bytes,
        "model": { "type": "BPE", "vocab": words, "merges": [] },
    });
    let assets = Assets {
        config: Some(json!({ "eos_token_id": end }).to_string().into_bytes()),
        tokenizer: tokenizer.to_string().into_bytes(),
        ..Assets::default()
    };
    (assets, TOKENS)
}
