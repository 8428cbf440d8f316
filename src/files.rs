//! The files of one model: a folder in Hugging Face layout, or the one compiled in.
//!
//! Knows where bytes are and what to call the place in a message; knows
//! nothing of what they mean.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Names of the files whose content was used.
    used: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    BuiltIn(&'static [(&'static str, &'static [u8])]),
}

impl ModelFiles {
    /// The files in `folder`; `name` is what messages call the model.
    pub fn folder(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        ModelFiles { name: name.into(), place: Place::Folder(folder.into()), used: Arc::default() }
    }

    /// The model that is compiled into the program.
    pub fn tiny() -> Self {
        ModelFiles { name: "tiny".into(), place: Place::BuiltIn(crate::tiny::FILES), used: Arc::default() }
    }

    /// What the user calls the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder, unless the model is compiled in.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::BuiltIn(_) => None,
        }
    }

    /// What a message calls `file`: its path, or `tiny/config.json` for the built-in model.
    pub fn describe(&self, file: &str) -> String {
        match &self.place {
            Place::Folder(folder) => folder.join(file).display().to_string(),
            Place::BuiltIn(_) => format!("{}/{file}", self.name),
        }
    }

    /// Whether `file` is there.
    pub fn contains(&self, file: &str) -> bool {
        match &self.place {
            Place::Folder(folder) => folder.join(file).is_file(),
            Place::BuiltIn(files) => files.iter().any(|(name, _)| *name == file),
        }
    }

    /// The bytes of `file`, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when it is there and cannot be read.
    pub fn read(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>, Error> {
        match &self.place {
            Place::Folder(folder) => match std::fs::read(folder.join(file)) {
                Ok(bytes) => {
                    self.mark_used(file);
                    Ok(Some(Cow::Owned(bytes)))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(Error::Read { file: self.describe(file), source }),
            },
            Place::BuiltIn(_) => Ok(self.built_in(file).map(Cow::Borrowed)),
        }
    }

    /// Remembers that the content of `file` was used, where it is not read through [`ModelFiles::read`].
    pub(crate) fn mark_used(&self, file: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_string());
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
                Place::BuiltIn(_) => sha256(self.built_in(&file).unwrap_or_default()),
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
            Place::Folder(_) => None,
            Place::BuiltIn(files) => {
                let (name, bytes) = files.iter().find(|(name, _)| *name == file)?;
                self.mark_used(name);
                Some(bytes)
            }
        }
    }

    /// `file` read as a JSON object, or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Invalid`] when it is not a JSON object.
    pub(crate) fn read_json(
        &self,
        file: &str,
    ) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Error> {
        let Some(bytes) = self.read(file)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::invalid(self.describe(file), format!("not a JSON object: {error}")))
    }
}

/// One thing that was read from a model's files: what was decided, how, and by which file.
///
/// `model show` prints these.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What was decided, in a few words.
    pub what: &'static str,
    /// The decision.
    pub value: String,
    /// The file and key that decided, or the rule that holds without one.
    pub source: String,
}

impl Decision {
    pub(crate) fn new(what: &'static str, value: impl Into<String>, source: impl Into<String>) -> Self {
        Decision { what, value: value.into(), source: source.into() }
    }
}
