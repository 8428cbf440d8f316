//! Judgements in memory.

use std::collections::HashMap;

/// Judgements: for each query, the grade of each document that was judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Qrels {
    /// In the order in which queries were first judged.
    queries: Vec<(String, HashMap<String, i64>)>,
    places: HashMap<String, usize>,
}

impl Qrels {
    /// Adds a judgement; `false` where the pair was judged before, and then nothing is changed.
    pub fn insert(&mut self, query: &str, document: &str, grade: i64) -> bool {
        let place = match self.places.get(query) {
            Some(&place) => place,
            None => {
                self.places.insert(query.to_string(), self.queries.len());
                self.queries.push((query.to_string(), HashMap::new()));
                self.queries.len() - 1
            }
        };
        let documents = &mut self.queries[place].1;
        let is_new = !documents.contains_key(document);
        if is_new {
            documents.insert(document.to_string(), grade);
        }
        is_new
    }

    /// Whether anything was judged for a query.
    pub fn has(&self, query: &str) -> bool {
        self.places.contains_key(query)
    }

    /// The grades of a query's judged documents, where it is judged.
    pub fn grades(&self, query: &str) -> Option<&HashMap<String, i64>> {
        self.places.get(query).map(|&place| &self.queries[place].1)
    }

    /// The judged queries, in the order in which they were first judged.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.queries.iter().map(|(query, _)| query.as_str())
    }

    /// Judged queries.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there are no judgements.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }
}
