//! A line of the input: where it is, and how a report names it.

use std::io;
use std::sync::Arc;

use crate::input::{Position, Source};

/// Ids are compared with those of the first rows of a run only, so that they need not all be held.
pub(super) const MAX_IDS: u64 = 2_000_000;

/// One line that is not blank.
#[derive(Debug)]
pub struct InputLine {
    /// The file that it is in.
    pub source: Arc<Source>,
    /// The number of the line that it begins in, in the part of the file that is read.
    pub line: u64,
    /// The place behind it.
    pub end: Position,
    /// As much of it as a report repeats.
    pub start: Vec<u8>,
    /// Blank lines between the line before and this one.
    pub num_blank: u64,
    /// Whether an earlier row has its id; `None` where nobody looked.
    pub repeats_id: Option<bool>,
}

impl InputLine {
    /// Its number in its file, from 1.
    ///
    /// # Errors
    ///
    /// Those of the file, whose lines before a shard are counted.
    pub fn number(&self) -> io::Result<u64> {
        Ok(self.source.lines_before()? + self.line)
    }

    /// The id of its row as JSON: its own, else the line's number.
    ///
    /// # Errors
    ///
    /// Those of [`InputLine::number`].
    pub fn id(&self, own: Option<String>) -> io::Result<String> {
        match own {
            Some(id) => Ok(id),
            None => Ok(self.number()?.to_string()),
        }
    }

    /// File, line and column, as messages say them.
    pub(super) fn place(&self, column: Option<usize>) -> String {
        let file = self.source.name();
        match (self.number(), column) {
            (Ok(line), Some(column)) => format!("{file} line {line}, column {column}"),
            (Ok(line), None) => format!("{file} line {line}"),
            (Err(_), _) => format!("{file} before byte {}", self.end.offset),
        }
    }
}
