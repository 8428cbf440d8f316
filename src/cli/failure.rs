//! How a run ends: exit codes, and errors as text.

use std::io;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};

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

/// What a run that ended too early leaves behind. It is said after the reason, as a note of its own.
#[derive(Debug, thiserror::Error)]
#[error("{left}")]
pub(super) struct Stopped {
    pub left: String,
    pub hint: Option<String>,
}

/// Ctrl-C in a part of a command; what it leaves behind has been said.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// Writes an error to standard error and says how the run ended. A closed pipe is no error.
///
/// The reason comes first, then what the run leaves behind, then the next step.
///
/// * `command`: the subcommand as it was called, for the help that it has.
pub(super) fn report(error: &anyhow::Error, command: &str) -> Exit {
    if error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_closed_pipe) {
        return Exit::Done;
    }
    if error.is::<Interrupted>() {
        return Exit::Interrupted;
    }
    let stopped = error.downcast_ref::<Stopped>();
    let causes = error.chain().skip(usize::from(stopped.is_some()));
    complain(format_args!("error: {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")));
    if let Some(stopped) = stopped {
        complain(format_args!("note: {stopped}"));
    }
    let is_usage = error.chain().any(|cause| cause.is::<UsageError>() || hints::is_usage(cause));
    let own = stopped.and_then(|stopped| stopped.hint.clone()).or_else(|| hint(error));
    if let Some(hint) = own.or_else(|| is_usage.then(|| help_of(command))) {
        complain(format_args!("\nhint: {hint}"));
    }
    if is_usage {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// The next step after an error, from whichever of its causes knows one.
fn hint(error: &anyhow::Error) -> Option<String> {
    let hint = error.chain().find_map(|cause| {
        hints::of_cause(cause)
            .or_else(|| cause.downcast_ref::<UsageError>().and_then(|usage| usage.hint.clone()))
            .or_else(|| cause.downcast_ref::<Failure>().map(|failure| failure.hint.clone()))
    });
    // One that was added to an error on its way is not in the chain under its own type.
    hint.or_else(|| error.downcast_ref::<Failure>().map(|failure| failure.hint.clone()))
}

/// The next step after arguments that make no sense and name none themselves.
fn help_of(command: &str) -> String {
    format!("`{command} --help` shows what it takes")
}

/// Says what clap found in the arguments, in the same form as other errors; prints the help or the version if that is
/// what was asked for.
pub(super) fn report_arguments(error: &clap::Error) -> Exit {
    let is_page = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_page {
        // Nobody may be there to read it.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage } else { Exit::Done };
    }
    let (message, hints) = in_our_form(&error.render().to_string(), &command_of(error));
    complain(format_args!("error: {message}"));
    for (number, hint) in hints.iter().enumerate() {
        let gap = if number == 0 { "\n" } else { "" };
        complain(format_args!("{gap}hint: {hint}"));
    }
    Exit::Usage
}

/// The subcommand whose arguments are meant, from the line that shows its usage.
fn command_of(error: &clap::Error) -> String {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let words = usage.split_whitespace().skip_while(|word| *word != env!("CARGO_PKG_NAME"));
    let names: Vec<&str> = words.take_while(|word| !word.starts_with(['[', '<', '-', '"'])).collect();
    if names.is_empty() {
        return env!("CARGO_PKG_NAME").into();
    }
    names.join(" ")
}

/// The message of an error of clap, and its tips; without the usage, which the help shows.
fn in_our_form(rendered: &str, command: &str) -> (String, Vec<String>) {
    let rendered = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let (message, rest) = rendered.split_once("\n\n").unwrap_or((rendered, ""));
    let tips = rest.lines().filter_map(|line| line.trim_start().strip_prefix("tip: "));
    let mut hints: Vec<String> = tips.map(String::from).collect();
    if hints.is_empty() {
        hints.push(help_of(command));
    }
    (message.trim_end().to_string(), hints)
}

fn is_closed_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Writes one message to standard error.
pub(super) fn complain(message: std::fmt::Arguments) {
    terminal::say(&message.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_clap_has_our_form() {
        let unknown = "error: unexpected argument '--topk' found\n\n  tip: a similar argument exists: '--top-k'\n\n\
                       Usage: neural-sparse encode [OPTIONS] [TEXT]...\n\nFor more information, try '--help'.\n";
        let (message, hints) = in_our_form(unknown, "neural-sparse encode");
        assert_eq!(message, "unexpected argument '--topk' found");
        assert_eq!(hints, ["a similar argument exists: '--top-k'"]);
        let missing = "error: the following required arguments were not provided:\n  --output <DIR>\n\n\
                       Usage: neural-sparse index build --output <DIR>\n\nFor more information, try '--help'.\n";
        let (message, hints) = in_our_form(missing, "neural-sparse index build");
        assert_eq!(message, "the following required arguments were not provided:\n  --output <DIR>");
        assert_eq!(hints, ["`neural-sparse index build --help` shows what it takes"]);
    }
}
