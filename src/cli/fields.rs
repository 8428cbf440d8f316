//! What a line of the input is, and which of its fields are read.

use clap::{Args, ValueEnum};
use neural_sparse::input::RowFile;
use neural_sparse::jsonl::{self, Fields, Keep, Row, RowError};
use serde_json::Value;

use super::bulk::Container;
use super::failure::UsageError;

/// How rows are read.
#[derive(Args)]
pub(super) struct FieldArgs {
    /// What a row of the input is: an object of JSON, an id, a tab and a text, a text, or a row of a Parquet file
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
    pub text_field: Vec<String>,
    /// Field of a row that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME", requires = "files", conflicts_with = "texts")]
    pub id_field: Option<String>,
}

/// Which fields go through.
#[derive(Args)]
pub(super) struct KeepArgs {
    /// Fields of a row that the output keeps, byte for byte; several with commas, or repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "files", conflicts_with_all = ["texts", "keep_all"])]
    keep: Vec<String>,
    /// Keep every field of a row but its id
    #[arg(long, requires = "files", conflicts_with = "texts")]
    keep_all: bool,
}

impl KeepArgs {
    pub fn keep(&self) -> Keep {
        kept(&self.keep, self.keep_all)
    }

    /// An error where a field is to be kept that has one of these names.
    pub fn refuse(&self, reserved: &[String]) -> Result<(), UsageError> {
        match self.keep.iter().find(|name| reserved.contains(name)) {
            Some(name) => Err(UsageError::new(format!(
                "--keep {name}: the output has a field of that name for something else"
            ))),
            None => Ok(()),
        }
    }

    /// The options and their values, which decide what is written.
    pub fn settings(&self) -> [(String, Value); 2] {
        [("--keep".into(), self.keep.join(",").into()), ("--keep-all".into(), self.keep_all.into())]
    }
}

/// What `--keep` and `--keep-all` say.
pub(super) fn kept(names: &[String], all: bool) -> Keep {
    match (all, names) {
        (true, _) => Keep::All,
        (false, []) => Keep::Nothing,
        (false, names) => Keep::Named(names.to_vec()),
    }
}

/// What a line of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InputFormat {
    /// An object of JSON
    Jsonl,
    /// An id, a tab and a text, as in MS MARCO's collections
    Tsv,
    /// A text; its id is the line's number
    Lines,
    /// Parquet files, whose columns are fields; in builds with the feature `parquet`
    Parquet,
}

/// Reads lines of one format.
pub(super) struct LineParser {
    format: InputFormat,
    fields: Fields,
}

impl FieldArgs {
    /// What reads the rows; `fields` says which parts of an object matter.
    pub fn parser(&self, fields: Fields) -> LineParser {
        LineParser { format: self.input_format, fields }
    }

    /// Whether rows are objects of JSON.
    pub fn is_jsonl(&self) -> bool {
        self.input_format == InputFormat::Jsonl
    }

    /// What the input is a file of.
    pub fn container(&self) -> Container {
        match self.input_format {
            InputFormat::Parquet => Container::Rows(RowFile::Parquet),
            InputFormat::Jsonl | InputFormat::Tsv | InputFormat::Lines => Container::Lines,
        }
    }

    /// The options and their values, which decide what is read.
    pub fn settings(&self) -> [(String, Value); 3] {
        [
            ("--input-format".into(), format!("{:?}", self.input_format).to_lowercase().into()),
            ("--text-field".into(), self.text_field.join(",").into()),
            ("--id-field".into(), self.id_field.clone().into()),
        ]
    }
}

impl LineParser {
    /// Reads objects of JSON.
    pub fn of_json(fields: Fields) -> Self {
        LineParser { format: InputFormat::Jsonl, fields }
    }

    pub fn parse(&self, line: &[u8]) -> Result<Row, RowError> {
        if matches!(self.format, InputFormat::Jsonl | InputFormat::Parquet) {
            return jsonl::parse_row(line, &self.fields);
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| RowError::at(Some(error.valid_up_to() + 1), "not UTF-8"))?;
        let row = |id: Option<String>, text: &str| Row { id, text: text.into(), kept: String::new() };
        if self.format == InputFormat::Lines {
            return Ok(row(None, text));
        }
        match text.split_once('\t') {
            Some(("", _)) => Err(RowError::at(Some(1), "the id before the tab is empty")),
            Some((id, text)) => Ok(row(Some(Value::from(id).to_string()), text)),
            None => Err(RowError::new("no tab between an id and a text")),
        }
    }
}
