use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::Error;
use crate::source::{Blob, Source};

/// Length in bytes of the number in front of a safetensors header.
const PREFIX: u64 = 8;
/// The longest header the format allows.
const LONGEST_HEADER: u64 = 100_000_000;
/// The file that says which shard holds which tensor.
const SHARD_INDEX: &str = "model.safetensors.index.json";

/// Where every tensor of a model lies, read from the headers of its weights files. No tensor has been read yet.
#[derive(Debug)]
pub(crate) struct Index {
    model: String,
    tensors: BTreeMap<String, Entry>,
}

/// One tensor: its element type, its shape, and its bytes' place.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    file: String,
    blob: Blob,
    start: u64,
    length: usize,
}

impl Index {
    /// Reads the headers of all weights files and checks that each file is as long as its header says.
    pub(crate) fn read(source: &Source) -> Result<Self, Error> {
        let mut tensors = BTreeMap::new();
        for file in weight_files(source)? {
            let Some(blob) = source.blob(&file) else {
                return Err(Error::FileMissing {
                    model: source.describe(),
                    file,
                    advice: "model.safetensors.index.json names it; download the model again",
                });
            };
            read_header(&source.locate(&file), &blob, &mut tensors)?;
        }
        Ok(Self { model: source.describe(), tensors })
    }

    /// Reads the header of one file that is no part of the model proper.
    pub(crate) fn of_file(source: &Source, file: &str, advice: &'static str) -> Result<Self, Error> {
        let missing = || Error::FileMissing { model: source.describe(), file: file.to_owned(), advice };
        let blob = source.blob(file).ok_or_else(missing)?;
        let mut tensors = BTreeMap::new();
        read_header(&source.locate(file), &blob, &mut tensors)?;
        Ok(Self { model: source.locate(file), tensors })
    }

    /// The model as messages show it.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// A tensor's entry, if there is one of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    /// Names of all tensors, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Forgets the tensors the predicate is true for.
    pub(crate) fn discard(&mut self, unwanted: impl Fn(&str) -> bool) {
        self.tensors.retain(|name, _| !unwanted(name));
    }

    /// Gives every tensor the name that `new` says. Of two that would get the same, the one with the later name stays.
    pub(crate) fn rename(&mut self, new: impl Fn(&str) -> String) {
        let tensors = std::mem::take(&mut self.tensors);
        self.tensors = tensors.into_iter().map(|(name, entry)| (new(&name), entry)).collect();
    }

    /// Bytes of the largest tensor as stored.
    pub(crate) fn largest(&self) -> u64 {
        self.tensors.values().map(|entry| entry.length as u64).max().unwrap_or(0)
    }
}

impl Entry {
    /// Reads the tensor's bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Error> {
        match &self.blob {
            Blob::Embedded(bytes) => {
                let start = self.start as usize;
                Ok(bytes[start..start + self.length].to_vec())
            }
            Blob::File(path) => {
                let failed = |source| Error::Read { path: path.clone(), source };
                let mut bytes = vec![0; self.length];
                let file = File::open(path).map_err(failed)?;
                file.read_exact_at(&mut bytes, self.start).map_err(failed)?;
                Ok(bytes)
            }
        }
    }
}

/// The weights files in reading order: those the shard index names, or else every `model*.safetensors`, as mlx-lm does.
fn weight_files(source: &Source) -> Result<Vec<String>, Error> {
    if let Some(bytes) = source.read(SHARD_INDEX)? {
        return shards(&source.locate(SHARD_INDEX), &bytes);
    }
    let files: Vec<String> = source
        .list()?
        .into_iter()
        .filter(|name| name.starts_with("model") && name.ends_with(".safetensors"))
        .collect();
    if files.is_empty() {
        return Err(Error::FileMissing {
            model: source.describe(),
            file: "model.safetensors".into(),
            advice: "only weights in safetensors format are read; convert others with `mlx_lm.convert`",
        });
    }
    Ok(files)
}

fn shards(file: &str, bytes: &[u8]) -> Result<Vec<String>, Error> {
    #[derive(serde::Deserialize)]
    struct ShardIndex {
        weight_map: BTreeMap<String, String>,
    }
    let index: ShardIndex = crate::config::from_json(file, bytes)?;
    let mut files: Vec<String> = index.weight_map.into_values().collect();
    files.sort();
    files.dedup();
    if let Some(outside) = files.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(Error::Config {
            file: file.to_owned(),
            key: "weight_map".into(),
            problem: format!("\"{outside}\" is not the name of a file in the model's folder"),
        });
    }
    Ok(files)
}

fn read_header(file: &str, blob: &Blob, tensors: &mut BTreeMap<String, Entry>) -> Result<(), Error> {
    let (found, header) = match blob {
        Blob::Embedded(bytes) => (bytes.len() as u64, header_bytes(file, bytes.len() as u64, *bytes)?),
        Blob::File(path) => {
            let failed = |source| Error::Read { path: path.clone(), source };
            let opened = File::open(path).map_err(failed)?;
            let length = opened.metadata().map_err(failed)?.len();
            (length, header_bytes(file, length, opened)?)
        }
    };
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| Error::BadWeights { file: file.to_owned(), problem: error.to_string() })?;
    let data = PREFIX + header.len() as u64;
    let expected = data + metadata.data_len() as u64;
    if found != expected {
        return Err(Error::Truncated { file: file.to_owned(), expected, found });
    }
    for (name, info) in metadata.tensors() {
        if i32::try_from(info.shape.iter().product::<usize>()).is_err() {
            let problem = format!("tensor `{name}` has shape {:?}, too large for MLX", info.shape);
            return Err(Error::BadWeights { file: file.to_owned(), problem });
        }
        let (start, end) = info.data_offsets;
        let entry = Entry {
            dtype: info.dtype,
            shape: info.shape.clone(),
            file: file.to_owned(),
            blob: blob.clone(),
            start: data + start as u64,
            length: end - start,
        };
        if let Some(first) = tensors.insert(name.clone(), entry) {
            let problem = format!("tensor `{name}` is also in {}", first.file);
            return Err(Error::BadWeights { file: file.to_owned(), problem });
        }
    }
    Ok(())
}

/// The JSON header: a little-endian length in eight bytes, then that many bytes
/// (<https://github.com/huggingface/safetensors#format>).
fn header_bytes(file: &str, found: u64, mut reader: impl Read) -> Result<Vec<u8>, Error> {
    let truncated = |expected| Error::Truncated { file: file.to_owned(), expected, found };
    let mut prefix = [0; PREFIX as usize];
    reader.read_exact(&mut prefix).map_err(|_| truncated(PREFIX))?;
    let length = u64::from_le_bytes(prefix);
    if length > LONGEST_HEADER {
        let problem = format!("its header would be {length} bytes long");
        return Err(Error::BadWeights { file: file.to_owned(), problem });
    }
    if PREFIX + length > found {
        return Err(truncated(PREFIX + length));
    }
    let mut header = vec![0; length as usize];
    reader.read_exact(&mut header).map_err(|_| truncated(PREFIX + length))?;
    Ok(header)
}
