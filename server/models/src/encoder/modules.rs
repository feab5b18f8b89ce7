use mlx_gate_core::encoder::Matryoshka;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pooling::Mode;
use crate::Error;
use crate::config::{ConfigFile, from_json, optional_positive};
use crate::source::Source;
use crate::weights::{Index, Loader, Quantization};

/// The file that says which modules a model of sentence-transformers is made of.
const MODULES: &str = "modules.json";

/// What sentence-transformers puts behind the transformer: pooling, then layers and normalization in their order. Done on
/// the host, in f32.
#[derive(Debug)]
pub(crate) struct Modules {
    hidden_size: usize,
    pooling: Vec<Mode>,
    steps: Vec<Step>,
    dimensions: usize,
}

#[derive(Debug)]
enum Step {
    Dense(Dense),
    /// To the Euclidean length 1.
    Normalize,
}

/// `y = activation(x Wᵀ + b)`.
#[derive(Debug)]
struct Dense {
    /// `[outputs, inputs]`
    weight: Vec<f32>,
    bias: Vec<f32>,
    tanh: bool,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

impl Modules {
    /// Reads what the model's files say. `None` where they say nothing of modules.
    pub(crate) fn read(source: &Source, hidden_size: i32) -> Result<Option<Self>, Error> {
        let Some(bytes) = source.read(MODULES)? else { return Ok(None) };
        let file = source.locate(MODULES);
        let modules: Vec<Module> = from_json(&file, &bytes)?;
        let mut built = Self::mean(hidden_size);
        built.pooling.clear();
        for (place, module) in modules.iter().enumerate() {
            let wrong = |what: &str, problem: String| Error::Config {
                file: file.clone(),
                key: format!("[{place}].{what}"),
                problem,
            };
            if module.path.starts_with('/') || module.path.split(['/', '\\']).any(|part| part == "..") {
                let problem = format!("\"{}\" does not lie in the model's folder", module.path);
                return Err(wrong("path", problem));
            }
            match (module.r#type.rsplit('.').next().unwrap_or_default(), built.pooling.is_empty()) {
                ("Transformer", _) if place == 0 && module.path.is_empty() => {}
                ("Pooling", true) => built.read_pooling(source, &module.path)?,
                ("Dense", false) => built.read_dense(source, &module.path)?,
                ("Normalize", false) => built.steps.push(Step::Normalize),
                _ => {
                    let problem = format!(
                        "found \"{}\" there, expected a Transformer without a folder, then Pooling, then any of Dense and \
                         Normalize",
                        module.r#type
                    );
                    return Err(wrong("type", problem));
                }
            }
        }
        if built.pooling.is_empty() {
            let problem = "it names no Pooling, without which there is no embedding".to_owned();
            return Err(Error::BadConfig { file, problem });
        }
        Ok(Some(built))
    }

    /// The mean of all tokens, as sentence-transformers takes it where a model says nothing.
    pub(crate) fn mean(hidden_size: i32) -> Self {
        let hidden_size = hidden_size.unsigned_abs() as usize;
        Self { hidden_size, pooling: vec![Mode::Mean], steps: Vec::new(), dimensions: hidden_size }
    }

    /// Width of the hidden states that are pooled.
    pub(crate) fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// Numbers in a vector.
    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Whether all other tokens' hidden states have no part in the vector.
    pub(crate) fn needs_last_token_only(&self) -> bool {
        self.pooling == [Mode::LastToken]
    }

    /// The vector of hidden states `[tokens, width]`.
    pub(crate) fn embed(&self, hidden: &[f32], width: usize) -> Vec<f32> {
        let pooled = self.pooling.iter().flat_map(|mode| mode.pool(hidden, width)).collect();
        self.steps.iter().fold(pooled, |vector, step| step.apply(vector))
    }

    fn read_pooling(&mut self, source: &Source, folder: &str) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Keys {
            pooling_mode: Option<Value>,
            #[serde(flatten)]
            rest: Map<String, Value>,
        }
        let (file, bytes) = module_config(source, folder)?;
        let keys: Keys = from_json(&file, &bytes)?;
        let error =
            |key: &str, problem: String| Error::Config { file: file.clone(), key: key.to_owned(), problem };
        let named = |value: &Value| {
            let name = value.as_str().unwrap_or_default();
            Mode::ALL.iter().find(|(_, known, _)| *known == name).map(|(mode, ..)| *mode).ok_or_else(|| {
                let known = Mode::ALL.map(|(_, name, _)| name).join(", ");
                error("pooling_mode", format!("found {value}, expected one of {known}"))
            })
        };
        self.pooling = match &keys.pooling_mode {
            Some(Value::Array(names)) => names.iter().map(named).collect::<Result<_, _>>()?,
            Some(name) => vec![named(name)?],
            None => {
                let is_on = |key: &str| keys.rest.get(key).and_then(Value::as_bool).unwrap_or(false);
                Mode::ALL.iter().filter(|(.., key)| is_on(key)).map(|(mode, ..)| *mode).collect()
            }
        };
        if self.pooling.is_empty() {
            return Err(error("pooling_mode", "it names no way to pool".to_owned()));
        }
        self.dimensions = self.hidden_size * self.pooling.len();
        Ok(())
    }

    fn read_dense(&mut self, source: &Source, folder: &str) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Keys {
            in_features: usize,
            out_features: usize,
            #[serde(default = "yes")]
            bias: bool,
            activation_function: Option<String>,
            #[serde(default)]
            use_residual: bool,
        }
        let (file, bytes) = module_config(source, folder)?;
        let keys: Keys = from_json(&file, &bytes)?;
        let error =
            |key: &str, problem: String| Error::Config { file: file.clone(), key: key.to_owned(), problem };
        if keys.in_features != self.dimensions {
            let problem = format!("found {}, and {} numbers come in", keys.in_features, self.dimensions);
            return Err(error("in_features", problem));
        }
        if keys.use_residual {
            return Err(error("use_residual", "found true, and only false can be served".to_owned()));
        }
        let activation = keys.activation_function.as_deref().unwrap_or("torch.nn.modules.activation.Tanh");
        let tanh = match activation.rsplit('.').next() {
            Some("Tanh") => true,
            Some("Identity") => false,
            _ => {
                let problem = format!("found \"{activation}\", expected a Tanh or an Identity of torch");
                return Err(error("activation_function", problem));
            }
        };
        let advice =
            "only weights in safetensors format are read; save the model again with sentence-transformers";
        let index = Index::of_file(source, &format!("{folder}/model.safetensors"), advice)?;
        let quantization = Quantization::default();
        let mut weights = Loader::read(&index, &quantization, true);
        let (inputs, outputs) = (keys.in_features as i64, keys.out_features as i64);
        let weight = weights.numbers("linear.weight", &[outputs, inputs])?;
        let bias = if keys.bias {
            weights.numbers("linear.bias", &[outputs])?
        } else {
            vec![0.0; keys.out_features]
        };
        weights.finish()?;
        self.steps.push(Step::Dense(Dense { weight, bias, tanh }));
        self.dimensions = keys.out_features;
        Ok(())
    }
}

const fn yes() -> bool {
    true
}

fn module_config(source: &Source, folder: &str) -> Result<(String, Vec<u8>), Error> {
    let name = format!("{folder}/config.json");
    let bytes = source.read(&name)?.ok_or_else(|| Error::FileMissing {
        model: source.describe(),
        file: name.clone(),
        advice: "modules.json names it; get the model's files again, with its subfolders",
    })?;
    Ok((source.locate(&name), bytes.into_owned()))
}

impl Step {
    fn apply(&self, vector: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Normalize => normalized(vector),
            Self::Dense(dense) => {
                let rows = dense.weight.chunks(vector.len().max(1)).zip(&dense.bias);
                let output = rows.map(|(row, bias)| {
                    let sum = row.iter().zip(&vector).map(|(weight, x)| weight * x).sum::<f32>() + bias;
                    if dense.tanh { sum.tanh() } else { sum }
                });
                output.collect()
            }
        }
    }
}

/// As `torch.nn.functional.normalize` does it.
fn normalized(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    vector.into_iter().map(|x| x / length).collect()
}

/// The longest text that the files beside `config.json` allow, special tokens included: `max_seq_length` of
/// sentence-transformers, or else what the tokenizer says.
pub(crate) fn longest_text(source: &Source) -> Result<Option<i32>, Error> {
    #[derive(Deserialize)]
    struct Sentence {
        #[serde(default, deserialize_with = "optional_positive")]
        max_seq_length: Option<i32>,
    }
    #[derive(Deserialize)]
    struct Tokenizer {
        model_max_length: Option<f64>,
    }
    const SENTENCE: &str = "sentence_bert_config.json";
    const TOKENIZER: &str = "tokenizer_config.json";
    if let Some(bytes) = source.read(SENTENCE)? {
        let sentence: Sentence = from_json(&source.locate(SENTENCE), &bytes)?;
        if sentence.max_seq_length.is_some() {
            return Ok(sentence.max_seq_length);
        }
    }
    let Some(bytes) = source.read(TOKENIZER)? else { return Ok(None) };
    let tokenizer: Tokenizer = from_json(&source.locate(TOKENIZER), &bytes)?;
    // transformers writes 1e30 where there is no bound.
    let bound = tokenizer.model_max_length.filter(|length| (1.0..2e9).contains(length));
    Ok(bound.map(|length| length as i32))
}

/// To which lengths the model's embeddings may be cut, by the keys that vLLM reads too.
pub(crate) fn matryoshka(config: &ConfigFile) -> Result<Matryoshka, Error> {
    #[derive(Deserialize)]
    struct Keys {
        is_matryoshka: Option<bool>,
        matryoshka_dimensions: Option<Vec<u32>>,
    }
    let keys: Keys = config.parse()?;
    Ok(match keys {
        Keys { matryoshka_dimensions: Some(listed), .. } => Matryoshka::Listed(listed),
        Keys { is_matryoshka: Some(true), .. } => Matryoshka::Any,
        Keys { .. } => Matryoshka::None,
    })
}
