//! What a row of the input is, and which parts of it are read.

use crate::one_line::one_line;

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", one_line(reason))]
pub struct RowError {
    /// Byte in the line where the trouble is, counted from 1, when it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub reason: String,
    /// The most terms that the store takes, where the row's vector has more.
    pub max_terms: Option<usize>,
    /// Whether the row's vector is of another vocabulary than the one that was named.
    pub is_of_another_model: bool,
    /// Whether the line is a part of JSON that does not stand an object a line.
    pub is_part: bool,
}

impl RowError {
    /// An error somewhere in the row.
    pub fn new(reason: impl Into<String>) -> Self {
        RowError {
            column: None,
            reason: reason.into(),
            max_terms: None,
            is_of_another_model: false,
            is_part: false,
        }
    }

    /// An error of a line that is a part of a list, or of an object on several lines.
    pub(super) fn part(what: &str) -> Self {
        RowError { is_part: true, ..RowError::new(format!("{what}: expected one object per line")) }
    }

    /// An error at a byte of the line, counted from 1, where that is known.
    pub fn at(column: Option<usize>, reason: impl Into<String>) -> Self {
        RowError { column, ..RowError::new(reason) }
    }
}

/// Which fields of a row are read, and which go through to the output.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// Text fields, joined by one space; those that a row lacks, or that are null in it, are skipped unless that is all of them.
    /// `doc.body` is the field of that very name, else the field `body` of the object `doc`.
    pub text: Vec<String>,
    /// The id field; when `None`, `_id`, else `id`, else the row has no id of its own.
    pub id: Option<String>,
    /// Fields that go through.
    pub keep: Keep,
    /// Names that the output has for something else: a row whose kept fields have one of them is refused.
    pub reserved: Vec<String>,
    /// A field that holds a vector in other inputs: a row of text that has such a vector is refused.
    pub no_vector: Option<String>,
}

/// Which fields of a row go through to the output.
#[derive(Clone, Debug, Default)]
pub enum Keep {
    /// None.
    #[default]
    Nothing,
    /// Those of these names that a row has.
    Named(Vec<String>),
    /// Every field but the id.
    All,
}

/// One row to encode.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The id as JSON, byte for byte as it was written; `None` where the row has none.
    pub id: Option<String>,
    /// The text.
    pub text: String,
    /// The kept fields as JSON, `"name":value,` each, byte for byte and in the order that they had.
    pub kept: String,
}
