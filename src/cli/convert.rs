//! `convert`: vectors from one form to another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::input::json::Keys;
use neural_sparse::input::{Fields, InputFormat};
use neural_sparse::run::{ConvertVectors, RunSettings, Shape, VectorInput};
use serde_json::Value;

use super::args::InputArgs;
use super::args::{shape_settings, ShapeArgs};
use super::bulk::NUM_WINDOWS;
use super::failure::{Exit, UsageError};
use super::fields::{self, KeepArgs};
use super::formats::{FormatArgs, Target};
use super::vocabulary::VocabularyArgs;

/// Turn vectors from one form into another, without encoding anything
///
/// Reads what `encode` wrote, and vectors of other programs: rows of JSON with an object of terms and weights, or with
/// lists of ids and weights; matrices of scipy; Anserini's integers. The output is what `encode --format` would have
/// written, as far as the input says it: where --model names a model that compares by cosine, every format but jsonl
/// gets normalised vectors.
#[derive(Args)]
pub(super) struct ConvertArgs {
    /// Vectors are named with --input
    #[arg(value_name = "FILE", hide = true, conflicts_with = "files")]
    texts: Vec<String>,
    #[command(flatten)]
    vocabulary: VocabularyArgs,
    #[command(flatten)]
    input: InputArgs,
    /// What the input is
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = fields::vector_formats())]
    input_format: InputFormat,
    /// Field of a row of the input that holds its vector, `a.b` for a field of an object
    #[arg(long, value_name = "NAME", default_value = "vector")]
    input_vector_field: String,
    /// What the keys of a vector are that is an object
    #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = fields::vector_keys())]
    vector_keys: Keys,
    /// What weights of an anserini input were multiplied by [default: 100]
    #[arg(long, value_name = "SCALE", value_parser = super::formats::parse_scale)]
    input_quantize: Option<f32>,
    /// Field of a row that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME")]
    id_field: Option<String>,
    #[command(flatten)]
    keep: KeepArgs,
    /// File to write, compressed where its name ends in .gz or .zst; it appears under its name when it is complete
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    shape: ShapeArgs,
}

pub(super) fn run(args: &ConvertArgs) -> anyhow::Result<Exit> {
    if args.input.files.is_empty() {
        let hint = "neural-sparse convert --input FILE --format NAME; `-` is standard input";
        return Err(UsageError::with_hint("convert needs a file of vectors", hint).into());
    }
    let quiet = args.vocabulary.hub.quiet;
    let Target { format, assembly } = args.format.target(args.keep.keep(), false, args.output.as_deref())?;
    let reserved = args.format.reserved(true)?;
    args.keep.refuse(&reserved)?;
    let run = args.input.prepare(args.input_format.container(), args.output.as_deref(), assembly, quiet)?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let fields = Fields { id: args.id_field.clone(), keep: args.keep.keep(), reserved, ..Fields::default() };
    let vectors = VectorInput {
        fields,
        field: args.input_vector_field.clone(),
        keys: args.vector_keys,
        ..VectorInput::default()
    };
    let vectors = vectors.of_format(args.input_format, args.input_quantize, &args.input.files)?;
    let shape = match format.keeps_raw_weights() {
        true => args.shape.shape(),
        false => {
            args.shape.shape().for_dot_products(args.vocabulary.similarity()?, &args.vocabulary.model)?
        }
    };
    let settings = args.settings(&shape);
    let job = ConvertVectors::new(vectors, args.vocabulary.lazy(), shape, format);
    run.run(job, RunSettings { options: settings, num_threads: NUM_WINDOWS, ..RunSettings::default() })
}

impl ConvertArgs {
    /// The options and their values, which decide what is written.
    fn settings(&self, shape: &Shape) -> BTreeMap<String, Value> {
        let own: [(&str, Value); 7] = [
            ("the command", "convert".into()),
            ("--model", self.vocabulary.model.clone().into()),
            ("--input-format", self.input_format.name().into()),
            ("--input-vector-field", self.input_vector_field.clone().into()),
            ("--vector-keys", fields::name_of_keys(self.vector_keys).into()),
            ("--input-quantize", self.input_quantize.into()),
            ("--id-field", self.id_field.clone().into()),
        ];
        let own = own.map(|(name, value)| (name.to_string(), value));
        let others =
            self.keep.settings().into_iter().chain(self.format.settings()).chain(shape_settings(shape));
        own.into_iter().chain(others).collect()
    }
}
