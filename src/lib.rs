//! Learned sparse retrieval: text to sparse term→weight vectors with the OpenSearch neural sparse encoding models.
//!
//! ```text
//! text ─Tokenizer→ token ids ─pack→ PackedBatch ─MaskedLm→ hidden (T,H) ─SpladePooling→ weights (N,V) ─compact→ SparseVector
//! ```
//!
//! The vector of a text with tokens t, for vocabulary entry v:
//!
//! ```text
//! w[v] = ln(1 + max(0, max_t logit[t, v]))        0 for special tokens
//! ```
//!
//! That is the reading of the OpenSearch model cards; [`Dialect`] names others. Which modules the texts of either side go
//! through is read from the model's files: a masked language model, a table of token weights, or both.
//!
//! A query and a document are compared by the [`Similarity`] that the model names, the dot product for most.
//!
//! The same text gives the same vector, bit for bit, alone or in any batch, in
//! any order and with any number of threads; and PyTorch's vector to 1e-4.
//!
//! Shapes are written with these letters: **N** texts, **T** tokens of a batch
//! (all its texts, back to back, no padding), **H** hidden size, **A** attention
//! heads, **D** head size, **F** feed-forward size, **L** layers, **V** vocabulary.
//!
//! ```
//! use neural_sparse::{EncoderOptions, ModelFiles, SparseEncoder};
//!
//! let encoder = SparseEncoder::load(&ModelFiles::tiny(), &EncoderOptions::default())?;
//! let query = encoder.encode_query("What's the weather in ny now?")?;
//! let document = &encoder.encode_documents(&["Currently New York is rainy."])?[0];
//! let score = query.vector.dot(&document.vector)?;
//! assert!((score - 17.6849).abs() < 1e-3);
//! let heaviest: Vec<&str> = encoder.terms(&document.vector).map(|(term, _)| term).take(3).collect();
//! println!("{}", heaviest.join(" "));
//! # Ok::<(), neural_sparse::Error>(())
//! ```
//!
//! The library never prints, never exits and reads no environment variable of its own.

pub mod check;
mod conventions;
mod encoder;
mod error;
pub mod eval;
pub mod format;
mod forward;
#[cfg(feature = "hub")]
pub mod hub;
pub mod index;
pub mod input;
#[expect(unsafe_code, reason = "vector instructions and blocks of one matrix; each use says why it is sound")]
mod kernel;
pub mod known;
mod one_line;
mod parallel;
mod parameters;
mod pooling;
mod postings;
pub mod printable;
mod query;
pub mod report;
pub mod run;
pub mod search;
mod similarity;
mod source;
mod sparse;
mod spec;
pub mod storage;
mod tokenizer;

pub use conventions::{PoolingActivation, TruncationSide, UntiedDecoder};
pub use encoder::{Encoded, EncoderOptions, Explanation, Side, SparseEncoder, Token};
pub use error::{Error, MissingFeature};
pub use forward::DeviceName;
pub use kernel::InstructionSet;
pub use pooling::screening::ScreenCount;
pub use similarity::{Similarity, TermPart};
pub use source::{sha256, sha256_of_list, ModelFiles};
pub use sparse::{Prune, ScoreOverflow, SparseVector};
pub use spec::{Dialect, ModelSpec, Note, Parts, Provenance, UnknownKey};
pub use tokenizer::{TokenIds, Tokenizer};

/// The values of `model_type` in config.json that can be run.
pub fn supported_model_types() -> impl Iterator<Item = &'static str> {
    spec::families::model_types()
}
