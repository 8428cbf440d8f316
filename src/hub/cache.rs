//! The hub's cache folder: what is in it, and whether it is all of a model.
//!
//! Knows the layout that Python's huggingface_hub and hf-hub share, and
//! nothing of the network:
//!
//! ```text
//! models--org--name/refs/main                 the commit's hash
//! models--org--name/snapshots/<commit>/<file> → ../../blobs/<etag>
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hf_hub::{Cache, Repo, RepoType};

use super::needed::missing;
use super::{is_plain, HubError, HubOptions, Parts};
use crate::error::Error;

/// How long to wait for another process that downloads: long enough for the
/// largest model (700 MB) on a slow line, short enough not to hang for ever.
const LOCK_TIMEOUT: Duration = Duration::from_secs(600);

/// One repository at one revision, as far as it is cached.
pub(super) struct CachedRepo {
    /// What the user calls the model.
    pub(super) name: String,
    pub(super) id: String,
    pub(super) revision: String,
    cache_dir: PathBuf,
}

impl CachedRepo {
    pub(super) fn new(
        name: &str,
        id: String,
        revision: &str,
        options: &HubOptions,
    ) -> Result<Self, HubError> {
        if !revision.split('/').all(is_plain) {
            return Err(HubError::Option(format!(
                "`{revision}` is not a revision: no branch, tag or commit has such a name"
            )));
        }
        let cache_dir = std::path::absolute(&options.cache_dir)
            .map_err(|source| HubError::Cache { path: options.cache_dir.clone(), source })?;
        Ok(CachedRepo { name: name.into(), id, revision: revision.into(), cache_dir })
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.cache_dir.join(Repo::model(self.id.clone()).folder_name())
    }

    /// The file with the content that `etag` names, which snapshots link to.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// What has arrived of [`CachedRepo::blob`], as hf-hub calls it.
    pub(super) fn part(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(format!("{etag}.part"))
    }

    pub(super) fn snapshot_of(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    /// Notes that the revision is `commit`, as Python does: not for a revision that is a commit itself.
    pub(super) fn write_reference(&self, commit: &str) -> Result<(), HubError> {
        if self.revision == commit {
            return Ok(());
        }
        let repo = Repo::with_revision(self.id.clone(), RepoType::Model, self.revision.clone());
        let repo = Cache::new(self.cache_dir.clone()).repo(repo);
        repo.create_ref(commit).map_err(|source| self.error(source))
    }

    pub(super) fn error(&self, source: io::Error) -> HubError {
        HubError::Cache { path: self.folder(), source }
    }

    /// The folder of the revision's commit, complete or not.
    fn snapshot(&self) -> Option<PathBuf> {
        let noted = fs::read_to_string(self.folder().join("refs").join(&self.revision)).ok();
        // What Python fetched by its full hash has no file under refs/.
        let commits = [noted.as_deref().map(str::trim), Some(self.revision.as_str())];
        let mut folders = commits
            .into_iter()
            .flatten()
            .filter(|commit| is_plain(commit))
            .map(|commit| self.snapshot_of(commit));
        folders.find(|folder| folder.is_dir())
    }

    /// The cached folder, if it holds all that `parts` of a model need.
    ///
    /// Files that only some models have (such as idf.json) cannot be missed
    /// without asking the hub; downloads here fetch the parameters last, so
    /// their own leftovers are never taken for complete.
    ///
    /// # Errors
    ///
    /// [`HubError::Model`] for an architecture that is not supported, [`HubError::Unusable`] for other settings that
    /// cannot be followed, damaged ones among them.
    pub(super) fn complete_snapshot(&self, parts: Parts) -> Result<Option<PathBuf>, HubError> {
        let Some(folder) = self.snapshot() else { return Ok(None) };
        Ok(if self.missing(&folder, parts)?.is_none() { Some(folder) } else { None })
    }

    fn missing(&self, folder: &Path, parts: Parts) -> Result<Option<String>, HubError> {
        missing(&self.id, folder, parts).map_err(|error| match error {
            Error::UnsupportedModel { .. } => HubError::Model(error),
            error => HubError::Unusable { name: self.name.clone(), error },
        })
    }

    /// Why the cache alone does not give `parts` of the model.
    pub(super) fn offline_error(&self, parts: Parts) -> Result<HubError, HubError> {
        let missing = match self.snapshot() {
            Some(folder) => self.missing(&folder, parts)?.map(|file| folder.join(file)),
            None => None,
        };
        let (name, revision) = (self.name.clone(), self.revision.clone());
        Ok(match missing {
            Some(file) => {
                let has_query_side = matches!(self.complete_snapshot(Parts::QuerySide), Ok(Some(_)));
                HubError::Incomplete { name, file, has_query_side }
            }
            None => HubError::NotCached { name, revision, cache_dir: self.cache_dir.clone() },
        })
    }

    /// Keeps other processes of this program from downloading the same repository until it is dropped.
    pub(super) fn lock(&self) -> Result<File, HubError> {
        // Next to Python's locks, which lie outside the repository's folder too.
        let folder = self.cache_dir.join(".locks").join(Repo::model(self.id.clone()).folder_name());
        self.lock_file(&folder, "neural-sparse.lock")
    }

    /// Keeps other programs that use hf-hub from writing the same part file until it is dropped.
    pub(super) fn lock_blob(&self, etag: &str) -> Result<File, HubError> {
        self.lock_file(&self.folder().join("blobs"), &format!("{etag}.lock"))
    }

    fn lock_file(&self, folder: &Path, name: &str) -> Result<File, HubError> {
        let path = folder.join(name);
        let error = |source| HubError::Cache { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let file = File::create(&path).map_err(error)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(error(source)),
                Err(TryLockError::WouldBlock) if start.elapsed() > LOCK_TIMEOUT => {
                    return Err(HubError::Locked { id: self.id.clone(), path })
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    }
}

/// Deletes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts a blob into a snapshot as Python does: by a relative link, or a copy where links are not for everyone.
pub(super) fn place_link(blob: &Path, link: &Path, etag: &str, file: &str) -> io::Result<()> {
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder)?;
    }
    // Up from the file's folder to the snapshot, to `snapshots`, to the repository.
    let target = format!("{}blobs/{etag}", "../".repeat(file.matches('/').count() + 2));
    match symlink(&target, link) {
        // Another program was faster. A copy would be written through its link, onto the blob itself.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && link.is_file() => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::copy(blob, link).map(drop),
        result => result,
    }
}

#[cfg(unix)]
fn symlink(target: &str, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
