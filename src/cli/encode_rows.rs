//! `encode --input`: rows of input to rows of output.

use std::io;
use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use neural_sparse::jsonl::{self, Fields, Keep, Row, RowError};
use neural_sparse::{Encoded, Side, SparseEncoder, SparseVector};
use serde_json::Value;

use super::bulk::{InputLine, Job, Tally};
use super::encode::Shape;
use super::failure::UsageError;
use super::fields::{FieldArgs, LineParser};

/// How rows are read, and what becomes of them.
#[derive(Args)]
pub(super) struct RowArgs {
    #[command(flatten)]
    pub fields: FieldArgs,
    /// Field of an output row that holds the vector
    #[arg(long, value_name = "NAME", default_value = "vector", requires = "files", conflicts_with = "texts")]
    vector_field: String,
    /// Fields of a row that the output keeps, byte for byte; several with commas, or repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "files", conflicts_with_all = ["texts", "keep_all"])]
    keep: Vec<String>,
    /// Keep every field of a row but its id
    #[arg(long, requires = "files", conflicts_with = "texts")]
    keep_all: bool,
    /// What to do with a text of more tokens than --max-length
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "truncate",
        requires = "files",
        conflicts_with = "texts"
    )]
    on_long: OnLong,
    /// Tokens that a window of `--on-long chunk` shares with the one before it
    #[arg(long, value_name = "TOKENS", default_value = "32", requires = "files", conflicts_with = "texts")]
    chunk_overlap: usize,
    /// With `--on-long chunk`, one row a window, numbered from 0 in the field `chunk`, instead of their maximum
    #[arg(long, requires = "files", conflicts_with = "texts")]
    chunk_rows: bool,
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
    pub fn fields(&self) -> Result<Fields, UsageError> {
        let mut reserved = vec!["id".to_string()];
        if self.chunk_rows {
            if self.on_long != OnLong::Chunk {
                return Err(UsageError::new("--chunk-rows goes with `--on-long chunk`"));
            }
            reserved.push("chunk".into());
        }
        if reserved.contains(&self.vector_field) {
            let name = &self.vector_field;
            return Err(UsageError::new(format!(
                "--vector-field {name}: the output has a field of that name already"
            )));
        }
        reserved.push(self.vector_field.clone());
        if let Some(name) = self.keep.iter().find(|name| reserved.contains(name)) {
            return Err(UsageError::new(format!(
                "--keep {name}: the output has a field of that name for something else"
            )));
        }
        let keep = if self.keep_all {
            Keep::All
        } else if self.keep.is_empty() {
            Keep::Nothing
        } else {
            Keep::Named(self.keep.clone())
        };
        Ok(Fields { text: self.fields.text_field.clone(), id: self.fields.id_field.clone(), keep, reserved })
    }

    /// The options and their values, which decide what is written.
    pub fn settings(&self) -> Vec<(String, Value)> {
        let chunks = (self.on_long == OnLong::Chunk).then_some(self.chunk_overlap);
        let mut settings = vec![
            ("--vector-field".to_string(), self.vector_field.clone().into()),
            ("--keep".into(), self.keep.join(",").into()),
            ("--keep-all".into(), self.keep_all.into()),
            ("--on-long".into(), format!("{:?}", self.on_long).to_lowercase().into()),
            ("--chunk-overlap".into(), chunks.into()),
            ("--chunk-rows".into(), self.chunk_rows.into()),
        ];
        settings.extend(self.fields.settings());
        settings
    }

    /// What is to be done with the rows that `parser` reads.
    pub fn job(&self, encoder: SparseEncoder, side: Side, shape: Shape, parser: LineParser) -> EncodeRows {
        EncodeRows {
            encoder,
            side,
            shape,
            parser,
            vector_field: self.vector_field.clone(),
            on_long: self.on_long,
            chunk_overlap: self.chunk_overlap,
            chunk_rows: self.chunk_rows,
        }
    }
}

/// Turns rows of input into rows of output.
pub(super) struct EncodeRows {
    encoder: SparseEncoder,
    side: Side,
    shape: Shape,
    parser: LineParser,
    vector_field: String,
    on_long: OnLong,
    chunk_overlap: usize,
    chunk_rows: bool,
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

    fn id<'r>(&self, row: &'r Row) -> Option<&'r str> {
        row.id.as_deref()
    }

    fn compute(&self, rows: Vec<Row>) -> anyhow::Result<Vec<Result<EncodedRow, RowError>>> {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let parts: Vec<Vec<Encoded>> = if self.on_long == OnLong::Chunk {
            self.encoder.encode_windows(&texts, self.chunk_overlap, self.side)?
        } else {
            self.encoder.encode(&texts, self.side)?.into_iter().map(|encoded| vec![encoded]).collect()
        };
        let value = |(row, parts): (Row, Vec<Encoded>)| {
            if self.on_long == OnLong::Error {
                refuse_cut(&parts[0])?;
            }
            Ok(EncodedRow { id: row.id, kept: row.kept, parts })
        };
        Ok(rows.into_iter().zip(parts).map(value).collect())
    }

    fn encoder(&self) -> &SparseEncoder {
        &self.encoder
    }

    fn write(
        &self,
        line: &InputLine,
        row: EncodedRow,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> io::Result<()> {
        let id = line.id(row.id)?;
        for part in &row.parts {
            tally.count_text(part.num_tokens, part.num_cut);
        }
        let mut write = |between: &str, vector: SparseVector| {
            let vector = self.shape.apply(vector);
            tally.rows_out += 1;
            tally.count_vector(&vector);
            jsonl::write_row(out, &id, between, &self.vector_field, &vector, self.encoder.tokenizer())
        };
        let vectors = row.parts.into_iter().map(|part| part.vector);
        if self.chunk_rows {
            for (chunk, vector) in vectors.enumerate() {
                write(&format!("\"chunk\":{chunk},{}", row.kept), vector)?;
            }
            return Ok(());
        }
        let whole = vectors.reduce(|whole, window| whole.maximum(&window)).unwrap_or_default();
        write(&row.kept, whole)
    }
}

/// The error of a text that was cut where none may be.
fn refuse_cut(encoded: &Encoded) -> Result<(), RowError> {
    if encoded.num_cut == 0 {
        return Ok(());
    }
    let (tokens, limit) = (encoded.num_tokens + encoded.num_cut, encoded.num_tokens);
    Err(RowError { column: None, reason: format!("a text of {tokens} tokens, {limit} are the limit") })
}
