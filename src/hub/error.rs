//! Why a name could not be turned into a model's folder.

use std::io;
use std::path::PathBuf;

use crate::known::KnownModel;

/// What lies below an error of the network.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a name could not be turned into a model's folder.
///
/// [`HubError::hint`] gives the next step where there is one.
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
    /// A name, a revision, a token or an address that cannot be used.
    #[error("{0}")]
    Option(String),
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
        if *token { "the token was refused" } else { "it is gated or private, or does not exist" }
    )]
    Refused {
        /// Address of the hub.
        endpoint: String,
        /// The repository.
        id: String,
        /// The HTTP status.
        status: u16,
        /// Whether a token was sent.
        token: bool,
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
        /// Address of the hub.
        endpoint: String,
        /// What the user calls the model.
        name: String,
        /// What the network says.
        source: Cause,
    },
    /// The hub failed (a status such as 500 or 429).
    #[error("`{endpoint}` answers `{name}` with status {status}")]
    Status {
        /// Address of the hub.
        endpoint: String,
        /// What the user calls the model.
        name: String,
        /// The HTTP status.
        status: u16,
    },
    /// What answers is not a hub, or is a broken one.
    #[error("`{endpoint}` does not answer as a hub: {reason}")]
    Answer {
        /// Address of the hub.
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
    /// The connection broke while a file was downloaded.
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
    /// The index of a sharded checkpoint cannot be used.
    #[error("`{}`: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
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

impl HubError {
    /// What to do next, where there is something that helps.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            HubError::NoFolder { .. } => {
                "a model is `tiny`, a folder, a hub id `org/name`, or a name that `neural-sparse model list` shows".into()
            }
            HubError::UnknownName { nearest, .. } => format!(
                "{}a model is `tiny`, a folder, a hub id `org/name`, or a name that `neural-sparse model list` shows",
                nearest.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default()
            ),
            HubError::Refused { endpoint, id, .. } => {
                format!("accept its licence on {endpoint}/{id} and set `HF_TOKEN` to a token that may read it")
            }
            HubError::Unreachable { name, .. } => format!("{}; `HF_ENDPOINT` names a mirror", without_network(name)),
            HubError::Status { name, .. } => format!("try again later; {}", without_network(name)),
            HubError::Incomplete { name, has_query_side: true, .. } => {
                format!("only the query side is cached, which is enough for `--as query`; {}", without_network(name))
            }
            HubError::NotCached { name, .. } | HubError::Incomplete { name, .. } => without_network(name),
            HubError::Model(error) => return error.hint(),
            HubError::CutShort { name, .. } => {
                format!("`neural-sparse model pull {name}` goes on where it stopped; `--model tiny` needs no network")
            }
            HubError::WrongSize { .. } | HubError::WrongHash { .. } => {
                "the file was deleted: try again, or without the mirror or proxy in between".into()
            }
            HubError::Answer { .. } => "check `HF_ENDPOINT`; `--model tiny` needs no network".into(),
            HubError::Index { .. } => "`neural-sparse model pull` replaces damaged files of the cache".into(),
            HubError::Cache { .. } => "`HF_HUB_CACHE` names another folder; `--model tiny` needs none".into(),
            HubError::NotFound { .. } => {
                "check the spelling; `neural-sparse model list` shows the models known by name".into()
            }
            HubError::Option(_)
            | HubError::NoCheckpoint { .. }
            | HubError::Locked { .. } => return None,
        })
    }
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

fn without_network(name: &str) -> String {
    let queries = match crate::known::find(name).is_some_and(KnownModel::has_built_in_queries) {
        true => " and neither do queries of this model, with `--as query`",
        false => "",
    };
    format!(
        "`--model tiny` needs no network{queries}; for `{name}`, run `neural-sparse model pull {name}` where there is \
         network, and copy the cache folder if that is another machine"
    )
}
