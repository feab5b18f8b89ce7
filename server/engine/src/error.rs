/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to serve.
    #[error("no model is given; name at least one with --model")]
    NoModel,
    /// Two models under one name.
    #[error("two models are named `{0}`; give one of them another name, as in --model other-name=PATH")]
    DuplicateModel(String),
    /// A model's decoder could not be made.
    #[error("the model `{model}` could not be loaded: {source}")]
    Load {
        /// Served name of the model.
        model: String,
        /// The decoder's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not even the shortest request fits.
    #[error(
        "the model `{model}` needs {bytes_per_token} bytes of keys and values for each token, and all models together may \
         use {kv_bytes}; allow more, or serve a smaller model"
    )]
    NoMemory {
        /// Served name of the model.
        model: String,
        /// What one token takes.
        bytes_per_token: u64,
        /// What there is.
        kv_bytes: u64,
    },
    /// The operating system gave no thread for the device.
    #[error("no thread for the device: {0}")]
    Thread(#[source] std::io::Error),
}
