//! From `--model` to a running engine.

use std::borrow::Cow;
use std::time::Instant;

use mlx_gate_engine::text::{self, Assets, ModelText, Parsers};
use mlx_gate_engine::{Config, LocalEngine, ModelSpec, Trial};
use mlx_gate_models::{LoadOptions, LoadedModel, ModelRef, Source};

use crate::cli::TRY_GRAMMAR;
use crate::config::Settings;

/// Why models are not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Files, configuration, weights or device.
    #[error(transparent)]
    Model(#[from] mlx_gate_models::Error),
    /// A file without which text does not become tokens.
    #[error(
        "{0} is missing: without a tokenizer the model cannot be served; get the model's files again, all of them"
    )]
    NoTokenizer(String),
    /// Tokenizer or chat template.
    #[error("the model `{model}` cannot be served: {cause}")]
    Text {
        /// Served name of the model.
        model: String,
        /// What is wrong with its files.
        cause: text::Error,
    },
    /// The engine.
    #[error(transparent)]
    Engine(#[from] mlx_gate_engine::Error),
}

/// Gets the files of every model, or of the demo model where none is named. Takes as long as a download takes.
pub(crate) fn fetch(settings: &Settings) -> Result<Vec<Source>, Error> {
    let demo = [ModelRef::demo()];
    let models = if settings.models.is_empty() { &demo[..] } else { &settings.models };
    Ok(models.iter().map(ModelRef::fetch).collect::<Result<_, _>>()?)
}

/// Loads the models and starts the engine. Everything that can be checked of all models is, before weights of any are
/// read.
pub(crate) fn start(settings: &Settings, sources: &[Source]) -> Result<LocalEngine, Error> {
    let options = LoadOptions { dtype: settings.dtype };
    let specs =
        sources.iter().map(|source| spec(source, options, settings.parsers)).collect::<Result<_, _>>()?;
    Ok(LocalEngine::spawn(config(settings), specs)?)
}

/// Grammars that nobody trusts are tried by this very program.
fn config(settings: &Settings) -> Config {
    let program = std::env::current_exe();
    let program = program.inspect_err(|error| {
        tracing::warn!("grammars are compiled without being tried first: where is this program? {error}");
    });
    // mimalloc sets aside 1 GiB at the start, which a limit on memory would not reach.
    let variables = vec![("MIMALLOC_ARENA_RESERVE", "64MiB")];
    let trial = |program| Trial { program, arguments: vec![TRY_GRAMMAR.into()], variables };
    Config { grammar_trial: program.ok().map(trial), ..settings.engine.clone() }
}

fn spec(source: &Source, options: LoadOptions, parsers: Parsers) -> Result<ModelSpec, Error> {
    let model = mlx_gate_models::load(source, options)?;
    let (name, assets) = (source.name(), assets(source)?);
    let text = if model.is_encoder() {
        ModelText::load_reader(name, &assets)
    } else {
        ModelText::load(name, &assets).map(|text| text.with_parsers(parsers))
    };
    let text = text.map_err(|cause| Error::Text { model: name.to_owned(), cause })?;
    Ok(ModelSpec {
        id: source.name().to_owned(),
        architecture: model.model_type().to_owned(),
        text,
        load: Box::new(move || read_weights(model)),
    })
}

/// Runs on the device thread.
fn read_weights(
    model: LoadedModel,
) -> Result<mlx_gate_core::DeviceModel, Box<dyn std::error::Error + Send + Sync>> {
    const MIB: f64 = (1_u64 << 20) as f64;
    let began = Instant::now();
    let (name, mebibytes) = (model.name().to_owned(), model.weight_bytes() as f64 / MIB);
    let model = model.into_device_model()?;
    tracing::info!(
        model = name,
        memory = format_args!("{mebibytes:.1} MiB"),
        took = format_args!("{:.2} s", began.elapsed().as_secs_f64()),
        "weights loaded"
    );
    Ok(model)
}

/// The files of the text side.
fn assets(source: &Source) -> Result<Assets, Error> {
    let read = |file: &str| Ok::<_, Error>(source.read(file)?.map(Cow::into_owned));
    Ok(Assets {
        tokenizer: read("tokenizer.json")?
            .ok_or_else(|| Error::NoTokenizer(source.locate("tokenizer.json")))?,
        tokenizer_config: read("tokenizer_config.json")?,
        chat_template: read("chat_template.jinja")?,
        generation_config: read("generation_config.json")?,
        special_tokens_map: read("special_tokens_map.json")?,
        config: read("config.json")?,
        sentence_config: read("sentence_bert_config.json")?,
    })
}
