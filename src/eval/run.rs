//! Rankings in memory.

use std::collections::{HashMap, HashSet};

/// Rankings: for each query, the documents that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// In the order in which queries were first given hits.
    queries: Vec<(String, Vec<RunHit>)>,
    places: HashMap<String, usize>,
}

/// A document that a run has for a query.
#[derive(Clone, Debug, PartialEq)]
pub struct RunHit {
    /// Its id.
    pub document: String,
    /// Its score, a number.
    pub score: f32,
}

impl Run {
    /// Adds a query with its hits in any order; `false` where it is there already or a document stands in it twice, and
    /// then nothing is changed.
    pub fn insert(&mut self, query: &str, mut hits: Vec<RunHit>) -> bool {
        if self.places.contains_key(query) {
            return false;
        }
        let mut seen = HashSet::with_capacity(hits.len());
        if !hits.iter().all(|hit| seen.insert(hit.document.as_str())) {
            return false;
        }
        // Both zeros are one score.
        hits.iter_mut().for_each(|hit| hit.score += 0.0);
        hits.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| b.document.as_bytes().cmp(a.document.as_bytes()))
        });
        self.places.insert(query.to_string(), self.queries.len());
        self.queries.push((query.to_string(), hits));
        true
    }

    /// The hits of a query, the best first; `None` where the run does not have it.
    pub fn hits(&self, query: &str) -> Option<&[RunHit]> {
        self.places.get(query).map(|&place| self.queries[place].1.as_slice())
    }

    /// The queries in the order in which they were added, with their hits, the best first.
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
