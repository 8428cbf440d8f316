//! Why a name could not be turned into a model's folder.

use std::io;
use std::path::PathBuf;

/// What lies below an error of the network.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a name could not be turned into a model's folder.
///
/// Addresses are shown without user names, passwords and queries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name can only be a path, and there is no such folder.
    #[error("`{path}`: {reason}")]
    NoFolder {
        /// The path.
        path: String,
        /// What is there instead.
        reason: &'static str,
    },
    /// The name is a plain word, and no short name.
    #[error("no model is called `{name}`")]
    UnknownName {
        /// The name.
        name: String,
        /// A short name that differs from it by a letter or two.
        nearest: Option<&'static str>,
    },
    /// A name or a revision that cannot be used.
    #[error("{0}")]
    Option(String),
    /// A revision of what is not on the hub.
    #[error("`{name}` {reason} and has no revision `{revision}`")]
    NoRevision {
        /// What the user calls the model.
        name: String,
        /// What it is instead: `is a folder`.
        reason: &'static str,
        /// The branch, tag or commit.
        revision: String,
    },
    /// The address of the hub cannot be used.
    #[error("`{endpoint}` is not the address of a hub: {reason}")]
    Endpoint {
        /// The address.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The access token cannot be used. It is not shown.
    #[error("the access token holds a character that no token has")]
    Token,
    /// An environment variable that [`HubOptions::from_env`](super::HubOptions::from_env) cannot use.
    #[error("the environment variable `{variable}` {reason}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with its value.
        reason: &'static str,
    },
    /// The hub knows no such repository, or no such revision of it.
    #[error("`{endpoint}` has no model `{id}` with a revision `{revision}`")]
    NotFound {
        /// Address of the hub.
        endpoint: String,
        /// The repository.
        id: String,
        /// The branch, tag or commit.
        revision: String,
    },
    /// The hub does not let this user read the repository (401 or 403).
    #[error(
        "`{endpoint}` refuses access to `{id}` ({status}): {}",
        match credentials {
            Credentials::None => "it is gated or private, or does not exist",
            Credentials::Token => "the token was refused",
            Credentials::Password => "the user name and password were refused",
            Credentials::WithheldToken => "the token was not sent, because the connection is not encrypted",
        }
    )]
    Refused {
        /// Address of the hub.
        endpoint: String,
        /// The repository.
        id: String,
        /// The HTTP status.
        status: u16,
        /// What was sent to prove who asks.
        credentials: Credentials,
    },
    /// The repository lacks files that a model needs.
    #[error("`{id}` holds no masked-language-model checkpoint: {}", absent(missing))]
    NoCheckpoint {
        /// The repository.
        id: String,
        /// The files, where others could take their place the first choice.
        missing: Vec<String>,
    },
    /// The model is none that this program runs, which its config or its archive says before anything large is read.
    #[error(transparent)]
    Model(crate::Error),
    /// The hub cannot be reached.
    #[error("cannot reach `{endpoint}` for `{name}`")]
    Unreachable {
        /// Address of the hub, or of the server that it redirects to.
        endpoint: String,
        /// What the user calls the model.
        name: String,
        /// What the network says.
        source: Cause,
    },
    /// The hub failed (a status such as 500 or 429).
    #[error("`{endpoint}` answers `{name}` with status {status}")]
    Status {
        /// Address of the hub, or of the server that it redirects to.
        endpoint: String,
        /// What the user calls the model.
        name: String,
        /// The HTTP status.
        status: u16,
    },
    /// What answers is not a hub, or is a broken one.
    #[error("`{endpoint}` does not answer as a hub: {reason}")]
    Answer {
        /// Address of the hub, or of the server that it redirects to.
        endpoint: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Offline, and nothing of the model is cached.
    #[error("`{name}` at revision `{revision}` is not in `{}`, and the network is not to be used", cache_dir.display())]
    NotCached {
        /// What the user calls the model.
        name: String,
        /// The branch, tag or commit.
        revision: String,
        /// The cache.
        cache_dir: PathBuf,
    },
    /// Offline, and the cached model lacks a file.
    #[error("the cached `{name}` lacks `{}`, and the network is not to be used", file.display())]
    Incomplete {
        /// What the user calls the model.
        name: String,
        /// Where the file belongs.
        file: PathBuf,
        /// Whether what is cached is enough to encode queries.
        has_query_side: bool,
    },
    /// The connection broke or stalled while a file was downloaded. What arrived is kept, and resumed if the hub states
    /// its SHA-256.
    #[error("the download of `{file}` was cut short after {got} of {expected} bytes")]
    CutShort {
        /// What the user calls the model.
        name: String,
        /// The file, as `org/name/file`.
        file: String,
        /// Bytes that the hub states.
        expected: u64,
        /// Bytes that arrived.
        got: u64,
        /// What the network says.
        source: Cause,
    },
    /// A file arrived with another size than the hub states; it was deleted.
    #[error("the download of `{file}` has the wrong size: expected {expected} bytes, got {got}")]
    WrongSize {
        /// The file, as `org/name/file`.
        file: String,
        /// Bytes that the hub states.
        expected: u64,
        /// Bytes that arrived.
        got: u64,
    },
    /// A file goes on after the size that the hub states; it was cut off there and deleted.
    #[error("the download of `{file}` is longer than the {expected} bytes that were announced")]
    TooLong {
        /// The file, as `org/name/file`.
        file: String,
        /// Bytes that the hub states.
        expected: u64,
    },
    /// A file arrived with another SHA-256 than the hub states; it was deleted.
    #[error("the download of `{file}` has the wrong SHA-256: expected {expected}, got {got}")]
    WrongHash {
        /// The file, as `org/name/file`.
        file: String,
        /// What the hub states, in hexadecimal.
        expected: String,
        /// What the bytes give.
        got: String,
    },
    /// Settings in the cache are damaged, or cannot be followed.
    #[error("the cached `{name}` cannot be used: {error}")]
    Unusable {
        /// What the user calls the model.
        name: String,
        /// The file and what is wrong in it.
        error: crate::Error,
    },
    /// The cache cannot be read or written.
    #[error("cannot use the cache `{}`", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has been downloading the same repository for minutes.
    #[error("`{id}` is still being downloaded by another process, which holds `{}`", path.display())]
    Locked {
        /// The repository.
        id: String,
        /// The lock.
        path: PathBuf,
    },
}

/// What is sent to the hub to prove who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// The access token.
    Token,
    /// The user name and password of the hub's address.
    Password,
    /// Nothing, although there is a token: the hub's address is `http://` and another machine's.
    WithheldToken,
}

/// Names files that are not there, with what could take their place.
fn absent(files: &[String]) -> String {
    let named = files.iter().map(|file| {
        let others = match file.rsplit('/').next() {
            Some("model.safetensors") => " (nor its shards, nor `pytorch_model.bin`)",
            Some("tokenizer.json") => " (nor `vocab.txt`)",
            _ => "",
        };
        format!("no `{file}`{others}")
    });
    named.collect::<Vec<_>>().join(", ")
}

/// What a server wrote, made fit for a message: not too long, and with nothing that a terminal obeys.
pub(super) fn clipped(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let mut shown: String =
        text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
