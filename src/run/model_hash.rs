//! The hash of a model's files, made beside the encoding: the first row does not wait for it.

use std::thread::JoinHandle;

use super::error::RunError;
use crate::error::Error;
use crate::source::ModelFiles;

/// A hash that is being made.
#[derive(Debug, Default)]
pub(super) enum ModelHash {
    /// No model runs, or nobody asks for the hash of its files.
    #[default]
    Unasked,
    Running(JoinHandle<Result<String, Error>>),
    Known(String),
}

impl ModelHash {
    /// Begins to hash the files, on a thread of its own.
    pub fn begin(files: ModelFiles) -> Self {
        ModelHash::Running(std::thread::spawn(move || files.sha256()))
    }

    /// The hash, once it is made; `None` where nobody asks for one.
    pub fn wait(&mut self) -> Result<Option<&String>, RunError> {
        if let ModelHash::Running(_) = self {
            let ModelHash::Running(thread) = std::mem::take(self) else { return Err(RunError::Thread) };
            *self = ModelHash::Known(thread.join().map_err(|_| RunError::Thread)??);
        }
        match self {
            ModelHash::Known(hash) => Ok(Some(hash)),
            _ => Ok(None),
        }
    }
}
