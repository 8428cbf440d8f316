//! What an evaluation found, as a table and as JSON.

use serde_json::{Map, Value};

use super::Table;
use crate::eval::{Evaluated, Evaluation};

type Column = (&'static str, &'static str, usize, fn(&Evaluated) -> Option<f64>);

/// What is reported beside the means: its name in JSON and in the table, its decimals there, and where it is from; `None`
/// where it is not known.
const COLUMNS: [Column; 10] = [
    ("queries", "judged", 0, |found| Some(found.num_queries as f64)),
    ("answered", "answered", 0, |found| Some(found.num_answered as f64)),
    ("flops", "FLOPS", 4, |found| Some(found.flops)),
    ("query_terms", "query terms", 2, |found| Some(found.query_terms)),
    ("document_terms", "document terms", 2, |found| Some(found.document_terms)),
    ("query_sparsity_ratio", "query sparsity", 5, |found| found.query_sparsity),
    ("document_sparsity_ratio", "document sparsity", 5, |found| found.document_sparsity),
    ("index_bytes", "index bytes", 0, |found| Some(found.index_bytes)),
    ("query_postings", "postings/query", 0, |found| Some(found.query_postings)),
    ("queries_per_second", "queries/s", 0, |found| Some(found.queries_per_second)),
];

/// Values by the names of their measures.
pub fn by_name(names: &[String], values: &[f64]) -> Map<String, Value> {
    names.iter().zip(values).map(|(name, value)| (name.clone(), (*value).into())).collect()
}

/// An evaluation as an object.
///
/// * `names`: of the measures whose means it has.
pub fn evaluation_json(found: &Evaluated, names: &[String]) -> Map<String, Value> {
    let mut report = by_name(names, &found.means);
    report.extend(COLUMNS.iter().map(|(name, _, _, value)| (name.to_string(), value(found).into())));
    report.insert("data".into(), found.data.clone().into());
    report.insert("model".into(), found.model.clone().into());
    report.insert("queries".into(), found.num_queries.into());
    report.insert("answered".into(), found.num_answered.into());
    report.insert("documents".into(), found.num_documents.into());
    report
}

/// A row for each evaluation.
///
/// * `names`: of the measures whose means they have.
pub fn evaluation_table(all: &[Evaluated], names: &[String]) -> Table {
    let table = titles(names).into_iter().fold(Table::new().text("data"), Table::number);
    table.rows(all.iter().map(|found| [vec![found.data.clone()], cells(found)].concat()))
}

/// What stands over the columns of an evaluation.
pub(super) fn titles(names: &[String]) -> Vec<String> {
    let columns = COLUMNS.iter().map(|(_, title, _, _)| title.to_string());
    names.iter().cloned().chain(columns).collect()
}

/// The columns of an evaluation.
pub(super) fn cells(found: &Evaluated) -> Vec<String> {
    let means = found.means.iter().map(|mean| format!("{mean:.5}"));
    let columns = COLUMNS.iter().map(|(_, _, decimals, value)| match value(found) {
        Some(value) => format!("{value:.decimals$}"),
        None => "-".to_string(),
    });
    means.chain(columns).collect()
}

/// An object for each judged query: its id, whether it has hits, and the value of each measure.
///
/// * `data`: what they are of, where several are written together.
pub fn per_query_json<'e>(
    evaluation: &'e Evaluation,
    names: &'e [String],
    data: Option<&'e str>,
) -> impl Iterator<Item = Value> + 'e {
    evaluation.queries().iter().map(move |query| {
        let mut line = Map::new();
        line.extend(data.map(|data| ("data".into(), data.into())));
        line.insert("query".into(), query.query.clone().into());
        line.insert("answered".into(), query.is_answered.into());
        line.extend(by_name(names, &query.values));
        line.into()
    })
}

/// The two means of a run that was judged, a row for each measure; see [`Evaluation`].
pub fn judged_table(evaluation: &Evaluation, names: &[String]) -> Table {
    let (means, answered) = (evaluation.means(), evaluation.means_of_answered());
    let mut table = Table::new().text("").number("all judged").number("answered");
    for (name, (mean, answered)) in names.iter().zip(means.iter().zip(&answered)) {
        table.row(vec![name.clone(), format!("{mean:.5}"), format!("{answered:.5}")]);
    }
    let counts = [evaluation.num_judged(), evaluation.num_answered()].map(|count| count.to_string());
    table.row([vec!["queries".to_string()], counts.to_vec()].concat());
    table
}

/// The same as an object.
pub fn judged_json(evaluation: &Evaluation, names: &[String]) -> Map<String, Value> {
    let mut report = by_name(names, &evaluation.means());
    report.insert("queries".into(), evaluation.num_judged().into());
    report.insert("answered".into(), evaluation.num_answered().into());
    report.insert("over_answered".into(), by_name(names, &evaluation.means_of_answered()).into());
    report
}
