use mlx_gate_core::Decoder;
use mlx_gate_core::decoder::Facts;
use mlx_rs::{Device, DeviceType};

use crate::Error;
use crate::arch::{self, Blueprint};
use crate::config::ConfigFile;
use crate::decoder::MlxDecoder;
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
/// sent to the device thread, where [`LoadedModel::into_decoder`] does the rest.
#[derive(Debug)]
pub struct LoadedModel {
    name: String,
    model_type: String,
    blueprint: Box<dyn Blueprint>,
    index: Index,
    quantization: Quantization,
    in_f32: bool,
    on_cpu: bool,
    weight_bytes: u64,
}

/// Checks a model: its configuration, the headers of its weights files, every tensor's name, shape and type, and whether
/// the weights fit into memory. Reads no tensor and does not use the device.
pub fn load(source: &Source, options: LoadOptions) -> Result<LoadedModel, Error> {
    let config = ConfigFile::read(source)?;
    let (model_type, blueprint) = arch::read(&config)?;
    let quantization = Quantization::read(&config)?;
    let mut index = Index::read(source)?;
    blueprint.sanitize(&mut index);
    let on_cpu = matches!(Device::try_default()?.get_type()?, DeviceType::Cpu);
    let in_f32 = match options.dtype {
        WeightType::Auto => on_cpu,
        WeightType::F32 => true,
        WeightType::Native => false,
    };
    let mut rehearsal = Loader::rehearse(&index, &quantization, in_f32);
    blueprint.build(&mut rehearsal)?;
    let weight_bytes = rehearsal.finish()?;
    if on_cpu || cfg!(target_os = "macos") {
        memory::check(&index, weight_bytes, in_f32)?;
    }
    Ok(LoadedModel {
        name: source.name().to_owned(),
        model_type,
        blueprint,
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

    /// Longest row, in tokens.
    pub fn context_length(&self) -> u32 {
        self.blueprint.geometry().context_length.unsigned_abs()
    }

    /// Number of logits.
    pub fn vocab_size(&self) -> u32 {
        self.blueprint.geometry().vocab_size.unsigned_abs()
    }

    /// Bytes the weights will take in memory.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// Reads the weights and puts the model on the device. To be called on the thread that owns the device, where the
    /// decoder has to stay.
    pub fn into_decoder(self) -> Result<Box<dyn Decoder>, Error> {
        let mut weights = Loader::read(&self.index, &self.quantization, self.in_f32);
        let model = self.blueprint.build(&mut weights)?;
        weights.finish()?;
        let geometry = self.blueprint.geometry();
        let kv_numbers =
            2 * i64::from(geometry.kv_heads) * i64::from(geometry.head_dim) * i64::from(geometry.layers);
        let facts = Facts {
            vocab_size: self.vocab_size(),
            context_length: self.context_length(),
            kv_bytes_per_token: kv_numbers.unsigned_abs() * model.activation_bytes() as u64,
            prefill_chunk: if self.on_cpu { 128 } else { 1024 },
        };
        Ok(Box::new(MlxDecoder::new(model, facts, geometry.layers as usize)))
    }
}
