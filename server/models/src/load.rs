use mlx_gate_core::decoder::Facts;
use mlx_gate_core::encoder::{self, Matryoshka, Output};
use mlx_gate_core::{Decoder, DeviceModel, Encoder};
use mlx_rs::{Device, DeviceType};

use crate::Error;
use crate::arch::{self, Blueprint, EncoderBlueprint, Kind};
use crate::config::ConfigFile;
use crate::decoder::MlxDecoder;
use crate::encoder::{
    CausalEncoder, MlxEncoder, Modules, Readout, ScoreActivation, longest_text, matryoshka,
};
use crate::memory;
use crate::source::Source;
use crate::weights::{Index, Loader, Quantization};

/// The type weights have in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WeightType {
    /// f32 on the CPU, whose fast matrix products are in f32 only; as stored on a GPU.
    #[default]
    Auto,
    /// f32 everywhere; quantized weights are unpacked.
    F32,
    /// As stored: f16, bf16, f32 or quantized.
    Native,
}

impl WeightType {
    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Native => "native",
        }
    }
}

impl std::str::FromStr for WeightType {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::F32, Self::Native]
            .into_iter()
            .find(|known| known.as_str() == value)
            .ok_or_else(|| format!("found \"{value}\", expected auto, f32 or native"))
    }
}

/// How a model is loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadOptions {
    /// The type weights have in memory.
    pub dtype: WeightType,
}

/// A model whose configuration, weights index and size are checked, and whose weights are still on the disk. It can be
/// sent to the device thread, where [`LoadedModel::into_device_model`] does the rest.
#[derive(Debug)]
pub struct LoadedModel {
    name: String,
    model_type: String,
    plan: Plan,
    index: Index,
    quantization: Quantization,
    in_f32: bool,
    on_cpu: bool,
    weight_bytes: u64,
}

/// What is to be built.
#[derive(Debug)]
enum Plan {
    Decoder(Box<dyn Blueprint>),
    Encoder(Box<dyn EncoderBlueprint>, Readout, EncoderLimits),
    /// A decoder whose hidden states become embeddings.
    Causal(Box<dyn Blueprint>, Modules, EncoderLimits),
}

/// What the files beside the configuration allow an encoder.
#[derive(Debug)]
struct EncoderLimits {
    longest_text: Option<i32>,
    matryoshka: Matryoshka,
}

impl EncoderLimits {
    fn read(source: &Source, config: &ConfigFile) -> Result<Self, Error> {
        Ok(Self { longest_text: longest_text(source)?, matryoshka: matryoshka(config)? })
    }

    fn embedding(&self, modules: &Modules) -> Output {
        let dimensions = u32::try_from(modules.dimensions()).unwrap_or(u32::MAX);
        Output::Embedding { dimensions, matryoshka: self.matryoshka.clone() }
    }
}

impl Plan {
    fn read(source: &Source, config: &ConfigFile) -> Result<(String, Self), Error> {
        let (model_type, kind) = arch::read(config)?;
        let plan = match kind {
            Kind::Encoder(blueprint) => {
                let geometry = blueprint.geometry();
                let readout = if geometry.classifies {
                    Readout::Score(ScoreActivation::read(source, config)?)
                } else {
                    Readout::Embedding(modules(source, geometry.hidden_size)?)
                };
                Self::Encoder(blueprint, readout, EncoderLimits::read(source, config)?)
            }
            Kind::Decoder(blueprint) => match Modules::read(source, blueprint.geometry().hidden_size)? {
                None => Self::Decoder(blueprint),
                Some(modules) => {
                    // Nothing asks for logits, so there is no output layer: tied weights have none.
                    let (_, kind) = arch::read(&config.with("tie_word_embeddings", true.into())?)?;
                    let Kind::Decoder(blueprint) = kind else {
                        return Ok((model_type, Self::Decoder(blueprint)));
                    };
                    Self::Causal(blueprint, modules, EncoderLimits::read(source, config)?)
                }
            },
        };
        Ok((model_type, plan))
    }

    fn sanitize(&self, index: &mut Index) {
        match self {
            Self::Decoder(blueprint) => blueprint.sanitize(index),
            Self::Encoder(blueprint, ..) => blueprint.sanitize(index),
            Self::Causal(blueprint, ..) => {
                // transformers saves a model without its output layer without this prefix too.
                if index.get("embed_tokens.weight").is_some() {
                    index.rename(|name| format!("model.{name}"));
                }
                blueprint.sanitize(index);
            }
        }
    }

    fn rehearse(&self, weights: &mut Loader<'_>) -> Result<(), Error> {
        match self {
            Self::Decoder(blueprint) | Self::Causal(blueprint, ..) => blueprint.build(weights).map(drop),
            Self::Encoder(blueprint, ..) => blueprint.build(weights).map(drop),
        }
    }

    fn context_length(&self) -> i32 {
        let within = |most: i32, limits: &EncoderLimits| most.min(limits.longest_text.unwrap_or(most));
        match self {
            Self::Decoder(blueprint) => blueprint.geometry().context_length,
            Self::Encoder(blueprint, _, limits) => within(blueprint.geometry().context_length, limits),
            Self::Causal(blueprint, _, limits) => within(blueprint.geometry().context_length, limits),
        }
    }

    fn vocab_size(&self) -> i32 {
        match self {
            Self::Decoder(blueprint) | Self::Causal(blueprint, ..) => blueprint.geometry().vocab_size,
            Self::Encoder(blueprint, ..) => blueprint.geometry().vocab_size,
        }
    }
}

/// How the model pools its hidden states.
fn modules(source: &Source, hidden_size: i32) -> Result<Modules, Error> {
    if let Some(modules) = Modules::read(source, hidden_size)? {
        return Ok(modules);
    }
    tracing::warn!(
        model = source.name(),
        "there is no modules.json that says how to make embeddings; they will be the mean of all tokens, as \
         sentence-transformers makes them then"
    );
    Ok(Modules::mean(hidden_size))
}

/// Checks a model: its configuration, the headers of its weights files, every tensor's name, shape and type, and whether
/// the weights fit into memory. Reads no tensor of the model proper and does not use the device.
pub fn load(source: &Source, options: LoadOptions) -> Result<LoadedModel, Error> {
    let config = ConfigFile::read(source)?;
    let (model_type, plan) = Plan::read(source, &config)?;
    let quantization = Quantization::read(&config)?;
    let mut index = Index::read(source)?;
    plan.sanitize(&mut index);
    let on_cpu = matches!(Device::try_default()?.get_type()?, DeviceType::Cpu);
    let in_f32 = match options.dtype {
        WeightType::Auto => on_cpu,
        WeightType::F32 => true,
        WeightType::Native => false,
    };
    let mut rehearsal = Loader::rehearse(&index, &quantization, in_f32);
    plan.rehearse(&mut rehearsal)?;
    let weight_bytes = rehearsal.finish()?;
    if on_cpu || cfg!(target_os = "macos") {
        memory::check(&index, weight_bytes, in_f32)?;
    }
    Ok(LoadedModel {
        name: source.name().to_owned(),
        model_type,
        plan,
        index,
        quantization,
        in_f32,
        on_cpu,
        weight_bytes,
    })
}

impl LoadedModel {
    /// The name to serve the model under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `model_type` of its configuration, `qwen3` for instance.
    pub fn model_type(&self) -> &str {
        &self.model_type
    }

    /// Whether it reads texts whole, and continues none.
    pub fn is_encoder(&self) -> bool {
        !matches!(self.plan, Plan::Decoder(_))
    }

    /// Longest row or text, in tokens.
    pub fn context_length(&self) -> u32 {
        self.plan.context_length().unsigned_abs()
    }

    /// Number of tokens it knows.
    pub fn vocab_size(&self) -> u32 {
        self.plan.vocab_size().unsigned_abs()
    }

    /// Bytes the weights will take in memory.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// The same as [`into_device_model`](Self::into_device_model), for a model that is known to continue text.
    pub fn into_decoder(self) -> Result<Box<dyn Decoder>, Error> {
        let name = self.name.clone();
        match self.into_device_model()? {
            DeviceModel::Decoder(decoder) => Ok(decoder),
            DeviceModel::Encoder(_) => {
                Err(Error::WrongKind { model: name, is: "embeds or scores", wanted: "generates" })
            }
        }
    }

    /// The same as [`into_device_model`](Self::into_device_model), for a model that is known to embed or score.
    pub fn into_encoder(self) -> Result<Box<dyn Encoder>, Error> {
        let name = self.name.clone();
        match self.into_device_model()? {
            DeviceModel::Encoder(encoder) => Ok(encoder),
            DeviceModel::Decoder(_) => {
                Err(Error::WrongKind { model: name, is: "generates", wanted: "embeds or scores" })
            }
        }
    }

    /// Reads the weights and puts the model on the device. To be called on the thread that owns the device, where the
    /// model has to stay.
    pub fn into_device_model(self) -> Result<DeviceModel, Error> {
        let (vocab_size, context_length) = (self.vocab_size(), self.context_length());
        let mut weights = Loader::read(&self.index, &self.quantization, self.in_f32);
        let prefill_chunk = if self.on_cpu { 128 } else { 1024 };
        Ok(match self.plan {
            Plan::Decoder(blueprint) => {
                let model = blueprint.build(&mut weights)?;
                weights.finish()?;
                let geometry = blueprint.geometry();
                let kv_bytes_per_token = geometry.kv_bytes_per_token(model.activation_bytes());
                let facts = Facts { vocab_size, context_length, kv_bytes_per_token, prefill_chunk };
                DeviceModel::Decoder(Box::new(MlxDecoder::new(model, facts, geometry.layers as usize)))
            }
            Plan::Causal(blueprint, modules, limits) => {
                let model = blueprint.build(&mut weights)?;
                weights.finish()?;
                let geometry = blueprint.geometry();
                let facts = encoder::Facts {
                    vocab_size,
                    context_length,
                    kv_bytes_per_token: geometry.kv_bytes_per_token(model.activation_bytes()),
                    // One piece of work. More would take memory for keys and values, and gain nothing.
                    batch_tokens: prefill_chunk,
                    output: limits.embedding(&modules),
                };
                let (layers, chunk) = (geometry.layers as usize, prefill_chunk as usize);
                DeviceModel::Encoder(Box::new(CausalEncoder::new(model, layers, chunk, facts, modules)))
            }
            Plan::Encoder(blueprint, readout, limits) => {
                let model = blueprint.build(&mut weights)?;
                weights.finish()?;
                let output = match &readout {
                    Readout::Embedding(modules) => limits.embedding(modules),
                    Readout::Score(_) => Output::Score,
                };
                let batch_tokens = batch_tokens(blueprint.geometry().layer_weights, self.on_cpu);
                let facts = encoder::Facts {
                    vocab_size,
                    context_length,
                    kv_bytes_per_token: 0,
                    batch_tokens,
                    output,
                };
                DeviceModel::Encoder(Box::new(MlxEncoder::new(model, facts, readout)))
            }
        })
    }
}

/// Most tokens of a batch: as many as pass one layer, which is one piece of work, in about a tenth of a second. More would
/// not make better use of the device either.
fn batch_tokens(layer_weights: i64, on_cpu: bool) -> u32 {
    // Two operations for each weight and token.
    let operations: i64 = if on_cpu { 10_000_000_000 } else { 500_000_000_000 };
    let tokens = operations / (2 * layer_weights.max(1));
    u32::try_from(tokens).unwrap_or(u32::MAX).clamp(256, 16_384)
}
