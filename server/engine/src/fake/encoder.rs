use std::sync::{Arc, Mutex, PoisonError};

use mlx_gate_core::DeviceModel;
use mlx_gate_core::encoder::{Encoder, Error, Facts, Matryoshka, Output, Text};

use super::{VOCABULARY, assets};
use crate::ModelSpec;
use crate::text::ModelText;

/// Makes the vectors of a batch.
pub type Reader = Box<dyn FnMut(&[Text]) -> Result<Vec<Vec<f32>>, Error> + Send>;

/// An encoder without weights. Its tokens are bytes, and it reads a batch in two pieces.
pub struct FakeEncoder {
    facts: Facts,
    reader: Reader,
    batch: Option<Vec<Text>>,
    /// Whether the batch's first piece is done.
    half: bool,
    batches: Batches,
}

/// The batches an encoder has begun, as the lengths of their texts.
pub type Batches = Arc<Mutex<Vec<Vec<usize>>>>;

impl FakeEncoder {
    /// An encoder for texts of up to 64 tokens, in batches of 16.
    pub fn new(
        output: Output,
        reader: impl FnMut(&[Text]) -> Result<Vec<Vec<f32>>, Error> + Send + 'static,
    ) -> Self {
        let facts = Facts {
            vocab_size: VOCABULARY,
            context_length: 64,
            kv_bytes_per_token: 0,
            batch_tokens: 16,
            output,
        };
        Self { facts, reader: Box::new(reader), batch: None, half: false, batches: Arc::default() }
    }

    /// With other facts. The vocabulary stays.
    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.facts = Facts { vocab_size: VOCABULARY, ..facts };
        self
    }

    /// The batches it has begun, kept up to date.
    pub fn batches(&self) -> Batches {
        Arc::clone(&self.batches)
    }
}

impl Encoder for FakeEncoder {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, batch: Vec<Text>) -> Result<(), Error> {
        let lengths = batch.iter().map(|text| text.tokens.len()).collect();
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push(lengths);
        (self.batch, self.half) = (Some(batch), false);
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        if !std::mem::replace(&mut self.half, true) {
            return Ok(None);
        }
        let batch = self.batch.take().ok_or_else(|| Error("there is no batch to read".to_owned()))?;
        (self.reader)(&batch).map(Some)
    }

    fn abandon(&mut self) {
        self.batch = None;
    }
}

/// An encoder whose embeddings are a text's length, the sum of its tokens, and 1.
pub fn embeds() -> FakeEncoder {
    let output = Output::Embedding { dimensions: 3, matryoshka: Matryoshka::Any };
    FakeEncoder::new(output, |batch| Ok(batch.iter().map(vector).collect()))
}

/// An encoder whose scores are the number of tokens of the second text of a pair.
pub fn scores() -> FakeEncoder {
    let score = |text: &Text| vec![text.segments.iter().map(|&segment| f32::from(segment)).sum()];
    FakeEncoder::new(Output::Score, move |batch| Ok(batch.iter().map(score).collect()))
}

/// What [`embeds`] makes of a text.
pub fn vector(text: &Text) -> Vec<f32> {
    vec![text.tokens.len() as f32, text.tokens.iter().sum::<u32>() as f32, 1.0]
}

/// A model that runs on a fake encoder.
///
/// # Panics
///
/// Where the files written here are not what [`ModelText::load_reader`] wants, which is a mistake in this module.
pub fn reader(id: &str, encoder: FakeEncoder) -> ModelSpec {
    ModelSpec {
        id: id.to_owned(),
        architecture: "fake".to_owned(),
        text: ModelText::load_reader(id, &assets()).expect("the fake model's files are valid"),
        load: Box::new(move || Ok(DeviceModel::Encoder(Box::new(encoder)))),
    }
}
