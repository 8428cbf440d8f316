//! Rows that are set aside instead of stopping a run.

use std::borrow::Cow;
use std::io;

use base64::prelude::{Engine, BASE64_STANDARD};
use serde::Serialize;

use super::line::InputLine;

/// As much of a rejected row as its report repeats.
pub(super) const MAX_RAW_BYTES: usize = 64 << 10;

/// What happens to a row that cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The run stops with an error; what was written stays.
    #[default]
    Stop,
    /// The row is counted and left out.
    Skip,
}

/// One line of the rejects file.
#[derive(Serialize)]
struct Reject<'a> {
    file: Cow<'a, str>,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    reason: &'a str,
    /// The row as it was, its first 64 KiB when it is longer; in base64 when it is not UTF-8.
    raw: Cow<'a, str>,
    /// `base64` when that is how `raw` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_encoding: Option<&'static str>,
}

/// The report of one rejected row, a line of JSON.
///
/// * `column`, `reason`: where in the row the trouble is, and what it is.
pub(super) fn report(line: &InputLine, column: Option<usize>, reason: &str) -> io::Result<Vec<u8>> {
    let start = &line.start;
    let (raw, raw_encoding) = match std::str::from_utf8(start) {
        Ok(text) => (text.into(), None),
        // The cut goes through a character.
        Err(error) if error.error_len().is_none() && start.len() == MAX_RAW_BYTES => {
            (String::from_utf8_lossy(&start[..error.valid_up_to()]), None)
        }
        Err(_) => (BASE64_STANDARD.encode(start).into(), Some("base64")),
    };
    let file = line.source.path.to_string_lossy();
    let reject = Reject { file, line: line.number()?, column, reason, raw, raw_encoding };
    let mut bytes = serde_json::to_vec(&reject)?;
    bytes.push(b'\n');
    Ok(bytes)
}
