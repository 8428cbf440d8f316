//! `encode --input`: rows of input to rows of output.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::Receiver;

use clap::{Args, ValueEnum};
use neural_sparse::jsonl::{self, Fields, Keep, Row, RowError};
use neural_sparse::{Side, SparseEncoder, SparseVector};

use super::encode::{Shape, Tally};
use super::failure::UsageError;
use super::output::Output;
use super::rejects::Rejects;
use super::rows::{InputLine, Window};

/// How rows are read, and what becomes of them.
#[derive(Args)]
pub(super) struct RowArgs {
    /// What a line of the input is: an object of JSON, an id, a tab and a text, or a text
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "jsonl",
        requires = "files",
        conflicts_with = "texts"
    )]
    input_format: InputFormat,
    /// Field of a row that holds text, `doc.body` for a field of an object; may be repeated, the texts are joined by
    /// one space
    #[arg(long, value_name = "NAME", default_value = "text", requires = "files", conflicts_with = "texts")]
    text_field: Vec<String>,
    /// Field of a row that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME", requires = "files", conflicts_with = "texts")]
    id_field: Option<String>,
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
    /// Tokens that are packed into one batch; the vectors do not depend on it
    #[arg(long, value_name = "NUM", default_value = "8192", requires = "files", conflicts_with = "texts")]
    pub batch_tokens: NonZeroUsize,
}

/// What happens to a text of more tokens than the limit.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnLong {
    /// It is cut at its end, and counted
    Truncate,
    /// Its row is one that cannot be used; see --on-error
    Error,
    /// It is encoded in windows that overlap, and each term gets its largest weight
    Chunk,
}

/// What a line of the input is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// An object of JSON
    Jsonl,
    /// An id, a tab and a text, as in MS MARCO's collections
    Tsv,
    /// A text; its id is the line's number
    Lines,
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
        Ok(Fields { text: self.text_field.clone(), id: self.id_field.clone(), keep, reserved })
    }

    /// What makes a row of a line.
    pub fn parser(&self, fields: Fields) -> impl Fn(&[u8]) -> Result<Row, RowError> + Send + 'static {
        let format = self.input_format;
        move |line| format.parse(line, &fields)
    }
}

impl InputFormat {
    fn parse(self, line: &[u8], fields: &Fields) -> Result<Row, RowError> {
        if self == InputFormat::Jsonl {
            return jsonl::parse_row(line, fields);
        }
        let text = std::str::from_utf8(line).map_err(|error| RowError {
            column: Some(error.valid_up_to() + 1),
            reason: "not UTF-8".into(),
        })?;
        let row = |id: Option<String>, text: &str| Row { id, text: text.into(), kept: String::new() };
        if self == InputFormat::Lines {
            return Ok(row(None, text));
        }
        match text.split_once('\t') {
            Some(("", _)) => {
                Err(RowError { column: Some(1), reason: "the id before the tab is empty".into() })
            }
            Some((id, text)) => Ok(row(Some(serde_json::Value::from(id).to_string()), text)),
            None => Err(RowError { column: None, reason: "no tab between an id and a text".into() }),
        }
    }
}

/// Turns rows of input into rows of output.
pub(super) struct RowEncoder<'a> {
    pub args: &'a RowArgs,
    pub shape: &'a Shape,
    pub encoder: &'a SparseEncoder,
    pub side: Side,
}

impl RowEncoder<'_> {
    /// Encodes the rows of all windows in their order, up to the first that stops the run.
    pub fn encode_all(
        &self,
        windows: Receiver<Window<Row>>,
        out: &mut Output,
        rejects: &mut Rejects,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        for window in windows {
            tally.num_blank += window.num_blank;
            let rows = rejects.up_to_the_last_needed(window.rows);
            if self.args.on_long == OnLong::Chunk {
                self.encode_windows(rows, out, rejects, tally)?;
            } else {
                self.encode_whole(rows, out, rejects, tally)?;
            }
            out.flush()?;
            if let Some(error) = window.stopped {
                return Err(error);
            }
        }
        Ok(())
    }

    /// One vector a row.
    fn encode_whole(
        &self,
        rows: Vec<(InputLine, Result<Row, RowError>)>,
        out: &mut Output,
        rejects: &mut Rejects,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let mut encoded = self.encoder.encode(&texts(&rows), self.side)?.into_iter();
        for (line, row) in rows {
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    rejects.reject(&line, &error)?;
                    continue;
                }
            };
            let encoded = encoded.next().expect("every row was encoded, anything else is a bug");
            if encoded.num_cut > 0 && self.args.on_long == OnLong::Error {
                let (tokens, limit) = (encoded.num_tokens + encoded.num_cut, encoded.num_tokens);
                let reason = format!("a text of {tokens} tokens, {limit} are the limit");
                rejects.reject(&line, &RowError { column: None, reason })?;
                continue;
            }
            tally.count(&encoded);
            self.write(out, &line, &row, None, encoded.vector)?;
        }
        Ok(())
    }

    /// The maximum of a text's windows, or a row for each of them.
    fn encode_windows(
        &self,
        rows: Vec<(InputLine, Result<Row, RowError>)>,
        out: &mut Output,
        rejects: &mut Rejects,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let encoded = self.encoder.encode_windows(&texts(&rows), self.args.chunk_overlap, self.side)?;
        let mut encoded = encoded.into_iter();
        for (line, row) in rows {
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    rejects.reject(&line, &error)?;
                    continue;
                }
            };
            let windows = encoded.next().expect("every row was encoded, anything else is a bug");
            tally.num_texts += 1;
            if self.args.chunk_rows {
                for (chunk, vector) in windows.into_iter().enumerate() {
                    self.write(out, &line, &row, Some(chunk), vector)?;
                }
            } else {
                let whole =
                    windows.iter().fold(SparseVector::default(), |whole, window| whole.maximum(window));
                self.write(out, &line, &row, None, whole)?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        out: &mut Output,
        line: &InputLine,
        row: &Row,
        chunk: Option<usize>,
        vector: SparseVector,
    ) -> io::Result<()> {
        let id = row.id.clone().unwrap_or_else(|| line.number.to_string());
        let vector = self.shape.apply(vector);
        let chunk = chunk.map(|chunk| format!("\"chunk\":{chunk},")).unwrap_or_default();
        let between = chunk + &row.kept;
        jsonl::write_row(out, &id, &between, &self.args.vector_field, &vector, self.encoder.tokenizer())?;
        out.end_row()
    }
}

/// The texts of the rows that can be used.
fn texts(rows: &[(InputLine, Result<Row, RowError>)]) -> Vec<&str> {
    rows.iter().filter_map(|(_, row)| row.as_ref().ok()).map(|row| row.text.as_str()).collect()
}
