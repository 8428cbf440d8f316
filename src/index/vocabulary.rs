//! The terms of an index in the making: from a model's token ids to places in the order of the file.

use super::BuildError;
use crate::sparse::SparseVector;

/// The terms of a model by ascending bytes, and the place of each id among them.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// By ascending bytes.
    terms: Vec<String>,
    /// Whether a document has the term, by place.
    is_used: Vec<bool>,
    /// (id, place) by ascending id.
    places: Vec<(u32, u32)>,
}

impl Vocabulary {
    /// * `terms`: each term with its id, in any order.
    ///
    /// # Errors
    ///
    /// [`BuildError::DuplicateTerm`] or [`BuildError::DuplicateId`].
    pub fn new<'a>(terms: impl IntoIterator<Item = (u32, &'a str)>) -> Result<Self, BuildError> {
        let mut terms: Vec<(u32, &str)> = terms.into_iter().collect();
        terms.sort_unstable_by(|a, b| a.1.as_bytes().cmp(b.1.as_bytes()));
        if let Some(pair) = terms.windows(2).find(|pair| pair[0].1 == pair[1].1) {
            return Err(BuildError::DuplicateTerm { term: pair[0].1.to_string() });
        }
        let mut places: Vec<(u32, u32)> =
            terms.iter().zip(0..).map(|(&(id, _), place)| (id, place)).collect();
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(BuildError::DuplicateId { id: pair[0].0 });
        }
        let is_used = vec![false; terms.len()];
        Ok(Vocabulary {
            terms: terms.into_iter().map(|(_, term)| term.to_string()).collect(),
            is_used,
            places,
        })
    }

    /// The terms that a document has, by ascending bytes, each with its place.
    pub fn used(&self) -> impl Iterator<Item = (u32, &str)> {
        let terms = (0..).zip(&self.terms).zip(&self.is_used);
        terms.filter(|(_, is_used)| **is_used).map(|((place, term), _)| (place, term.as_str()))
    }

    /// A document's vector as (place, weight) pairs, in the vector's order; its terms count as used.
    ///
    /// # Errors
    ///
    /// [`BuildError::UnknownId`], and none of the terms counts then.
    pub fn renumber(&mut self, vector: &SparseVector) -> Result<Vec<(u32, f32)>, BuildError> {
        let place = |(id, weight)| match self.place(id) {
            Some(place) => Ok((place, weight)),
            None => Err(BuildError::UnknownId { id }),
        };
        let pairs: Vec<(u32, f32)> = vector.iter().map(place).collect::<Result<_, _>>()?;
        for &(place, _) in &pairs {
            self.is_used[place as usize] = true;
        }
        Ok(pairs)
    }

    fn place(&self, id: u32) -> Option<u32> {
        // The ids of most vocabularies are 0 to V - 1.
        match self.places.get(id as usize) {
            Some(&(found, place)) if found == id => Some(place),
            _ => self.places.binary_search_by_key(&id, |pair| pair.0).ok().map(|at| self.places[at].1),
        }
    }
}
