//! `convert`: vectors from one form to another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::input::{Fields, InputFormat};
use neural_sparse::run::{ConvertVectors, RunSettings, Shape};
use serde_json::Value;

use super::args::{shape_settings, ShapeArgs};
use super::args::{Given, InputArgs, VectorArgs};
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
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
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
    #[command(flatten)]
    vectors: VectorArgs,
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
    args.keep.check(args.input_format, &reserved)?;
    if !args.input_format.has_fields() {
        args.given.refuse(&["--id-field"], &fields::lacks_fields(args.input_format))?;
    }
    let run = args.input.prepare(args.input_format.container(), args.output.as_deref(), assembly, quiet)?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let fields = Fields { id: args.id_field.clone(), keep: args.keep.keep(), reserved, ..Fields::default() };
    let vectors = args.vectors.input(args.input_format, fields, &args.input.files)?;
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
        let own: [(&str, Value); 4] = [
            ("the command", "convert".into()),
            ("--model", self.vocabulary.model.clone().into()),
            ("--input-format", self.input_format.name().into()),
            ("--id-field", self.id_field.clone().into()),
        ];
        let own = own.map(|(name, value)| (name.to_string(), value));
        let others =
            self.keep.settings().into_iter().chain(self.format.settings()).chain(shape_settings(shape));
        own.into_iter().chain(others).collect()
    }
}
