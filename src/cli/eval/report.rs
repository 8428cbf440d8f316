//! What an evaluation found, as a table and as JSON.

use std::io::Write;

use serde_json::{Map, Value};

use super::measures::by_name;
use crate::cli::output::Output;

/// A model on a collection.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    /// The collection's folder.
    pub data: String,
    pub model: String,
    /// The mean of each measure over all judged queries.
    pub means: Vec<f64>,
    pub flops: f64,
    /// Mean terms of a judged query, and of a document.
    pub query_terms: f64,
    pub document_terms: f64,
    /// The share of the vocabulary that a vector has no weight for: 1 - terms / V, as sentence-transformers' `sparsity_ratio`.
    pub query_sparsity: f64,
    pub document_sparsity: f64,
    pub index_bytes: f64,
    /// Postings of a query's terms, and queries answered a second.
    pub query_postings: f64,
    pub queries_per_second: f64,
    /// Judged queries, and how many of them have hits.
    pub num_queries: usize,
    pub num_answered: usize,
    pub num_documents: u32,
}

type Column = (&'static str, &'static str, usize, fn(&Evaluated) -> f64);

/// What is reported beside the figures: its name in JSON and in the table, its decimals there, and where it is from.
const COLUMNS: [Column; 10] = [
    ("queries", "judged", 0, |found| found.num_queries as f64),
    ("answered", "answered", 0, |found| found.num_answered as f64),
    ("flops", "FLOPS", 4, |found| found.flops),
    ("query_terms", "query terms", 2, |found| found.query_terms),
    ("document_terms", "document terms", 2, |found| found.document_terms),
    ("query_sparsity_ratio", "query sparsity", 5, |found| found.query_sparsity),
    ("document_sparsity_ratio", "document sparsity", 5, |found| found.document_sparsity),
    ("index_bytes", "index bytes", 0, |found| found.index_bytes),
    ("query_postings", "postings/query", 0, |found| found.query_postings),
    ("queries_per_second", "queries/s", 0, |found| found.queries_per_second),
];

/// An evaluation as an object, its means by these names.
pub(super) fn json(found: &Evaluated, names: &[String]) -> Map<String, Value> {
    let mut report = by_name(names, &found.means);
    report.extend(COLUMNS.iter().map(|(name, _, _, value)| (name.to_string(), value(found).into())));
    report.insert("data".into(), found.data.clone().into());
    report.insert("model".into(), found.model.clone().into());
    report.insert("queries".into(), found.num_queries.into());
    report.insert("answered".into(), found.num_answered.into());
    report.insert("documents".into(), found.num_documents.into());
    report
}

/// Writes a line for each collection, and the average of several.
pub(super) fn write(
    out: &mut Output,
    all: &[Evaluated],
    names: &[String],
    as_json: bool,
) -> anyhow::Result<()> {
    let average = (all.len() > 1).then(|| average(all));
    let rows: Vec<&Evaluated> = all.iter().chain(&average).collect();
    if as_json {
        for found in rows {
            writeln!(out, "{}", Value::from(json(found, names)))?;
        }
        return Ok(());
    }
    let titles = [vec!["data".into()], titles(names)].concat();
    let row = |found: &&Evaluated| [vec![found.data.clone()], cells(found)].concat();
    write_table(out, titles, rows.iter().map(row).collect())
}

/// What stands over the columns of an evaluation.
pub(super) fn titles(names: &[String]) -> Vec<String> {
    let columns = COLUMNS.iter().map(|(_, title, _, _)| title.to_string());
    names.iter().cloned().chain(columns).collect()
}

/// The columns of an evaluation.
pub(super) fn cells(found: &Evaluated) -> Vec<String> {
    let means = found.means.iter().map(|mean| format!("{mean:.5}"));
    let columns = COLUMNS.iter().map(|(_, _, decimals, value)| format!("{:.decimals$}", value(found)));
    means.chain(columns).collect()
}

/// Writes columns under their titles, numbers to the right.
pub(super) fn write_table(
    out: &mut Output,
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    for row in [&titles].into_iter().chain(&rows) {
        write!(out, "{:<width$}", row[0], width = widths[0])?;
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(out, "  {cell:>width$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The mean of each column: each collection counts once, however many queries it has.
pub(super) fn average(all: &[Evaluated]) -> Evaluated {
    let count = all.len() as f64;
    let mean = |value: fn(&Evaluated) -> f64| all.iter().map(value).sum::<f64>() / count;
    Evaluated {
        data: "average".into(),
        model: all[0].model.clone(),
        means: (0..all[0].means.len())
            .map(|place| all.iter().map(|found| found.means[place]).sum::<f64>() / count)
            .collect(),
        flops: mean(|found| found.flops),
        query_terms: mean(|found| found.query_terms),
        document_terms: mean(|found| found.document_terms),
        query_sparsity: mean(|found| found.query_sparsity),
        document_sparsity: mean(|found| found.document_sparsity),
        index_bytes: mean(|found| found.index_bytes),
        query_postings: mean(|found| found.query_postings),
        queries_per_second: mean(|found| found.queries_per_second),
        num_queries: all.iter().map(|found| found.num_queries).sum(),
        num_answered: all.iter().map(|found| found.num_answered).sum(),
        num_documents: all.iter().map(|found| found.num_documents).sum(),
    }
}
