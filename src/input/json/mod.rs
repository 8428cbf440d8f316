//! Rows of JSON, one a line: texts in, vectors out.
//!
//! A row is read exactly or refused with a reason; values that are passed
//! through keep the bytes that they had.

mod fields;
mod object;
mod pairs;
mod texts;
mod vectors;
pub(crate) mod weights;

pub(crate) use object::{entries, find, kind, message, not_json, string, Entry};
pub use pairs::{parse_pair, write_f32, write_scored, Pair, PairFields};
pub use texts::parse_row;
pub use vectors::{is_vector_row, parse_vector, VectorRow};
pub use weights::{is_number, Entries, Keys, Written};
