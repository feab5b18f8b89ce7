//! Reading `config.json` so that every mistake names file, key, what was found and what was expected.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, Unexpected};

use crate::Error;
use crate::source::Source;

/// The architecture-independent part of `config.json`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Header {
    pub(crate) model_type: String,
}

/// The model's configuration file.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// The file, with its folder, as messages show it.
    pub(crate) name: String,
    bytes: Vec<u8>,
}

impl ConfigFile {
    /// Reads `config.json`.
    pub(crate) fn read(source: &Source) -> Result<Self, Error> {
        let bytes = source.read("config.json")?.ok_or_else(|| Error::FileMissing {
            model: source.describe(),
            file: "config.json".into(),
            advice: "point `--model` at the folder that holds it",
        })?;
        Ok(Self { name: source.locate("config.json"), bytes: bytes.into_owned() })
    }

    /// Reads the keys `T` asks for and ignores the others.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        from_json(&self.name, &self.bytes)
    }

    /// The same with another value for a key.
    pub(crate) fn with(&self, key: &str, value: serde_json::Value) -> Result<Self, Error> {
        let mut keys: serde_json::Map<String, serde_json::Value> = self.parse()?;
        keys.insert(key.to_owned(), value);
        Ok(Self { name: self.name.clone(), bytes: serde_json::Value::Object(keys).to_string().into_bytes() })
    }

    /// An error about one key.
    pub(crate) fn error(&self, key: &str, problem: impl Into<String>) -> Error {
        Error::Config { file: self.name.clone(), key: key.to_owned(), problem: problem.into() }
    }
}

/// Parses JSON; an error says which key of which file, what was found and what was expected.
pub(crate) fn from_json<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let bad = |problem: String| Error::BadConfig { file: file.to_owned(), problem };
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let key = error.path().to_string();
        let problem = error.into_inner().to_string();
        // The path's own way to say that it leads nowhere.
        if matches!(key.as_str(), "." | "?") {
            return bad(problem);
        }
        Error::Config { file: file.to_owned(), key, problem }
    })?;
    json.end().map_err(|error| bad(error.to_string()))?;
    Ok(value)
}

/// A count or dimension: a whole number from 1 to 2³¹ - 1, which is what MLX shapes can hold.
pub(crate) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let value = i64::deserialize(deserializer)?;
    i32::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Signed(value), &"a positive 32-bit number"))
}

/// [`positive`], or `null`, or absent.
pub(crate) fn optional_positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    struct Positive(i32);
    impl<'de> Deserialize<'de> for Positive {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            positive(deserializer).map(Self)
        }
    }
    Ok(Option::<Positive>::deserialize(deserializer)?.map(|Positive(value)| value))
}
