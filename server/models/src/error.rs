use std::path::PathBuf;

/// Why a model cannot be found, read or put on the device. Each text says what was found, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A `--model` value that names nothing.
    #[error("`--model {value}`: {problem}; expected [ALIAS=]FOLDER or [ALIAS=]OWNER/NAME[@REVISION]")]
    Argument {
        /// The value as given.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The path does not exist.
    #[error(
        "the model folder {} does not exist; check the path, or give a Hugging Face id as OWNER/NAME",
        path.display()
    )]
    FolderMissing {
        /// The path as given.
        path: PathBuf,
    },
    /// The path exists and is not a folder.
    #[error(
        "{} is not a folder; `--model` takes the folder that holds config.json and the weights",
        path.display()
    )]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// A file every model needs is not there.
    #[error("{model}: {file} is missing; {advice}")]
    FileMissing {
        /// The folder, or the name of the built-in model.
        model: String,
        /// The file's name.
        file: String,
        /// What to do.
        advice: &'static str,
    },
    /// The operating system refused to read a file.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A configuration file says something that cannot be.
    #[error("{file}: `{key}`: {problem}")]
    Config {
        /// The file, with its folder.
        file: String,
        /// Path of the key within the file, as `rope_scaling.factor`.
        key: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A configuration file that is not JSON, or lacks a key every model has.
    #[error("{file}: {problem}")]
    BadConfig {
        /// The file, with its folder.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A model of a type that is not implemented.
    #[error("{file}: `model_type` is \"{found}\", which is not known here; known types: {}", known.join(", "))]
    UnknownArchitecture {
        /// The file, with its folder.
        file: String,
        /// What it says.
        found: String,
        /// What it could say.
        known: Vec<&'static str>,
    },
    /// A weights file that is not safetensors.
    #[error("{file} is not a safetensors file: {problem}; download it again")]
    BadWeights {
        /// The file, with its folder.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A weights file that ends too early, or too late.
    #[error("{file} is damaged: {expected} bytes expected, {found} found; download it again")]
    Truncated {
        /// The file, with its folder.
        file: String,
        /// Length its header asks for, in bytes.
        expected: u64,
        /// Length it has, in bytes.
        found: u64,
    },
    /// A tensor the architecture needs is not in the weights.
    #[error("{model}: the weights hold no tensor `{tensor}`, which its config.json asks for")]
    TensorMissing {
        /// The folder, or the name of the built-in model.
        model: String,
        /// The tensor's name.
        tensor: String,
    },
    /// Tensors the architecture has no place for.
    #[error(
        "{model}: the weights hold {count} tensors its config.json has no place for, the first of them `{first}`"
    )]
    TensorsUnexpected {
        /// The folder, or the name of the built-in model.
        model: String,
        /// How many.
        count: usize,
        /// The first of them, by name.
        first: String,
    },
    /// A tensor of the wrong shape.
    #[error("{model}: tensor `{tensor}` has shape {found:?}, and its config.json asks for {expected:?}")]
    TensorShape {
        /// The folder, or the name of the built-in model.
        model: String,
        /// The tensor's name.
        tensor: String,
        /// Its shape in the weights.
        found: Vec<usize>,
        /// The shape the architecture needs.
        expected: Vec<usize>,
    },
    /// Quantized weights whose parts do not fit together.
    #[error(
        "{model}: tensor `{tensor}` of shape {found:?} does not divide rows of {columns} weights into groups of a width \
         that 2, 3, 4, 5, 6 or 8 bits can pack"
    )]
    TensorGroups {
        /// The folder, or the name of the built-in model.
        model: String,
        /// The name of the tensor of scales.
        tensor: String,
        /// Its shape in the weights.
        found: Vec<usize>,
        /// Weights in a row.
        columns: usize,
    },
    /// A tensor of an element type that cannot be used in its place.
    #[error("{model}: tensor `{tensor}` holds {found}, and {expected} is needed there")]
    TensorType {
        /// The folder, or the name of the built-in model.
        model: String,
        /// The tensor's name.
        tensor: String,
        /// Its element type.
        found: String,
        /// The element types that would do.
        expected: &'static str,
    },
    /// The weights are larger than the memory that is free.
    #[error(
        "{model} needs {} of memory with --dtype {dtype} and {} is available; {advice}",
        gib(*needed), gib(*available)
    )]
    OutOfMemory {
        /// The folder, or the name of the built-in model.
        model: String,
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
        /// The weight type they were counted for.
        dtype: &'static str,
        /// What to do.
        advice: String,
    },
    /// The Hugging Face Hub, or the local cache of it, did not give the model.
    #[error("{id}: {problem}")]
    Hub {
        /// The model's id, with its revision where one was asked for.
        id: String,
        /// What happened and what to do.
        problem: String,
    },
    /// A model of another kind than wanted.
    #[error("the model `{model}` {is}, and one that {wanted} is needed")]
    WrongKind {
        /// The name to serve the model under.
        model: String,
        /// What it does.
        is: &'static str,
        /// What it should do.
        wanted: &'static str,
    },
    /// MLX refused.
    #[error("the device refused: {0}")]
    Device(String),
}

impl From<mlx_rs::error::Exception> for Error {
    fn from(exception: mlx_rs::error::Exception) -> Self {
        Self::Device(exception.what().to_owned())
    }
}

/// Renders bytes for people, in binary units.
fn gib(bytes: u64) -> String {
    const GIB: f64 = (1_u64 << 30) as f64;
    const MIB: f64 = (1_u64 << 20) as f64;
    let bytes = bytes as f64;
    if bytes >= GIB { format!("{:.1} GiB", bytes / GIB) } else { format!("{:.1} MiB", bytes / MIB) }
}
