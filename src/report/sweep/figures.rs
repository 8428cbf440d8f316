//! The points of a sweep as a table, as JSON, as CSV and as a page.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::{SweepPage, SweepPoint};
use crate::eval::sweep::{smallest, Point};
use crate::eval::Measure;
use crate::report::evaluation::{cells, evaluation_json, titles};
use crate::report::Table;

/// The points of a sweep, one of them the baseline.
#[derive(Debug)]
pub struct SweepReport<'a> {
    points: &'a [Point],
    baseline: &'a Point,
    /// A share of the quality, and the smallest index that keeps it.
    kept: Option<(f64, &'a Point)>,
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

impl<'a> SweepReport<'a> {
    /// A report of points that have been [compared](crate::eval::sweep::compare); `None` where none is the baseline.
    ///
    /// * `share`: of the baseline's nDCG@10 that the smallest index has to keep, where one is looked for.
    pub fn new(points: &'a [Point], share: Option<f64>) -> Option<Self> {
        let baseline = points.iter().find(|point| point.is_baseline)?;
        let kept = share.and_then(|share| Some((share, smallest(points, share)?)));
        Some(SweepReport { points, baseline, kept })
    }

    /// A row for each point.
    pub fn table(&self) -> Table {
        let table = all_titles().into_iter().skip(1).fold(Table::new().text("setting"), Table::number);
        table.rows(self.points.iter().map(all_cells))
    }

    /// What quality is a share of.
    pub fn baseline_sentence(&self) -> String {
        format!("The baseline, 100 %, is {}: nDCG@10 {:.5}.", self.baseline.label(), self.baseline.gain())
    }

    /// What was chosen, and what it saves, where one was looked for.
    pub fn choice_sentence(&self) -> Option<String> {
        let (share, kept) = self.kept?;
        let saved = |value: fn(&Point) -> f64| 100.0 * (1.0 - value(kept) / value(self.baseline));
        Some(format!(
            "At least {} % of nDCG@10: {}. It keeps {:.2} %, with {:.1} % fewer bytes and {:.1} % fewer postings a query.",
            100.0 * share,
            kept.label(),
            100.0 * kept.quality,
            saved(|point| point.found.index_bytes),
            saved(|point| point.found.query_postings),
        ))
    }

    /// Writes an object for each point, a line each.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        for point in self.points {
            let mut object = object(point);
            object.extend(self.kept.map(|_| ("kept".into(), self.is_kept(point).into())));
            writeln!(out, "{}", Value::from(object))?;
        }
        Ok(())
    }

    /// Writes a line of comma-separated values for each point, below one of titles.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", CSV_COLUMNS.join(","))?;
        for point in self.points {
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

    /// Writes the page.
    ///
    /// * `data`: the names of the collections.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_page(&self, out: &mut impl Write, data: &str) -> io::Result<()> {
        let found = &self.points[0].found;
        let all = self.baseline.gain();
        let mut levels = vec![(all, "100 %".to_string())];
        levels.extend(self.kept.map(|(share, _)| (share * all, format!("{} %", 100.0 * share))));
        let page = SweepPage {
            title: format!("Pruning {data}"),
            subtitle: format!(
                "{}: {} queries, {} documents. {}",
                found.model,
                found.num_queries,
                found.num_documents,
                self.baseline_sentence()
            ),
            choice: self.choice_sentence(),
            levels,
            costs: vec!["index, MB", "postings a query, thousands"],
            columns: all_titles(),
            points: self.points.iter().map(|point| self.on_page(point)).collect(),
        };
        page.write(out, &self.points.iter().map(object).collect::<Vec<_>>())
    }

    fn is_kept(&self, point: &Point) -> bool {
        self.kept.is_some_and(|(_, kept)| std::ptr::eq(kept, point))
    }

    fn on_page(&self, point: &Point) -> SweepPoint {
        SweepPoint {
            series: series(point),
            value: value(point),
            label: point.label(),
            quality: point.gain(),
            costs: vec![point.found.index_bytes / 1e6, point.found.query_postings / 1e3],
            cells: all_cells(point),
            is_chosen: self.is_kept(point),
        }
    }
}

fn default_names() -> Vec<String> {
    Measure::DEFAULT_NAMES.map(String::from).to_vec()
}

fn all_titles() -> Vec<String> {
    [vec!["setting".to_string(), "quality".into()], titles(&default_names())].concat()
}

fn all_cells(point: &Point) -> Vec<String> {
    [vec![point.label(), format!("{:.2} %", 100.0 * point.quality)], cells(&point.found)].concat()
}

/// A point with its setting, value by value; what does not apply is null.
fn object(point: &Point) -> Map<String, Value> {
    let mut object = evaluation_json(&point.found, &default_names());
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

/// A cell of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
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
