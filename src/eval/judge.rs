//! A run, judged query by query.

use super::measures::Measure;
use super::{Qrels, Run};

/// The figures of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    measures: Vec<Measure>,
    /// Answered queries in the run's order, then the others in the judgements'.
    queries: Vec<QueryFigures>,
    num_answered: usize,
}

/// The figures of one judged query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryFigures {
    /// Its id.
    pub query: String,
    /// Whether the run has a hit for it; without one, every value is 0.
    pub is_answered: bool,
    /// One for each measure, in their order.
    pub values: Vec<f64>,
}

/// Judges a run: the value of each measure for every judged query, whether or not the run has it.
pub fn evaluate(qrels: &Qrels, run: &Run, measures: &[Measure]) -> Evaluation {
    let mut queries = Vec::with_capacity(qrels.len());
    for (query, hits) in run.iter().filter(|(_, hits)| !hits.is_empty()) {
        if let Some(grades) = qrels.grades(query) {
            let values = measures.iter().map(|measure| measure.value(hits, grades)).collect();
            queries.push(QueryFigures { query: query.to_string(), is_answered: true, values });
        }
    }
    let num_answered = queries.len();
    for query in qrels.queries().filter(|query| run.hits(query).is_none_or(<[_]>::is_empty)) {
        let values = vec![0.0; measures.len()];
        queries.push(QueryFigures { query: query.to_string(), is_answered: false, values });
    }
    Evaluation { measures: measures.to_vec(), queries, num_answered }
}

impl Evaluation {
    /// What the values are of.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Every judged query: first those that the run has hits for, in its order, then the others in the judgements'.
    pub fn queries(&self) -> &[QueryFigures] {
        &self.queries
    }

    /// Queries that have a judgement.
    pub fn num_judged(&self) -> usize {
        self.queries.len()
    }

    /// Judged queries that the run has a hit for.
    pub fn num_answered(&self) -> usize {
        self.num_answered
    }

    /// The mean of each measure over all judged queries, as of `trec_eval -c` and ir_measures; zeros where there is none.
    pub fn means(&self) -> Vec<f64> {
        self.means_of(self.num_judged())
    }

    /// The mean of each measure over the judged queries that have hits, as of trec_eval without `-c`; zeros where there
    /// is none.
    pub fn means_of_answered(&self) -> Vec<f64> {
        self.means_of(self.num_answered)
    }

    /// Sums over the queries, all of which but the first `num_answered` add 0, over `count`.
    fn means_of(&self, count: usize) -> Vec<f64> {
        let sum = |place: usize| self.queries.iter().fold(0.0, |sum, query| sum + query.values[place]);
        (0..self.measures.len()).map(|place| sum(place) / count.max(1) as f64).collect()
    }
}
