//! Appends the bytes of one file to a part file.
//!
//! A download is resumed only if a hash will check the result, never writes
//! more than the hub announced, and is given up when it stalls.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ureq::http::{header, Response};
use ureq::Body;

use super::http::{io_error, Client, Request, RequestError};
use super::metadata::{ContentRange, FileMetadata};

/// A server that sends fewer bytes within the stall timeout has stalled.
const MIN_BYTES: u64 = 1 << 10;

const BUFFER_SIZE: usize = 1 << 17;

/// Why a part file is not complete.
pub(super) enum TransferError {
    Request(RequestError),
    /// What the network says after `got` bytes of the file.
    CutShort {
        got: u64,
        source: io::Error,
    },
    /// The answer was complete, and the file is not.
    WrongSize {
        got: u64,
    },
    /// There are more bytes than the hub announced.
    TooLong,
    /// The answer is another part of the file than the one that was asked for.
    WrongPart,
    Disk(io::Error),
}

/// Appends to the file `part` what it lacks of the file at `path` on the hub.
///
/// What the part file holds is kept if the hub states a SHA-256, which will
/// show whether both halves belong together. Otherwise it is overwritten.
///
/// * `on_progress`: told how many bytes there are, at the start and whenever there are more.
pub(super) fn receive(
    client: &Client,
    path: String,
    expected: &FileMetadata,
    part: &Path,
    on_progress: &dyn Fn(u64),
) -> Result<(), TransferError> {
    let mut file = OpenOptions::new().append(true).create(true).open(part).map_err(TransferError::Disk)?;
    let mut start = file.metadata().map_err(TransferError::Disk)?.len();
    if start > expected.size || expected.sha256().is_none() {
        file.set_len(0).map_err(TransferError::Disk)?;
        start = 0;
    }
    if start == expected.size {
        on_progress(start);
        return Ok(());
    }
    let range = (start > 0).then(|| format!("bytes={start}-"));
    let request = Request { path, range, ..Request::default() };
    let mut response = client.get(&request).map_err(TransferError::Request)?;
    let is_whole = response.status().as_u16() != 206;
    if is_whole {
        start = 0;
    }
    check_headers(&response, start, expected.size)?;
    if is_whole {
        // Whatever there was: not every server resumes.
        file.set_len(0).map_err(TransferError::Disk)?;
    }
    // Only a length or an end mark tells the end of a body from a broken connection.
    let has_end = response.body().content_length().is_some()
        || response.headers().contains_key(header::TRANSFER_ENCODING);
    let body = Incoming { body: response.body_mut().as_reader(), timeout: client.stall_timeout };
    on_progress(start);
    let got = body.append_to(&mut file, start, expected.size, on_progress)?;
    match got == expected.size {
        true => Ok(()),
        false if has_end => Err(TransferError::WrongSize { got }),
        false => {
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed");
            Err(TransferError::CutShort { got, source })
        }
    }
}

/// Refuses an answer that announces other bytes than those that are wanted.
fn check_headers(response: &Response<Body>, start: u64, size: u64) -> Result<(), TransferError> {
    if response.body().content_length().is_some_and(|length| length > size - start) {
        return Err(TransferError::TooLong);
    }
    if response.status().as_u16() != 206 {
        return Ok(());
    }
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    match range.and_then(ContentRange::of) {
        Some(ContentRange { total: Some(total), .. }) if total > size => Err(TransferError::TooLong),
        Some(ContentRange { total: Some(total), .. }) if total < size => {
            Err(TransferError::WrongSize { got: total })
        }
        Some(ContentRange { start: Some(first), .. }) if first == start => Ok(()),
        _ => Err(TransferError::WrongPart),
    }
}

/// A body that arrives.
struct Incoming<R> {
    body: R,
    /// How long fewer than [`MIN_BYTES`] may arrive.
    timeout: Duration,
}

impl<R: Read> Incoming<R> {
    /// Appends the body to `file`, which holds `start` of `size` bytes. Returns how many it holds then, at most `size`.
    fn append_to(
        mut self,
        file: &mut File,
        start: u64,
        size: u64,
        on_progress: &dyn Fn(u64),
    ) -> Result<u64, TransferError> {
        let mut buffer = vec![0; BUFFER_SIZE];
        let mut got = start;
        let (mut last_check, mut got_at_last_check) = (Instant::now(), start);
        while got < size {
            let length = match self.body.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let source = io_error(ureq::Error::from(error));
                    return Err(TransferError::CutShort { got, source: self.stalled_or(source) });
                }
            };
            let wanted = usize::try_from(size - got).map_or(length, |left| left.min(length));
            file.write_all(&buffer[..wanted]).map_err(TransferError::Disk)?;
            got += wanted as u64;
            on_progress(got);
            if wanted < length {
                return Err(TransferError::TooLong);
            }
            if last_check.elapsed() >= self.timeout {
                if got < size && got - got_at_last_check < MIN_BYTES {
                    let source = self.stalled_or(io::ErrorKind::TimedOut.into());
                    return Err(TransferError::CutShort { got, source });
                }
                (last_check, got_at_last_check) = (Instant::now(), got);
            }
        }
        // Without a `Content-Length` the body may go on. If nothing comes, nothing is wrong.
        if got == size && matches!(self.body.read(&mut buffer[..1]), Ok(1)) {
            return Err(TransferError::TooLong);
        }
        Ok(got)
    }

    /// A timeout in words for the user.
    fn stalled_or(&self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::TimedOut {
            return error;
        }
        let seconds = self.timeout.as_secs_f32();
        io::Error::new(io::ErrorKind::TimedOut, format!("it stalled for {seconds} s"))
    }
}
