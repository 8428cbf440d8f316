//! Rows that are set aside instead of stopping a run.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use base64::prelude::{Engine, BASE64_STANDARD};
use clap::ValueEnum;
use neural_sparse::jsonl::RowError;
use serde::Serialize;

use super::failure::Exit;
use super::output::Output;
use super::rows::InputLine;

/// As much of a rejected row as its report repeats.
pub(super) const MAX_RAW_BYTES: usize = 64 << 10;

/// What happens to a row that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnError {
    /// The run stops with an error; what was written stays
    Stop,
    /// The row is counted and left out; the exit code is 3
    Skip,
}

/// Stops at a bad row, or counts it and writes a report of it, if there is a file for that.
pub(super) struct Rejects {
    on_error: OnError,
    out: Option<Output>,
    pub num_rejected: usize,
}

/// One line of the rejects file.
#[derive(Serialize)]
struct Reject<'a> {
    file: &'a str,
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

impl Rejects {
    /// Opens the file for the reports, if any.
    pub fn open(on_error: OnError, path: Option<&Path>) -> anyhow::Result<Self> {
        let out = path.map(|path| Output::open(Some(path))).transpose()?;
        Ok(Rejects { on_error, out, num_rejected: 0 })
    }

    /// The rows that are worth encoding: all, or those up to the bad one that will stop the run.
    pub fn up_to_the_last_needed<R>(
        &self,
        mut rows: Vec<(InputLine, Result<R, RowError>)>,
    ) -> Vec<(InputLine, Result<R, RowError>)> {
        if self.on_error == OnError::Stop {
            if let Some(bad) = rows.iter().position(|(_, row)| row.is_err()) {
                rows.truncate(bad + 1);
            }
        }
        rows
    }

    /// Sets a row aside.
    ///
    /// # Errors
    ///
    /// The row's own error, where that is to stop the run.
    pub fn reject(&mut self, line: &InputLine, error: &RowError) -> anyhow::Result<()> {
        if self.on_error == OnError::Stop {
            return Err(line.fault(error));
        }
        self.num_rejected += 1;
        let Some(out) = &mut self.out else { return Ok(()) };
        let cut = &line.bytes[..line.bytes.len().min(MAX_RAW_BYTES)];
        let (raw, raw_encoding) = match std::str::from_utf8(cut) {
            Ok(text) => (text.into(), None),
            // The cut goes through a character.
            Err(error) if error.error_len().is_none() && cut.len() == MAX_RAW_BYTES => {
                (String::from_utf8_lossy(&cut[..error.valid_up_to()]), None)
            }
            Err(_) => (BASE64_STANDARD.encode(cut).into(), Some("base64")),
        };
        let RowError { column, reason } = error;
        let reject =
            Reject { file: &line.file, line: line.number, column: *column, reason, raw, raw_encoding };
        serde_json::to_writer(&mut *out, &reject)
            .map_err(std::io::Error::from)
            .context("cannot write the rejects")?;
        out.write_all(b"\n").and_then(|()| out.end_row()).context("cannot write the rejects")
    }

    /// Completes the file, and says how the run ended.
    pub fn finish(self) -> anyhow::Result<Exit> {
        self.out.map_or(Ok(()), Output::finish)?;
        Ok(if self.num_rejected > 0 { Exit::Rejected } else { Exit::Done })
    }
}
