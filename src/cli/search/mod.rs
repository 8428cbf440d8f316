//! `search`: the best documents of an index for each query.

mod model;
mod queries;

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::{write_ranking, RunHit, RUN_TAG};
use neural_sparse::format;
use neural_sparse::index::{search_all, Hit, InvertedIndex, FILE_NAME};
use neural_sparse::input::json::Keys;
use neural_sparse::input::InputFormat;
use neural_sparse::search::{answer_json, rankings, write_hits, Found, Query};
use neural_sparse::SparseVector;

use super::args::{available_threads, vector_keys, Given};
use super::failure::Exit;
use super::fields;
use super::output::{Files, Output};
use super::ModelArgs;

/// Search an index: the best documents for each query, exactly, one a line
///
/// A line is the rank, the score and the id of a document; with several queries, the query's id before them. Ties stand
/// in the order of the documents.
#[derive(Args)]
pub(super) struct SearchArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// The queries; put `--` before one that begins with a dash
    #[arg(value_name = "QUERY", conflicts_with = "queries", required_unless_present = "queries")]
    texts: Vec<String>,
    /// Folder of the index
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// File of queries, plain, gzip or zstd; `-` is standard input. Its name says what it is: .tsv (an id, a tab and a
    /// text), .csv, .parquet or .npz, else objects of JSON, each with an id and a text or a vector
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// What the keys of a query's vector are that is an object
    #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = vector_keys())]
    vector_keys: Keys,
    /// What a row of the queries is [default: what the file's name says]
    #[arg(long, value_name = "FORMAT", value_parser = fields::all_formats())]
    input_format: Option<InputFormat>,
    /// Field of a query that holds text, `query.body` for a field of an object; may be repeated, the texts are joined
    /// by one space
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: Vec<String>,
    /// Field of a query that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME")]
    id_field: Option<String>,
    /// Field of a query that holds its vector, where it does not hold a text
    #[arg(
        long,
        value_name = "NAME",
        default_value = "vector",
        requires = "queries",
        conflicts_with = "texts"
    )]
    vector_field: String,
    #[command(flatten)]
    model: ModelArgs,
    /// Encode the queries with the model, the dialect and the decoder that are named, although the index was made with
    /// others
    #[arg(long)]
    any_model: bool,
    /// How many documents are wanted
    #[arg(long, short, value_name = "NUM", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Show the terms that a query and a document share, with both weights and their product
    #[arg(long)]
    explain: bool,
    /// Show the fields that documents were indexed with
    #[arg(long)]
    fields: bool,
    /// One JSON object a query instead of lines
    #[arg(long)]
    json: bool,
    /// Write the hits to this file as a run of TREC's form, instead of printing them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["explain", "fields", "json"])]
    run: Option<PathBuf>,
}

pub(super) fn run(args: &SearchArgs) -> anyhow::Result<Exit> {
    let index = InvertedIndex::open_folder(&args.index)?;
    let index_file = args.index.join(FILE_NAME);
    let queries = args.queries.as_deref().map(|path| ("the queries", path));
    let mut files = Files::read(queries.into_iter().chain([("the index", &*index_file)]));
    let mut out = files.results("run", args.run.as_deref())?;
    let queries = queries::of(args, &index)?;
    let num_threads = args.model.num_threads().unwrap_or_else(available_threads);
    let vectors: Vec<&SparseVector> = queries.iter().map(|query| &query.vector).collect();
    let answers = search_all(&index, &vectors, args.k as usize, num_threads)?;
    if args.run.is_some() {
        write_run(&mut out, &queries, &rankings(&index, &answers)?)?;
        out.finish()?;
        return Ok(Exit::Done);
    }
    let is_one = args.texts.len() == 1;
    for (query, hits) in queries.iter().zip(answers) {
        let found = |hit: &Hit| Found::new(&index, &query.vector, *hit, args.fields, args.explain);
        let found: Vec<Found> = hits.iter().map(found).collect::<Result<_, _>>()?;
        if args.json {
            writeln!(out, "{}", answer_json(query, &found)?)?;
        } else {
            let query_id = (!is_one).then(|| format::id_text(&query.id));
            write_hits(&mut out, query_id.as_deref(), &found)?;
        }
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Writes the hits as a run, in the order in which they are printed otherwise.
fn write_run(out: &mut Output, queries: &[Query], rankings: &[Vec<RunHit>]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for (query, hits) in queries.iter().zip(rankings) {
        let id = format::id_text(&query.id);
        write_ranking(out, &id, hits, RUN_TAG)?;
        anyhow::ensure!(
            seen.insert(id),
            "two queries have the id {}, and a run cannot tell them apart",
            query.id
        );
    }
    Ok(())
}
