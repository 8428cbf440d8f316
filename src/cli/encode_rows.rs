//! `encode --input`: which fields of a row are read, and what becomes of long texts.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use neural_sparse::jsonl::Fields;
use neural_sparse::run::{LongTexts, OVERLAP};
use serde_json::Value;

use super::args::Given;
use super::failure::UsageError;
use super::fields::{FieldArgs, KeepArgs};

/// How rows are read, and what becomes of them.
#[derive(Args)]
pub(super) struct RowArgs {
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub fields: FieldArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
    /// What to do with a text of more tokens than --max-length
    #[arg(
        long,
        value_name = "truncate|chunk|error",
        default_value = "truncate",
        requires = "files",
        conflicts_with = "texts"
    )]
    on_long: OnLong,
    /// Tokens that a window of `--on-long chunk` shares with the one before it
    #[arg(long, value_name = "TOKENS", default_value_t = OVERLAP, requires = "files", conflicts_with = "texts")]
    chunk_overlap: usize,
    /// With `--on-long chunk`, one row a window, numbered from 0 in the field `chunk`, instead of their maximum
    #[arg(long, requires = "files", conflicts_with = "texts")]
    pub chunk_rows: bool,
    /// The most tokens that a thread packs into one batch, up to 512; the vectors do not depend on it
    #[arg(long, value_name = "NUM", default_value = "512", requires = "files", conflicts_with = "texts")]
    pub batch_tokens: NonZeroUsize,
}

/// What happens to a text of more tokens than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnLong {
    /// It is cut at its end, and counted
    Truncate,
    /// Its row is one that cannot be used; see --on-error
    Error,
    /// It is encoded in windows that overlap, and each term gets its largest weight
    Chunk,
}

impl RowArgs {
    /// The fields that the flags name, if they go together.
    ///
    /// * `reserved`: names that the output has for something else.
    pub fn fields(&self, reserved: Vec<String>) -> Result<Fields, UsageError> {
        if self.on_long != OnLong::Chunk {
            self.given.refuse(&["--chunk-rows", "--chunk-overlap"], "goes with `--on-long chunk`")?;
        }
        self.keep.refuse(&reserved)?;
        let (text, id) = (self.fields.text_field.clone(), self.fields.id_field.clone());
        Ok(Fields { text, id, keep: self.keep.keep(), reserved, ..Fields::default() })
    }

    /// The options and their values, which decide what is written.
    pub fn settings(&self) -> Vec<(String, Value)> {
        let chunks = (self.on_long == OnLong::Chunk).then_some(self.chunk_overlap);
        let mut settings = vec![
            ("--on-long".to_string(), format!("{:?}", self.on_long).to_lowercase().into()),
            ("--chunk-overlap".into(), chunks.into()),
            ("--chunk-rows".into(), self.chunk_rows.into()),
        ];
        settings.extend(self.fields.settings());
        settings.extend(self.keep.settings());
        settings
    }

    /// What happens to long texts.
    pub fn long_texts(&self) -> LongTexts {
        match (self.on_long, self.chunk_rows) {
            (OnLong::Truncate, _) => LongTexts::Truncate,
            (OnLong::Error, _) => LongTexts::Refuse,
            (OnLong::Chunk, false) => LongTexts::Chunk(self.chunk_overlap),
            (OnLong::Chunk, true) => LongTexts::ChunkRows(self.chunk_overlap),
        }
    }
}
