//! The files of one model: a folder in Hugging Face layout, or the one compiled in.
//!
//! Knows where bytes are and what to call the place in a message; knows
//! nothing of what they mean.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Where the files of one model are.
///
/// Made by [`crate::hub::resolve`] from a name, or directly from a folder.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    name: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    BuiltIn(&'static [(&'static str, &'static [u8])]),
}

impl ModelFiles {
    /// The files in `folder`; `name` is what messages call the model.
    pub fn folder(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        ModelFiles { name: name.into(), place: Place::Folder(folder.into()) }
    }

    /// The model that is compiled into the program.
    pub fn tiny() -> Self {
        ModelFiles { name: "tiny".into(), place: Place::BuiltIn(crate::tiny::FILES) }
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
                Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(Error::Read { file: self.describe(file), source }),
            },
            Place::BuiltIn(_) => Ok(self.built_in(file).map(Cow::Borrowed)),
        }
    }

    /// The bytes of `file` where the model is compiled in.
    pub(crate) fn built_in(&self, file: &str) -> Option<&'static [u8]> {
        match &self.place {
            Place::Folder(_) => None,
            Place::BuiltIn(files) => files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes),
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
