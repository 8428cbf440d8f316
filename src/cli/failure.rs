//! How a run ends: exit codes, and errors as text.

use std::io;
use std::process::ExitCode;

use neural_sparse::jsonl::RowError;

use super::{hints, terminal};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// Finished, but some input was rejected.
    Rejected = 3,
    /// Ended by Ctrl-C, as shells report it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// The error of a row whose text the tokenizer refuses.
pub(super) fn refused(error: neural_sparse::Error) -> RowError {
    RowError::new(error.to_string())
}

/// Arguments that parse and yet make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct UsageError {
    message: String,
    hint: Option<String>,
}

impl UsageError {
    pub fn new(message: impl Into<String>) -> Self {
        UsageError { message: message.into(), hint: None }
    }

    pub fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        UsageError { message: message.into(), hint: Some(hint.into()) }
    }
}

/// A failure whose next step is known.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    pub message: String,
    pub hint: String,
}

/// Ctrl-C in a part of a command; what it leaves behind has been said.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// Writes an error to standard error and says how the run ended. A closed pipe is no error.
pub(super) fn report(error: &anyhow::Error) -> Exit {
    if error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_closed_pipe) {
        return Exit::Done;
    }
    if error.is::<Interrupted>() {
        return Exit::Interrupted;
    }
    complain(format_args!("error: {error:#}"));
    let hint = error.chain().find_map(|cause| {
        hints::of_cause(cause)
            .or_else(|| cause.downcast_ref::<UsageError>().and_then(|usage| usage.hint.clone()))
            .or_else(|| cause.downcast_ref::<Failure>().map(|failure| failure.hint.clone()))
    });
    // One that was added to an error on its way is not in the chain under its own type.
    let hint = hint.or_else(|| error.downcast_ref::<Failure>().map(|failure| failure.hint.clone()));
    if let Some(hint) = hint {
        complain(format_args!("\nhint: {hint}"));
    }
    if error.chain().any(|cause| cause.is::<UsageError>() || hints::is_usage(cause)) {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

fn is_closed_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Writes one message to standard error.
pub(super) fn complain(message: std::fmt::Arguments) {
    terminal::say(&message.to_string());
}
