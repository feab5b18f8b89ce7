use serde_json::{Map, Value};

use crate::Error;
use crate::config::ConfigFile;

/// What `config.json` says about quantized weights. Bits and group size follow from the tensors' shapes, as in mlx-lm's
/// `infer_quant_config`; the file says whether there are any, and what single layers do differently.
#[derive(Debug, Default)]
pub(crate) struct Quantization {
    entries: Option<Map<String, Value>>,
    file: String,
}

/// How one layer's weights are packed: `bits` for each, and a scale and a bias for each `group_size` of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Affine {
    pub(crate) bits: usize,
    pub(crate) group_size: usize,
}

/// What the configuration says about one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerRule {
    /// Quantized if the weights hold scales for it.
    FromShapes,
    /// Not quantized.
    Dense,
    /// Quantized in this way.
    Exactly(Affine),
}

impl Quantization {
    /// Reads the keys `quantization` and, where that one is absent, `quantization_config`.
    pub(crate) fn read(config: &ConfigFile) -> Result<Self, Error> {
        #[derive(serde::Deserialize)]
        struct Keys {
            quantization: Option<Map<String, Value>>,
            quantization_config: Option<Map<String, Value>>,
        }
        let keys: Keys = config.parse()?;
        let (key, entries) = match (keys.quantization, keys.quantization_config) {
            (Some(entries), _) => ("quantization", entries),
            (None, Some(entries)) => ("quantization_config", entries),
            (None, None) => return Ok(Self::default()),
        };
        // Other programs' formats name themselves here; MLX's own has only bits, group size and mode.
        if let Some(method) = entries.get("quant_method") {
            return Err(config.error(
                &format!("{key}.quant_method"),
                format!("found {method}, and only MLX's own affine quantization is read; convert the model with `mlx_lm.convert`"),
            ));
        }
        check_mode(config, key, &entries)?;
        for (layer, rule) in &entries {
            if let Value::Object(rule) = rule {
                check_mode(config, &format!("{key}.{layer}"), rule)?;
            }
        }
        Ok(Self { entries: Some(entries), file: config.name.clone() })
    }

    /// The rule for the layer of that name.
    pub(crate) fn rule(&self, layer: &str) -> Result<LayerRule, Error> {
        let Some(entries) = &self.entries else { return Ok(LayerRule::Dense) };
        let invalid = |key: &str, problem: String| Error::Config {
            file: self.file.clone(),
            key: format!("quantization.{key}"),
            problem,
        };
        match entries.get(layer) {
            None | Some(Value::Bool(true)) => Ok(LayerRule::FromShapes),
            Some(Value::Bool(false)) => Ok(LayerRule::Dense),
            Some(Value::Object(rule)) => {
                let number = |key: &str| {
                    rule.get(key).and_then(Value::as_u64).filter(|number| *number > 0).ok_or_else(|| {
                        let found = rule.get(key).map_or("nothing".to_owned(), Value::to_string);
                        invalid(
                            &format!("{layer}.{key}"),
                            format!("found {found}, expected a positive number"),
                        )
                    })
                };
                let (bits, group_size) = (number("bits")?, number("group_size")?);
                Ok(LayerRule::Exactly(Affine { bits: bits as usize, group_size: group_size as usize }))
            }
            Some(other) => Err(invalid(
                layer,
                format!("found {other}, expected true, false or {{\"bits\", \"group_size\"}}"),
            )),
        }
    }
}

fn check_mode(config: &ConfigFile, key: &str, entries: &Map<String, Value>) -> Result<(), Error> {
    match entries.get("mode") {
        None => Ok(()),
        Some(mode) if mode == "affine" => Ok(()),
        Some(mode) => Err(config.error(&format!("{key}.mode"), format!("found {mode}, expected \"affine\""))),
    }
}
