//! Rows in, rows out, in their order, however many: a run that can be stopped at any moment and gone on with.
//!
//! A [`Run`] reads the rows of its [`Source`]s, has a [`Job`] make something of them, and writes that to a [`Sink`]. It tells an
//! [`Observer`] how far it is, and prints nothing. Three threads hand windows of rows on: one reads and parses, one has
//! them encoded by the encoder's own threads, and the caller's writes. None holds more than a window, so memory does not
//! grow with the input.
//!
//! A file is written as `FILE.partial` and gets its name when it is complete. Beside it stands `FILE.journal`, which
//! keeps other runs away and says how far this one has come. With [`Earlier::Resume`] a run goes on where another one
//! was stopped, by whatever; the output is the same, byte for byte.

mod convert;
mod encode;
mod error;
mod files;
mod job;
mod journal;
mod line;
mod model_hash;
mod observer;
mod pipeline;
mod rejects;
mod score;
mod shape;
mod summary;
mod tally;
mod window;

pub use convert::{ConvertVectors, LazyVocabulary, VectorInput, LEFT_OUT};
pub use encode::{EncodeTexts, LongTexts, OVERLAP};
pub use error::{JobError, Left, RunError, WriteError};
pub use files::Earlier;
pub use job::Job;
pub use line::InputLine;
pub use observer::{Observer, Progress};
pub use pipeline::{Outcome, Run, RunOptions, RunSettings, Sink};
pub use rejects::OnError;
pub use score::{EncodedPair, ScorePairs};
pub use shape::{Shape, UnrankedSimilarity};
pub use summary::Summary;
pub use tally::Tally;

/// `3 texts`, `1 text`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
