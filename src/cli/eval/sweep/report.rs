//! The points of a sweep as a table, as JSON, as CSV and as a page.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Map, Value};

use super::plot::{self, Axis};
use super::Point;
use crate::cli::eval::report::{cells, json, titles, write_table};
use crate::cli::output::Output;
use crate::cli::page::{self, Escaped, Page};

const STYLE: &str = include_str!("sweep.css");

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
    if let Some(kept) = kept {
        writeln!(out, "\n{}", sentence(points, kept))?;
    }
    Ok(())
}

fn all_titles() -> Vec<String> {
    [vec!["setting".to_string(), "quality".into()], titles()].concat()
}

fn all_cells(point: &Point) -> Vec<String> {
    [vec![point.label(), format!("{:.2} %", 100.0 * point.quality)], cells(&point.found)].concat()
}

/// What was chosen, and what it saves.
fn sentence(points: &[Point], (share, kept): (f64, &Point)) -> String {
    let first = &points[0];
    let saved = |value: fn(&Point) -> f64| 100.0 * (1.0 - value(kept) / value(first));
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
    let mut object = json(&point.found);
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
    object
}

/// The names in JSON, in the order of the columns of CSV.
const CSV_COLUMNS: [&str; 18] = [
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
    let title = format!("Pruning {data}");
    let model = Escaped(&points[0].found.model);
    let (queries, documents) = (points[0].found.num_queries, points[0].found.num_documents);
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"muted\">{model}: {queries} queries, {documents} documents</p>\n",
        Escaped(&title)
    );
    if let Some(kept) = kept {
        writeln!(body, "<p class=\"kept\">{}</p>", Escaped(&sentence(points, kept)))?;
    }
    let axes = [
        Axis { title: "index, MB", value: |point| point.found.index_bytes / 1e6 },
        Axis { title: "postings a query, thousands", value: |point| point.found.query_postings / 1e3 },
    ];
    body.push_str("<div class=\"plots\">\n");
    for axis in axes {
        body.push_str(&plot::svg(points, &axis, kept));
    }
    body.push_str("</div>\n");
    body.push_str(&plot::legend(points));
    body.push_str("<div class=\"wide\"><table>\n<thead><tr>");
    for (column, title) in all_titles().iter().enumerate() {
        let class = if column > 0 { " class=\"number\"" } else { "" };
        write!(body, "<th scope=\"col\"{class}>{}</th>", Escaped(title))?;
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for point in points {
        let is_kept = kept.is_some_and(|(_, kept)| std::ptr::eq(kept, point));
        let class = if is_kept { " class=\"kept\"" } else { "" };
        let cells = all_cells(point);
        write!(body, "<tr{class}><th scope=\"row\">{}</th>", Escaped(&cells[0]))?;
        for cell in &cells[1..] {
            write!(body, "<td class=\"number\">{}</td>", Escaped(cell))?;
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>");
    let objects: Vec<Map<String, Value>> = points.iter().map(object).collect();
    page::write(out, &Page { title: &title, styles: &[STYLE], body: &body, scripts: &[] }, &objects)?;
    Ok(())
}
