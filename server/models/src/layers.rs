//! The layers that architectures are made of. All take and give arrays of shape `[1, tokens, features]`.

use mlx_rs::error::Result;
use mlx_rs::{Array, fast, ops};

use crate::Error;
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

    pub(crate) fn forward(&self, x: &Array) -> Result<Array> {
        let y = self.weight.apply_transposed(x)?;
        match &self.bias {
            Some(bias) => y.add(bias),
            None => Ok(y),
        }
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

    /// Looks tokens up: `[1, tokens]` to `[1, tokens, features]`.
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
#[expect(clippy::struct_field_names, reason = "the weights' own names")]
pub(crate) struct SwiGlu {
    gate_proj: Linear,
    up_proj: Linear,
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
        Ok(Self {
            gate_proj: weights.linear(&format!("{name}.gate_proj"), outer, inner, bias)?,
            up_proj: weights.linear(&format!("{name}.up_proj"), outer, inner, bias)?,
            down_proj: weights.linear(&format!("{name}.down_proj"), inner, outer, bias)?,
        })
    }

    pub(crate) fn forward(&self, x: &Array) -> Result<Array> {
        let gate = self.gate_proj.forward(x)?;
        let silu = gate.multiply(ops::sigmoid(&gate)?)?;
        self.down_proj.forward(&silu.multiply(self.up_proj.forward(x)?)?)
    }
}
