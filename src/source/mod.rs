//! The files of one model: a folder in Hugging Face layout, an archive, or those compiled in.
//!
//! Knows where bytes are and what to call the place in a message; knows nothing of what they mean. Every byte of a model
//! passes through here: a name cannot leave the folder, only regular files are opened, and no file is read beyond a
//! limit that no real model reaches.

#[cfg(feature = "archive")]
mod archive;
mod builtin;
mod bytes;
pub(crate) mod mmap;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::error::Error;
#[cfg(not(feature = "archive"))]
use crate::error::MissingFeature;
pub(crate) use bytes::FileBytes;

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

/// The most bytes of a tokenizer or a vocabulary. One of 256,000 tokens has 35 MB.
const MAX_VOCABULARY_BYTES: u64 = 64 << 20;

/// The most bytes of any other file that is read whole: settings, and tables of token weights.
const MAX_SETTINGS_BYTES: u64 = 16 << 20;

/// The most values of a JSON file. Parsed, each takes tens of bytes; a tokenizer of 256,000 tokens has two million.
const MAX_JSON_VALUES: usize = 6_000_000;

/// Where the files of one model are.
///
/// Made from a name by the hub module's `resolve`, or directly from a folder.
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
    /// A folder that is being filled: the names of all files that can be in it, and of those that are to be read.
    #[cfg_attr(not(feature = "hub"), expect(dead_code, reason = "only the hub fills folders"))]
    Partial(PathBuf, Arc<BTreeSet<String>>, Arc<Mutex<BTreeSet<String>>>),
    /// Files in memory, and what a message calls the place: the path of an archive.
    Memory(String, Arc<BTreeMap<String, Vec<u8>>>),
    BuiltIn(&'static [(&'static str, &'static [u8])]),
}

/// The path of `file` in `folder`; either may be empty.
pub(crate) fn path_in(folder: &str, file: &str) -> String {
    match (folder, file) {
        ("", file) => file.to_string(),
        (folder, "") => folder.to_string(),
        (folder, file) => format!("{folder}/{file}"),
    }
}

impl ModelFiles {
    /// The files in `folder`; `name` is what messages call the model, and decides nothing.
    pub fn folder(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        ModelFiles::at(name.into(), Place::Folder(folder.into()))
    }

    /// The files in a folder that is being filled: reading one of `listed` is [`Error::NotFetched`] until
    /// [`ModelFiles::make_available`] was called for it.
    #[cfg(feature = "hub")]
    pub(crate) fn partial(
        name: impl Into<String>,
        folder: impl Into<PathBuf>,
        listed: impl IntoIterator<Item = String>,
    ) -> Self {
        let listed = Arc::new(listed.into_iter().collect());
        ModelFiles::at(name.into(), Place::Partial(folder.into(), listed, Arc::default()))
    }

    /// Says that a file of a folder that is being filled is complete.
    #[cfg(feature = "hub")]
    pub(crate) fn make_available(&self, file: &str) {
        if let Place::Partial(_, _, available) = &self.place {
            available.lock().unwrap_or_else(PoisonError::into_inner).insert(self.inside(file));
        }
    }

    /// The model that is compiled into the program.
    pub fn tiny() -> Self {
        ModelFiles::at("tiny".into(), Place::BuiltIn(builtin::TINY))
    }

    /// The query side that is compiled in, that of the English inference-free models of opensearch-project: a tokenizer
    /// and a table of token weights.
    ///
    /// * `name`: what messages call the model.
    pub fn built_in_queries(name: impl Into<String>) -> Self {
        ModelFiles::at(name.into(), Place::BuiltIn(builtin::OPENSEARCH_QUERY))
    }

    /// The files in a zip archive, as ml-commons registers a tokenizer model: tokenizer.json and idf.json.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::Invalid`] when it cannot be read; [`Error::TorchScript`] for an archive with a
    /// compiled model, which holds no weights that could be read; [`Error::Archive`] in a build without the feature
    /// `archive`.
    pub fn archive(name: impl Into<String>, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        #[cfg(feature = "archive")]
        {
            let files = archive::read(&path)?;
            Ok(ModelFiles::at(name.into(), Place::Memory(path.display().to_string(), Arc::new(files))))
        }
        #[cfg(not(feature = "archive"))]
        {
            let _ = name.into();
            let missing = MissingFeature { feature: "archive" };
            Err(Error::Archive { file: path.display().to_string(), missing })
        }
    }

    /// Files in memory by their names below the model's folder, with `/`.
    pub fn in_memory(name: impl Into<String>, files: BTreeMap<String, Vec<u8>>) -> Self {
        let name = name.into();
        let place = Place::Memory(name.clone(), Arc::new(files));
        ModelFiles::at(name, place)
    }

    fn at(name: String, place: Place) -> Self {
        ModelFiles { name, place, folder: String::new(), used: Arc::default() }
    }

    /// The same model's files in `folder`, `""` for the same ones.
    pub(crate) fn within(&self, folder: &str) -> Self {
        let mut inside = ModelFiles { folder: self.inside(folder), ..self.clone() };
        if let (Place::Folder(path) | Place::Partial(path, ..), false) =
            (&mut inside.place, folder.is_empty())
        {
            path.push(folder);
        }
        inside
    }

    /// The name of `file` from the place on.
    pub(crate) fn inside(&self, file: &str) -> String {
        path_in(&self.folder, file)
    }

    /// What the user calls the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, unless the model is compiled in or in an archive.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) | Place::Partial(folder, ..) => Some(folder),
            Place::Memory(..) | Place::BuiltIn(_) => None,
        }
    }

    /// What a message calls `file`: its path, or `tiny/config.json` for a model that is compiled in.
    pub fn describe(&self, file: &str) -> String {
        match &self.place {
            Place::Folder(folder) => folder.join(file).display().to_string(),
            Place::Partial(..) => format!("{}/{}", self.name, self.inside(file)),
            Place::Memory(place, _) => format!("{place}: {}", self.inside(file)),
            Place::BuiltIn(_) => format!("{}/{}", self.name, self.inside(file)),
        }
    }

    /// Whether `file` is there: a regular file, or a link to one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a link to nothing, for anything else that is no regular file, and for a name that leads
    /// out of the folder; [`Error::Read`] when the system does not say.
    pub fn contains(&self, file: &str) -> Result<bool, Error> {
        let name = self.checked(file)?;
        match &self.place {
            Place::Folder(folder) => Ok(self.regular_file(folder, file)?.is_some()),
            Place::Partial(_, listed, _) => Ok(listed.contains(&name)),
            Place::Memory(_, files) => Ok(files.contains_key(&name)),
            Place::BuiltIn(files) => Ok(entry(files, &name).is_some()),
        }
    }

    /// The names of the files and folders there, in order; none where they cannot be read. For messages.
    pub(crate) fn names(&self) -> Vec<String> {
        let below = |names: &mut dyn Iterator<Item = &String>| -> Vec<String> {
            let prefix = self.inside("");
            let inside = |name: &String| match prefix.as_str() {
                "" => Some(name.clone()),
                prefix => Some(name.strip_prefix(prefix)?.strip_prefix('/')?.to_string()),
            };
            names
                .filter_map(inside)
                .map(|name| name.split('/').next().unwrap_or_default().to_string())
                .collect()
        };
        let mut names = match &self.place {
            Place::Folder(folder) => {
                let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
                entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Place::Partial(_, listed, _) => below(&mut listed.iter()),
            Place::Memory(_, files) => below(&mut files.keys()),
            Place::BuiltIn(_) => Vec::new(),
        };
        names.sort();
        names.dedup();
        names
    }

    /// The bytes of `file`, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// As [`ModelFiles::contains`]; [`Error::Invalid`] for a file that is larger than any of its kind, or a pointer of
    /// Git LFS in the place of one.
    pub fn read(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>, Error> {
        let name = self.checked(file)?;
        let limit = max_bytes(&name);
        let bytes: Cow<'static, [u8]> = match &self.place {
            Place::Folder(_) | Place::Partial(..) => match self.open(file)? {
                None => return Ok(None),
                Some(opened) => {
                    let mut bytes = Vec::new();
                    let read = opened.take(limit + 1).read_to_end(&mut bytes);
                    read.map_err(|source| Error::Read { file: self.describe(file), source })?;
                    Cow::Owned(bytes)
                }
            },
            Place::Memory(_, files) => match files.get(&name) {
                None => return Ok(None),
                Some(bytes) => Cow::Owned(bytes.clone()),
            },
            // What is compiled in needs no check.
            Place::BuiltIn(_) => return Ok(self.built_in(file).map(Cow::Borrowed)),
        };
        let invalid = |reason: String| Error::invalid(self.describe(file), reason);
        if bytes.len() as u64 > limit {
            return Err(invalid(format!("is larger than {} MiB: no model has such a file", limit >> 20)));
        }
        self.refuse_pointer(file, &bytes)?;
        if name.ends_with(".json")
            && bytes.iter().filter(|byte| b",[{".contains(byte)).count() > MAX_JSON_VALUES
        {
            return Err(invalid(format!(
                "holds more than {MAX_JSON_VALUES} values: no model has such a file"
            )));
        }
        self.mark_used(file);
        Ok(Some(bytes))
    }

    /// Opens `file`, a regular one; `None` where there is no such file, or it is not in a folder.
    ///
    /// # Errors
    ///
    /// As [`ModelFiles::contains`].
    pub(crate) fn open(&self, file: &str) -> Result<Option<File>, Error> {
        let name = self.checked(file)?;
        if let Place::Partial(_, listed, available) = &self.place {
            let is_available = available.lock().unwrap_or_else(PoisonError::into_inner).contains(&name);
            match (listed.contains(&name), is_available) {
                (false, _) => return Ok(None),
                (true, false) => return Err(Error::NotFetched { file: name }),
                (true, true) => {}
            }
        }
        let (Place::Folder(folder) | Place::Partial(folder, ..)) = &self.place else { return Ok(None) };
        let Some(path) = self.regular_file(folder, file)? else { return Ok(None) };
        File::open(path).map(Some).map_err(|source| Error::Read { file: self.describe(file), source })
    }

    /// The path of a regular file, or a link to one; `None` where nothing has the name.
    fn regular_file(&self, folder: &Path, file: &str) -> Result<Option<PathBuf>, Error> {
        let path = folder.join(file);
        let invalid = |reason: &str| Err(Error::invalid(path.display().to_string(), reason));
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(path)),
            Ok(metadata) if metadata.is_dir() => invalid("is a folder, where a file belongs"),
            Ok(_) => invalid("is not a regular file"),
            Err(error) if is_absence(&error) => match std::fs::symlink_metadata(&path) {
                Ok(_) if !matches!(self.place, Place::Partial(..)) => {
                    invalid("is a link to a file that is not there")
                }
                _ => Ok(None),
            },
            Err(source) => Err(Error::Read { file: path.display().to_string(), source }),
        }
    }

    /// The name of `file` from the place on, unless it leads out of it.
    fn checked(&self, file: &str) -> Result<String, Error> {
        let name = self.inside(file);
        let is_step = |step: &str| !matches!(step, "" | "." | "..") && !step.contains(['\\', '\0', ':']);
        match name.split('/').all(is_step) {
            true => Ok(name),
            false => {
                Err(Error::invalid(&self.name, format!("`{name}` is not the name of a file in the folder")))
            }
        }
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
        Ok(sha256_of_list(&self.sha256_of_each(&[])?))
    }

    /// The SHA-256, in hexadecimal, of each file that was used so far and of those of `others` that are there, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when one of them cannot be read any more.
    pub fn sha256_of_each(&self, others: &[String]) -> Result<BTreeMap<String, String>, Error> {
        let mut files = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for other in others {
            if self.contains(other)? {
                files.insert(self.inside(other));
            }
        }
        let mut hashes = BTreeMap::new();
        for file in files {
            let hash = match &self.place {
                Place::BuiltIn(files) => sha256(entry(files, &file).unwrap_or_default()),
                Place::Memory(_, files) => sha256(files.get(&file).map(Vec::as_slice).unwrap_or_default()),
                Place::Folder(folder) | Place::Partial(folder, ..) => {
                    File::open(folder.join(&file)).and_then(sha256)
                }
            };
            let hash = hash.map_err(|source| Error::Read { file: self.describe(&file), source })?;
            hashes.insert(file, hash);
        }
        Ok(hashes)
    }

    /// The bytes of `file` where the model is compiled in.
    pub(crate) fn built_in(&self, file: &str) -> Option<&'static [u8]> {
        let Place::BuiltIn(files) = &self.place else { return None };
        let bytes = entry(files, &self.inside(file))?;
        self.mark_used(file);
        Some(bytes)
    }
}

/// The SHA-256 of the list that `sha256sum` prints for files of these names and hashes.
pub fn sha256_of_list(files: &BTreeMap<String, String>) -> String {
    let list: String = files.iter().map(|(file, hash)| format!("{hash}  {file}\n")).collect();
    sha256(list.as_bytes()).expect("bytes in memory, anything else is a bug")
}

/// The most bytes of a file of this name that is read whole.
fn max_bytes(name: &str) -> u64 {
    match name.rsplit('/').next() {
        Some("tokenizer.json" | "vocab.txt" | "vocab.json" | "merges.txt") => MAX_VOCABULARY_BYTES,
        _ => MAX_SETTINGS_BYTES,
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
