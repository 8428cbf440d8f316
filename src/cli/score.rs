//! `score`: how well documents match a query.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::jsonl;
use neural_sparse::{Side, SparseEncoder, SparseVector};
use serde::Serialize;

use super::encode::Tally;
use super::failure::{Exit, UsageError};
use super::output::Output;
use super::rejects::Rejects;
use super::rows::InputArgs;
use super::ModelArgs;

/// Score documents against a query: the dot product of their vectors, one score a line
///
/// With --input, each row {"query", "document"} is written with a field "score" added.
#[derive(Args)]
pub(super) struct ScoreArgs {
    /// The query, then one or more documents
    #[arg(value_names = ["QUERY", "DOCUMENT"], num_args = 0.., conflicts_with = "files")]
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// File to write, compressed where its name ends in .gz or .zst; it appears under its name when it is complete
    /// [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show the shared terms: weight in the query, weight in the document, product, share of the score
    #[arg(long, conflicts_with = "files")]
    explain: bool,
    /// One JSON object a document instead of text
    #[arg(long, conflicts_with = "files")]
    json: bool,
}

/// One scored document.
#[derive(Serialize)]
struct Scored<'a> {
    query: &'a str,
    document: &'a str,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Vec<SharedTerm<'a>>>,
}

/// A term that the query and the document share.
#[derive(Serialize)]
struct SharedTerm<'a> {
    term: &'a str,
    query: f32,
    document: f32,
    product: f32,
    /// Of the score, from 0 to 1.
    share: f32,
}

pub(super) fn run(args: &ScoreArgs) -> anyhow::Result<Exit> {
    if args.input.files.is_empty() && args.texts.len() < 2 {
        return Err(UsageError::with_hint(
            "score needs a query and at least one document",
            "neural-sparse score QUERY DOCUMENT..., or --input FILE with rows {\"query\", \"document\"}",
        )
        .into());
    }
    let encoder = args.model.load()?;
    let mut out = Output::open(args.output.as_deref())?;
    let mut rejects = args.input.open_rejects()?;
    let mut tally = Tally::default();
    if args.input.files.is_empty() {
        score_texts(args, &encoder, &mut out, &mut tally)?;
    } else {
        let mut num_written = 0;
        if let Err(error) = score_rows(args, &encoder, &mut out, &mut rejects, &mut tally, &mut num_written) {
            return Err(error.context(out.stop(num_written)));
        }
    }
    out.finish()?;
    tally.note(&encoder, rejects.num_rejected, args.model.hub.quiet);
    rejects.finish()
}

fn score_texts(
    args: &ScoreArgs,
    encoder: &SparseEncoder,
    out: &mut Output,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (query, documents) = (&args.texts[0], &args.texts[1..]);
    let pairs: Vec<(&str, &str)> =
        documents.iter().map(|document| (query.as_str(), document.as_str())).collect();
    for (index, ((query, document), vectors)) in
        pairs.iter().zip(encode_pairs(encoder, args, &pairs, tally)?).enumerate()
    {
        let score = vectors.0.dot(&vectors.1);
        let terms = args.explain.then(|| shared_terms(encoder, &vectors.0, &vectors.1, score));
        if args.json {
            serde_json::to_writer(&mut *out, &Scored { query, document, score, terms })?;
            out.write_all(b"\n")?;
        } else if let Some(terms) = terms {
            if documents.len() > 1 {
                let gap = if index > 0 { "\n" } else { "" };
                writeln!(out, "{gap}{document}")?;
            }
            write_table(out, &terms, score)?;
        } else {
            jsonl::write_f32(out, score)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

fn score_rows(
    args: &ScoreArgs,
    encoder: &SparseEncoder,
    out: &mut Output,
    rejects: &mut Rejects,
    tally: &mut Tally,
    num_written: &mut usize,
) -> anyhow::Result<()> {
    for window in args.input.windows(jsonl::parse_pair) {
        tally.num_blank += window.num_blank;
        let rows = rejects.up_to_the_last_needed(window.rows);
        let good = rows.iter().filter_map(|(_, pair)| pair.as_ref().ok());
        let pairs: Vec<(&str, &str)> =
            good.map(|(query, document)| (query.as_str(), document.as_str())).collect();
        let mut vectors = encode_pairs(encoder, args, &pairs, tally)?.into_iter();
        for (line, pair) in &rows {
            if let Err(error) = pair {
                rejects.reject(line, error)?;
                continue;
            }
            let (query, document) = vectors.next().expect("every pair was encoded, anything else is a bug");
            jsonl::write_scored(out, &line.bytes, query.dot(&document))?;
            out.end_row()?;
            *num_written += 1;
        }
        out.flush()?;
        if let Some(error) = window.stopped {
            return Err(error);
        }
    }
    Ok(())
}

/// The vectors of each pair; a text that stands in several is encoded once.
fn encode_pairs(
    encoder: &SparseEncoder,
    args: &ScoreArgs,
    pairs: &[(&str, &str)],
    tally: &mut Tally,
) -> anyhow::Result<Vec<(SparseVector, SparseVector)>> {
    let query_side = args.model.side().unwrap_or(Side::Query);
    let document_side = args.model.side().unwrap_or(Side::Document);
    let queries = encode_distinct(encoder, query_side, pairs.iter().map(|pair| pair.0), tally)?;
    let documents = if query_side == document_side || !encoder.sides_differ() {
        let others = pairs.iter().map(|pair| pair.1).filter(|text| !queries.contains_key(text));
        encode_distinct(encoder, document_side, others, tally)?
    } else {
        encode_distinct(encoder, document_side, pairs.iter().map(|pair| pair.1), tally)?
    };
    let document_vector = |text: &str| documents.get(text).or_else(|| queries.get(text));
    let vectors = pairs.iter().map(|&(query, document)| {
        let document = document_vector(document).expect("every text was encoded, anything else is a bug");
        (queries[query].clone(), document.clone())
    });
    Ok(vectors.collect())
}

fn encode_distinct<'t>(
    encoder: &SparseEncoder,
    side: Side,
    texts: impl Iterator<Item = &'t str>,
    tally: &mut Tally,
) -> anyhow::Result<HashMap<&'t str, SparseVector>> {
    let mut distinct: Vec<&str> = texts.collect();
    distinct.sort_unstable();
    distinct.dedup();
    let encoded = encoder.encode(&distinct, side)?;
    encoded.iter().for_each(|encoded| tally.count(encoded));
    Ok(distinct.into_iter().zip(encoded.into_iter().map(|encoded| encoded.vector)).collect())
}

/// The shared terms, largest product first, ties by term id.
fn shared_terms<'e>(
    encoder: &'e SparseEncoder,
    query: &SparseVector,
    document: &SparseVector,
    score: f32,
) -> Vec<SharedTerm<'e>> {
    let term = |(id, query, document): (u32, f32, f32)| {
        let product = query * document;
        let term = encoder.tokenizer().term(id).unwrap_or_default();
        SharedTerm { term, query, document, product, share: product / score }
    };
    let mut terms: Vec<SharedTerm> = query.intersection(document).into_iter().map(term).collect();
    // Stable, and the terms come by ascending id.
    terms.sort_by(|a, b| b.product.total_cmp(&a.product));
    terms
}

fn write_table(out: &mut Output, terms: &[SharedTerm], score: f32) -> std::io::Result<()> {
    let width = terms.iter().map(|term| term.term.chars().count()).max().unwrap_or(0).max("total".len());
    writeln!(out, "{:<width$}  {:>8}  {:>8}  {:>8}  {:>6}", "term", "query", "document", "product", "share")?;
    for SharedTerm { term, query, document, product, share } in terms {
        writeln!(
            out,
            "{term:<width$}  {query:>8.4}  {document:>8.4}  {product:>8.4}  {:>5.1}%",
            share * 100.0
        )?;
    }
    writeln!(out, "{:<width$}  {:>8}  {:>8}  {score:>8.4}", "total", "", "")
}
