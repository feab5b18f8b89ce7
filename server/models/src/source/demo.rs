//! The demo model, inside the binary. Its weights, scripts and limits stand in `server/models/demo`.

pub(super) const NAME: &str = "mlx-gate-demo";

macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../demo/model/", $file)))),*]
    };
}

/// Name and content of each file.
pub(super) const FILES: &[(&str, &[u8])] = embedded![
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
];
