//! How vectors of the input are read.

use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::Args;
use neural_sparse::input::json::Keys;
use neural_sparse::input::{Fields, InputFormat};
use neural_sparse::run::VectorInput;
use serde_json::Value;

use super::fields::lacks_fields;
use super::formats::parse_scale;
use super::{choice, Given};
use crate::cli::failure::UsageError;

/// How vectors of the input are read.
#[derive(Args)]
pub(in crate::cli) struct VectorArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// Field of a row that holds its vector, `a.b` for a field of an object
    #[arg(long, value_name = "NAME", default_value = "vector")]
    pub input_vector_field: String,
    /// What the keys of a vector are that is an object
    #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = vector_keys())]
    pub vector_keys: Keys,
    /// What weights of an anserini input were multiplied by [default: 100]
    #[arg(long, value_name = "SCALE", value_parser = parse_scale)]
    input_quantize: Option<f32>,
}

impl VectorArgs {
    /// How vectors of files of a format are read.
    pub fn input(
        &self,
        format: InputFormat,
        fields: Fields,
        files: &[PathBuf],
    ) -> anyhow::Result<VectorInput> {
        if !format.has_fields() {
            self.given.refuse(&["--input-vector-field", "--vector-keys"], &lacks_fields(format))?;
        }
        if format != InputFormat::Anserini {
            self.given.refuse(&["--input-quantize"], "it goes with `--input-format anserini`")?;
        }
        let (field, keys) = (self.input_vector_field.clone(), self.vector_keys);
        let input = VectorInput { fields, field, keys, ..VectorInput::default() };
        Ok(input.of_format(format, self.input_quantize, files)?)
    }

    /// An error where a flag is given that only vectors have.
    pub fn refuse_for_texts(&self) -> Result<(), UsageError> {
        self.given.refuse(&["--vector-keys", "--input-quantize"], "the input holds texts")
    }

    /// The options and their values, which decide what is read.
    pub fn settings(&self) -> [(String, Value); 3] {
        let keys = match self.vector_keys {
            Keys::Terms => "terms",
            Keys::Ids => "ids",
        };
        [
            ("--input-vector-field".into(), self.input_vector_field.clone().into()),
            ("--vector-keys".into(), keys.into()),
            ("--input-quantize".into(), self.input_quantize.into()),
        ]
    }
}

/// What the keys of an object of weights are, as an argument.
pub(in crate::cli) fn vector_keys() -> impl TypedValueParser<Value = Keys> {
    choice([
        (Keys::Terms, "terms", "Terms of the vocabulary"),
        (Keys::Ids, "ids", "Ids of the vocabulary, as in {\"2003\": 1.5}"),
    ])
}
