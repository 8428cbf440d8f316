//! Vectors and scores that another program computed, read as that program writes them and compared with ours.
//!
//! Whether the other program is right is not asked: a comparison says which rows are alike, and where the first
//! weight is that is not.

mod compare;
mod predict;
mod read;
mod vector;

pub use compare::{compare, Comparison, Difference};
pub use read::read;

use crate::encoder::Side;
use crate::jsonl::RowError;

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
    /// The dot product of a query's and a document's vectors.
    Score {
        /// The query.
        query: String,
        /// The document.
        document: String,
        /// Their score.
        score: Written,
    },
}

/// The entries of a vector: each term or id once, weights of at least 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Entries {
    /// By the vocabulary's own strings.
    Terms(Vec<(String, Written)>),
    /// By vocabulary id.
    Ids(Vec<(u32, Written)>),
}

/// A number as it was written, finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Written {
    /// Its value.
    pub value: f32,
    /// How far the number that was rounded to it may be away: half a unit of the last decimal.
    ///
    /// 0 where no decimals are written, and where a single 0 is: `1` and `1.0` are how programs print a 1 that
    /// is exact, as most weights of a query table are.
    pub rounding: f32,
}

fn missing(place: &str, name: &str) -> RowError {
    RowError::new(format!("{place} has no field `{name}`"))
}

fn unexpected(name: &str, written: &str, expected: &str) -> RowError {
    RowError::new(format!("`{name}` is `{written}`, expected {expected}"))
}
