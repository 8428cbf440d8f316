//! How good a ranking is: judgements, runs, and the figures of trec_eval and BEIR.
//!
//! Depends on nothing. The conventions are trec_eval's, as pytrec_eval applies them: hits are sorted by score, as f32,
//! descending, then by document id, as bytes, descending; ranks that a run states are not used. A document is relevant
//! whose grade is at least 1; one that is not judged, or judged 0 or less, gains nothing. Queries without judgements are
//! left out, as are judged queries that the run does not have; one without hits counts with 0.

mod compare;
mod files;

use std::collections::{BTreeMap, HashMap};

pub use compare::{compare, Comparison};
pub use files::{read_qrels, read_run, write_ranking, write_run, EvalError};

/// Judgements: for each query, the grade of each document that was judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Qrels {
    queries: HashMap<String, HashMap<String, i64>>,
}

/// Rankings: for each query, the documents that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    queries: BTreeMap<String, Vec<RunHit>>,
}

/// A document that a run has for a query.
#[derive(Clone, Debug, PartialEq)]
pub struct RunHit {
    /// Its id.
    pub document: String,
    /// Its score.
    pub score: f32,
}

/// The figures of one query, or their means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// nDCG of the first 10: gain = grade, discount 1 / log2(rank + 1), over that of the best ranking there is.
    pub ndcg_at_10: f64,
    /// Share of the relevant documents that are among the first 100.
    pub recall_at_100: f64,
    /// 1 / rank of the first relevant document, 0 if it is not among the first 10.
    pub mrr_at_10: f64,
    /// Average precision: the mean, over the relevant documents, of the precision at their ranks.
    pub map: f64,
}

impl Qrels {
    /// Adds a judgement; false where the pair was judged otherwise before.
    pub fn insert(&mut self, query: &str, document: &str, grade: i64) -> bool {
        let documents = self.queries.entry(query.to_string()).or_default();
        *documents.entry(document.to_string()).or_insert(grade) == grade
    }

    /// Whether anything was judged for a query.
    pub fn has(&self, query: &str) -> bool {
        self.queries.contains_key(query)
    }

    /// Queries that have judgements.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there are no judgements.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }
}

impl Run {
    /// Adds a query with its hits in any order; `false` where it is there already or a document stands in it twice.
    pub fn insert(&mut self, query: &str, mut hits: Vec<RunHit>) -> bool {
        let by_rank = |a: &RunHit, b: &RunHit| {
            b.score.total_cmp(&a.score).then_with(|| b.document.as_bytes().cmp(a.document.as_bytes()))
        };
        // Both zeros are one score.
        hits.iter_mut().for_each(|hit| hit.score += 0.0);
        hits.sort_by(by_rank);
        let mut documents: Vec<&str> = hits.iter().map(|hit| hit.document.as_str()).collect();
        documents.sort_unstable();
        let is_distinct = documents.windows(2).all(|pair| pair[0] != pair[1]);
        is_distinct && self.queries.insert(query.to_string(), hits).is_none()
    }

    /// The queries by ascending id, with their hits, the best first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[RunHit])> {
        self.queries.iter().map(|(query, hits)| (query.as_str(), hits.as_slice()))
    }

    /// Queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there are no queries.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }
}

/// The figures of each query that is judged and that the run has, by ascending query id.
pub fn evaluate(qrels: &Qrels, run: &Run) -> Vec<(String, Figures)> {
    let judged = run.iter().filter_map(|(query, hits)| Some((query, hits, qrels.queries.get(query)?)));
    judged.map(|(query, hits, grades)| (query.to_string(), figures(hits, grades))).collect()
}

/// The mean of each figure; zeros where there is no query.
pub fn mean(queries: &[(String, Figures)]) -> Figures {
    let count = queries.len().max(1) as f64;
    let mean =
        |figure: fn(&Figures) -> f64| queries.iter().map(|(_, figures)| figure(figures)).sum::<f64>() / count;
    Figures {
        ndcg_at_10: mean(|figures| figures.ndcg_at_10),
        recall_at_100: mean(|figures| figures.recall_at_100),
        mrr_at_10: mean(|figures| figures.mrr_at_10),
        map: mean(|figures| figures.map),
    }
}

/// Sums are in the order of the ranks, as in trec_eval, so that its figures come out to the last bit.
fn figures(hits: &[RunHit], grades: &HashMap<String, i64>) -> Figures {
    let found: Vec<i64> = hits.iter().map(|hit| grades.get(&hit.document).copied().unwrap_or(0)).collect();
    let mut best: Vec<i64> = grades.values().copied().filter(|&grade| grade > 0).collect();
    best.sort_unstable_by_key(|&grade| std::cmp::Reverse(grade));
    let num_relevant = best.len() as f64;
    if best.is_empty() {
        return Figures::default();
    }
    let relevant = |grades: &[i64]| grades.iter().filter(|&&grade| grade > 0).count() as f64;
    let first = found.iter().take(10).position(|&grade| grade > 0);
    let (mut so_far, mut precisions) = (0.0, 0.0);
    for (place, _) in found.iter().enumerate().filter(|(_, &grade)| grade > 0) {
        so_far += 1.0;
        precisions += so_far / (place + 1) as f64;
    }
    Figures {
        ndcg_at_10: discounted_gain(&found, 10) / discounted_gain(&best, 10),
        recall_at_100: relevant(&found[..found.len().min(100)]) / num_relevant,
        mrr_at_10: first.map_or(0.0, |place| 1.0 / (place + 1) as f64),
        map: precisions / num_relevant,
    }
}

/// DCG of the first `count` grades.
fn discounted_gain(grades: &[i64], count: usize) -> f64 {
    let gains = grades.iter().take(count).enumerate().filter(|(_, &grade)| grade > 0);
    gains.map(|(place, &grade)| grade as f64 / ((place + 2) as f64).log2()).fold(0.0, |sum, gain| sum + gain)
}

/// The FLOPS of a model on a collection: Σ over terms of (share of queries that have it) · (share of documents that have
/// it), the expected number of terms that a query and a document share. Source: Paria et al. 2020, as the evaluation of
/// the OpenSearch models computes it.
#[derive(Clone, Debug, Default)]
pub struct Flops {
    num_queries: u64,
    num_documents: u64,
    /// How many queries and documents have each term.
    terms: HashMap<String, (u64, u64)>,
}

impl Flops {
    /// Counts a query's terms.
    pub fn add_query<'t>(&mut self, terms: impl IntoIterator<Item = &'t str>) {
        self.num_queries += 1;
        for term in terms {
            self.counts(term).0 += 1;
        }
    }

    /// Counts a document's terms.
    pub fn add_document<'t>(&mut self, terms: impl IntoIterator<Item = &'t str>) {
        self.num_documents += 1;
        for term in terms {
            self.counts(term).1 += 1;
        }
    }

    /// Counts documents that have a term, where they are known together; see [`Flops::set_documents`].
    pub fn add_document_frequency(&mut self, term: &str, documents: u64) {
        self.counts(term).1 += documents;
    }

    /// Says how many documents there are, where they were not added one by one.
    pub fn set_documents(&mut self, count: u64) {
        self.num_documents = count;
    }

    fn counts(&mut self, term: &str) -> &mut (u64, u64) {
        if !self.terms.contains_key(term) {
            self.terms.insert(term.to_string(), (0, 0));
        }
        self.terms.get_mut(term).expect("just put there, anything else is a bug")
    }

    /// The documents' terms by descending number of documents, ties by name, with that number.
    pub fn most_frequent(&self) -> Vec<(&str, u64)> {
        let counted = self.terms.iter().map(|(term, counts)| (term.as_str(), counts.1));
        let mut terms: Vec<(&str, u64)> = counted.filter(|(_, documents)| *documents > 0).collect();
        terms.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        terms
    }

    /// The figure; 0 without queries or documents.
    pub fn value(&self) -> f64 {
        let (queries, documents) = (self.num_queries.max(1) as f64, self.num_documents.max(1) as f64);
        // In a fixed order, so that the last digits are the same in each run.
        let mut shared: Vec<(u64, u64)> =
            self.terms.values().copied().filter(|counts| counts.0 > 0 && counts.1 > 0).collect();
        shared.sort_unstable();
        shared.iter().map(|&(q, d)| q as f64 / queries * (d as f64 / documents)).sum()
    }
}
