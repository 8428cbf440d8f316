//! What the hub says of a repository and of a file in it, before the file is downloaded.

use std::time::Duration;

use serde::Deserialize;
use ureq::http::{header, HeaderMap, Response};
use ureq::Body;

use super::http::{io_error, is_broken_connection, Client, Request, RequestError};
use super::is_plain;

/// The longest description of a repository that is read. With 100,000 files it has some 10 MB.
const MAX_INFO_BYTES: u64 = 32 << 20;

/// How long the description of a repository may take.
const INFO_TIMEOUT: Duration = Duration::from_secs(60);

/// A SHA-512 in hexadecimal has as many digits.
const MAX_ETAG_LENGTH: usize = 128;

/// A repository at one revision.
#[derive(Debug, Deserialize)]
pub(super) struct RepoInfo {
    /// The commit that the revision is now.
    pub(super) sha: String,
    /// Its files.
    pub(super) siblings: Vec<RepoFile>,
}

/// One file of [`RepoInfo`].
#[derive(Debug, Deserialize)]
pub(super) struct RepoFile {
    /// Its path, with `/`.
    pub(super) rfilename: String,
}

/// Asks which commit `revision` is, and which files it has.
pub(super) fn repo_info(client: &Client, id: &str, revision: &str) -> Result<RepoInfo, RequestError> {
    let path = format!("/api/models/{id}/revision/{}", revision.replace('/', "%2F"));
    let mut response =
        client.get(&Request { path, body_timeout: Some(INFO_TIMEOUT), ..Request::default() })?;
    let origin = client.endpoint.origin.clone();
    let body = match response.body_mut().with_config().limit(MAX_INFO_BYTES).read_to_vec() {
        Ok(body) => body,
        Err(ureq::Error::BodyExceedsLimit(limit)) => {
            let reason = format!("its description of `{id}` is longer than {limit} bytes");
            return Err(RequestError::Answer { origin, reason });
        }
        Err(error) => {
            let source = io_error(error);
            let may_pass = is_broken_connection(&source);
            return Err(RequestError::Network { origin, source, may_pass });
        }
    };
    let answer = |reason: String| RequestError::Answer { origin: origin.clone(), reason };
    let info: RepoInfo = serde_json::from_slice(&body).map_err(|error| answer(error.to_string()))?;
    // It becomes the name of a folder.
    match is_plain(&info.sha) && info.sha.len() <= MAX_ETAG_LENGTH {
        true => Ok(info),
        false => Err(answer(format!("`{}` is not a commit", info.sha))),
    }
}

/// What the hub says of one file.
#[derive(Debug)]
pub(super) struct FileMetadata {
    /// The commit that the file is from.
    pub(super) commit: String,
    /// Names the content: a SHA-256 for large files, git's blob id for others. Becomes the name of a file in the cache.
    pub(super) etag: String,
    /// Bytes.
    pub(super) size: u64,
}

impl FileMetadata {
    /// The content's SHA-256, where the hub states it.
    pub(super) fn sha256(&self) -> Option<&str> {
        let is_sha256 = self.etag.len() == 64 && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_sha256.then_some(self.etag.as_str())
    }
}

/// Where `file` is, of `id` at a commit.
pub(super) fn file_path(id: &str, commit: &str, file: &str) -> String {
    format!("/{id}/resolve/{commit}/{file}")
}

/// Asks what `file` is, without downloading it.
///
/// The last of the hub's own answers that names a commit describes the file.
/// For a large file this is a redirect to another server, which is asked only
/// for the size, and only if the hub does not state it.
pub(super) fn file_metadata(
    client: &Client,
    id: &str,
    commit: &str,
    file: &str,
) -> Result<FileMetadata, RequestError> {
    // One byte instead of HEAD, as hf-hub asks: not every mirror answers HEAD.
    let path = file_path(id, commit, file);
    let request = Request { path, range: Some("bytes=0-0".into()), ..Request::default() };
    let mut route = client.route(&request)?;
    let mut stated: Option<Statement> = None;
    loop {
        let response = route.send(&request)?;
        if route.is_at_hub {
            stated = Statement::of(response.headers()).or(stated);
        }
        if let Some(Statement { commit, etag, linked_size: Some(size) }) = &stated {
            let (commit, etag) = (commit.clone(), etag.clone());
            return checked(FileMetadata { commit, etag, size: *size })
                .map_err(|reason| route.odd_answer(reason));
        }
        if route.follow(response.headers(), response.status().as_u16())? {
            continue;
        }
        // The first byte of an empty file cannot be had.
        let size = total_size(&response);
        if size != Some(0) {
            route.check_status(&response)?;
        }
        let metadata = match (stated, size) {
            (None, _) => Err(format!("it does not say of which commit `{file}` is, or gives no etag")),
            (_, None) => Err(format!("it does not say how large `{file}` is")),
            (Some(Statement { commit, etag, .. }), Some(size)) => {
                checked(FileMetadata { commit, etag, size })
            }
        };
        return metadata.map_err(|reason| route.odd_answer(reason));
    }
}

/// What one answer says of a file.
struct Statement {
    commit: String,
    etag: String,
    linked_size: Option<u64>,
}

impl Statement {
    /// `None` without a commit or an etag. A large file is a pointer in git: its headers `X-Linked-…` describe the
    /// content that it points to.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (commit, etag) = (text("x-repo-commit")?, text("x-linked-etag").or(text("etag"))?);
        // A weak tag (`W/"…"`) names the same bytes.
        let etag = etag.trim_start_matches("W/").trim_matches('"');
        let linked_size = text("x-linked-etag").and(text("x-linked-size")).and_then(parsed_size);
        Some(Statement { commit: commit.into(), etag: etag.into(), linked_size })
    }
}

/// Refuses an etag that cannot be the name of a file.
fn checked(metadata: FileMetadata) -> Result<FileMetadata, String> {
    let etag = &metadata.etag;
    // No dot: the cache has files such as `<etag>.part` beside it.
    let is_name = is_plain(etag) && !etag.contains('.') && etag.len() <= MAX_ETAG_LENGTH;
    if is_name {
        Ok(metadata)
    } else {
        Err(format!("`{etag}` is not an etag"))
    }
}

/// The size of the whole file, of which the answer holds one byte or all.
fn total_size(response: &Response<Body>) -> Option<u64> {
    match response.headers().get(header::CONTENT_RANGE) {
        Some(range) => ContentRange::of(range.to_str().ok()?)?.total,
        None if response.status().as_u16() == 200 => response.body().content_length(),
        None => None,
    }
}

/// The header `Content-Range`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first byte that is sent; `None` where none is.
    pub(super) start: Option<u64>,
    /// The size of the whole; `None` where it is not stated.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes 0-99/1234`, `bytes 0-99/*` or `bytes */1234`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let start = match range {
            "*" => None,
            range => Some(parsed_size(range.split_once('-')?.0)?),
        };
        let total = match total {
            "*" => None,
            total => Some(parsed_size(total)?),
        };
        Some(ContentRange { start, total })
    }
}

/// A number of bytes in decimal digits; `parse` alone would take a `+`.
fn parsed_size(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: Option<u64>, total: Option<u64>) -> Option<ContentRange> {
        Some(ContentRange { start, total })
    }

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(ContentRange::of("bytes 7-99/1234"), range(Some(7), Some(1234)));
        assert_eq!(ContentRange::of("bytes 7-99/*"), range(Some(7), None));
        assert_eq!(ContentRange::of("bytes */0"), range(None, Some(0)));
        for text in [
            "",
            "bytes",
            "bytes 7/9",
            "bytes a-b/9",
            "bytes 0-0/+9",
            "bytes 0-0/-9",
            "bytes 0-0/99999999999999999999",
            "lines 0-0/9",
        ] {
            assert_eq!(ContentRange::of(text), None, "{text}");
        }
    }

    #[test]
    fn etags_are_names_of_files() {
        let etag = |etag: &str| {
            let headers = [("x-repo-commit", "c"), ("etag", etag)];
            let headers =
                headers.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
            let Statement { commit, etag, .. } =
                Statement::of(&HeaderMap::from_iter(headers)).expect("a statement");
            checked(FileMetadata { commit, etag, size: 0 }).map(|metadata| metadata.etag)
        };
        assert_eq!(etag("\"0a1b-2\"").as_deref(), Ok("0a1b-2"));
        assert_eq!(etag("W/\"0a1b\"").as_deref(), Ok("0a1b"));
        for odd in ["", "\"\"", "..", "../x", "a/b", "a.part", "a b", &"a".repeat(129)] {
            assert!(etag(odd).is_err(), "{odd}");
        }
    }
}
