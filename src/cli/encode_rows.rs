//! `encode --input`: rows of input to rows of output.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use neural_sparse::format::{Content, Document, Format, Terms};
use neural_sparse::jsonl::{Fields, Row, RowError};
use neural_sparse::{Encoded, Error, ScreenCount, Side, SparseEncoder};
use serde_json::Value;

use super::args::Given;
use super::bulk::{InputLine, Job, Tally};
use super::encode::Shape;
use super::failure::{refused, UsageError};
use super::fields::{FieldArgs, KeepArgs, LineParser};

/// How rows are read, and what becomes of them.
#[derive(Args)]
#[command(next_help_heading = "Long texts")]
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
    #[arg(
        long,
        value_name = "NUM",
        help_heading = "Model",
        default_value = "512",
        requires = "files",
        conflicts_with = "texts"
    )]
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

    /// What is to be done with the rows that `parser` reads.
    pub fn job(
        &self,
        encoder: SparseEncoder,
        side: Side,
        shape: Shape,
        parser: LineParser,
        format: Arc<dyn Format>,
    ) -> EncodeRows {
        EncodeRows {
            encoder,
            side,
            shape,
            parser,
            format,
            on_long: self.on_long,
            chunk_overlap: self.chunk_overlap,
            chunk_rows: self.chunk_rows,
        }
    }
}

/// The same for a collection, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongTexts {
    /// They are cut.
    Truncate,
    /// Each term gets its largest weight in any window, with so many tokens of overlap.
    Chunk(usize),
    /// Each window is a row.
    ChunkRows(usize),
}

/// Tokens that windows share unless something else is said.
const OVERLAP: usize = 32;

impl FromStr for LongTexts {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let (rule, overlap) = match value.split_once('=') {
            Some((rule, overlap)) => (rule, Some(overlap)),
            None => (value, None),
        };
        let tokens = || match overlap {
            Some(text) => text.parse().map_err(|_| format!("`{text}` is not a number of tokens")),
            None => Ok(OVERLAP),
        };
        match rule {
            "truncate" if overlap.is_none() => Ok(LongTexts::Truncate),
            "chunk" => Ok(LongTexts::Chunk(tokens()?)),
            "chunk-rows" => Ok(LongTexts::ChunkRows(tokens()?)),
            _ => Err("expected truncate, chunk, chunk-rows, chunk=OVERLAP or chunk-rows=OVERLAP".into()),
        }
    }
}

impl Display for LongTexts {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        match self {
            LongTexts::Truncate => write!(formatter, "truncate"),
            LongTexts::Chunk(overlap) => write!(formatter, "chunk={overlap}"),
            LongTexts::ChunkRows(overlap) => write!(formatter, "chunk-rows={overlap}"),
        }
    }
}

/// Turns rows of input into rows of output.
pub(super) struct EncodeRows {
    encoder: SparseEncoder,
    side: Side,
    shape: Shape,
    parser: LineParser,
    format: Arc<dyn Format>,
    on_long: OnLong,
    chunk_overlap: usize,
    chunk_rows: bool,
}

impl EncodeRows {
    /// Keeps all of each vector.
    pub fn whole(
        encoder: SparseEncoder,
        side: Side,
        parser: LineParser,
        format: Arc<dyn Format>,
        long: LongTexts,
    ) -> Self {
        let (on_long, chunk_overlap, chunk_rows) = match long {
            LongTexts::Truncate => (OnLong::Truncate, 0, false),
            LongTexts::Chunk(overlap) => (OnLong::Chunk, overlap, false),
            LongTexts::ChunkRows(overlap) => (OnLong::Chunk, overlap, true),
        };
        EncodeRows {
            encoder,
            side,
            shape: Shape::default(),
            parser,
            format,
            on_long,
            chunk_overlap,
            chunk_rows,
        }
    }
}

/// A row whose text has been encoded.
pub(super) struct EncodedRow {
    id: Option<String>,
    kept: String,
    /// The whole text, or its windows.
    parts: Vec<Encoded>,
}

impl Job for EncodeRows {
    type Row = Row;
    type Value = EncodedRow;
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<Row, RowError> {
        self.parser.parse(line)
    }

    fn id<'r>(&self, row: &'r Row) -> Option<Cow<'r, str>> {
        row.id.as_deref().map(Cow::Borrowed)
    }

    fn compute(&self, rows: Vec<Row>) -> anyhow::Result<Vec<Result<EncodedRow, RowError>>> {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let parts: Vec<Result<Vec<Encoded>, Error>> = if self.on_long == OnLong::Chunk {
            self.encoder.encode_windows_each(&texts, self.chunk_overlap, self.side)?
        } else {
            let encoded = self.encoder.encode_each(&texts, self.side)?;
            encoded.into_iter().map(|encoded| encoded.map(|encoded| vec![encoded])).collect()
        };
        let value = |(row, parts): (Row, Result<Vec<Encoded>, Error>)| {
            let parts = parts.map_err(refused)?;
            if self.on_long == OnLong::Error {
                self.refuse_cut(&row.text, &parts[0])?;
            }
            Ok(EncodedRow { id: row.id, kept: row.kept, parts })
        };
        Ok(rows.into_iter().zip(parts).map(value).collect())
    }

    fn screen_count(&self) -> ScreenCount {
        self.encoder.screen_count()
    }

    fn write(
        &self,
        line: &InputLine,
        row: EncodedRow,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let id = line.id(row.id)?;
        let texts: Vec<(usize, bool)> = row.parts.iter().map(|part| (part.num_tokens, part.is_cut)).collect();
        let vectors = row.parts.into_iter().map(|part| part.vector);
        let content = if self.chunk_rows {
            Content::Windows(vectors.map(|window| self.shape.apply(window)).collect())
        } else {
            let whole = vectors.reduce(|whole, window| whole.maximum(&window)).unwrap_or_default();
            Content::Whole(self.shape.apply(whole))
        };
        let document = Document { id: &id, kept: &row.kept, content };
        let terms = Terms::Vocabulary(self.encoder.tokenizer());
        self.format.write(&document, terms, out, &mut tally.findings)?;
        self.shape.count_normalized(document.content.vectors().len(), &mut tally.findings);
        for (num_tokens, is_cut) in texts {
            tally.count_text(num_tokens, is_cut);
        }
        tally.count_document(&document);
        Ok(())
    }
}

impl EncodeRows {
    /// The error of a text that was cut where none may be.
    fn refuse_cut(&self, text: &str, encoded: &Encoded) -> Result<(), RowError> {
        if !encoded.is_cut {
            return Ok(());
        }
        let tokens = self.encoder.num_tokens(text, self.side).map_err(refused)?;
        let limit = encoded.num_tokens;
        Err(RowError::new(format!("a text of {tokens} tokens, {limit} are the limit")))
    }
}
