//! The points of a sweep as a table, as JSON, as CSV and as a page.

use std::io::Write;

use neural_sparse::report::{SweepPage, SweepPoint};
use serde_json::{Map, Value};

use super::Point;
use crate::cli::eval::measures::default_names;
use crate::cli::eval::report::{cells, json, titles, write_table};
use crate::cli::output::Output;

/// The smallest index that keeps a share of the quality.
pub(super) type Kept<'a> = Option<(f64, &'a Point)>;

/// Writes a line for each point, and then which one is the smallest that keeps the quality.
pub(super) fn write(out: &mut Output, points: &[Point], kept: Kept, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        for point in points {
            let mut object = object(point);
            object.extend(kept.map(|(_, kept)| ("kept".into(), std::ptr::eq(kept, point).into())));
            writeln!(out, "{}", Value::from(object))?;
        }
        return Ok(());
    }
    write_table(out, all_titles(), points.iter().map(all_cells).collect())?;
    writeln!(out, "\n{}", baseline_sentence(points))?;
    if let Some(kept) = kept {
        writeln!(out, "{}", sentence(points, kept))?;
    }
    Ok(())
}

fn all_titles() -> Vec<String> {
    [vec!["setting".to_string(), "quality".into()], titles(&default_names())].concat()
}

fn all_cells(point: &Point) -> Vec<String> {
    [vec![point.label(), format!("{:.2} %", 100.0 * point.quality)], cells(&point.found)].concat()
}

/// The point that the others are compared with.
fn baseline(points: &[Point]) -> &Point {
    points.iter().find(|point| point.is_baseline).expect("a sweep has one, anything else is a bug")
}

/// What quality is a share of.
fn baseline_sentence(points: &[Point]) -> String {
    let baseline = baseline(points);
    format!("The baseline, 100 %, is {}: nDCG@10 {:.5}.", baseline.label(), baseline.found.means[0])
}

/// What was chosen, and what it saves.
fn sentence(points: &[Point], (share, kept): (f64, &Point)) -> String {
    let baseline = baseline(points);
    let saved = |value: fn(&Point) -> f64| 100.0 * (1.0 - value(kept) / value(baseline));
    format!(
        "At least {} % of nDCG@10: {}. It keeps {:.2} %, with {:.1} % fewer bytes and {:.1} % fewer postings a query.",
        100.0 * share,
        kept.label(),
        100.0 * kept.quality,
        saved(|point| point.found.index_bytes),
        saved(|point| point.found.query_postings),
    )
}

/// A point with its setting, value by value; what does not apply is null.
fn object(point: &Point) -> Map<String, Value> {
    let mut object = json(&point.found, &default_names());
    object.remove("data");
    let (rule, value) = point.rule().unzip();
    object.insert("setting".into(), point.label().into());
    object.insert("prune".into(), rule.into());
    // By its own digits, not those of the f64 next to it.
    object.insert("prune_value".into(), value.and_then(|value| value.to_string().parse::<f64>().ok()).into());
    object.insert("top_k".into(), point.top_k.map(usize::from).into());
    for name in ["max_length", "on_long"] {
        let value = point.encoding.iter().find(|(varied, _)| *varied == name);
        object.insert(name.into(), value.map(|(_, value)| value.clone()).into());
    }
    object.insert("quality".into(), point.quality.into());
    object.insert("baseline".into(), point.is_baseline.into());
    object
}

/// The names in JSON, in the order of the columns of CSV.
const CSV_COLUMNS: [&str; 24] = [
    "setting",
    "prune",
    "prune_value",
    "top_k",
    "max_length",
    "on_long",
    "quality",
    "ndcg@10",
    "mrr@10",
    "recall@100",
    "map",
    "flops",
    "query_terms",
    "document_terms",
    "index_bytes",
    "query_postings",
    "queries_per_second",
    "model",
    "baseline",
    "queries",
    "answered",
    "documents",
    "query_sparsity_ratio",
    "document_sparsity_ratio",
];

pub(super) fn write_csv(out: &mut Output, points: &[Point]) -> anyhow::Result<()> {
    writeln!(out, "{}", CSV_COLUMNS.join(","))?;
    for point in points {
        let object = object(point);
        let cells = CSV_COLUMNS.map(|name| match &object[name] {
            Value::Null => String::new(),
            Value::String(text) => quoted(text),
            value => value.to_string(),
        });
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

/// A cell of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

pub(super) fn write_html(out: &mut Output, data: &str, points: &[Point], kept: Kept) -> anyhow::Result<()> {
    let found = &points[0].found;
    let all = baseline(points).found.means[0];
    let mut levels = vec![(all, "100 %".to_string())];
    levels.extend(kept.map(|(share, _)| (share * all, format!("{} %", 100.0 * share))));
    let page = SweepPage {
        title: format!("Pruning {data}"),
        subtitle: format!(
            "{}: {} queries, {} documents. {}",
            found.model,
            found.num_queries,
            found.num_documents,
            baseline_sentence(points)
        ),
        choice: kept.map(|kept| sentence(points, kept)),
        levels,
        costs: vec!["index, MB", "postings a query, thousands"],
        columns: all_titles(),
        points: points.iter().map(|point| on_page(point, kept)).collect(),
    };
    let objects: Vec<Map<String, Value>> = points.iter().map(object).collect();
    page.write(out, &objects)?;
    Ok(())
}

fn on_page(point: &Point, kept: Kept) -> SweepPoint {
    SweepPoint {
        series: series(point),
        value: value(point),
        label: point.label(),
        quality: point.found.means[0],
        costs: vec![point.found.index_bytes / 1e6, point.found.query_postings / 1e3],
        cells: all_cells(point),
        is_chosen: kept.is_some_and(|(_, kept)| std::ptr::eq(kept, point)),
    }
}

/// What a point has in common with those that only the value of their rule tells apart.
fn series(point: &Point) -> String {
    let mut parts: Vec<String> =
        point.encoding.iter().map(|(name, value)| format!("{name}={value}")).collect();
    match (point.rule(), point.top_k) {
        (Some((rule, _)), None) => parts.push(rule.into()),
        (Some((rule, _)), Some(count)) => parts.push(format!("{rule} top_k={count}")),
        (None, Some(_)) => parts.push("top_k".into()),
        (None, None) => parts.push("all terms".into()),
    }
    parts.join(" ")
}

/// What tells a point from the others of its series.
fn value(point: &Point) -> String {
    match (point.rule(), point.top_k) {
        (Some((_, value)), _) => value.to_string(),
        (None, Some(count)) => count.to_string(),
        (None, None) => "all".into(),
    }
}
