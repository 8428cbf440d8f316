//! From the hub to the cache: the needed files of one commit, checked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::known;
use crate::sha256;
use crate::spec::ModelSpec;

use super::cache::{place_link, remove, CachedRepo};
use super::endpoint::{Endpoint, Origin};
use super::error::clipped;
use super::http::{pause, retried, Client, RequestError, RETRIES};
use super::metadata::{file_metadata, file_path, repo_info, FileMetadata, RepoInfo};
use super::transfer::{receive, TransferError};
use super::{is_plain, HubError, HubOptions, ModelFiles, OnProgress, Parts, Progress, Pulled, PulledFile};

/// The hub, at one address, as one user.
pub(super) struct Hub {
    client: Client,
    on_progress: Option<OnProgress>,
}

impl Hub {
    pub(super) fn new(options: &HubOptions) -> Result<Self, HubError> {
        let token = options.token.as_deref().filter(|token| !token.is_empty());
        if token.is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(HubError::Token);
        }
        let endpoint = Endpoint::new(&options.endpoint, token)?;
        let client = Client::new(endpoint, options.stall_timeout);
        Ok(Hub { client, on_progress: options.on_progress.clone() })
    }

    /// Downloads what `repo` lacks of `parts` of the commit that its revision is now.
    pub(super) fn pull(&self, repo: &CachedRepo, parts: Parts) -> Result<Pulled, HubError> {
        let RepoInfo { sha, siblings } = self.info(repo)?;
        let is_sound = |name: &String| name.split('/').all(is_plain);
        let listed: Vec<String> = siblings.into_iter().map(|file| file.rfilename).filter(is_sound).collect();
        // Every file is asked for by the commit, so that a snapshot is never a mix of two.
        let download = Download { hub: self, repo, snapshot: repo.snapshot_of(&sha), commit: &sha };
        let Fetched { downloaded, present, .. } = download.fetch_all(listed, parts)?;
        repo.write_reference(&sha)?;
        let files = ModelFiles::folder(repo.name.as_str(), download.snapshot);
        let known = known::find_by_hub_id(&repo.id);
        Ok(Pulled { files, known, shadowed: None, commit: Some(sha), downloaded, present })
    }

    /// The repository's files, and the commit that its revision is now.
    fn info(&self, repo: &CachedRepo) -> Result<RepoInfo, HubError> {
        match retried(|| repo_info(&self.client, &repo.id, &repo.revision)) {
            Err(RequestError::Status { is_hub: true, status: 404, .. }) => Err(HubError::NotFound {
                endpoint: self.client.endpoint.address.clone(),
                id: repo.id.clone(),
                revision: repo.revision.clone(),
            }),
            answer => answer.map_err(|error| self.error(repo, error)),
        }
    }

    /// What a failed request means to the user.
    fn error(&self, repo: &CachedRepo, error: RequestError) -> HubError {
        // The hub by its whole address, other servers without the path that they were asked for.
        let shown = |origin: Origin| match origin == self.client.endpoint.origin {
            true => self.client.endpoint.address.clone(),
            false => origin.to_string(),
        };
        let name = repo.name.clone();
        match error {
            RequestError::Status { is_hub: true, origin, status: status @ (401 | 403) } => {
                let credentials = self.client.endpoint.credentials;
                HubError::Refused { endpoint: shown(origin), id: repo.id.clone(), status, credentials }
            }
            RequestError::Status { origin, status, .. } => {
                HubError::Status { endpoint: shown(origin), name, status }
            }
            RequestError::Network { origin, source, .. } => {
                HubError::Unreachable { endpoint: shown(origin), name, source: source.into() }
            }
            RequestError::Answer { origin, reason } => {
                HubError::Answer { endpoint: shown(origin), reason: clipped(&reason) }
            }
        }
    }
}

/// What became of the files of one commit.
#[derive(Default)]
struct Fetched {
    downloaded: Vec<PulledFile>,
    present: Vec<PulledFile>,
    /// Those of `present` of which nothing but the size was compared.
    unverified: Vec<String>,
}

/// One commit on its way into the cache.
struct Download<'a> {
    hub: &'a Hub,
    repo: &'a CachedRepo,
    commit: &'a str,
    snapshot: PathBuf,
}

impl Download<'_> {
    /// Fetches what `parts` of the model take: the settings one by one as its spec asks for them, then what the spec says,
    /// the parameters last. An interrupted download is then seen to be incomplete.
    fn fetch_all(&self, listed: Vec<String>, parts: Parts) -> Result<Fetched, HubError> {
        let mut fetched = Fetched::default();
        let spec = self.fetch_settings(&listed, &mut fetched)?;
        let required = spec.required_files(parts);
        let missing: Vec<String> = required.iter().filter(|file| !listed.contains(file)).cloned().collect();
        if !missing.is_empty() {
            return Err(self.no_checkpoint(missing));
        }
        let is_fetched = |fetched: &Fetched, file: &str| {
            fetched.downloaded.iter().chain(&fetched.present).any(|known| known.name == file)
        };
        for file in required {
            if !is_fetched(&fetched, &file) {
                self.fetch(&file, &mut fetched)?;
            }
        }
        if parts == Parts::QuerySide && spec.has_query_table() {
            let checkpoints = spec.checkpoint_files().into_iter();
            let checkpoints = checkpoints.filter(|file| listed.contains(file) && !is_fetched(&fetched, file));
            self.keep_checkpoints(checkpoints.collect(), &mut fetched)?;
        }
        Ok(fetched)
    }

    /// The model's spec, whose settings are fetched as it asks for them.
    fn fetch_settings(&self, listed: &[String], fetched: &mut Fetched) -> Result<ModelSpec, HubError> {
        let files = ModelFiles::partial(self.repo.id.as_str(), &self.snapshot, listed.iter().cloned());
        loop {
            match ModelSpec::read(&files, known::find_by_hub_id(&self.repo.id)) {
                Ok(spec) => return Ok(spec),
                Err(Error::NotFetched { file }) => {
                    self.fetch(&file, fetched)?;
                    files.make_available(&file);
                }
                // Cached settings of the right size may hold other bytes.
                Err(_) if !fetched.unverified.is_empty() => {
                    for file in std::mem::take(&mut fetched.unverified) {
                        fetched.present.retain(|present| present.name != file);
                        self.fetch_afresh(&file, fetched)?;
                    }
                }
                Err(Error::NoModel { file, .. }) => return Err(self.no_checkpoint(vec![file])),
                Err(error) => return Err(HubError::Model(error)),
            }
        }
    }

    fn no_checkpoint(&self, missing: Vec<String>) -> HubError {
        HubError::NoCheckpoint { id: self.repo.id.clone(), missing }
    }

    fn fetch(&self, file: &str, fetched: &mut Fetched) -> Result<(), HubError> {
        let expected = self.metadata(file)?;
        let list = if self.is_there(file, &expected)? {
            if expected.sha256().is_none() {
                fetched.unverified.push(file.into());
            }
            &mut fetched.present
        } else {
            self.download(file, &expected)?;
            &mut fetched.downloaded
        };
        list.push(PulledFile { name: file.into(), bytes: expected.size });
        Ok(())
    }

    /// Downloads `file` whatever is cached of it.
    fn fetch_afresh(&self, file: &str, fetched: &mut Fetched) -> Result<(), HubError> {
        let expected = self.metadata(file)?;
        for cached in [self.snapshot.join(file), self.repo.blob(&expected.etag)] {
            remove(&cached).map_err(|source| self.repo.error(source))?;
        }
        self.download(file, &expected)?;
        fetched.downloaded.push(PulledFile { name: file.into(), bytes: expected.size });
        Ok(())
    }

    /// Takes the checkpoints that are cached over to this commit, so that a whole model does not become half a one
    /// when the newest query side is pulled. Downloads none.
    fn keep_checkpoints(&self, checkpoints: Vec<String>, fetched: &mut Fetched) -> Result<(), HubError> {
        // What cannot be used is no whole model.
        if !matches!(self.repo.complete_snapshot(Parts::Whole), Ok(Some(_))) {
            return Ok(());
        }
        for file in checkpoints {
            let expected = self.metadata(&file)?;
            if self.is_there(&file, &expected)? {
                fetched.present.push(PulledFile { name: file, bytes: expected.size });
            }
        }
        Ok(())
    }

    /// Size and hash of `file` as the hub states them.
    fn metadata(&self, file: &str) -> Result<FileMetadata, HubError> {
        let client = &self.hub.client;
        let metadata = retried(|| {
            let metadata = file_metadata(client, &self.repo.id, self.commit, file)?;
            if metadata.commit == self.commit {
                return Ok(metadata);
            }
            let reason = format!("`{file}` is of commit `{}`", metadata.commit);
            Err(RequestError::Answer { origin: client.endpoint.origin.clone(), reason })
        });
        metadata.map_err(|error| self.hub.error(self.repo, error))
    }

    /// Whether the right bytes are cached: for this commit, or for another one that has the same file.
    fn is_there(&self, file: &str, expected: &FileMetadata) -> Result<bool, HubError> {
        let (link, blob) = (self.snapshot.join(file), self.repo.blob(&expected.etag));
        let local = |source| self.repo.error(source);
        if link.is_file() && self.check(file, &link, expected).is_ok() {
            return Ok(true);
        }
        // Also a link to nothing.
        remove(&link).map_err(local)?;
        if blob.is_file() && self.check(file, &blob, expected).is_ok() {
            place_link(&blob, &link, &expected.etag, file).map_err(local)?;
            return Ok(true);
        }
        remove(&blob).map_err(local)?;
        Ok(false)
    }

    fn download(&self, file: &str, expected: &FileMetadata) -> Result<(), HubError> {
        // Other programs that use hf-hub know this lock and the part file.
        let _lock = self.repo.lock_blob(&expected.etag)?;
        if self.is_there(file, expected)? {
            return Ok(());
        }
        let mut retries = 0;
        loop {
            match self.try_download(file, expected) {
                Err(Failure { may_pass: true, .. }) if retries < RETRIES => {
                    retries += 1;
                    pause(retries);
                }
                result => return result.map_err(|failure| *failure.error),
            }
        }
    }

    fn try_download(&self, file: &str, expected: &FileMetadata) -> Result<(), Failure> {
        let local = |source| Failure { error: Box::new(self.repo.error(source)), may_pass: false };
        let (blob, part) = (self.repo.blob(&expected.etag), self.repo.part(&expected.etag));
        // A resumed file may be wrong only in its first half, so it is tried again without.
        let is_resumed = part.metadata().is_ok_and(|part| part.len() > 0);
        let discard = |error| match remove(&part) {
            Ok(()) => Failure { error: Box::new(error), may_pass: is_resumed },
            Err(source) => local(source),
        };
        let path = file_path(&self.repo.id, self.commit, file);
        let on_progress = |received| {
            if let Some(on_progress) = &self.hub.on_progress {
                on_progress(Progress { file, received, total: expected.size });
            }
        };
        let received = receive(&self.hub.client, path, expected, &part, &on_progress);
        received.map_err(|error| {
            let keeps_part = match &error {
                TransferError::Request(RequestError::Status { status, .. }) => *status != 416,
                TransferError::Request(_) | TransferError::CutShort { .. } | TransferError::Disk(_) => true,
                TransferError::WrongSize { .. } | TransferError::TooLong | TransferError::WrongPart => false,
            };
            let may_pass = match &error {
                TransferError::Request(error) => error.may_pass(),
                error => matches!(error, TransferError::CutShort { .. }),
            };
            let error = self.transfer_error(file, expected, error);
            if keeps_part {
                Failure { error: Box::new(error), may_pass }
            } else {
                discard(error)
            }
        })?;
        self.check(file, &part, expected).map_err(discard)?;
        fs::rename(&part, &blob).map_err(local)?;
        place_link(&blob, &self.snapshot.join(file), &expected.etag, file).map_err(local)
    }

    /// Compares a file with what the hub states.
    fn check(&self, file: &str, path: &Path, expected: &FileMetadata) -> Result<(), HubError> {
        let local = |source| HubError::Cache { path: path.into(), source };
        let got = path.metadata().map_err(local)?.len();
        let file = format!("{}/{file}", self.repo.id);
        if got != expected.size {
            return Err(HubError::WrongSize { file, expected: expected.size, got });
        }
        if let Some(expected) = expected.sha256() {
            let got = File::open(path).and_then(sha256).map_err(local)?;
            if !got.eq_ignore_ascii_case(expected) {
                return Err(HubError::WrongHash { file, expected: expected.into(), got });
            }
        }
        Ok(())
    }

    fn transfer_error(&self, file: &str, expected: &FileMetadata, error: TransferError) -> HubError {
        let (path, expected) = (format!("{}/{file}", self.repo.id), expected.size);
        match error {
            TransferError::Request(error) => self.hub.error(self.repo, error),
            TransferError::CutShort { got, source } => {
                let name = self.repo.name.clone();
                HubError::CutShort { name, file: path, expected, got, source: source.into() }
            }
            TransferError::WrongSize { got } => HubError::WrongSize { file: path, expected, got },
            TransferError::TooLong => HubError::TooLong { file: path, expected },
            TransferError::WrongPart => HubError::Answer {
                endpoint: self.hub.client.endpoint.address.clone(),
                reason: format!("it sends another part of `{file}` than it was asked for"),
            },
            TransferError::Disk(source) => self.repo.error(source),
        }
    }
}

/// Why one try failed, and whether the next one may succeed.
struct Failure {
    error: Box<HubError>,
    may_pass: bool,
}
