//! The FLOPS of sparse vectors.

use std::collections::HashMap;

/// The FLOPS of a model on a collection: Σ over terms of (share of queries that have it) · (share of documents that have
/// it), the expected number of terms that a query and a document share. Source: Paria et al. 2020, as the evaluation of
/// the OpenSearch models computes it, and sentence-transformers' `SparseInformationRetrievalEvaluator` as `avg_flops`: the
/// dot product of the queries' and the documents' mean counts of terms.
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

    /// Every term that a query or a document has, in no order.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.keys().map(String::as_str)
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
