//! Turns what the user calls a model into the folder that holds its files.
//!
//! A name is a folder, `tiny`, a short name or a hub id `org/name`; the last two go to the cache that Python's
//! huggingface_hub shares, then to the hub. Which files make a model is the word of its spec. Nothing here prints, or
//! reads the environment unasked ([`HubOptions::from_env`]).

mod cache;
mod download;
mod endpoint;
mod environment;
mod error;
mod http;
mod metadata;
mod needed;
mod transfer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use error::{Credentials, HubError};

use crate::index;
use crate::known::{self, KnownModel};
use crate::source::ModelFiles;
pub use crate::spec::Parts;
use cache::CachedRepo;

/// Where models are downloaded from unless the caller says otherwise.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

const DEFAULT_REVISION: &str = "main";

/// The name of the model that is compiled in.
const TINY: &str = "tiny";

/// How long a download waits for bytes unless the caller says otherwise.
pub const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How the hub is reached, and where its files are cached.
#[derive(Clone)]
pub struct HubOptions {
    /// The folder `hub` that Python's huggingface_hub shares: `$HF_HUB_CACHE`, or `$HF_HOME/hub`.
    pub cache_dir: PathBuf,
    /// Address of the hub or of a mirror; see [`DEFAULT_ENDPOINT`]. A user name and a password in it,
    /// `https://user:password@host`, are sent to that host as basic authorization in place of the token, and never
    /// shown. Characters that an address gives a meaning must be percent-encoded in them.
    pub endpoint: String,
    /// Access token, for gated and private repositories. It is sent to `endpoint` and to nobody else: not to where the
    /// hub redirects, and not over an unencrypted connection to another machine.
    pub token: Option<String>,
    /// Never touch the network.
    pub offline: bool,
    /// A download is given up when nothing, or less than a KiB, arrives for so long; above 0. There is no limit on how
    /// long a download may take that goes on.
    pub stall_timeout: Duration,
    /// Called while files are downloaded.
    pub on_progress: Option<OnProgress>,
}

/// A function that is told how far the download of a file is: at its start, and whenever bytes have arrived.
pub type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// How far the download of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's path inside the model's folder, with `/`.
    pub file: &'a str,
    /// Bytes that have arrived, those of an earlier download that goes on included; fewer than before when a download
    /// starts again.
    pub received: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// Leaves the token and passwords out, so that they never end in a log.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("cache_dir", &self.cache_dir)
            .field("endpoint", &endpoint::redacted(&self.endpoint))
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .field("stall_timeout", &self.stall_timeout)
            .field("on_progress", &self.on_progress.as_ref().map(|_| "…"))
            .finish()
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The model's files, complete as far as they were wanted.
    pub files: ModelFiles,
    /// The known model that they are a copy of, for [`EncoderOptions::known`](crate::EncoderOptions::known). `None` for a
    /// folder, whatever it is called, unless it is a snapshot in a cache of the hub.
    pub known: Option<&'static KnownModel>,
    /// The known model that the name also means, where a folder or a file of that name is taken instead.
    pub shadowed: Option<&'static KnownModel>,
}

/// What [`pull`] left in the cache.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The model, complete as far as it was wanted.
    pub files: ModelFiles,
    /// The known model that it is.
    pub known: Option<&'static KnownModel>,
    /// As [`Resolved::shadowed`].
    pub shadowed: Option<&'static KnownModel>,
    /// The commit it is from; `None` for `tiny` and for a folder, which need no download.
    pub commit: Option<String>,
    /// What was downloaded, in that order.
    pub downloaded: Vec<PulledFile>,
    /// What was there before, found to have the size (and SHA-256) that the hub states.
    pub present: Vec<PulledFile>,
}

/// One file of [`Pulled`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledFile {
    /// Its path inside the model's folder, with `/`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// The files of the model that the user calls `name`.
///
/// A folder or zip archive of that name comes first, as in the libraries of Hugging Face, whatever else the name means;
/// then `tiny`, which is compiled in; then the cache, the query sides that are compiled in, and the hub. A complete
/// cached model is taken as it is, without a request: [`pull`] looks for a newer one. An incomplete one is completed, and
/// one whose settings are damaged is repaired.
///
/// * `name`: a folder, a zip archive, `tiny`, a short name, or a hub id `org/name`.
/// * `revision`: branch, tag or full commit hash on the hub; `None` is `main`.
/// * `parts`: what the model is complete with, and what is downloaded of it.
///
/// # Errors
///
/// [`HubError`]: the name or an option makes no sense, the model is not cached or its cached settings are damaged
/// while `offline`, the hub refuses it or cannot be reached, its architecture
/// is not supported, a download is not what the hub says it is, or the cache
/// cannot be written.
pub fn resolve(
    name: &str,
    revision: Option<&str>,
    parts: Parts,
    options: &HubOptions,
) -> Result<Resolved, HubError> {
    let repo = match place(name, revision)? {
        Place::Local(resolved) => return Ok(resolved),
        Place::Hub(id) => CachedRepo::new(name, id, revision.unwrap_or(DEFAULT_REVISION), options)?,
    };
    let known = known::find_by_hub_id(&repo.id);
    let resolved = |files| Resolved { files, known, shadowed: None };
    // What is cached and cannot be used counts as incomplete: the hub has the right files.
    let unusable = match repo.complete_snapshot(parts) {
        Ok(Some(folder)) => return Ok(resolved(ModelFiles::folder(name, folder))),
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let has_queries = known.is_some_and(KnownModel::has_built_in_queries);
    if parts == Parts::QuerySide && revision.is_none() && has_queries {
        return Ok(resolved(ModelFiles::built_in_queries(name)));
    }
    if options.offline {
        return Err(repo.offline_error(parts)?);
    }
    let hub = download::Hub::new(options)?;
    let _lock = repo.lock()?;
    // Whoever held the lock may have been downloading this very model.
    if let Ok(Some(folder)) = repo.complete_snapshot(parts) {
        return Ok(resolved(ModelFiles::folder(name, folder)));
    }
    match (hub.pull(&repo, parts), unusable) {
        (Err(HubError::Unreachable { .. }), Some(error)) => Err(error),
        (pulled, _) => Ok(resolved(pulled?.files)),
    }
}

/// The known model that `name` stands for; `None` where a folder or a file has that name, unless it is a snapshot of
/// one in a cache of the hub.
pub fn known_model(name: &str) -> Option<&'static KnownModel> {
    match is_local(Path::new(name)) {
        true => known_snapshot(Path::new(name)),
        false => known::find(name),
    }
}

/// Whether a path, and nothing else of that name, is meant. The folder of an index may have the name of the model that it
/// was made with.
fn is_local(path: &Path) -> bool {
    path.exists() && (path.join("config.json").exists() || !index::is_in(path))
}

/// The known model whose snapshot a folder is, by the cache's layout: `models--org--name/snapshots/<commit>`.
fn known_snapshot(folder: &Path) -> Option<&'static KnownModel> {
    let folder = folder.canonicalize().ok()?;
    let snapshots = folder.parent()?;
    let repo = snapshots.parent()?.file_name()?.to_str()?.strip_prefix("models--")?;
    let is_snapshot = snapshots.file_name()?.to_str()? == "snapshots";
    known::find_by_hub_id(&repo.replacen("--", "/", 1)).filter(|_| is_snapshot)
}

/// Downloads the newest files of the model that the user calls `name`, as far as they are not cached.
///
/// Always asks the hub what `revision` is now, unlike [`resolve`]. Cached
/// files are compared with what the hub states, and replaced where they differ; settings, whose SHA-256 the hub does not
/// state, also where the model's spec cannot be read from them. Nothing is done for `tiny` and for a folder. With [`Parts::QuerySide`] a
/// cached checkpoint stays as long as the hub's is the same.
///
/// # Errors
///
/// As [`resolve`]; and [`HubError::Option`] with `offline`.
pub fn pull(
    name: &str,
    revision: Option<&str>,
    parts: Parts,
    options: &HubOptions,
) -> Result<Pulled, HubError> {
    let repo = match place(name, revision)? {
        Place::Local(Resolved { files, known, shadowed }) => {
            let (downloaded, present) = (Vec::new(), Vec::new());
            return Ok(Pulled { files, known, shadowed, commit: None, downloaded, present });
        }
        Place::Hub(id) => CachedRepo::new(name, id, revision.unwrap_or(DEFAULT_REVISION), options)?,
    };
    if options.offline {
        return Err(HubError::Option(format!("`{name}` cannot be pulled offline")));
    }
    let hub = download::Hub::new(options)?;
    let _lock = repo.lock()?;
    hub.pull(&repo, parts)
}

enum Place {
    Local(Resolved),
    Hub(String),
}

/// What `name` means, without looking into the cache.
fn place(name: &str, revision: Option<&str>) -> Result<Place, HubError> {
    if name.is_empty() {
        return Err(HubError::Option("the model's name is empty".into()));
    }
    let path = Path::new(name);
    let local = if path.is_dir() && is_local(path) {
        Some((ModelFiles::folder(name, path), "is a folder"))
    } else if path.is_file() {
        Some((ModelFiles::archive(name, path).map_err(HubError::Model)?, "is an archive"))
    } else if name == TINY {
        Some((ModelFiles::tiny(), "is compiled in"))
    } else {
        None
    };
    if let Some((files, why)) = local {
        let named = known::find(name);
        let (known, shadowed) = match files.path().is_some() || is_local(path) {
            true => (known_snapshot(path), named),
            false => (named, None),
        };
        return match revision {
            None => Ok(Place::Local(Resolved { files, known, shadowed })),
            Some(revision) => {
                Err(HubError::NoRevision { name: name.into(), reason: why, revision: revision.into() })
            }
        };
    }
    if name.starts_with(['.', '/', '~']) || name.contains('\\') || name.matches('/').count() > 1 {
        return Err(HubError::NoFolder { path: name.into(), reason: "no such folder" });
    }
    let id = known::hub_id(name).unwrap_or(name);
    match id.split_once('/') {
        Some((org, repo)) if is_id_part(org) && is_id_part(repo) => Ok(Place::Hub(id.into())),
        Some(_) => Err(HubError::Option(format!("`{name}` is neither a folder nor a hub id `org/name`"))),
        None => Err(HubError::UnknownName { name: name.into(), nearest: nearest_short_name(name) }),
    }
}

/// The hub's rule for either half of a repository's id.
fn is_id_part(part: &str) -> bool {
    // `--` stands for `/` in the cache's folder names, so the hub forbids it.
    is_plain(part) && !part.starts_with(['.', '-']) && !part.contains("--") && part.len() <= 96
}

/// Whether `text` can be one step of a path and of a URL, on every system, unescaped.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && !text.contains("..")
        && text != "."
}

fn nearest_short_name(name: &str) -> Option<&'static str> {
    known::short_names()
        .map(|known| (edit_distance(name, known), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

/// How many letters to insert, delete or replace to make `a` into `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
