//! An inverted index in one file: exact retrieval by dot product, on one machine, from a memory-mapped file.
//!
//! Knows neither texts nor models: documents are vectors over numbered terms, with an id and fields that it hands back.
//! `layout.rs` specifies the file byte by byte.

mod build;
mod codec;
mod layout;
mod open;
mod search;

use std::io;

pub use build::IndexBuilder;
pub use codec::Codec;
pub use open::{IndexInfo, InvertedIndex};
pub use search::{Hit, Searcher};

/// Why an index cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The file cannot be read.
    #[error("cannot read `{file}`")]
    Read {
        /// Path of the file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is not an index, or one of another version.
    #[error("`{file}` is no index that this program reads: {reason}")]
    Foreign {
        /// Path of the file.
        file: String,
        /// What it is instead.
        reason: String,
    },
    /// It was an index, and something has changed in it.
    #[error("`{file}` is damaged: {reason}")]
    Damaged {
        /// Path of the file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
}
