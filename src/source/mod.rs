//! The files of one model: a folder in Hugging Face layout, an archive, or those compiled in.
//!
//! Knows where bytes are and what to call the place in a message; knows
//! nothing of what they mean.

mod builtin;
pub(crate) mod mmap;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// The SHA-256 of everything that `bytes` gives, in hexadecimal.
///
/// # Errors
///
/// Those of `bytes`.
pub fn sha256(mut bytes: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// Where the files of one model are.
///
/// Made by [`crate::hub::resolve`] from a name, or directly from a folder.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    name: String,
    place: Place,
    /// Where these files are below all of the model's, `""` for all of them; a place that is a folder ends in it.
    folder: String,
    /// Names of the files whose content was used, from the place on.
    used: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    /// A zip archive, its files in memory.
    Archive(PathBuf, Arc<BTreeMap<String, Vec<u8>>>),
    BuiltIn(&'static [(&'static str, &'static [u8])]),
}

/// Bytes that an archive may hold, unpacked: a tokenizer and a table of weights are a few million.
const MAX_ARCHIVE_BYTES: u64 = 256 << 20;

impl ModelFiles {
    /// The files in `folder`; `name` is what messages call the model.
    pub fn folder(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        ModelFiles::at(name.into(), Place::Folder(folder.into()))
    }

    /// The model that is compiled into the program.
    pub fn tiny() -> Self {
        ModelFiles::at("tiny".into(), Place::BuiltIn(builtin::TINY))
    }

    /// The query side of a known model, where it is compiled into the program: a tokenizer and a table of token weights.
    pub fn built_in_queries(name: &str) -> Option<Self> {
        let known = crate::known::find(name).filter(|known| known.has_built_in_queries())?;
        Some(ModelFiles::at(known.name.into(), Place::BuiltIn(builtin::OPENSEARCH_QUERY)))
    }

    /// The files in a zip archive, as ml-commons registers a tokenizer model: tokenizer.json and idf.json.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::Invalid`] when it cannot be read; [`Error::TorchScript`] for an archive with a
    /// compiled model, which holds no weights that could be read.
    pub fn archive(name: impl Into<String>, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let file = path.display().to_string();
        let invalid = |reason: String| Error::invalid(&file, reason);
        let opened = File::open(&path).map_err(|source| Error::Read { file: file.clone(), source })?;
        let mut archive = zip::ZipArchive::new(opened).map_err(|error| {
            invalid(format!("is a file, not a folder, and no zip archive either: {error}"))
        })?;
        let names: Vec<Cow<str>> =
            archive.file_names().collect::<Result<_, _>>().map_err(|error| invalid(error.to_string()))?;
        let is_program = |name: &Cow<str>| [".pt", ".ptc", "data.pkl"].iter().any(|end| name.ends_with(end));
        if names.iter().any(is_program) {
            return Err(Error::TorchScript { file });
        }
        if let Some(model) = names
            .iter()
            .find(|name| name.ends_with("config.json") && !name.ends_with("tokenizer_config.json"))
        {
            return Err(invalid(format!(
                "an archive with a model (`{model}`): unpack it, and name the folder"
            )));
        }
        if !names.iter().any(|name| name == "tokenizer.json") {
            let first = names.first().map(|name| format!(", but `{name}`")).unwrap_or_default();
            return Err(invalid(format!(
                "an archive without `tokenizer.json` at its top{first}: no tokenizer model"
            )));
        }
        let mut files = BTreeMap::new();
        let mut room = MAX_ARCHIVE_BYTES;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| invalid(error.to_string()))?;
            let mut bytes = Vec::new();
            // What an entry says of its size may be wrong.
            entry
                .by_ref()
                .take(room + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| invalid(error.to_string()))?;
            room = room.checked_sub(bytes.len() as u64).ok_or_else(|| {
                invalid(format!("unpacks to more than {} MiB: no tokenizer model", MAX_ARCHIVE_BYTES >> 20))
            })?;
            let name = entry.name().map_err(|error| invalid(error.to_string()))?.into_owned();
            files.insert(name, bytes);
        }
        Ok(ModelFiles::at(name.into(), Place::Archive(path, Arc::new(files))))
    }

    fn at(name: String, place: Place) -> Self {
        ModelFiles { name, place, folder: String::new(), used: Arc::default() }
    }

    /// The same model's files in `folder`, `""` for the same ones.
    pub(crate) fn within(&self, folder: &str) -> Self {
        let mut inside = ModelFiles { folder: self.inside(folder), ..self.clone() };
        if let (Place::Folder(path), false) = (&mut inside.place, folder.is_empty()) {
            path.push(folder);
        }
        inside
    }

    /// The name of `file` from the place on.
    fn inside(&self, file: &str) -> String {
        match (self.folder.as_str(), file) {
            ("", file) => file.to_string(),
            (folder, "") => folder.to_string(),
            (folder, file) => format!("{folder}/{file}"),
        }
    }

    /// What the user calls the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, unless the model is compiled in or in an archive.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::Archive(..) | Place::BuiltIn(_) => None,
        }
    }

    pub(crate) fn is_archive(&self) -> bool {
        matches!(self.place, Place::Archive(..))
    }

    /// What a message calls `file`: its path, or `tiny/config.json` for a model that is compiled in.
    pub fn describe(&self, file: &str) -> String {
        match &self.place {
            Place::Folder(folder) => folder.join(file).display().to_string(),
            Place::Archive(path, _) => format!("{}: {}", path.display(), self.inside(file)),
            Place::BuiltIn(_) => format!("{}/{}", self.name, self.inside(file)),
        }
    }

    /// Whether `file` is there.
    pub fn contains(&self, file: &str) -> bool {
        let name = self.inside(file);
        match &self.place {
            Place::Folder(folder) => folder.join(file).is_file(),
            Place::Archive(_, files) => files.contains_key(&name),
            Place::BuiltIn(files) => entry(files, &name).is_some(),
        }
    }

    /// The bytes of `file`, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when it is there and cannot be read.
    pub fn read(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>, Error> {
        let read = match &self.place {
            Place::Folder(folder) => match std::fs::read(folder.join(file)) {
                Ok(bytes) => Some(Cow::Owned(bytes)),
                Err(error) if is_absence(&error) => None,
                Err(source) => return Err(Error::Read { file: self.describe(file), source }),
            },
            Place::Archive(_, files) => files.get(&self.inside(file)).cloned().map(Cow::Owned),
            Place::BuiltIn(_) => return Ok(self.built_in(file).map(Cow::Borrowed)),
        };
        if read.is_some() {
            self.mark_used(file);
        }
        Ok(read)
    }

    /// Remembers that the content of `file` was used, where it is not read through [`ModelFiles::read`].
    pub(crate) fn mark_used(&self, file: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(self.inside(file));
    }

    /// The SHA-256, in hexadecimal, of all files that were used so far: once a model is loaded, of its tensors,
    /// tokenizer and settings.
    ///
    /// It is that of the list of the files' own hashes which `sha256sum` prints for their names in order.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when one of them cannot be read any more.
    pub fn sha256(&self) -> Result<String, Error> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut list = String::new();
        for file in used {
            let hash = match &self.place {
                Place::BuiltIn(files) => sha256(entry(files, &file).unwrap_or_default()),
                Place::Archive(_, files) => sha256(files.get(&file).map(Vec::as_slice).unwrap_or_default()),
                Place::Folder(folder) => File::open(folder.join(&file)).and_then(sha256),
            };
            let hash = hash.map_err(|source| Error::Read { file: self.describe(&file), source })?;
            list += &format!("{hash}  {file}\n");
        }
        sha256(list.as_bytes()).map_err(|source| Error::Read { file: self.name.clone(), source })
    }

    /// The bytes of `file` where the model is compiled in.
    pub(crate) fn built_in(&self, file: &str) -> Option<&'static [u8]> {
        match &self.place {
            Place::Folder(_) | Place::Archive(..) => None,
            Place::BuiltIn(files) => {
                let bytes = entry(files, &self.inside(file))?;
                self.mark_used(file);
                Some(bytes)
            }
        }
    }

    /// `file` read as a JSON object, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Invalid`] when it is not a JSON object.
    pub(crate) fn read_json(&self, file: &str) -> Result<Option<Map<String, Value>>, Error> {
        self.read_json_as(file, "object")
    }

    /// `file` read as a JSON array, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Invalid`] when it is not a JSON array.
    pub(crate) fn read_json_array(&self, file: &str) -> Result<Option<Vec<Value>>, Error> {
        self.read_json_as(file, "array")
    }

    fn read_json_as<T: DeserializeOwned>(&self, file: &str, kind: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.read(file)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::invalid(self.describe(file), format!("not a JSON {kind}: {error}")))
    }
}

/// Whether a file, or a folder on the way to it, is not there.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The bytes of one file that is compiled in.
fn entry(files: &'static [(&'static str, &'static [u8])], file: &str) -> Option<&'static [u8]> {
    files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes)
}
