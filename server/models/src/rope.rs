//! Rotary position embeddings (Su et al. 2021) and their scalings, as in mlx-lm's `rope_utils.py`.

use std::f64::consts::TAU;

use mlx_rs::error::Result;
use mlx_rs::{Array, fast};
use serde::Deserialize;

use crate::Error;
use crate::config::ConfigFile;

/// The keys of `config.json` that say how positions are encoded.
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the file's own names")]
pub(crate) struct RopeConfig {
    rope_theta: Option<f64>,
    #[serde(default)]
    rope_traditional: bool,
    rope_scaling: Option<Scaling>,
    /// Where transformers 5 puts both of the above.
    rope_parameters: Option<Scaling>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Scaling {
    r#type: Option<String>,
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
}

/// How positions are encoded, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RopePlan {
    dimensions: i32,
    traditional: bool,
    base: f64,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Default,
    Linear {
        factor: f64,
    },
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_context: f64,
    },
    Yarn {
        factor: f64,
        original_context: f64,
        beta_fast: f64,
        beta_slow: f64,
        mscale: f64,
        mscale_all_dim: f64,
    },
}

impl RopeConfig {
    /// Checks the keys. `default_theta` is the architecture's base where the file names none.
    pub(crate) fn plan(
        &self,
        file: &ConfigFile,
        dimensions: i32,
        default_theta: Option<f64>,
    ) -> std::result::Result<RopePlan, Error> {
        let (section, scaling) = match (&self.rope_scaling, &self.rope_parameters) {
            (Some(scaling), _) => ("rope_scaling", scaling.clone()),
            (None, Some(parameters)) => ("rope_parameters", parameters.clone()),
            (None, None) => ("rope_scaling", Scaling::default()),
        };
        let nested_theta = self.rope_parameters.as_ref().and_then(|parameters| parameters.rope_theta);
        let Some(base) = self.rope_theta.or(nested_theta).or(default_theta) else {
            return Err(file.error("rope_theta", "missing, expected a number greater than 1"));
        };
        if !(base > 1.0 && base.is_finite()) {
            return Err(file.error("rope_theta", format!("found {base}, expected a number greater than 1")));
        }
        if dimensions % 2 != 0 {
            return Err(file.error("head_dim", format!("found {dimensions}, expected an even number")));
        }
        let kind = scaling.kind(file, section)?;
        Ok(RopePlan { dimensions, traditional: self.rope_traditional, base, kind })
    }
}

impl Scaling {
    fn kind(&self, file: &ConfigFile, section: &str) -> std::result::Result<Kind, Error> {
        let positive = |key: &str, value: Option<f64>, default: Option<f64>| match value.or(default) {
            Some(value) if value > 0.0 && value.is_finite() => Ok(value),
            Some(value) => {
                Err(file
                    .error(&format!("{section}.{key}"), format!("found {value}, expected a positive number")))
            }
            None => Err(file.error(&format!("{section}.{key}"), "missing, expected a positive number")),
        };
        let factor = || positive("factor", self.factor, None);
        let original_context = |default| {
            positive("original_max_position_embeddings", self.original_max_position_embeddings, Some(default))
        };
        let named = self.r#type.as_deref().filter(|name| !name.is_empty()).or(self.rope_type.as_deref());
        match named.unwrap_or("default") {
            "default" => Ok(Kind::Default),
            "linear" => Ok(Kind::Linear { factor: factor()? }),
            "llama3" => Ok(Kind::Llama3 {
                factor: factor()?,
                low_freq_factor: positive("low_freq_factor", self.low_freq_factor, Some(1.0))?,
                high_freq_factor: positive("high_freq_factor", self.high_freq_factor, Some(4.0))?,
                original_context: original_context(8192.0)?,
            }),
            "yarn" => Ok(Kind::Yarn {
                factor: factor()?,
                original_context: original_context(4096.0)?,
                beta_fast: positive("beta_fast", self.beta_fast, Some(32.0))?,
                beta_slow: positive("beta_slow", self.beta_slow, Some(1.0))?,
                mscale: self.mscale.unwrap_or(1.0),
                mscale_all_dim: self.mscale_all_dim.unwrap_or(0.0),
            }),
            other => Err(file.error(
                &format!("{section}.rope_type"),
                format!("found \"{other}\", expected one of default, linear, llama3, yarn"),
            )),
        }
    }
}

/// Encodes positions into queries and keys.
#[derive(Debug)]
pub(crate) struct Rope {
    dimensions: i32,
    traditional: bool,
    base: Option<f32>,
    scale: f32,
    /// Wavelengths over 2π, one for each pair of dimensions, where `base` alone does not give them.
    freqs: Option<Array>,
    /// Multiplies queries and keys (YaRN's attention temperature).
    mscale: Option<Array>,
}

impl Rope {
    pub(crate) fn new(plan: &RopePlan) -> Self {
        let mut rope = Self {
            dimensions: plan.dimensions,
            traditional: plan.traditional,
            base: Some(plan.base as f32),
            scale: 1.0,
            freqs: None,
            mscale: None,
        };
        match plan.kind {
            Kind::Default => {}
            Kind::Linear { factor } => rope.scale = (1.0 / factor) as f32,
            Kind::Llama3 { .. } => rope.set_freqs(&plan.llama3()),
            Kind::Yarn { factor, mscale, mscale_all_dim, .. } => {
                rope.set_freqs(&plan.yarn());
                let temperature = yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all_dim);
                if (temperature - 1.0).abs() > f64::EPSILON {
                    rope.mscale = Some(Array::from_f32(temperature as f32));
                }
            }
        }
        rope
    }

    /// Rotates `[rows, heads, tokens, dimensions]`, whose first token stands at position `offset`.
    pub(crate) fn forward(&self, x: &Array, offset: i32) -> Result<Array> {
        let rotate = |x: &Array| {
            fast::rope(
                x,
                self.dimensions,
                self.traditional,
                self.base,
                self.scale,
                offset,
                self.freqs.as_ref(),
            )
        };
        match &self.mscale {
            // The factor takes the type of `x`, or f32 would spread from here through a model in bf16.
            Some(mscale) => rotate(&x.multiply(mscale.as_dtype(x.dtype())?)?),
            None => rotate(x),
        }
    }

    fn set_freqs(&mut self, freqs: &[f64]) {
        let freqs: Vec<f32> = freqs.iter().map(|&freq| freq as f32).collect();
        self.freqs = Some(Array::from_slice(&freqs, &[freqs.len() as i32]));
        self.base = None;
    }
}

impl RopePlan {
    /// `base^(2i / dimensions)` for each pair of dimensions.
    fn plain(&self) -> impl Iterator<Item = f64> {
        let dimensions = f64::from(self.dimensions);
        (0..self.dimensions / 2).map(move |pair| self.base.powf(2.0 * f64::from(pair) / dimensions))
    }

    /// Llama 3.1's scaling: long wavelengths stretched, short ones kept, those between interpolated.
    fn llama3(&self) -> Vec<f64> {
        let Kind::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } = self.kind else {
            return Vec::new();
        };
        let longest = original_context / low_freq_factor;
        let shortest = original_context / high_freq_factor;
        let stretch = |freq: f64| {
            let wavelength = TAU * freq;
            if wavelength > longest {
                freq * factor
            } else if wavelength > shortest && wavelength < longest {
                let smooth =
                    (original_context / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                freq / ((1.0 - smooth) / factor + smooth)
            } else {
                freq
            }
        };
        self.plain().map(stretch).collect()
    }

    /// YaRN (Peng et al. 2023): interpolates dimensions by how often they turn within the original context.
    fn yarn(&self) -> Vec<f64> {
        let Kind::Yarn { factor, original_context, beta_fast, beta_slow, .. } = self.kind else {
            return Vec::new();
        };
        let dimensions = f64::from(self.dimensions);
        let turning =
            |turns: f64| dimensions * (original_context / (turns * TAU)).ln() / (2.0 * self.base.ln());
        let low = turning(beta_fast).floor().max(0.0);
        let mut high = turning(beta_slow).ceil().min(dimensions - 1.0);
        if (high - low).abs() < f64::EPSILON {
            high += 0.001;
        }
        let interpolate = |(pair, freq): (usize, f64)| {
            let keep = 1.0 - ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
            let stretched = factor * freq;
            (stretched * freq) / (stretched * keep + freq * (1.0 - keep))
        };
        self.plain().enumerate().map(interpolate).collect()
    }
}

fn yarn_mscale(scale: f64, mscale: f64) -> f64 {
    if scale <= 1.0 { 1.0 } else { 0.1 * mscale * scale.ln() + 1.0 }
}
