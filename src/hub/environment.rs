//! [`HubOptions`] from the environment variables that Python's huggingface_hub reads.

use std::env::{home_dir, var_os};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{HubError, HubOptions, DEFAULT_ENDPOINT, DEFAULT_STALL_TIMEOUT};

impl HubOptions {
    /// The options that Python's huggingface_hub would use on this machine.
    ///
    /// This is the one function of the library that reads the environment, for
    /// callers that want it; no other function calls it. (Beside it, the HTTP
    /// client takes a proxy from `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and
    /// `NO_PROXY`.) An empty variable counts as absent.
    ///
    /// * `HF_HUB_CACHE`, else `hub` in `HF_HOME`: [`HubOptions::cache_dir`]. `HF_HOME` is `huggingface` in
    ///   `XDG_CACHE_HOME`, which is `.cache` in the home folder.
    /// * `HF_ENDPOINT`: [`HubOptions::endpoint`].
    /// * `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN`, else the file that logging in leaves (`HF_TOKEN_PATH`, or `token`
    ///   in `HF_HOME`; not with `HF_HUB_DISABLE_IMPLICIT_TOKEN`): [`HubOptions::token`].
    /// * `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`: [`HubOptions::offline`].
    /// * `HF_HUB_DOWNLOAD_TIMEOUT`, in seconds: [`HubOptions::stall_timeout`].
    ///
    /// # Errors
    ///
    /// [`HubError::Environment`]: a variable is not UTF-8, or the timeout is not a whole number of seconds above 0.
    /// Addresses and tokens are checked when the hub is asked for something.
    pub fn from_env() -> Result<Self, HubError> {
        let home = path("HF_HOME")
            .unwrap_or_else(|| user_cache().unwrap_or_else(|| PathBuf::from(".cache")).join("huggingface"));
        Ok(HubOptions {
            cache_dir: path("HF_HUB_CACHE").unwrap_or_else(|| home.join("hub")),
            endpoint: text("HF_ENDPOINT")?.unwrap_or_else(|| DEFAULT_ENDPOINT.to_string()),
            token: token(&home)?,
            offline: is_true("HF_HUB_OFFLINE")? || is_true("TRANSFORMERS_OFFLINE")?,
            stall_timeout: stall_timeout()?,
            on_progress: None,
        })
    }
}

/// The folder in which programs keep what they can make again.
fn user_cache() -> Option<PathBuf> {
    path("XDG_CACHE_HOME").or_else(|| Some(home_dir()?.join(".cache")))
}

fn token(home: &Path) -> Result<Option<String>, HubError> {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(token) = text(name)? {
            return Ok(Some(token));
        }
    }
    if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")? {
        return Ok(None);
    }
    let stored = fs::read_to_string(path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))).ok();
    Ok(stored.map(|token| token.trim().to_string()).filter(|token| !token.is_empty()))
}

fn stall_timeout() -> Result<Duration, HubError> {
    let variable = "HF_HUB_DOWNLOAD_TIMEOUT";
    let Some(seconds) = text(variable)? else { return Ok(DEFAULT_STALL_TIMEOUT) };
    match seconds.parse() {
        Ok(seconds @ 1u32..) => Ok(Duration::from_secs(seconds.into())),
        _ => Err(HubError::Environment { variable, reason: "is not a whole number of seconds above 0" }),
    }
}

fn path(name: &str) -> Option<PathBuf> {
    var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(variable: &'static str) -> Result<Option<String>, HubError> {
    let Some(value) = var_os(variable) else { return Ok(None) };
    let value =
        value.into_string().map_err(|_| HubError::Environment { variable, reason: "is not UTF-8" })?;
    let value = value.trim();
    Ok((!value.is_empty()).then(|| value.to_string()))
}

fn is_true(variable: &'static str) -> Result<bool, HubError> {
    let value = text(variable)?;
    Ok(value.is_some_and(|value| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")))
}
