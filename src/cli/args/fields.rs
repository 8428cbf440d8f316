//! What a line of the input is, and which of its fields are read.

use clap::builder::TypedValueParser;
use clap::Args;
use neural_sparse::input::json::Keys;
use neural_sparse::input::{Container, Fields, InputFormat, Keep, LineParser};
use serde_json::Value;

use super::choice;
use crate::cli::failure::UsageError;

/// How rows are read.
#[derive(Args)]
pub(in crate::cli) struct FieldArgs {
    /// What the input is
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "jsonl",
        value_parser = text_formats())]
    pub input_format: InputFormat,
    /// Field of a row that holds text, `doc.body` for a field of an object; may be repeated, the texts are joined by
    /// one space
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_field: Vec<String>,
    /// Field of a row that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME")]
    pub id_field: Option<String>,
}

/// Which fields go through.
#[derive(Args)]
pub(in crate::cli) struct KeepArgs {
    /// Fields of a row that the output keeps, byte for byte; several with commas, or repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "keep_all")]
    keep: Vec<String>,
    /// Keep every field of a row but its id
    #[arg(long)]
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
pub(in crate::cli) fn kept(names: &[String], all: bool) -> Keep {
    match (all, names) {
        (true, _) => Keep::All,
        (false, []) => Keep::Nothing,
        (false, names) => Keep::Named(names.to_vec()),
    }
}

/// The formats of rows with texts, as an argument.
fn text_formats() -> impl TypedValueParser<Value = InputFormat> {
    formats(InputFormat::has_texts)
}

/// The formats of rows with vectors, as an argument.
pub(in crate::cli) fn vector_formats() -> impl TypedValueParser<Value = InputFormat> {
    formats(InputFormat::has_vectors)
}

/// All formats of rows, as an argument.
pub(in crate::cli) fn all_formats() -> impl TypedValueParser<Value = InputFormat> {
    formats(|_| true)
}

fn formats(fits: fn(InputFormat) -> bool) -> impl TypedValueParser<Value = InputFormat> {
    let formats = InputFormat::ALL.into_iter().filter(move |format| fits(*format));
    choice(formats.map(|format| (format, format.name(), format.description())))
}

/// What the keys of an object of weights are, as an argument.
pub(in crate::cli) fn vector_keys() -> impl TypedValueParser<Value = Keys> {
    choice([
        (Keys::Terms, "terms", "Terms of the vocabulary"),
        (Keys::Ids, "ids", "Ids of the vocabulary, as in {\"2003\": 1.5}"),
    ])
}

/// The value of `--vector-keys` as its user writes it.
pub(in crate::cli) fn name_of_keys(keys: Keys) -> &'static str {
    match keys {
        Keys::Terms => "terms",
        Keys::Ids => "ids",
    }
}

impl FieldArgs {
    /// What reads the rows; `fields` says which parts of an object matter.
    pub fn parser(&self, fields: Fields) -> LineParser {
        LineParser::new(self.input_format, fields)
    }

    /// What the input is a file of.
    pub fn container(&self) -> Container {
        self.input_format.container()
    }

    /// The options and their values, which decide what is read.
    pub fn settings(&self) -> [(String, Value); 3] {
        [
            ("--input-format".into(), self.input_format.name().into()),
            ("--text-field".into(), self.text_field.join(",").into()),
            ("--id-field".into(), self.id_field.clone().into()),
        ]
    }
}
