//! The terms of a collection by ascending bytes, where no vocabulary numbers them.

use std::collections::HashMap;
use std::io;

use super::assembly::{Collected, CollectedRows};
use crate::sparse::SparseVector;

/// All terms that any document has, each with its place among them.
#[derive(Default)]
pub(super) struct CollectionTerms {
    /// By ascending bytes.
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl CollectionTerms {
    /// Gathers the terms of the rows that were collected; `also` sees each row.
    pub fn read(rows: &CollectedRows, mut also: impl FnMut(&Collected)) -> io::Result<Self> {
        let mut numbers = HashMap::new();
        rows.each(|row| {
            for name in names(row) {
                if !numbers.contains_key(name) {
                    numbers.insert(name.to_string(), 0);
                }
            }
            also(row);
            Ok(())
        })?;
        let mut names: Vec<String> = numbers.keys().cloned().collect();
        names.sort_unstable();
        for (number, name) in (0..).zip(&names) {
            numbers.insert(name.clone(), number);
        }
        Ok(CollectionTerms { names, numbers })
    }

    /// The terms, by ascending bytes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The vector of a row over these terms.
    pub fn vector(&self, row: &Collected) -> SparseVector {
        let numbers = names(row).map(|name| self.numbers[name]);
        let pairs = numbers.zip(row.vector.weights().iter().copied()).collect();
        SparseVector::from_pairs(pairs).expect("distinct terms, anything else is a bug")
    }
}

/// The names of a row's terms, by ascending id.
fn names(row: &Collected) -> impl Iterator<Item = &str> {
    row.names.split_terminator('\0')
}
