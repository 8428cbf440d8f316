//! `encode --input`: which fields of a row are read, and what becomes of long texts.

use std::num::NonZeroUsize;

use clap::Args;
use neural_sparse::input::Fields;
use neural_sparse::run::{LongTexts, OVERLAP};
use serde_json::Value;

use super::fields::{FieldArgs, KeepArgs};
use super::Given;
use crate::cli::failure::UsageError;

/// How rows are read, and what becomes of them.
#[derive(Args)]
pub(in crate::cli) struct RowArgs {
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub fields: FieldArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
    /// What becomes of a text of more tokens than --max-length. truncate: it is cut; chunk[=OVERLAP]: it is encoded in
    /// windows, and each term gets its largest weight in any; chunk-rows[=OVERLAP]: each window is a row, numbered from
    /// 0 in the field `chunk`; error: its row cannot be used
    #[arg(long, value_name = "RULE", default_value = "truncate")]
    on_long: LongTexts,
    /// The OVERLAP of --on-long: tokens that a window shares with the one before it
    #[arg(long, value_name = "TOKENS", default_value_t = OVERLAP)]
    chunk_overlap: usize,
    /// With `--on-long chunk`: the same as `--on-long chunk-rows`
    #[arg(long)]
    chunk_rows: bool,
    /// The most tokens that a thread packs into one batch, up to 512; the vectors do not depend on it
    #[arg(long, value_name = "NUM", default_value = "512")]
    pub batch_tokens: NonZeroUsize,
}

impl RowArgs {
    /// The fields that the flags name, if they go together.
    ///
    /// * `reserved`: names that the output has for something else.
    pub fn fields(&self, reserved: Vec<String>) -> Result<Fields, UsageError> {
        if let LongTexts::Truncate | LongTexts::Refuse = self.on_long {
            self.given.refuse(&["--chunk-rows", "--chunk-overlap"], "it goes with `--on-long chunk`")?;
        }
        if self.given.value("--on-long").is_some_and(|rule| rule.contains('=')) {
            self.given.refuse(&["--chunk-overlap"], "--on-long names an overlap already")?;
        }
        self.keep.check(self.fields.input_format, &reserved)?;
        Ok(Fields { keep: self.keep.keep(), reserved, ..self.fields.fields()? })
    }

    /// The options and their values, which decide what is written.
    pub fn settings(&self) -> Vec<(String, Value)> {
        let (rule, overlap) = match self.long_texts() {
            LongTexts::Truncate => ("truncate", None),
            LongTexts::Refuse => ("error", None),
            LongTexts::Chunk(overlap) | LongTexts::ChunkRows(overlap) => ("chunk", Some(overlap)),
        };
        let mut settings = vec![
            ("--on-long".to_string(), rule.into()),
            ("--chunk-overlap".into(), overlap.into()),
            ("--chunk-rows".into(), self.chunk_rows().into()),
        ];
        settings.extend(self.fields.settings());
        settings.extend(self.keep.settings());
        settings
    }

    /// What happens to long texts.
    pub fn long_texts(&self) -> LongTexts {
        // The rule's own one, unless the flag that stands for it is given.
        let overlap = |overlap| if overlap == OVERLAP { self.chunk_overlap } else { overlap };
        match self.on_long {
            LongTexts::Chunk(tokens) if !self.chunk_rows => LongTexts::Chunk(overlap(tokens)),
            LongTexts::Chunk(tokens) | LongTexts::ChunkRows(tokens) => LongTexts::ChunkRows(overlap(tokens)),
            rule => rule,
        }
    }

    /// Whether each window of a long text is a row.
    pub fn chunk_rows(&self) -> bool {
        matches!(self.long_texts(), LongTexts::ChunkRows(_))
    }
}
