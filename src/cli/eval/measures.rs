//! What is measured, and what it is called.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::{parse_measures, Evaluation, Measure, MeasureError};
use neural_sparse::report::per_query_json;

use crate::cli::output::{Files, Output};

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

impl MeasureArgs {
    pub fn measures(&self) -> Vec<Measure> {
        self.measures.as_ref().map_or_else(|| Measure::DEFAULT.to_vec(), |list| list.0.clone())
    }

    /// What the measures are called, in their order.
    pub fn names(&self) -> Vec<String> {
        match &self.measures {
            Some(list) => list.0.iter().map(Measure::to_string).collect(),
            None => Measure::DEFAULT_NAMES.map(String::from).to_vec(),
        }
    }

    /// Opens the file for each query's values.
    pub fn per_query(&self, files: &mut Files) -> anyhow::Result<Option<Output>> {
        let open = |path: &PathBuf| files.results("file of --per-query", Some(path));
        self.per_query.as_ref().map(open).transpose()
    }
}

/// Writes a line for each judged query; `data` is the collection that it is of.
pub(super) fn write_queries(
    out: &mut Output,
    evaluation: &Evaluation,
    names: &[String],
    data: Option<&str>,
) -> anyhow::Result<()> {
    per_query_json(evaluation, names, data).try_for_each(|line| writeln!(out, "{line}")).map_err(Into::into)
}
