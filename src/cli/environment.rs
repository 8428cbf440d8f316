//! What the program takes from its environment: where the hub and its cache are, and Ctrl-C.

use std::env::{var, var_os};
use std::path::PathBuf;

use neural_sparse::hub::{HubOptions, DEFAULT_ENDPOINT};

use super::failure::INTERRUPTED;

/// The options of Python's huggingface_hub, from the variables that it reads.
pub(super) fn hub_options(offline: bool, quiet: bool) -> HubOptions {
    let home = hub_home();
    HubOptions {
        cache_dir: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
        endpoint: text("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_string()),
        token: token(&home),
        offline: offline || is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
        progress: !quiet && !is_true("HF_HUB_DISABLE_PROGRESS_BARS"),
    }
}

/// `HF_HOME`, else `huggingface` in the user's cache folder.
fn hub_home() -> PathBuf {
    let user_cache = || path("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
    path("HF_HOME")
        .unwrap_or_else(|| user_cache().unwrap_or_else(|| PathBuf::from(".cache")).join("huggingface"))
}

/// `HF_TOKEN`, else its older name, else the file that logging in leaves.
fn token(home: &std::path::Path) -> Option<String> {
    let stored = || {
        if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return None;
        }
        let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        std::fs::read_to_string(file)
            .ok()
            .map(|token| token.trim().to_string())
            .filter(|token| !token.is_empty())
    };
    text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")).or_else(stored)
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

/// Ends the program with the code that shells give an interrupted one. What was written stays where it is.
pub(super) fn exit_on_interrupt() {
    #[expect(clippy::exit, reason = "an interrupt ends the program wherever it stands")]
    let end = || std::process::exit(INTERRUPTED);
    // Without a handler the system's own takes its place, which ends the program as well.
    let _ = ctrlc::set_handler(end);
}
