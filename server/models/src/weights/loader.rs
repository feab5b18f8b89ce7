use std::collections::BTreeSet;

use half::{bf16, f16};
use mlx_rs::Array;
use safetensors::Dtype;

use super::affine;
use super::index::{Entry, Index};
use super::quantization::{Affine, LayerRule, Quantization};
use crate::Error;
use crate::layers::{Embedding, Joined, LayerNorm, Linear, Matrix, RmsNorm};

/// Whether a linear layer has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bias {
    With,
    Without,
}

impl From<bool> for Bias {
    fn from(with: bool) -> Self {
        if with { Self::With } else { Self::Without }
    }
}

/// Hands a model its layers, by name and expected shape.
///
/// A model is built twice. The first time is a rehearsal, from the headers alone: it finds every tensor that is missing,
/// superfluous or of the wrong shape, and counts the memory the weights will take. The second time reads the tensors.
#[derive(Debug)]
pub(crate) struct Loader<'a> {
    index: &'a Index,
    quantization: &'a Quantization,
    in_f32: bool,
    rehearsal: bool,
    used: BTreeSet<String>,
    bytes: u64,
}

impl<'a> Loader<'a> {
    /// A loader that checks and counts.
    pub(crate) fn rehearse(index: &'a Index, quantization: &'a Quantization, in_f32: bool) -> Self {
        Self { index, quantization, in_f32, rehearsal: true, used: BTreeSet::new(), bytes: 0 }
    }

    /// A loader that reads. To be used on the device thread.
    pub(crate) fn read(index: &'a Index, quantization: &'a Quantization, in_f32: bool) -> Self {
        Self { rehearsal: false, ..Self::rehearse(index, quantization, in_f32) }
    }

    /// A linear layer `[inputs] -> [outputs]`, dense or quantized, whichever the weights hold.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        inputs: i64,
        outputs: i64,
        bias: Bias,
    ) -> Result<Linear, Error> {
        let weight = self.matrix(name, outputs, inputs)?;
        let bias = match bias {
            Bias::With => Some(self.float(&format!("{name}.bias"), &[outputs])?),
            Bias::Without => None,
        };
        Ok(Linear::new(weight, bias))
    }

    /// Linear layers of the same input, each with its name and number of outputs.
    pub(crate) fn joined(
        &mut self,
        layers: &[(String, i64)],
        inputs: i64,
        bias: Bias,
    ) -> Result<Joined, Error> {
        let mut parts = Vec::new();
        for (name, outputs) in layers {
            parts.push(self.linear(name, inputs, *outputs, bias)?);
        }
        Ok(if self.rehearsal { Joined::apart(parts) } else { Joined::join(parts)? })
    }

    /// A table of `rows` vectors of `columns` numbers, dense or quantized.
    pub(crate) fn embedding(&mut self, name: &str, rows: i64, columns: i64) -> Result<Embedding, Error> {
        Ok(Embedding::new(self.matrix(name, rows, columns)?))
    }

    /// A root mean square normalization over `size` numbers.
    pub(crate) fn rms_norm(&mut self, name: &str, size: i64, eps: f32) -> Result<RmsNorm, Error> {
        Ok(RmsNorm { weight: self.float(&format!("{name}.weight"), &[size])?, eps })
    }

    /// A layer normalization over `size` numbers.
    pub(crate) fn layer_norm(&mut self, name: &str, size: i64, eps: f32) -> Result<LayerNorm, Error> {
        let weight = self.float(&format!("{name}.weight"), &[size])?;
        Ok(LayerNorm { weight, bias: self.float(&format!("{name}.bias"), &[size])?, eps })
    }

    /// Fails if the weights hold tensors that nothing has asked for. Returns the bytes the layers take in memory.
    pub(crate) fn finish(self) -> Result<u64, Error> {
        let mut unexpected = self.index.names().filter(|name| !self.used.contains(*name));
        if let Some(first) = unexpected.next() {
            return Err(Error::TensorsUnexpected {
                model: self.index.model().to_owned(),
                first: first.to_owned(),
                count: 1 + unexpected.count(),
            });
        }
        Ok(self.bytes)
    }

    fn matrix(&mut self, name: &str, rows: i64, columns: i64) -> Result<Matrix, Error> {
        let has_scales = self.index.get(&format!("{name}.scales")).is_some();
        match self.quantization.rule(name)? {
            LayerRule::Exactly(format) => self.quantized(name, rows, columns, Some(format)),
            LayerRule::FromShapes if has_scales => self.quantized(name, rows, columns, None),
            LayerRule::FromShapes | LayerRule::Dense => {
                let weight = self.float(&format!("{name}.weight"), &[rows, columns])?;
                self.dense(weight)
            }
        }
    }

    fn quantized(
        &mut self,
        name: &str,
        rows: i64,
        columns: i64,
        wanted: Option<Affine>,
    ) -> Result<Matrix, Error> {
        let packed_name = format!("{name}.weight");
        let packed = self.entry(&packed_name)?;
        let scales = self.entry(&format!("{name}.scales"))?;
        self.entry(&format!("{name}.biases"))?;
        let format = match wanted {
            Some(format) => format,
            None => self.infer(name, columns, packed, scales)?,
        };
        if !format.is_sound(columns as usize) || i32::try_from(rows * columns).is_err() {
            return Err(self.wrong_groups(name, scales, columns));
        }
        let words = columns as usize * format.bits / 32;
        let groups = columns / format.group_size as i64;
        self.expect_shape(&packed_name, packed, &[rows, words as i64])?;
        if packed.dtype != Dtype::U32 {
            return Err(self.wrong_type(&packed_name, packed, "U32"));
        }
        if self.in_f32 || !format.on_device() {
            let scales = self.numbers(&format!("{name}.scales"), &[rows, groups])?;
            let biases = self.numbers(&format!("{name}.biases"), &[rows, groups])?;
            let shape = [rows as i32, columns as i32];
            self.bytes += (rows * columns) as u64 * 4;
            if self.rehearsal {
                return self.dense(placeholder());
            }
            let weights = affine::unpack(&packed.bytes()?, &scales, &biases, columns as usize, format);
            return self.dense(Array::from_slice(&weights, &shape));
        }
        self.bytes += (rows * words as i64) as u64 * 4;
        let weight = if self.rehearsal {
            placeholder()
        } else {
            Array::from_slice(&words_of(&packed.bytes()?), &[rows as i32, words as i32])
        };
        Ok(Matrix::Quantized {
            weight,
            scales: self.float(&format!("{name}.scales"), &[rows, groups])?,
            biases: self.float(&format!("{name}.biases"), &[rows, groups])?,
            bits: format.bits as i32,
            group_size: format.group_size as i32,
        })
    }

    fn dense(&self, weight: Array) -> Result<Matrix, Error> {
        // A rehearsal does no operation at all: it runs on a thread that is not the device's.
        if self.rehearsal {
            return Ok(Matrix::Dense { weight, transposed: placeholder() });
        }
        Ok(Matrix::dense(weight)?)
    }

    /// Finds bits and group size from the shapes, as mlx-lm's `infer_quant_config` does.
    fn infer(&self, name: &str, columns: i64, packed: &Entry, scales: &Entry) -> Result<Affine, Error> {
        let columns = columns as usize;
        let last = |entry: &Entry| entry.shape.last().copied().filter(|size| *size > 0);
        let format = last(packed)
            .zip(last(scales))
            .map(|(words, groups)| Affine { bits: words * 32 / columns, group_size: columns / groups });
        format.ok_or_else(|| self.wrong_groups(name, scales, columns as i64))
    }

    fn wrong_groups(&self, name: &str, scales: &Entry, columns: i64) -> Error {
        Error::TensorGroups {
            model: self.index.model().to_owned(),
            tensor: format!("{name}.scales"),
            found: scales.shape.clone(),
            columns: columns as usize,
        }
    }

    /// A tensor of floating-point numbers as an array, in f32 or in its own type.
    fn float(&mut self, name: &str, shape: &[i64]) -> Result<Array, Error> {
        let entry = self.entry(name)?;
        self.expect_shape(name, entry, shape)?;
        let count = shape.iter().product::<i64>() as u64;
        let narrow = matches!(entry.dtype, Dtype::F16 | Dtype::BF16) && !self.in_f32;
        if !matches!(entry.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32) {
            return Err(self.wrong_type(name, entry, "F32, F16 or BF16"));
        }
        self.bytes += count * if narrow { 2 } else { 4 };
        if self.rehearsal {
            return Ok(placeholder());
        }
        let bytes = entry.bytes()?;
        let shape: Vec<i32> = shape.iter().map(|&size| size as i32).collect();
        Ok(match entry.dtype {
            Dtype::F16 if narrow => Array::from_slice(&halves(&bytes, f16::from_le_bytes), &shape),
            Dtype::BF16 if narrow => Array::from_slice(&halves(&bytes, bf16::from_le_bytes), &shape),
            dtype => Array::from_slice(&widened(&bytes, dtype), &shape),
        })
    }

    /// A tensor of floating-point numbers on the host; empty in a rehearsal.
    pub(crate) fn numbers(&mut self, name: &str, shape: &[i64]) -> Result<Vec<f32>, Error> {
        let entry = self.entry(name)?;
        self.expect_shape(name, entry, shape)?;
        if !matches!(entry.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32) {
            return Err(self.wrong_type(name, entry, "F32, F16 or BF16"));
        }
        Ok(if self.rehearsal { Vec::new() } else { widened(&entry.bytes()?, entry.dtype) })
    }

    fn entry(&mut self, name: &str) -> Result<&'a Entry, Error> {
        let entry = self.index.get(name).ok_or_else(|| Error::TensorMissing {
            model: self.index.model().to_owned(),
            tensor: name.to_owned(),
        })?;
        self.used.insert(name.to_owned());
        Ok(entry)
    }

    fn expect_shape(&self, name: &str, entry: &Entry, shape: &[i64]) -> Result<(), Error> {
        let expected: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
        if entry.shape == expected {
            return Ok(());
        }
        Err(Error::TensorShape {
            model: self.index.model().to_owned(),
            tensor: name.to_owned(),
            found: entry.shape.clone(),
            expected,
        })
    }

    fn wrong_type(&self, name: &str, entry: &Entry, expected: &'static str) -> Error {
        Error::TensorType {
            model: self.index.model().to_owned(),
            tensor: name.to_owned(),
            found: entry.dtype.to_string(),
            expected,
        }
    }
}

impl Affine {
    /// Whether MLX's kernels can work on weights packed in this way.
    fn on_device(self) -> bool {
        matches!(self.group_size, 32 | 64 | 128)
    }

    /// Whether rows of `columns` weights can be packed in this way.
    fn is_sound(self, columns: usize) -> bool {
        matches!(self.bits, 2 | 3 | 4 | 5 | 6 | 8)
            && self.group_size > 0
            && columns.is_multiple_of(self.group_size)
            && (columns * self.bits).is_multiple_of(32)
    }
}

/// What stands for a tensor in a rehearsal.
fn placeholder() -> Array {
    Array::from_f32(0.0)
}

fn words_of(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
}

fn halves<T>(bytes: &[u8], convert: impl Fn([u8; 2]) -> T) -> Vec<T> {
    bytes.as_chunks::<2>().0.iter().map(|chunk| convert(*chunk)).collect()
}

/// Little-endian floating-point numbers of a stored type, in f32.
fn widened(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    match dtype {
        Dtype::F16 => halves(bytes, |chunk| f16::from_le_bytes(chunk).to_f32()),
        Dtype::BF16 => halves(bytes, |chunk| bf16::from_le_bytes(chunk).to_f32()),
        _ => bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect(),
    }
}
