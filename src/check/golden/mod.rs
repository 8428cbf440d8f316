//! Vectors and scores that another program computed, read as that program writes them and compared with ours.
//!
//! Whether the other program is right is not asked: a comparison says which rows are alike, and where the first
//! weight is that is not.

mod compare;
mod predict;
mod read;
mod source;

pub use compare::{compare, Comparison, Difference};
pub use read::read;

pub use crate::input::json::{Entries, Written};

use crate::encoder::Side;
use crate::input::RowError;

/// A vector or a score, and the texts that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenRow {
    /// Line of the file that it begins on, counted from 1. Several vectors may stand on one line.
    pub line: usize,
    /// The side that the row names for its text; `None` where it names none, and for a score.
    pub side: Option<Side>,
    /// What was computed.
    pub what: Golden,
}

/// What another program computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Golden {
    /// The vector of a text.
    Vector {
        /// The text.
        text: String,
        /// Its vector, in the order of the file.
        entries: Entries,
    },
    /// How well a document matches a query, by the model's similarity.
    Score {
        /// The query.
        query: String,
        /// The document.
        document: String,
        /// Their score.
        score: Written,
    },
}

fn unexpected(name: &str, written: &str, expected: &str) -> RowError {
    RowError::new(format!("`{name}` is `{written}`, expected {expected}"))
}
