//! Which files hold a transformer's parameters.

use serde_json::{Map, Value};

use super::reader::{SettingsReader, CONFIG};
use crate::error::Error;
use crate::source::{path_in, ModelFiles};

/// The files of one checkpoint, by the form that they have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckpointSpec {
    /// The folder below the model's files.
    pub folder: String,
    pub format: CheckpointFormat,
    /// The index that names the shards, where there are several files.
    pub index: Option<String>,
    /// Names in the folder, at least one.
    pub files: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckpointFormat {
    Safetensors,
    /// What `torch.save` writes.
    PyTorch,
}

/// The forms in the order in which transformers looks for them.
const FORMS: [(CheckpointFormat, &str, bool); 4] = [
    (CheckpointFormat::Safetensors, "model.safetensors", false),
    (CheckpointFormat::Safetensors, "model.safetensors.index.json", true),
    (CheckpointFormat::PyTorch, "pytorch_model.bin", false),
    (CheckpointFormat::PyTorch, "pytorch_model.bin.index.json", true),
];

impl CheckpointSpec {
    /// The checkpoint that is one file in `folder`.
    pub fn of_file(folder: &str, name: &str) -> Self {
        let format = match name.ends_with(".bin") {
            true => CheckpointFormat::PyTorch,
            false => CheckpointFormat::Safetensors,
        };
        CheckpointSpec { folder: folder.to_string(), format, index: None, files: vec![name.to_string()] }
    }

    /// The checkpoint in `folder`, if there is one: a query side needs none.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an index that cannot be followed.
    ///
    /// * `named`: what config.json's `transformers_weights` names, which transformers takes before any other.
    pub fn find(
        reader: &mut SettingsReader,
        folder: &str,
        named: Option<Value>,
    ) -> Result<Option<Self>, Error> {
        let files = reader.files().within(folder);
        let named = match &named {
            None => None,
            Some(value) => {
                let reason = |what: &str| format!("`transformers_weights` is {value}, {what}");
                let wrong = |what: &str| Error::invalid(files.describe(CONFIG), reason(what));
                let name = value.as_str().filter(|name| !name.contains(['/', '\\']));
                let name = name.ok_or_else(|| wrong("not the name of a file in this folder"))?;
                let is_index = name.ends_with(".safetensors.index.json");
                if !is_index && !name.ends_with(".safetensors") {
                    return Err(wrong("not a file in the safetensors format"));
                }
                if !files.contains(name)? {
                    let (place, reason) = (files.describe(CONFIG), reason("which is not there"));
                    return Err(Error::NoModel { place, reason, file: files.inside(name) });
                }
                Some((CheckpointFormat::Safetensors, name, is_index))
            }
        };
        for (format, name, is_index) in named.into_iter().chain(FORMS) {
            if !files.contains(name)? {
                continue;
            }
            if !is_index {
                return Ok(Some(CheckpointSpec::of_file(folder, name)));
            }
            let folder = folder.to_string();
            let index = reader.shard_index(&folder, name)?.unwrap_or_default();
            let shards =
                shard_names(&index).map_err(|reason| Error::invalid(files.describe(name), reason))?;
            return Ok(Some(CheckpointSpec { folder, format, index: Some(name.to_string()), files: shards }));
        }
        Ok(None)
    }

    /// That the folder `files` holds no checkpoint.
    ///
    /// * `adapted`: the model that an adapter in the folder is for.
    pub fn missing(files: &ModelFiles, adapted: Option<&str>) -> Error {
        let reason = match adapted {
            Some(base) => format!("holds only an adapter for `{}`", base.escape_debug()),
            None => {
                let names = FORMS.map(|(_, name, _)| format!("`{name}`")).join(", ");
                let others: Vec<String> =
                    files.names().into_iter().filter(|name| is_other_form(name)).collect();
                match others.first() {
                    None => format!("holds none of {names}"),
                    Some(other) => format!("holds none of {names}; `{other}` is in a form that is not read"),
                }
            }
        };
        Error::NoModel { place: files.name().to_string(), reason, file: files.inside(FORMS[0].1) }
    }

    /// Every file of it below the model's, in the order of download.
    pub fn paths(&self) -> impl Iterator<Item = String> + '_ {
        self.index.iter().chain(&self.files).map(|file| path_in(&self.folder, file))
    }

    /// The file below the model's that stands for a checkpoint which `folder` does not hold.
    pub fn usual_path(folder: &str) -> String {
        path_in(folder, FORMS[0].1)
    }
}

/// Whether a file or folder of this name holds parameters in a form of another program, or another variant.
fn is_other_form(name: &str) -> bool {
    const ENDINGS: [&str; 9] =
        [".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".gguf", ".ot"];
    ["onnx", "openvino", "coreml"].contains(&name) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The distinct shard files that an index names, each a plain file name beside it, in order.
fn shard_names(index: &Map<String, Value>) -> Result<Vec<String>, String> {
    let map = index.get("weight_map").and_then(Value::as_object).ok_or("no `weight_map`")?;
    let mut shards = std::collections::BTreeSet::new();
    for (tensor, shard) in map {
        let shard = shard.as_str().ok_or_else(|| format!("`weight_map` names no file for `{tensor}`"))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if shard.is_empty() || shard.starts_with('.') || !shard.bytes().all(is_plain) {
            return Err(format!("`{shard}` is not the name of a file in this folder"));
        }
        shards.insert(shard.to_string());
    }
    if shards.is_empty() {
        return Err("`weight_map` names no tensor".into());
    }
    Ok(shards.into_iter().collect())
}
