//! A model without weights, for tests and benchmarks: its tokens are bytes, and a script decides what it says.
//!
//! ```
//! use mlx_gate_engine::{Config, LocalEngine, fake};
//!
//! let engine = LocalEngine::spawn(Config::default(), vec![fake::model("fake", fake::says("Hello."))])?;
//! # Ok::<(), mlx_gate_engine::Error>(())
//! ```

mod encoder;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlx_gate_core::DeviceModel;
use mlx_gate_core::decoder::{Decoder, Error, Facts, Pick, RowError, RowId, RowStep, Score, Scored};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};

use crate::ModelSpec;
use crate::text::{self, Assets, ModelText};

pub use encoder::{Batches, FakeEncoder, Reader, embeds, reader, scores, vector};

/// The token that ends an answer. Lower ones are bytes.
pub const END: u32 = 256;

const VOCABULARY: u32 = 257;

const TEMPLATE: &str = "\
{%- for tool in tools or [] %}tool: {{ tool | tojson }}\n{% endfor %}\
{%- for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
assistant: {% if enable_thinking %}<think>{% endif %}\
{#- It reads <tool_call> and <think> in answers. #}";

/// Decides what the row it is shown does in a step.
pub type Script = Box<dyn FnMut(&FakeRow<'_>) -> Reply + Send>;

/// A row in a step, as a script sees it.
#[derive(Debug, Clone, Copy)]
pub struct FakeRow<'a> {
    /// The row.
    pub id: RowId,
    /// Which step of the decoder this is, from 0.
    pub step: u64,
    /// The prompt, as far as it is read.
    pub prompt: &'a [u32],
    /// What the row has said so far.
    pub answer: &'a [u32],
    /// Tokens the row gets in this step. 0 where it is asked again about a place inside of the prompt, to score it.
    pub given: usize,
}

/// What a row, or the whole decoder, does.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Says this next; where a prompt is still being read, nothing.
    Token(u32),
    /// Has these logits, one for each token.
    Logits(Vec<f32>),
    /// Fails, and it alone.
    Fails(RowError),
    /// The device is lost.
    Loses(String),
    /// The decoder panics.
    Panics(String),
}

/// A decoder that follows a script.
pub struct FakeDecoder {
    facts: Facts,
    script: Script,
    rows: HashMap<RowId, Tokens>,
    /// Open rows, for tests that look from another thread.
    open: Arc<AtomicUsize>,
    next_row: u64,
    step: u64,
    /// The least that a step takes.
    pace: Duration,
    logits: Vec<f32>,
}

#[derive(Default)]
struct Tokens {
    all: Vec<u32>,
    /// Length of the prompt, once it is read.
    prompt: Option<usize>,
}

impl Tokens {
    /// The first `length` of them.
    fn first(&self, length: usize) -> Self {
        let all: Vec<u32> = self.all.iter().copied().take(length).collect();
        Self { prompt: self.prompt.filter(|&prompt| prompt <= all.len()), all }
    }
}

impl FakeDecoder {
    /// A decoder with a context of 4096 tokens, 1 byte of keys and values for each, and prefill chunks of 512.
    pub fn new(script: impl FnMut(&FakeRow<'_>) -> Reply + Send + 'static) -> Self {
        let facts =
            Facts { vocab_size: VOCABULARY, context_length: 4096, kv_bytes_per_token: 1, prefill_chunk: 512 };
        Self {
            facts,
            script: Box::new(script),
            rows: HashMap::new(),
            open: Arc::default(),
            next_row: 0,
            step: 0,
            pace: Duration::ZERO,
            logits: Vec::new(),
        }
    }

    /// With other facts. The vocabulary stays.
    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self.facts.vocab_size = VOCABULARY;
        self
    }

    /// With steps that take at least so long, as a device's do. They cost no processor time.
    #[must_use]
    pub fn with_pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// With somebody who is shown each row before the script is.
    #[must_use]
    pub fn watched(mut self, mut watch: impl FnMut(&FakeRow<'_>) + Send + 'static) -> Self {
        let mut script = self.script;
        self.script = Box::new(move |row| {
            watch(row);
            script(row)
        });
        self
    }

    /// The number of open rows, kept up to date.
    pub fn open_rows(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.open)
    }

    fn step_row(&mut self, part: &mut RowStep<'_>) -> Result<Result<Option<u32>, RowError>, Error> {
        let Some(tokens) = self.rows.get_mut(&part.row) else { return Ok(Err(RowError::Unknown(part.row))) };
        if part.tokens.is_empty() || part.tokens.iter().any(|&token| token >= VOCABULARY) {
            return Ok(Err(RowError::BadTokens(format!("no tokens of this vocabulary: {:?}", part.tokens))));
        }
        tokens.all.extend_from_slice(part.tokens);
        if tokens.all.len() > self.facts.context_length as usize {
            return Ok(Err(RowError::ContextFull(self.facts.context_length)));
        }
        if !matches!(part.pick, Pick::Nothing) {
            tokens.prompt.get_or_insert(tokens.all.len());
        }
        if let Some(score) = &mut part.score {
            let begins = tokens.all.len() - part.tokens.len();
            let inside = (begins + 1..tokens.all.len()).map(|end| (end, tokens.all[end]));
            let next = score.next.map(|next| (tokens.all.len(), next));
            for (end, token) in inside.chain(next) {
                let prompt = &tokens.all[..end];
                let row = FakeRow { id: part.row, step: self.step, prompt, answer: &[], given: 0 };
                match answer(&mut self.script, &row, &mut self.logits) {
                    Ok(Ok(_)) => score.found.push(scored(&self.logits, token, score)),
                    failed => return failed.map(|result| result.map(|_| None)),
                }
            }
        }
        let (prompt, said) = tokens.all.split_at(tokens.prompt.unwrap_or(tokens.all.len()));
        let row = FakeRow { id: part.row, step: self.step, prompt, answer: said, given: part.tokens.len() };
        let token = match answer(&mut self.script, &row, &mut self.logits)? {
            Ok(token) => token,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match &mut part.pick {
            Pick::Nothing => Ok(None),
            Pick::Greedy => Ok(Some(token)),
            Pick::Sample(sampler) => sampler.sample(&mut self.logits).map(Some),
        })
    }
}

/// What a row says by the script, and its logits.
fn answer(
    script: &mut Script,
    row: &FakeRow<'_>,
    logits: &mut Vec<f32>,
) -> Result<Result<u32, RowError>, Error> {
    match script(row) {
        Reply::Token(token) => {
            // So much likelier than the others that only a bias can change it.
            logits.clear();
            logits.resize(VOCABULARY as usize, 0.0);
            logits[token as usize] = 150.0;
            Ok(Ok(token))
        }
        Reply::Logits(own) => {
            *logits = own;
            let likeliest = (0..).zip(logits.iter()).max_by(|(_, one), (_, other)| one.total_cmp(other));
            Ok(Ok(likeliest.map_or(END, |(token, _)| token)))
        }
        Reply::Fails(error) => Ok(Err(error)),
        Reply::Loses(cause) => Err(Error(cause)),
        Reply::Panics(message) => std::panic::panic_any(message),
    }
}

fn scored(logits: &[f32], token: u32, asked: &Score<'_>) -> Scored {
    let sum = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
    let logprob = |logit: f32| (f64::from(logit) - sum) as f32;
    let mut top: Vec<(u32, f32)> = (0..).zip(logits.iter().map(|&logit| logprob(logit))).collect();
    top.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    top.truncate(asked.top as usize);
    Scored { logprob: logprob(logits[token as usize]), top }
}

impl Decoder for FakeDecoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn open(&mut self) -> Result<RowId, Error> {
        let id = RowId(self.next_row);
        self.next_row += 1;
        self.rows.insert(id, Tokens::default());
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(id)
    }

    fn step(&mut self, rows: &mut [RowStep<'_>]) -> Result<Vec<Result<Option<u32>, RowError>>, Error> {
        let started = Instant::now();
        let results = rows.iter_mut().map(|row| self.step_row(row)).collect();
        self.step += 1;
        std::thread::sleep(self.pace.saturating_sub(started.elapsed()));
        results
    }

    fn fork(&mut self, row: RowId, length: u32) -> Result<RowId, Error> {
        let source = self.rows.get(&row).ok_or_else(|| Error(format!("row {row:?} is not open")))?;
        let copy = source.first(length as usize);
        let id = self.open()?;
        self.rows.insert(id, copy);
        Ok(id)
    }

    fn trim(&mut self, row: RowId, length: u32) -> Result<(), Error> {
        if let Some(tokens) = self.rows.get_mut(&row) {
            *tokens = tokens.first(length as usize);
        }
        Ok(())
    }

    fn close(&mut self, row: RowId) {
        if self.rows.remove(&row).is_some() {
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// A decoder that answers everything with `text`.
pub fn says(text: &str) -> FakeDecoder {
    let answer = tokens(text);
    FakeDecoder::new(move |row| Reply::Token(answer.get(row.answer.len()).copied().unwrap_or(END)))
}

/// A decoder that never stops; what it says depends on every token of the row, and on nothing else.
pub fn babbles() -> FakeDecoder {
    FakeDecoder::new(|row| {
        // FNV-1a over the tokens, then a letter.
        let mix = |hash: u64, token: &u32| (hash ^ u64::from(*token)).wrapping_mul(0x0100_0000_01b3);
        let hash = row.prompt.iter().chain(row.answer).fold(0xcbf2_9ce4_8422_2325, mix);
        Reply::Token(u32::from(b'a') + ((hash >> 32) % 26) as u32)
    })
}

/// A decoder with random logits, as a model with random weights has them: at temperature 1, any token may come next. They
/// depend on `seed` and on every token of the row, and on nothing else.
pub fn rambles(seed: u64) -> FakeDecoder {
    FakeDecoder::new(move |row| {
        let mix = |hash: u64, token: &u32| (hash ^ u64::from(*token)).wrapping_mul(0x0100_0000_01b3);
        let hash = row.prompt.iter().chain(row.answer).fold(seed ^ 0xcbf2_9ce4_8422_2325, mix);
        let mut random = ChaCha12Rng::seed_from_u64(hash);
        Reply::Logits((0..VOCABULARY).map(|_| random.random_range(-2.0..2.0)).collect())
    })
}

/// The tokens of a text.
pub fn tokens(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

/// A model that runs on a fake decoder.
pub fn model(id: &str, decoder: FakeDecoder) -> ModelSpec {
    ModelSpec {
        id: id.to_owned(),
        architecture: "fake".to_owned(),
        text: text(id),
        load: Box::new(move || Ok(DeviceModel::Decoder(Box::new(decoder)))),
    }
}

/// The text side of the fake model: tokens are bytes, and the template knows tools and reasoning.
///
/// # Panics
///
/// Where the files written here are not what [`ModelText::load`] wants, which is a mistake in this function.
pub fn text(id: &str) -> ModelText {
    build_text(id).expect("the fake model's files are valid")
}

fn build_text(id: &str) -> Result<ModelText, text::Error> {
    ModelText::load(id, &assets())
}

/// The files that describe the text side of the fake model.
pub fn assets() -> Assets {
    let vocabulary: Map<String, Value> =
        (0..=255u8).map(|byte| (byte_letter(byte).to_string(), Value::from(byte))).collect();
    let end = json!({
        "id": END, "content": "<|end|>", "special": true,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    });
    let bytes = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false,
    });
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [end], "pre_tokenizer": bytes, "decoder": bytes,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    });
    Assets {
        config: Some(json!({ "eos_token_id": END }).to_string().into_bytes()),
        tokenizer: tokenizer.to_string().into_bytes(),
        chat_template: Some(TEMPLATE.into()),
        ..Assets::default()
    }
}

/// The letter that byte-level tokenizers write for a byte: itself where it is visible, else one from U+0100 on.
fn byte_letter(byte: u8) -> char {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if visible(byte) {
        return char::from(byte);
    }
    let hidden_below = (0..byte).filter(|&lower| !visible(lower)).count() as u32;
    char::from_u32(0x100 + hidden_below).unwrap_or(char::REPLACEMENT_CHARACTER)
}
