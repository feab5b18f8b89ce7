//! Models that read texts whole: what happens to a batch between its tokens and its vectors.

mod causal;
mod modules;
mod pooling;

use mlx_gate_core::Encoder;
use mlx_gate_core::encoder::{Error, Facts, Text};
use mlx_rs::error::{Exception, Result as MlxResult};
use mlx_rs::{Array, transforms};
use serde::Deserialize;

use crate::arch::EncoderModel;
use crate::config::{ConfigFile, from_json};
use crate::source::Source;

pub(crate) use causal::CausalEncoder;
pub(crate) use modules::{Modules, longest_text, matryoshka};

/// Texts that are read together, short ones filled up at their ends.
pub(crate) struct Batch {
    texts: Vec<Text>,
    /// Length of the longest.
    width: usize,
}

impl Batch {
    fn new(texts: Vec<Text>) -> Self {
        let width = texts.iter().map(|text| text.tokens.len()).max().unwrap_or(0);
        Self { texts, width }
    }

    /// A number for each token of each text, `[texts, tokens]`; what a text has none for gets the `filler`.
    pub(crate) fn array(&self, filler: u32, numbers: impl Fn(&Text) -> Vec<u32>) -> Array {
        let mut all = Vec::with_capacity(self.texts.len() * self.width);
        for text in &self.texts {
            let start = all.len();
            all.extend(numbers(text));
            all.resize(start + self.width, filler);
        }
        Array::from_slice(&all, &[self.texts.len() as i32, self.width as i32])
    }

    /// True for tokens that are no padding, `[texts, 1, 1, tokens]`; `None` where there is no padding.
    fn mask(&self) -> Option<Array> {
        if self.texts.iter().all(|text| text.tokens.len() == self.width) {
            return None;
        }
        let row = |text: &Text| (0..self.width).map(|place| place < text.tokens.len()).collect::<Vec<_>>();
        let all: Vec<bool> = self.texts.iter().flat_map(row).collect();
        Some(Array::from_slice(&all, &[self.texts.len() as i32, 1, 1, self.width as i32]))
    }
}

/// What is made of the last layer's output.
#[derive(Debug)]
pub(crate) enum Readout {
    /// A vector, as sentence-transformers' modules say.
    Embedding(Modules),
    /// A score.
    Score(ScoreActivation),
}

/// What makes a score of a logit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScoreActivation {
    Identity,
    Sigmoid,
}

impl ScoreActivation {
    /// What sentence-transformers' `CrossEncoder` takes by default: what the model's files name, or else the sigmoid.
    pub(crate) fn read(source: &Source, config: &ConfigFile) -> Result<Self, crate::Error> {
        #[derive(Deserialize)]
        struct Keys {
            sentence_transformers: Option<CrossEncoder>,
            sbert_ce_default_activation_function: Option<String>,
        }
        #[derive(Default, Deserialize)]
        struct CrossEncoder {
            activation_fn: Option<String>,
        }
        const FILE: &str = "config_sentence_transformers.json";
        let file = source.locate(FILE);
        let own: CrossEncoder =
            source.read(FILE)?.map(|bytes| from_json(&file, &bytes)).transpose()?.unwrap_or_default();
        let keys: Keys = config.parse()?;
        let in_config = keys.sentence_transformers.unwrap_or_default().activation_fn;
        // The newest place comes first.
        let places = [
            (own.activation_fn, &file, "activation_fn"),
            (in_config, &config.name, "sentence_transformers.activation_fn"),
            (keys.sbert_ce_default_activation_function, &config.name, "sbert_ce_default_activation_function"),
        ];
        let found = places.into_iter().find_map(|(name, file, key)| Some((name?, file, key)));
        let Some((name, file, key)) = found else { return Ok(Self::Sigmoid) };
        match name.rsplit('.').next() {
            Some("Sigmoid") => Ok(Self::Sigmoid),
            Some("Identity") => Ok(Self::Identity),
            _ => Err(crate::Error::Config {
                file: file.clone(),
                key: key.to_owned(),
                problem: format!("found \"{name}\", expected a Sigmoid or an Identity of torch"),
            }),
        }
    }

    fn of(self, logit: f32) -> f32 {
        match self {
            Self::Identity => logit,
            Self::Sigmoid => 1.0 / (1.0 + (-logit).exp()),
        }
    }
}

/// An encoder of [`crate::arch`]. A piece of its work is one layer.
pub(crate) struct MlxEncoder {
    model: Box<dyn EncoderModel>,
    facts: Facts,
    readout: Readout,
    running: Option<Running>,
}

/// A batch that is being read.
struct Running {
    batch: Batch,
    mask: Option<Array>,
    hidden: Array,
    layer: usize,
}

impl MlxEncoder {
    pub(crate) fn new(model: Box<dyn EncoderModel>, facts: Facts, readout: Readout) -> Self {
        Self { model, facts, readout, running: None }
    }

    fn read_out(&self, running: &Running) -> Result<Vec<Vec<f32>>, Error> {
        match &self.readout {
            Readout::Embedding(modules) => {
                let numbers = host(&running.hidden)?;
                let width = running.hidden.dim(-1).unsigned_abs() as usize;
                let texts = running.batch.texts.iter().zip(numbers.chunks(running.batch.width * width));
                Ok(texts
                    .map(|(text, rows)| modules.embed(&rows[..text.tokens.len() * width], width))
                    .collect())
            }
            Readout::Score(activation) => {
                let none = || Error("the model has no head for scores".to_owned());
                let scores = host(&self.model.score(&running.hidden).ok_or_else(none)?.map_err(device)?)?;
                Ok(scores.into_iter().map(|logit| vec![activation.of(logit)]).collect())
            }
        }
    }
}

impl Encoder for MlxEncoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, batch: Vec<Text>) -> Result<(), Error> {
        let batch = Batch::new(batch);
        let hidden = self.model.embed(&batch).map_err(device)?;
        self.running = Some(Running { mask: batch.mask(), batch, hidden, layer: 0 });
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        let mut running = self.running.take().ok_or_else(|| Error("there is no batch to read".to_owned()))?;
        let step = || -> MlxResult<Array> {
            let hidden = self.model.layer(running.layer, &running.hidden, running.mask.as_ref())?;
            transforms::eval([&hidden])?;
            Ok(hidden)
        };
        running.hidden = step().map_err(device)?;
        running.layer += 1;
        if running.layer < self.model.layers() {
            self.running = Some(running);
            return Ok(None);
        }
        let vectors = self.read_out(&running)?;
        drop(running);
        // The next batch has arrays of other sizes.
        mlx_rs::memory::clear_cache().map_err(device)?;
        Ok(Some(vectors))
    }

    fn abandon(&mut self) {
        self.running = None;
    }
}

/// An array's numbers.
fn host(array: &Array) -> Result<Vec<f32>, Error> {
    let array = array.as_type::<f32>().map_err(device)?;
    array.to_vec_exact::<f32>().map_err(|error| Error(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands values over")]
fn device(exception: Exception) -> Error {
    Error(exception.what().to_owned())
}
