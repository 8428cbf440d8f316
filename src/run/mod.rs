//! Rows in, rows out, in their order, however many: a run that can be stopped at any moment and gone on with.
//!
//! A [`Run`] reads the rows of its [sources](crate::input::Source), has a [`Job`] make something of them, and writes that
//! to a [`Sink`]. It tells an [`Observer`] how far it is, and prints nothing. Three threads hand windows of rows on: one
//! reads and parses, one has them encoded by the encoder's own threads, and the caller's writes. None holds more than a
//! window, so memory does not grow with the input.
//!
//! A file is written as `FILE.partial` and gets its name when it is complete. Beside it stands `FILE.journal`, which
//! keeps other runs away and says how far this one has come. With [`Earlier::Resume`] a run goes on where another one
//! was stopped, by whatever; the output is the same, byte for byte.
//!
//! ```
//! use neural_sparse::format::{self, Options};
//! use neural_sparse::input::json::parse_row;
//! use neural_sparse::input::{Container, Fields, Source};
//! use neural_sparse::run::{Earlier, EncodeTexts, Observer, Progress, Run, RunOptions, RunSettings, Sink, MAX_LINE_BYTES};
//! use neural_sparse::{EncoderOptions, ModelFiles, Side, SparseEncoder};
//!
//! struct Watch;
//!
//! impl Observer for Watch {
//!     fn progress(&mut self, progress: &Progress) {
//!         println!("{} rows, {} of {:?} bytes", progress.tally.rows_in, progress.bytes, progress.num_bytes);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (input, path) = (folder.path().join("docs.jsonl"), folder.path().join("vectors.jsonl"));
//! # std::fs::write(&input, "{\"id\":1,\"text\":\"a\"}\n{\"id\":2,\"text\":\"b\"}\n")?;
//! let files = ModelFiles::tiny();
//! let encoder = SparseEncoder::load(&files, &EncoderOptions::default())?;
//! let settings =
//!     RunSettings { model: Some(("tiny".into(), files)), num_threads: encoder.num_threads(), ..Default::default() };
//! let fields = Fields { text: vec!["text".into()], ..Default::default() };
//! let format = format::named("jsonl", &Options::default())?.into();
//! let job = EncodeTexts::new(encoder, Side::Document, move |line: &[u8]| parse_row(line, &fields), format);
//! let (sources, sink) = (Source::whole(&[input], Container::Lines)?, Sink::File { path: path.clone(), assembly: None });
//! let options = RunOptions { earlier: Earlier::Resume, ..Default::default() };
//! if let Some(run) = Run::prepare(sources, sink, options)? {
//!     run.run(job, settings, &mut Watch)?;
//! }
//! # assert_eq!(std::fs::read_to_string(path)?.lines().count(), 2);
//! # Ok(())
//! # }
//! ```

mod convert;
mod encode;
mod error;
mod files;
mod job;
mod journal;
mod line;
mod lines;
mod model_hash;
mod observer;
mod one_go;
mod paths;
mod pipeline;
mod prepare;
mod rejects;
mod score;
mod shape;
mod summary;
mod tally;
mod window;

pub use convert::{ConvertVectors, LazyVocabulary, VectorInput, LEFT_OUT, NUMBERS};
pub use encode::{EncodeTexts, LongTexts, OVERLAP};
pub use error::{JobError, Left, RunError, WriteError};
pub use job::Job;
pub use line::InputLine;
pub use lines::{encode_lines, Answer, LinesError};
pub use observer::{Observer, Progress};
pub use one_go::{OneGoFile, Unfinished};
pub use paths::Earlier;
pub use pipeline::{Outcome, RunSettings};
pub use prepare::{Run, RunOptions, Sink, MAX_LINE_BYTES};
pub use rejects::OnError;
pub use score::{EncodedPair, ScorePairs};
pub use shape::{Shape, UnrankedSimilarity};
pub use summary::Summary;
pub use tally::Tally;

/// `3 texts`, `1 text`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
