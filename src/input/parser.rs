//! Lines of any format with texts, as rows.

use serde_json::Value;

use super::format::InputFormat;
use super::json;
use super::row::{Fields, Row, RowError};

/// Reads the texts of one format.
#[derive(Clone, Debug)]
pub struct LineParser {
    format: InputFormat,
    fields: Fields,
}

impl LineParser {
    /// Reads lines of `format`; `fields` says which parts of an object matter.
    pub fn new(format: InputFormat, fields: Fields) -> Self {
        LineParser { format, fields }
    }

    /// What the lines are of.
    pub fn format(&self) -> InputFormat {
        self.format
    }

    /// Reads one line, as [`InputFile`](super::InputFile) hands it out.
    ///
    /// # Errors
    ///
    /// A [`RowError`] as for [`json::parse_row`]; and for a line that is not UTF-8, or lacks a tab where the format has
    /// one.
    pub fn parse(&self, line: &[u8]) -> Result<Row, RowError> {
        if !matches!(self.format, InputFormat::Tsv | InputFormat::Lines) {
            return json::parse_row(line, &self.fields);
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| RowError::at(Some(error.valid_up_to() + 1), "not UTF-8"))?;
        let row = |id: Option<String>, text: &str| Row { id, text: text.into(), kept: String::new() };
        if self.format == InputFormat::Lines {
            return Ok(row(None, text));
        }
        match text.split_once('\t') {
            Some(("", _)) => Err(RowError::at(Some(1), "the id before the tab is empty")),
            Some((id, text)) => Ok(row(Some(Value::from(id).to_string()), text)),
            None => Err(RowError::new("no tab between an id and a text")),
        }
    }
}
