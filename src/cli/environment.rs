//! What the program takes from its environment: its variables, its arguments as they were typed, and Ctrl-C.

use std::env::{var, var_os};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use neural_sparse::hub::{HubError, HubOptions};
use neural_sparse::InstructionSet;

use super::download_bar;
use super::failure::{Exit, UsageError};

/// The options of Python's huggingface_hub, and those of the command line.
pub(super) fn hub_options(offline: bool, quiet: bool) -> Result<HubOptions, HubError> {
    let options = HubOptions::from_env()?;
    let shows_progress = !quiet && !is_true("HF_HUB_DISABLE_PROGRESS_BARS");
    Ok(HubOptions {
        offline: offline || options.offline,
        on_progress: shows_progress.then(download_bar::on_progress),
        ..options
    })
}

/// The folder in which programs keep what they can make again.
fn user_cache() -> Option<PathBuf> {
    path("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")))
}

/// This program's own part of the user's cache folder.
pub(super) fn cache_folder() -> Result<PathBuf, UsageError> {
    let missing =
        || UsageError::with_hint("there is no home folder for the cache", "name a folder with `--cache DIR`");
    user_cache().map(|cache| cache.join("neural-sparse")).ok_or_else(missing)
}

/// The instruction set that `NEURAL_SPARSE_KERNEL` forces, if any.
pub(super) fn instruction_set() -> Result<Option<InstructionSet>, UsageError> {
    let Some(name) = text("NEURAL_SPARSE_KERNEL") else { return Ok(None) };
    if let Some(set) = InstructionSet::named(&name).filter(|set| set.is_available()) {
        return Ok(Some(set));
    }
    let names: Vec<&str> = InstructionSet::available().into_iter().map(InstructionSet::name).collect();
    let message = format!("NEURAL_SPARSE_KERNEL: this processor has no kernel `{name}`");
    Err(UsageError::with_hint(message, format!("it has {}", names.join(", "))))
}

/// Whether `NEURAL_SPARSE_SCREEN=0` asks for every logit in f32.
pub(super) fn without_screen() -> bool {
    text("NEURAL_SPARSE_SCREEN").is_some_and(|value| value == "0")
}

fn path(name: &str) -> Option<PathBuf> {
    var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(name: &str) -> Option<String> {
    var(name).ok().map(|value| value.trim().to_string()).filter(|value| !value.is_empty())
}

fn is_true(name: &str) -> bool {
    text(name).is_some_and(|value| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// Whether a run wants to end in its own time when it is interrupted, and whether it has been.
static IS_HELD: AtomicBool = AtomicBool::new(false);
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends the program at Ctrl-C with the code that shells give an interrupted one. What was written stays where it is.
pub(super) fn exit_on_interrupt() {
    #[expect(clippy::exit, reason = "an interrupt ends the program wherever it stands")]
    let interrupt = || {
        if !IS_HELD.load(Ordering::Relaxed) || IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    };
    // Without a handler the system's own takes its place, which ends the program as well.
    let _ = ctrlc::set_handler(interrupt);
}

/// From now on the first Ctrl-C is only remembered; a second one ends the program all the same.
pub(super) fn hold_interrupts() {
    IS_HELD.store(true, Ordering::Relaxed);
}

/// From now on Ctrl-C ends the program again.
pub(super) fn release_interrupts() {
    IS_HELD.store(false, Ordering::Relaxed);
}

/// Whether there was a Ctrl-C since [`hold_interrupts`].
pub(super) fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}

/// The command line of this run as a shell would read it, made one that goes on.
///
/// * `with_flag`: whether it has to be asked to.
pub(super) fn command_to_resume(with_flag: bool) -> String {
    // A path need not be UTF-8.
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let arguments = arguments.filter(|argument| argument != "--force" && argument != "--resume");
    let flag = with_flag.then(|| "--resume".to_string());
    let quoted: Vec<String> = arguments.chain(flag).map(|argument| quoted(&argument)).collect();
    quoted.join(" ")
}

/// An argument in single quotes, where a shell would read it as something else without.
fn quoted(argument: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_=./,:@%+".contains(character);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_string()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("--input=a/b.jsonl"), "--input=a/b.jsonl");
        assert_eq!(quoted("it's $5"), r"'it'\''s $5'");
        assert_eq!(quoted(""), "''");
    }
}
