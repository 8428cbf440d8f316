//! A score by the terms that make it.

mod page;
mod pair;

use serde::Serialize;

use crate::{ScoreOverflow, Similarity, SparseEncoder, SparseVector, TermPart};

pub use page::ScorePage;
pub use pair::ScoredPair;

/// A term that takes part in a score. It serialises to an element of `terms` in the JSON that an explained score is
/// printed as.
#[derive(Clone, Debug, Serialize)]
pub struct ScoreTerm<'a> {
    /// Its vocabulary id. Not in the JSON.
    #[serde(skip)]
    pub id: u32,
    /// What the vocabulary calls it.
    pub term: &'a str,
    /// Its weight in the query; for cosine, in the normalised vector.
    pub query: f32,
    /// Its weight in the document; for cosine, in the normalised vector.
    pub document: f32,
    /// What it adds to the total.
    #[serde(flatten)]
    pub part: TermShare,
    /// Its part as a share of the total, from 0 to 1.
    pub share: f32,
}

/// What a term adds to a score, by its name in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TermShare {
    /// To a dot product or a cosine: the product of the two weights.
    Product(f32),
    /// To the square of a euclidean distance: the square of the difference.
    SquaredDifference(f32),
    /// To a manhattan distance: the difference.
    Difference(f32),
}

impl TermShare {
    fn new(similarity: Similarity, part: f32) -> Self {
        match similarity {
            Similarity::Dot | Similarity::Cosine => TermShare::Product(part),
            Similarity::Euclidean => TermShare::SquaredDifference(part),
            Similarity::Manhattan => TermShare::Difference(part),
        }
    }

    /// The number itself.
    pub fn value(self) -> f32 {
        match self {
            TermShare::Product(value)
            | TermShare::SquaredDifference(value)
            | TermShare::Difference(value) => value,
        }
    }
}

impl<'a> ScoreTerm<'a> {
    /// The terms that take part in the score of a query and a document, largest part first, ties by ascending term id.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`] where no f32 holds a part or the total.
    pub fn of_pair(
        encoder: &'a SparseEncoder,
        query: &SparseVector,
        document: &SparseVector,
    ) -> Result<Vec<Self>, ScoreOverflow> {
        let similarity = encoder.similarity();
        let total = similarity.total(query, document)?;
        let term = |TermPart { term: id, query, document, part }: TermPart| {
            // Vectors without a distance have no parts to share.
            let share = if part > 0.0 { part / total } else { 0.0 };
            let term = encoder.tokenizer().term(id).unwrap_or_default();
            ScoreTerm { id, term, query, document, part: TermShare::new(similarity, part), share }
        };
        let mut terms: Vec<ScoreTerm> = similarity.explain(query, document)?.into_iter().map(term).collect();
        // Stable, and the terms come by ascending id.
        terms.sort_by(|a, b| b.part.value().total_cmp(&a.part.value()));
        Ok(terms)
    }
}
