//! One settings file of a model, and how much memory it takes.

use serde_json::{Map, Value};

use crate::error::Error;

/// One settings file: an object of JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub keys: Map<String, Value>,
    /// Its path, for messages.
    pub file: String,
    /// Its name in its folder.
    pub name: String,
    /// Whether the file is there.
    pub exists: bool,
}

impl Settings {
    /// The value of a key; `None` where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// That `file`, below the model's files, is not there, although this file asks for it.
    pub fn lacks(&self, file: String, reason: impl Into<String>) -> Error {
        Error::NoModel { place: self.file.clone(), reason: reason.into(), file }
    }

    /// That this file cannot be followed.
    pub fn invalid(&self, reason: impl Into<String>) -> Error {
        Error::invalid(&self.file, reason)
    }
}

/// The most memory that all settings of a model may take once they are parsed, as [`parsed_bytes`] counts it. A
/// tokenizer_config.json with 28,000 added tokens takes 49 MB; a file of 16 MiB can take two gigabytes.
pub(super) const MAX_PARSED_BYTES: usize = 64 << 20;

/// About how many bytes a JSON text takes as a [`Value`]: a map of one key has a node with room for eleven, and a list
/// grows by doubling. Those in strings are counted with the others.
pub(super) fn parsed_bytes(json: &[u8]) -> usize {
    let of_byte = |byte: &u8| match byte {
        b'{' => 640,
        b'[' | b',' => 128,
        _ => 1,
    };
    json.iter().map(of_byte).sum()
}
