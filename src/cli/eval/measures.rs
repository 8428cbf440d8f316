//! What is measured, and what it is called.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::{parse_measures, Evaluation, Measure, MeasureError};
use serde_json::{Map, Value};

use crate::cli::output::Output;

/// What is measured, and where each query's values go.
#[derive(Args, Clone)]
pub(super) struct MeasureArgs {
    /// What to measure, in ir_measures' names, with commas between: nDCG, AP, RR, R, P, Success or Judged, as in
    /// nDCG@10,R(rel=2)@1000,RR@10,AP [default: nDCG@10,RR@10,R@100,AP, printed as ndcg@10, mrr@10, recall@100 and map]
    #[arg(long, value_name = "LIST", value_parser = parse_list)]
    measures: Option<List>,
    /// Write a line of JSON for each judged query: its id, whether it has hits, and the value of each measure
    #[arg(long, value_name = "FILE")]
    pub per_query: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct List(Vec<Measure>);

fn parse_list(list: &str) -> Result<List, MeasureError> {
    parse_measures(list).map(List)
}

/// The names of the measures that nobody asked for by name.
const DEFAULT_NAMES: [&str; 4] = ["ndcg@10", "mrr@10", "recall@100", "map"];

impl MeasureArgs {
    pub fn measures(&self) -> Vec<Measure> {
        self.measures.as_ref().map_or_else(|| Measure::DEFAULT.to_vec(), |list| list.0.clone())
    }

    /// What the measures are called, in their order.
    pub fn names(&self) -> Vec<String> {
        match &self.measures {
            Some(list) => list.0.iter().map(Measure::to_string).collect(),
            None => default_names(),
        }
    }

    /// Opens the file for each query's values.
    pub fn per_query(&self) -> anyhow::Result<Option<Output>> {
        self.per_query.as_ref().map(|path| Output::one_shot(Some(path))).transpose()
    }
}

/// The names of [`Measure::DEFAULT`].
pub(super) fn default_names() -> Vec<String> {
    DEFAULT_NAMES.map(String::from).to_vec()
}

/// Values by the names of their measures.
pub(super) fn by_name(names: &[String], values: &[f64]) -> Map<String, Value> {
    names.iter().zip(values).map(|(name, value)| (name.clone(), (*value).into())).collect()
}

/// Writes a line for each judged query; `data` is the collection that it is of.
pub(super) fn write_queries(
    out: &mut Output,
    evaluation: &Evaluation,
    names: &[String],
    data: Option<&str>,
) -> anyhow::Result<()> {
    for query in evaluation.queries() {
        let mut line = Map::new();
        line.extend(data.map(|data| ("data".into(), data.into())));
        line.insert("query".into(), query.query.clone().into());
        line.insert("answered".into(), query.is_answered.into());
        line.extend(by_name(names, &query.values));
        writeln!(out, "{}", Value::from(line))?;
    }
    Ok(())
}
