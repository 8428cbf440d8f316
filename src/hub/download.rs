//! From the hub to the cache: the needed files of one commit, checked.
//!
//! hf-hub does the transfer. It compares neither size nor hash, so every file
//! is compared here with what the hub states, and deleted where it differs.

use std::fs::File;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::api::RepoInfo;
use hf_hub::{Cache, Repo, RepoType};
use ureq::http::Uri;

use crate::sha256;

use super::cache::{place_link, remove, CachedRepo, PATIENCE};
use super::error::Cause;
use super::listing::Listing;
use super::needed::{configs, refuse_unsupported, shards, Needed};
use super::{is_plain, HubError, HubOptions, ModelFiles, Parts, Pulled, PulledFile};

/// How often a file is tried again after a failure that may pass.
const RETRIES: u32 = 2;

/// The hub, at one address, as one user.
pub(super) struct Hub {
    endpoint: String,
    token: Option<String>,
    progress: bool,
}

impl Hub {
    pub(super) fn new(options: &HubOptions) -> Result<Self, HubError> {
        let endpoint = options.endpoint.trim_end_matches('/');
        let is_address = endpoint.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
        });
        if !is_address {
            return Err(HubError::Option(format!(
                "`{}` is not the address of a hub: `HF_ENDPOINT` is like `{}`",
                options.endpoint,
                super::DEFAULT_ENDPOINT
            )));
        }
        let token = options.token.clone().filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(HubError::Option("`HF_TOKEN` holds a character that no token has".into()));
        }
        Ok(Hub { endpoint: endpoint.into(), token, progress: options.progress })
    }

    /// Downloads what `repo` lacks of `parts` of the commit that its revision is now.
    pub(super) fn pull(&self, repo: &CachedRepo, parts: Parts) -> Result<Pulled, HubError> {
        let api = self.api(repo.cache()).map_err(|error| self.error(repo, error))?;
        let asked = api.repo(Repo::with_revision(repo.id.clone(), RepoType::Model, repo.revision.clone()));
        let RepoInfo { sha, siblings } = self.info(repo, &asked)?;
        if !is_plain(&sha) {
            return Err(self.odd_answer(format!("`{sha}` is not a commit")));
        }
        let listing = Listing::of_names(siblings.into_iter().map(|sibling| sibling.rfilename));

        // Pinned, so that a snapshot is never a mix of two commits.
        let pinned = api.repo(Repo::with_revision(repo.id.clone(), RepoType::Model, sha.clone()));
        let transfer =
            Transfer { hub: self, repo, snapshot: repo.snapshot_of(&sha), commit: &sha, api, pinned };
        // hf-hub notes the commit as if it were a branch; Python does not.
        let stray = repo.reference(&sha);
        let had_stray = stray.exists();
        let fetched = transfer.fetch_all(&listing, parts);
        if !had_stray {
            remove(&stray).map_err(|source| repo.error(source))?;
        }
        let Fetched { downloaded, present } = fetched?;
        repo.write_reference(&sha)?;
        let files = ModelFiles::folder(repo.name.as_str(), transfer.snapshot);
        Ok(Pulled { files, commit: Some(sha), downloaded, present })
    }

    fn api(&self, cache: Cache) -> Result<Api, ApiError> {
        // Not `ApiBuilder::new`, which panics where there is no home directory;
        // and the token always set, or hf-hub takes one from beside the cache.
        ApiBuilder::from_cache(cache)
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(self.progress)
            .with_user_agent(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .build()
    }

    /// The repository's files and the commit that `asked` is now.
    fn info(&self, repo: &CachedRepo, asked: &ApiRepo) -> Result<RepoInfo, HubError> {
        let request = || -> Result<RepoInfo, ApiError> {
            // The first request is the only one that can be given limits: hf-hub
            // sets none for the downloads, and offers no way to.
            let request = asked
                .info_request()
                .config()
                .timeout_connect(Some(Duration::from_secs(15)))
                .timeout_recv_response(Some(Duration::from_secs(60)))
                .timeout_recv_body(Some(Duration::from_secs(60)))
                .build();
            let mut response = request.call().map_err(Box::new)?;
            Ok(response.body_mut().read_json().map_err(Box::new)?)
        };
        match retried(request) {
            Err(ApiError::RequestError(error)) if matches!(*error, ureq::Error::StatusCode(404)) => {
                Err(HubError::NotFound {
                    endpoint: self.endpoint.clone(),
                    id: repo.id.clone(),
                    revision: repo.revision.clone(),
                })
            }
            answer => answer.map_err(|error| self.error(repo, error)),
        }
    }

    fn odd_answer(&self, reason: String) -> HubError {
        HubError::Answer { endpoint: self.endpoint.clone(), reason }
    }

    /// What a failed request means to the user.
    fn error(&self, repo: &CachedRepo, error: ApiError) -> HubError {
        let (endpoint, name, id) = (self.endpoint.clone(), repo.name.clone(), repo.id.clone());
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(status @ (401 | 403)) => {
                    HubError::Refused { endpoint, id, status, token: self.token.is_some() }
                }
                ureq::Error::StatusCode(status) => HubError::Status { endpoint, name, status },
                ureq::Error::Json(error) => self.odd_answer(error.to_string()),
                error => HubError::Unreachable { endpoint, name, source: cause(error.into_io()) },
            },
            ApiError::IoError(source) if is_network(&source) => {
                HubError::Unreachable { endpoint, name, source: cause(source) }
            }
            ApiError::IoError(source) => repo.error(source),
            ApiError::LockAcquisition(path) => HubError::Locked { id, path },
            error => self.odd_answer(error.to_string()),
        }
    }
}

/// What became of the files of one commit.
#[derive(Default)]
struct Fetched {
    downloaded: Vec<PulledFile>,
    present: Vec<PulledFile>,
}

/// One commit on its way into the cache.
struct Transfer<'a> {
    hub: &'a Hub,
    repo: &'a CachedRepo,
    commit: &'a str,
    snapshot: PathBuf,
    api: Api,
    pinned: ApiRepo,
}

impl Transfer<'_> {
    /// Fetches everything, the parameters last: what an interruption leaves is then seen to be incomplete.
    fn fetch_all(&self, listing: &Listing, parts: Parts) -> Result<Fetched, HubError> {
        let mut fetched = Fetched::default();
        // A model that cannot be run is refused for that, whatever else it lacks.
        for config in configs(listing) {
            self.fetch(&config, &mut fetched)?;
            refuse_unsupported(&self.repo.id, &self.snapshot, &config)?;
        }
        let needed = Needed::new(&self.repo.id, listing, parts)?;
        for file in &needed.small {
            self.fetch(file, &mut fetched)?;
        }
        if needed.is_query_side {
            self.keep_checkpoints(&needed.checkpoints, &mut fetched)?;
            return Ok(fetched);
        }
        for checkpoint in &needed.checkpoints {
            self.fetch(checkpoint, &mut fetched)?;
            for shard in shards(&self.snapshot, checkpoint)? {
                self.fetch(&shard, &mut fetched)?;
            }
        }
        Ok(fetched)
    }

    fn fetch(&self, file: &str, fetched: &mut Fetched) -> Result<(), HubError> {
        let stated = self.stated(file)?;
        let list = if self.is_there(file, &stated)? {
            &mut fetched.present
        } else {
            self.download(file, &stated)?;
            &mut fetched.downloaded
        };
        list.push(PulledFile { name: file.into(), bytes: stated.size() as u64 });
        Ok(())
    }

    /// Takes the checkpoints that are cached over to this commit, so that a whole model does not become half a one
    /// when the newest query side is pulled. Downloads none.
    fn keep_checkpoints(&self, checkpoints: &[String], fetched: &mut Fetched) -> Result<(), HubError> {
        if self.repo.complete_snapshot(Parts::Whole)?.is_none() {
            return Ok(());
        }
        let mut files = checkpoints.to_vec();
        while let Some(file) = files.pop() {
            let stated = self.stated(&file)?;
            if self.is_there(&file, &stated)? {
                files.extend(shards(&self.snapshot, &file)?);
                fetched.present.push(PulledFile { name: file, bytes: stated.size() as u64 });
            }
        }
        Ok(())
    }

    /// Size and hash of `file` in the words of the hub, checked for what hf-hub builds paths of.
    fn stated(&self, file: &str) -> Result<Metadata, HubError> {
        let url = self.pinned.url(file);
        let stated = retried(|| self.api.metadata(&url)).map_err(|error| self.hub.error(self.repo, error))?;
        if stated.commit_hash() != self.commit {
            return Err(self.hub.odd_answer(format!("`{file}` is of commit `{}`", stated.commit_hash())));
        }
        // A weak tag (`W/"…"`) names the same bytes.
        if !is_plain(stated.etag().trim_start_matches("W/")) {
            return Err(self.hub.odd_answer(format!("`{file}` has the etag `{}`", stated.etag())));
        }
        Ok(stated)
    }

    /// Whether the right bytes are cached: for this commit, or for another one that has the same file.
    fn is_there(&self, file: &str, stated: &Metadata) -> Result<bool, HubError> {
        let (link, blob) = (self.snapshot.join(file), self.repo.blob(stated.etag()));
        let local = |source| self.repo.error(source);
        if link.is_file() && self.check(file, &link, stated).is_ok() {
            return Ok(true);
        }
        // Also a link to nothing, over which hf-hub would stumble.
        remove(&link).map_err(local)?;
        if blob.is_file() && self.check(file, &blob, stated).is_ok() {
            place_link(&blob, &link, stated.etag(), file).map_err(local)?;
            return Ok(true);
        }
        remove(&blob).map_err(local)?;
        Ok(false)
    }

    fn download(&self, file: &str, stated: &Metadata) -> Result<(), HubError> {
        let part = self.repo.blob(stated.etag()).with_extension("part");
        let start = Instant::now();
        let mut retries = 0;
        loop {
            let resumed = part.metadata().is_ok_and(|part| part.len() > 0);
            let (error, may_pass) = match guarded(|| self.pinned.download(file)) {
                Ok(path) => match self.check(file, &path, stated) {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        self.discard(file, stated)?;
                        // The first half may be an older leftover: begin afresh.
                        (error, resumed)
                    }
                },
                // Another program that uses hf-hub is downloading this very file.
                Err(ApiError::LockAcquisition(_)) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_secs(1));
                    if self.snapshot.join(file).is_file() && self.is_there(file, stated)? {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => {
                    let useless_part = resumed && is_useless_part(&error);
                    if useless_part {
                        remove(&part).map_err(|source| self.repo.error(source))?;
                    }
                    let may_pass = useless_part || is_transient(&error);
                    (self.transfer_error(file, stated, &part, error), may_pass)
                }
            };
            if !may_pass || retries == RETRIES {
                return Err(error);
            }
            retries += 1;
            pause(retries);
        }
    }

    /// Compares a file with what the hub states.
    fn check(&self, file: &str, path: &Path, stated: &Metadata) -> Result<(), HubError> {
        let local = |source| HubError::Cache { path: path.into(), source };
        let (expected, got) = (stated.size() as u64, path.metadata().map_err(local)?.len());
        let file = format!("{}/{file}", self.repo.id);
        if got != expected {
            return Err(HubError::WrongSize { file, expected, got });
        }
        // The etag of a large file is its SHA-256; that of a small one is git's blob id (40 digits).
        let expected = stated.etag();
        if expected.len() == 64 && expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let got = File::open(path).and_then(sha256).map_err(local)?;
            if !got.eq_ignore_ascii_case(expected) {
                return Err(HubError::WrongHash { file, expected: expected.into(), got });
            }
        }
        Ok(())
    }

    /// Takes wrong bytes out of the cache again.
    fn discard(&self, file: &str, stated: &Metadata) -> Result<(), HubError> {
        remove(&self.snapshot.join(file))
            .and_then(|()| remove(&self.repo.blob(stated.etag())))
            .map_err(|source| self.repo.error(source))
    }

    fn transfer_error(&self, file: &str, stated: &Metadata, part: &Path, error: ApiError) -> HubError {
        match error {
            ApiError::IoError(source) if is_network(&source) => HubError::CutShort {
                name: self.repo.name.clone(),
                file: format!("{}/{file}", self.repo.id),
                expected: stated.size() as u64,
                got: part.metadata().map_or(0, |part| part.len()),
                source: cause(source),
            },
            error => self.hub.error(self.repo, error),
        }
    }
}

/// Tries again after failures that may pass.
///
/// hf-hub's own retries are not used: after a failed request they ask a
/// resumed file for its position, get 0, and append the whole body again.
fn retried<T>(call: impl Fn() -> Result<T, ApiError>) -> Result<T, ApiError> {
    let mut retries = 0;
    loop {
        match guarded(&call) {
            Err(error) if retries < RETRIES && is_transient(&error) => {
                retries += 1;
                pause(retries);
            }
            result => return result,
        }
    }
}

fn pause(retries: u32) {
    std::thread::sleep(Duration::from_millis(300) * retries);
}

/// Turns hf-hub's panics (a redirect that names no place, a link that is not there) into an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(ApiError::InvalidHeader("Location")))
}

fn is_transient(error: &ApiError) -> bool {
    match error {
        ApiError::IoError(error) => is_network(error),
        ApiError::RequestError(error) => match &**error {
            ureq::Error::StatusCode(status) => *status >= 500,
            // Not where nothing listens or the host is unknown: asking again at once will not help.
            ureq::Error::Io(error) => is_network(error),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the part of an earlier download is longer than the file, or all of it (416: nothing is left to send).
fn is_useless_part(error: &ApiError) -> bool {
    match error {
        ApiError::InvalidResume => true,
        ApiError::RequestError(error) => matches!(**error, ureq::Error::StatusCode(416)),
        _ => false,
    }
}

/// hf-hub mixes the errors of the body with those of the disk.
fn is_network(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof
    ) || error.get_ref().is_some_and(|inner| inner.is::<ureq::Error>())
}

fn cause(error: io::Error) -> Cause {
    error.into()
}
