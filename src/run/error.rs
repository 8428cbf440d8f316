//! Why a run ends before its input does.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::input::{InputError, RowError, Source};
use crate::storage::OutputError;

/// An error of what a [`Job`](super::Job) does.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// Why a run cannot begin, or ends before its input does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The input cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The input cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A run is to be gone on with whose input is a stream.
    #[error("{name} cannot be read a second time")]
    NotAgain {
        /// The input.
        name: String,
    },
    /// A run is to be gone on with, or a file made of all rows, and the output is a stream.
    #[error("the output is not a file: {reason}")]
    NotAFile {
        /// Why it has to be one.
        reason: &'static str,
    },
    /// Rejects are to be reported of a run that stops at the first one.
    #[error("nothing is rejected by a run that stops at the first row that cannot be used")]
    NothingRejected,
    /// Rejects would be compressed.
    #[error("the rejects are written as plain text: `{}` has the name of a compressed file", path.display())]
    CompressedRejects {
        /// The file.
        path: PathBuf,
    },
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The output cannot be written.
    #[error("cannot write the {what}")]
    Write {
        /// Which part of it.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The name of the journal is that of another file.
    #[error("`{}` is in the way: it is not the journal of a run", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// An earlier run has left rows and nothing that tells how far it had come.
    #[error("`{}` has no journal: a run cannot go on with it", partial.display())]
    NoJournal {
        /// The rows.
        partial: PathBuf,
    },
    /// Something has changed that decides what a run writes, since the run to go on with.
    #[error("cannot go on with `{}`: {}", output.display(), changes.join("; "))]
    Changed {
        /// The output.
        output: PathBuf,
        /// What has changed, each in words.
        changes: Vec<String>,
    },
    /// A row cannot be used, and the run stops at such a row.
    #[error("{place}: {reason}")]
    BadRow {
        /// File, line and column.
        place: String,
        /// What is wrong with the row.
        reason: String,
    },
    /// The files of the model cannot be read.
    #[error(transparent)]
    Model(#[from] Error),
    /// The job fails.
    #[error(transparent)]
    Job(JobError),
    /// A run has ended before its input, and this is what it leaves behind; its source is why.
    #[error("{left}")]
    Stopped {
        /// What was written, and where it is.
        left: Left,
        /// Why the run has ended.
        source: Box<RunError>,
    },
    /// A thread has ended before its work did.
    #[error("a thread ended before its work did: this is a bug")]
    Thread,
}

impl RunError {
    pub(super) fn read(source: &Arc<Source>) -> impl FnOnce(io::Error) -> Self {
        let name = source.name();
        |source| RunError::Read { name, source }
    }

    pub(super) fn write(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| RunError::Write { what, source }
    }

    /// Whether a row is the reason.
    pub fn is_bad_row(&self) -> bool {
        matches!(self, RunError::BadRow { .. })
    }
}

/// What a run leaves behind that ended before its input did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Rows that were written.
    pub rows: u64,
    /// The file that holds them, where the output is one.
    pub partial: Option<PathBuf>,
    /// Whether that file holds all of them.
    pub is_whole: bool,
    /// Whether a run can go on from there.
    pub is_resumable: bool,
}

impl std::fmt::Display for Left {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let rows = super::counted(self.rows, "row");
        match &self.partial {
            _ if self.rows == 0 => write!(out, "stopped before the first row"),
            None => write!(out, "stopped after {rows}"),
            Some(partial) if self.is_whole => {
                write!(out, "stopped after {rows}, kept in `{}`", partial.display())
            }
            Some(partial) => {
                let partial = partial.display();
                write!(out, "stopped after {rows}, of which `{partial}` holds what could be written")
            }
        }
    }
}

/// Why a row was not written.
#[derive(Debug)]
pub enum WriteError {
    /// It cannot be used after all.
    Row(RowError),
    /// The job fails.
    Job(JobError),
}

impl From<RowError> for WriteError {
    fn from(error: RowError) -> Self {
        WriteError::Row(error)
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        WriteError::Job(error.into())
    }
}

impl From<serde_json::Error> for WriteError {
    fn from(error: serde_json::Error) -> Self {
        WriteError::Job(error.into())
    }
}

impl From<JobError> for WriteError {
    fn from(error: JobError) -> Self {
        WriteError::Job(error)
    }
}
