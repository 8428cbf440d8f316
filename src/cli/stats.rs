//! `stats`: what a file of vectors is like, and what a store should be told about it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::statistics::{Statistics, VectorRows};
use neural_sparse::input::json::{is_number, Keys};
use neural_sparse::input::InputFormat;
use neural_sparse::report::{distribution_table, statistics_json, statistics_table, terms_table};
use serde_json::Value;

use super::args::{vector_keys, Given};
use super::failure::{complain, Exit};
use super::output::Output;
use super::vocabulary::VocabularyArgs;
use super::{fields, print};

/// Show what vectors are like: terms a row, weights, FLOPS, frequent terms, expansion, and how to quantize them
///
/// Reads rows {"id", "vector"} as `encode` writes them. Rows with a text besides, from `encode --keep text`, also tell
/// which terms are expansion: not among the text's own tokens.
#[derive(Args)]
pub(super) struct StatsArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// Files of vectors, plain, gzip or zstd; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files are
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = fields::vector_formats())]
    input_format: InputFormat,
    /// What the keys of a vector are that is an object
    #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = vector_keys())]
    vector_keys: Keys,
    /// File of query vectors, for FLOPS: the expected number of terms that a query and a row share
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Field of a row that holds its vector
    #[arg(long, alias = "vector-field", value_name = "NAME", default_value = "vector")]
    input_vector_field: String,
    /// Field of a row that holds its text, where there is one; may be repeated, the texts are joined by one space
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: Vec<String>,
    #[command(flatten)]
    vocabulary: VocabularyArgs,
    /// How many of the most frequent terms are shown
    #[arg(long, value_name = "NUM", default_value = "20")]
    top: usize,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    if !args.input_format.has_fields() {
        let flags = ["--input-vector-field", "--vector-keys", "--text-field"];
        args.given.refuse(&flags, &fields::lacks_fields(args.input_format))?;
    }
    let rows = VectorRows {
        format: args.input_format,
        text_fields: args.text_field.clone(),
        vector_field: args.input_vector_field.clone(),
        keys: args.vector_keys,
    };
    let mut out = Output::stdout();
    let statistics = Statistics::read(&args.files, args.queries.as_deref(), &rows, &args.vocabulary.lazy())?;
    let mut terms = statistics.flops.terms().peekable();
    if args.vector_keys == Keys::Terms
        && terms.peek().is_some()
        && terms.all(is_number)
        && !args.vocabulary.hub.quiet
    {
        complain(format_args!(
            "note: all terms are numbers, as ids are; `--vector-keys ids` takes them for ids"
        ));
    }
    if args.json {
        writeln!(out, "{}", Value::from(statistics_json(&statistics, args.top)))?;
    } else {
        write(&mut out, &statistics, args.top)?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn write(out: &mut Output, statistics: &Statistics, top: usize) -> anyhow::Result<()> {
    print::table(out, &statistics_table(statistics), true)?;
    writeln!(out)?;
    print::table(out, &distribution_table(statistics), true)?;
    let frequent = statistics.flops.most_frequent();
    let expansions = statistics.expansion.most_frequent(top);
    let lists = [
        ("most frequent terms", &frequent[..frequent.len().min(top)], statistics.documents.rows()),
        ("most frequent expansions", &expansions[..], statistics.expansion.rows),
    ];
    for (title, terms, rows) in lists.into_iter().filter(|(_, terms, _)| !terms.is_empty()) {
        writeln!(out, "\n{title}")?;
        print::table(out, &terms_table(terms, rows), true)?;
    }
    Ok(())
}
