//! `stats`: what a file of vectors is like, and what a store should be told about it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::statistics::{Counts, Statistics, VectorRows};
use neural_sparse::input::json::Keys;
use neural_sparse::input::InputFormat;
use neural_sparse::report::{
    distribution_table, statistics_json, Suggestions, Table, DEFAULT_INGEST_CEILING, DEFAULT_SEARCH_CEILING,
};
use serde_json::Value;

use super::failure::Exit;
use super::output::Output;
use super::vocabulary::VocabularyArgs;
use super::{fields, print};

/// Show what vectors are like: terms a row, weights, FLOPS, frequent terms, expansion, and how to quantize them
///
/// Reads rows {"id", "vector"} as `encode` writes them. Rows with a text besides, from `encode --keep text`, also tell
/// which terms are expansion: not among the text's own tokens.
#[derive(Args)]
pub(super) struct StatsArgs {
    /// Files of vectors, plain, gzip or zstd; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files are
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = fields::vector_formats())]
    input_format: InputFormat,
    /// What the keys of a vector are that is an object
    #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = fields::vector_keys())]
    vector_keys: Keys,
    /// File of query vectors, for FLOPS: the expected number of terms that a query and a row share
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Field of a row that holds its vector
    #[arg(
        long = "input-vector-field",
        alias = "vector-field",
        value_name = "NAME",
        default_value = "vector"
    )]
    vector_field: String,
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
    let rows = VectorRows {
        format: args.input_format,
        text_fields: args.text_field.clone(),
        vector_field: args.vector_field.clone(),
        keys: args.vector_keys,
    };
    let mut out = Output::one_shot(None)?;
    let statistics = Statistics::read(&args.files, args.queries.as_deref(), &rows, &args.vocabulary.lazy())?;
    if args.json {
        writeln!(out, "{}", Value::from(statistics_json(&statistics, args.top)))?;
    } else {
        write(&mut out, &statistics, args.top)?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

fn write(out: &mut Output, statistics: &Statistics, top: usize) -> anyhow::Result<()> {
    write_counts(out, "rows", &statistics.documents, statistics)?;
    if let Some(queries) = &statistics.queries {
        write_counts(out, "queries", queries, statistics)?;
        writeln!(out, "FLOPS                {:.4}", statistics.flops.value())?;
    }
    print::table(out, &distribution_table(statistics), true)?;
    let rows = statistics.documents.rows() as f64;
    let (terms, weight) = statistics.expansion.shares();
    match statistics.expansion.rows {
        0 => {
            writeln!(out, "expansion            not known: no row has a text; `encode --keep text` keeps it")?
        }
        rows => writeln!(
            out,
            "expansion            {:.1} % of the terms, {:.1} % of the weight, of {rows} rows with a text",
            100.0 * terms,
            100.0 * weight
        )?,
    }
    write_suggestions(out, &Suggestions::of(statistics))?;
    let frequent = statistics.flops.most_frequent();
    writeln!(out, "distinct terms       {}", frequent.len())?;
    write_terms(out, "most frequent terms", &frequent[..frequent.len().min(top)], rows)?;
    let expansions = statistics.expansion.most_frequent(top);
    if !expansions.is_empty() {
        write_terms(out, "most frequent expansions", &expansions, statistics.expansion.rows as f64)?;
    }
    Ok(())
}

fn write_counts(
    out: &mut Output,
    what: &str,
    counts: &Counts,
    statistics: &Statistics,
) -> anyhow::Result<()> {
    writeln!(out, "{what:<21}{}, {} of them without terms", counts.rows(), counts.empty_rows())?;
    match &statistics.vocab_size {
        Ok(size) => {
            let ratio = counts.sparsity_ratio(*size);
            writeln!(out, "  sparsity ratio     {ratio:.6} of {size} terms")?;
        }
        Err(reason) => {
            writeln!(out, "  sparsity ratio     not known: {reason}; --model names the vectors' model")?
        }
    }
    Ok(())
}

fn write_suggestions(out: &mut Output, suggestions: &Suggestions) -> anyhow::Result<()> {
    let Suggestions { scale, share_raised, ingest, search } = suggestions;
    writeln!(
        out,
        "8-bit integers       --quantize {scale}; {:.2} % of the weights are below half a step, and become 1",
        100.0 * share_raised
    )?;
    let sides = [
        ("ingest", Some(ingest), DEFAULT_INGEST_CEILING),
        ("search", search.as_ref(), DEFAULT_SEARCH_CEILING),
    ];
    for (side, ceiling, default) in sides {
        match ceiling {
            Some(ceiling) => writeln!(
                out,
                "sparse_vector        quantization_ceiling_{side} {}; the default {default} cuts off {:.2} % of the weights",
                ceiling.value,
                100.0 * ceiling.share_cut_by_default
            )?,
            None => writeln!(
                out,
                "sparse_vector        quantization_ceiling_{side}: name query vectors with --queries"
            )?,
        }
    }
    Ok(())
}

fn write_terms(out: &mut Output, title: &str, terms: &[(&str, u64)], rows: f64) -> anyhow::Result<()> {
    writeln!(out, "{title}")?;
    let mut table = Table::new().text("  term").number("     rows").number("share");
    for (term, count) in terms {
        let share = format!("{:.1} %", 100.0 * *count as f64 / rows);
        table.row(vec![format!("  {term}"), count.to_string(), share]);
    }
    Ok(print::table(out, &table, true)?)
}
