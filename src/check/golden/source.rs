//! The JSON values of a file, and the lines that they begin in.

use std::str;

use serde_json::value::RawValue;

use crate::input::{json, RowError};

/// The text of a file, and where its lines begin.
pub(super) struct Source<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            format!("line {}: not UTF-8", 1 + before.iter().filter(|byte| **byte == b'\n').count())
        })?;
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Ok(Source { text, line_starts })
    }

    /// One value a line. Where the first line is no whole value, the values are of several lines: a reply is
    /// usually saved as it was printed.
    pub fn values(&self) -> Result<Vec<&'a RawValue>, String> {
        let mut lines = self.text.lines().filter(|line| !line.trim_ascii().is_empty()).peekable();
        if lines.peek().is_some_and(|first| serde_json::from_str::<&RawValue>(first).is_ok()) {
            let value = |line| {
                serde_json::from_str(line).map_err(|error| {
                    let error = json::not_json(&error);
                    format!("line {}, column {}: {error}", self.line(line), error.column.unwrap_or(1))
                })
            };
            return lines.map(value).collect();
        }
        let values = serde_json::Deserializer::from_str(self.text).into_iter();
        let named = |error: serde_json::Error| {
            format!("line {}, column {}: {}", error.line(), error.column(), json::not_json(&error))
        };
        values.map(|value| value.map_err(named)).collect()
    }

    /// The line of a part of the text.
    pub fn line(&self, part: &str) -> usize {
        let offset = part.as_ptr() as usize - self.text.as_ptr() as usize;
        self.line_starts.partition_point(|start| *start <= offset)
    }

    pub fn at(&self, value: &RawValue, error: &RowError) -> String {
        format!("line {}: {error}", self.line(value.get()))
    }
}
