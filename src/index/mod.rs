//! An inverted index in one file: exact retrieval by dot product, on one machine, from a memory-mapped file.
//!
//! Knows neither texts nor models: a document is a vector with an id and fields, which the index returns as they were
//! written. `layout.rs` specifies the file byte by byte.
//!
//! ```
//! use neural_sparse::eval::{evaluate, parse_measures, Qrels, Run, RunHit};
//! use neural_sparse::index::{Codec, Hit, IndexBuilder, IndexError, InvertedIndex, JsonObject, Searcher};
//! use neural_sparse::{EncoderOptions, ModelFiles, SparseEncoder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("docs.index");
//! let encoder = SparseEncoder::load(&ModelFiles::tiny(), &EncoderOptions::default())?;
//! let texts = ["Bread needs flour and water.", "Currently New York is rainy."];
//! let mut builder = IndexBuilder::new(&path, Codec::F32, encoder.vocabulary())?;
//! for (id, document) in ["bread", "weather"].into_iter().zip(encoder.encode_documents(&texts)?) {
//!     builder.add(&id.into(), &JsonObject::default(), &document.vector)?;
//! }
//! builder.finish(&JsonObject::default())?;
//!
//! let index = InvertedIndex::open(&path)?;
//! let query = encoder.encode_query("What's the weather in ny now?")?;
//! let hits = Searcher::new(&index).search(&index.vector(encoder.terms(&query.vector))?, 10)?;
//! let found = |hit: &Hit| Ok(RunHit { document: index.id(hit.document)?.to_string(), score: hit.score });
//! let (mut run, mut qrels) = (Run::default(), Qrels::default());
//! run.insert("1", hits.iter().map(found).collect::<Result<_, IndexError>>()?);
//! qrels.insert("1", "weather", 1);
//! assert_eq!(evaluate(&qrels, &run, &parse_measures("RR@10")?).means(), [1.0]);
//! # assert_eq!(hits[0].score, query.vector.dot(&encoder.encode_documents(&texts)?[1].vector)?);
//! # Ok(())
//! # }
//! ```

mod best;
mod build;
mod codec;
mod document;
mod layout;
mod list;
mod many;
mod metadata;
mod open;
mod search;
mod vocabulary;

use std::io;
use std::path::Path;

use crate::sparse::ScoreOverflow;

pub use best::Hit;
pub use build::IndexBuilder;
pub use codec::Codec;
pub use document::{DocumentId, JsonObject};
pub use layout::VERSION;
pub use many::search_all;
pub use metadata::{Difference, IndexMetadata};
pub use open::{IndexInfo, InvertedIndex, FILE_NAME};
pub use search::Searcher;

/// Whether an index is in a folder, under [`FILE_NAME`], or is being built there.
pub fn is_in(folder: &Path) -> bool {
    ["", ".journal", ".partial"].iter().any(|suffix| folder.join(format!("{FILE_NAME}{suffix}")).is_file())
}

/// Why an index cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file cannot be written, or read again.
    #[error(transparent)]
    File(#[from] io::Error),
    /// Two ids of the vocabulary have the same term.
    #[error("the vocabulary has the term `{term}` twice")]
    DuplicateTerm {
        /// The term.
        term: String,
    },
    /// Two terms of the vocabulary have the same id.
    #[error("the vocabulary has the id {id} twice")]
    DuplicateId {
        /// The id.
        id: u32,
    },
    /// A vector has an id that is not in the vocabulary.
    #[error("a vector has the id {id}, which the vocabulary lacks")]
    UnknownId {
        /// The id.
        id: u32,
    },
    /// There are more documents than 32 bits count.
    #[error("more documents than an index holds")]
    TooManyDocuments,
}

impl From<BuildError> for io::Error {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::File(error) => error,
            other => io::Error::other(other),
        }
    }
}

/// Why an index cannot be opened, read or searched.
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
    /// A document has a score that no f32 holds.
    #[error("the document {document}: {source}")]
    Score {
        /// Its id, as JSON.
        document: String,
        /// What happened.
        source: ScoreOverflow,
    },
}
