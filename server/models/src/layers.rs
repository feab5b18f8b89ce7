//! The layers that architectures are made of. All take and give arrays of shape `[rows, tokens, features]`; decoders have
//! one row.

use mlx_rs::error::{Exception, Result};
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::{Array, fast, ops, transforms};

use crate::Error;
use crate::config::ConfigFile;
use crate::weights::{Bias, Loader};

/// A matrix of weights, as it lies in memory.
#[derive(Debug)]
pub(crate) enum Matrix {
    /// `[rows, columns]` floating-point numbers, and a view of them as `[columns, rows]`.
    Dense { weight: Array, transposed: Array },
    /// Affine-quantized: `bits * columns / 32` words a row, and a scale and a bias for each group of a row.
    Quantized { weight: Array, scales: Array, biases: Array, bits: i32, group_size: i32 },
}

impl Matrix {
    /// A dense matrix of an array `[rows, columns]`.
    pub(crate) fn dense(weight: Array) -> Result<Self> {
        let transposed = weight.transpose_axes(&[1, 0])?;
        Ok(Self::Dense { weight, transposed })
    }

    /// `x @ selfᵀ`.
    fn apply_transposed(&self, x: &Array) -> Result<Array> {
        match self {
            Self::Dense { transposed, .. } => ops::matmul(x, transposed),
            Self::Quantized { weight, scales, biases, bits, group_size } => {
                ops::quantized_matmul(x, weight, scales, biases, true, *group_size, *bits)
            }
        }
    }
}

/// `y = x Wᵀ + b`.
#[derive(Debug)]
pub(crate) struct Linear {
    weight: Matrix,
    bias: Option<Array>,
}

impl Linear {
    pub(crate) fn new(weight: Matrix, bias: Option<Array>) -> Self {
        Self { weight, bias }
    }

    /// The arrays a dense layer holds.
    fn arrays(&self) -> impl Iterator<Item = &Array> {
        let (weight, transposed) = match &self.weight {
            Matrix::Dense { weight, transposed } => (Some(weight), Some(transposed)),
            Matrix::Quantized { .. } => (None, None),
        };
        weight.into_iter().chain(transposed).chain(&self.bias)
    }

    pub(crate) fn forward(&self, x: &Array) -> Result<Array> {
        let y = self.weight.apply_transposed(x)?;
        match &self.bias {
            Some(bias) => y.add(bias),
            None => Ok(y),
        }
    }
}

/// Layers that read the same input, with their weights in one piece of memory.
///
/// A single token passes through all of them in one product. On the CPU such a product is over in microseconds and every
/// one of them waits for all threads of the BLAS, so there should be few of them.
#[derive(Debug)]
pub(crate) struct Joined {
    parts: Vec<Linear>,
    /// All parts as one layer; `None` where they are quantized.
    whole: Option<Linear>,
    /// For each part, where its features end in those of the whole.
    ends: Vec<i32>,
}

impl Joined {
    /// Layers as they are, each on its own.
    pub(crate) fn apart(parts: Vec<Linear>) -> Self {
        Self { parts, whole: None, ends: Vec::new() }
    }

    /// Moves the weights of layers together. Quantized ones stay where they are.
    pub(crate) fn join(parts: Vec<Linear>) -> Result<Self> {
        let dense: Option<Vec<&Array>> = parts
            .iter()
            .map(|part| match &part.weight {
                Matrix::Dense { weight, .. } => Some(weight),
                Matrix::Quantized { .. } => None,
            })
            .collect();
        let Some(dense) = dense else { return Ok(Self::apart(parts)) };
        let weight = ops::concatenate(&dense, 0)?;
        let biases: Vec<&Array> = parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        let bias = if biases.is_empty() { None } else { Some(ops::concatenate(&biases, 0)?) };
        let mut joined = Self::apart(Vec::new());
        let mut start = 0;
        for part in &dense {
            let end = start + part.dim(0);
            let bias = bias.as_ref().map(|bias| bias.try_index(start..end)).transpose()?;
            joined.parts.push(Linear::new(Matrix::dense(weight.try_index(start..end)?)?, bias));
            joined.ends.push(end);
            start = end;
        }
        joined.whole = Some(Linear::new(Matrix::dense(weight)?, bias));
        // Now, so that the weights in their old places are free before the next layers are read.
        transforms::eval(joined.parts.iter().chain(&joined.whole).flat_map(Linear::arrays))?;
        Ok(joined)
    }

    /// What each layer makes of the input.
    pub(crate) fn forward<const N: usize>(&self, x: &Array) -> Result<[Array; N]> {
        let outputs: Result<Vec<Array>> = match &self.whole {
            Some(whole) if x.dim(1) == 1 => {
                let y = whole.forward(x)?;
                let starts = std::iter::once(&0).chain(&self.ends);
                starts.zip(&self.ends).map(|(start, end)| y.try_index((.., .., *start..*end))).collect()
            }
            _ => self.parts.iter().map(|part| part.forward(x)).collect(),
        };
        let wrong =
            |outputs: Vec<Array>| Exception::custom(format!("{} layers where {N} belong", outputs.len()));
        outputs?.try_into().map_err(wrong)
    }
}

/// A vector for each token, which may double as the output layer.
#[derive(Debug)]
pub(crate) struct Embedding {
    weight: Matrix,
}

impl Embedding {
    pub(crate) fn new(weight: Matrix) -> Self {
        Self { weight }
    }

    /// Looks tokens up: `[rows, tokens]` to `[rows, tokens, features]`.
    pub(crate) fn forward(&self, tokens: &Array) -> Result<Array> {
        match &self.weight {
            Matrix::Dense { weight, .. } => weight.take_axis(tokens, 0),
            Matrix::Quantized { weight, scales, biases, bits, group_size } => ops::dequantize(
                weight.take_axis(tokens, 0)?,
                scales.take_axis(tokens, 0)?,
                &biases.take_axis(tokens, 0)?,
                *group_size,
                *bits,
            ),
        }
    }

    /// The output layer of a model with tied embeddings.
    pub(crate) fn as_linear(&self, x: &Array) -> Result<Array> {
        self.weight.apply_transposed(x)
    }

    /// Bytes of one number in the hidden states, and so in keys and values.
    pub(crate) fn activation_bytes(&self) -> usize {
        match &self.weight {
            Matrix::Dense { weight, .. } => weight.item_size(),
            Matrix::Quantized { scales, .. } => scales.item_size(),
        }
    }
}

/// Root mean square normalization (Zhang and Sennrich 2019).
#[derive(Debug)]
pub(crate) struct RmsNorm {
    pub(crate) weight: Array,
    pub(crate) eps: f32,
}

impl RmsNorm {
    pub(crate) fn forward(&self, x: &Array) -> Result<Array> {
        fast::rms_norm(x, Some(&self.weight), self.eps)
    }
}

/// The gated feed-forward layer (Shazeer 2020): `down(silu(gate(x)) * up(x))`.
#[derive(Debug)]
pub(crate) struct SwiGlu {
    gate_up: Joined,
    down_proj: Linear,
}

impl SwiGlu {
    /// Layers `gate_proj`, `up_proj` and `down_proj` under `name`.
    pub(crate) fn load(
        weights: &mut Loader<'_>,
        name: &str,
        hidden_size: i32,
        intermediate_size: i32,
        bias: Bias,
    ) -> std::result::Result<Self, Error> {
        let (outer, inner) = (i64::from(hidden_size), i64::from(intermediate_size));
        let gate_up = [(format!("{name}.gate_proj"), inner), (format!("{name}.up_proj"), inner)];
        Ok(Self {
            gate_up: weights.joined(&gate_up, outer, bias)?,
            down_proj: weights.linear(&format!("{name}.down_proj"), inner, outer, bias)?,
        })
    }

    pub(crate) fn forward(&self, x: &Array) -> Result<Array> {
        let [gate, up] = self.gate_up.forward(x)?;
        let silu = gate.multiply(ops::sigmoid(&gate)?)?;
        self.down_proj.forward(&silu.multiply(up)?)
    }
}

/// Layer normalization (Ba et al. 2016).
#[derive(Debug)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Array,
    pub(crate) bias: Array,
    pub(crate) eps: f32,
}

impl LayerNorm {
    pub(crate) fn forward(&self, x: &Array) -> Result<Array> {
        fast::layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

/// What stands between the two layers of a plain feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Gaussian error linear unit (Hendrycks and Gimpel 2016), by the error function.
    Gelu,
    /// The same by the hyperbolic tangent, nearly.
    GeluTanh,
    Relu,
}

impl Activation {
    /// The activation that `hidden_act` names.
    pub(crate) fn named(config: &ConfigFile, name: &str) -> std::result::Result<Self, Error> {
        match name {
            "gelu" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            other => Err(config.error(
                "hidden_act",
                format!(
                    "found \"{other}\", expected \"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\" or \"relu\""
                ),
            )),
        }
    }

    pub(crate) fn forward(self, x: &Array) -> Result<Array> {
        // A constant in the type of `x`, which it would widen otherwise.
        let number = |number: f32| Array::from_f32(number).as_dtype(x.dtype());
        let halved = |x: &Array, by: Array| x.multiply(number(0.5)?)?.multiply(by.add(number(1.0)?)?);
        match self {
            Self::Relu => ops::maximum(x, number(0.0)?),
            Self::Gelu => {
                let scaled = x.multiply(number(std::f32::consts::FRAC_1_SQRT_2)?)?;
                halved(x, ops::erf(scaled)?)
            }
            Self::GeluTanh => {
                let cubed = x.multiply(x)?.multiply(x)?.multiply(number(0.044_715)?)?;
                let inner = x.add(cubed)?.multiply(number((2.0 / std::f32::consts::PI).sqrt())?)?;
                halved(x, ops::tanh(inner)?)
            }
        }
    }
}
