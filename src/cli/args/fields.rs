//! What a line of the input is, and which of its fields are read.

use clap::builder::TypedValueParser;
use clap::Args;
use neural_sparse::input::{Container, Fields, InputFormat, Keep, LineParser};
use serde_json::Value;

use super::{choice, Given};
use crate::cli::failure::UsageError;

/// How rows are read.
#[derive(Args)]
pub(in crate::cli) struct FieldArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// What the input is
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = text_formats())]
    pub input_format: InputFormat,
    /// Field of a row that holds text, `doc.body` for a field of an object; may be repeated, the texts are joined by
    /// one space
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: Vec<String>,
    /// Field of a row that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME")]
    id_field: Option<String>,
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

    /// An error where a field is to be kept that has one of these names, or where rows of a format have no other fields.
    pub fn check(&self, format: InputFormat, reserved: &[String]) -> Result<(), UsageError> {
        if !matches!(self.keep(), Keep::Nothing) && !format.has_fields() {
            let flag = if self.keep_all { "--keep-all" } else { "--keep" };
            return Err(UsageError::new(format!("{flag}: {}", lacks_fields(format))));
        }
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

/// Why a flag that names a field has no effect.
pub(in crate::cli) fn lacks_fields(format: InputFormat) -> String {
    format!("the rows of {} have no fields by name", format.name())
}

impl FieldArgs {
    /// The fields of text and id that the flags name.
    pub fn fields(&self) -> Result<Fields, UsageError> {
        if !self.input_format.has_fields() {
            self.given.refuse(&["--text-field", "--id-field"], &lacks_fields(self.input_format))?;
        }
        Ok(Fields { text: self.text_field.clone(), id: self.id_field.clone(), ..Fields::default() })
    }

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
