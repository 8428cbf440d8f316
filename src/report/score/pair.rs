//! A query and a document, their score, and the terms that make it.

use serde::Serialize;

use super::ScoreTerm;
use crate::encoder::SparseEncoder;
use crate::report::Table;
use crate::similarity::Similarity;
use crate::sparse::SparseVector;
use crate::ScoreOverflow;

/// A document and how well it matches a query. It serialises to the JSON that a score is printed as.
#[derive(Clone, Debug, Serialize)]
pub struct ScoredPair<'a> {
    /// The text of the query.
    pub query: &'a str,
    /// The text of the document.
    pub document: &'a str,
    /// Their score; the larger, the better.
    pub score: f32,
    /// Name of the similarity that the score is of.
    pub similarity: &'static str,
    /// The terms that make it, where they are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<Vec<ScoreTerm<'a>>>,
    /// What the parts of the terms add up to.
    #[serde(skip)]
    total: f32,
}

impl<'a> ScoredPair<'a> {
    /// Scores a pair by the similarity of the encoder's model.
    ///
    /// * `texts`, `vectors`: of the query and the document.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`] where the score is beyond an f32.
    pub fn new(
        encoder: &'a SparseEncoder,
        texts: (&'a str, &'a str),
        vectors: (&SparseVector, &SparseVector),
        has_terms: bool,
    ) -> Result<Self, ScoreOverflow> {
        let similarity = encoder.similarity();
        let terms = has_terms.then(|| ScoreTerm::of_pair(encoder, vectors.0, vectors.1)).transpose()?;
        Ok(ScoredPair {
            query: texts.0,
            document: texts.1,
            score: similarity.score(vectors.0, vectors.1)?,
            similarity: similarity.name(),
            terms,
            total: if has_terms { similarity.total(vectors.0, vectors.1)? } else { 0.0 },
        })
    }

    /// The terms, what they add up to, and for a distance the score that is made of that; `None` without terms.
    pub fn table(&self) -> Option<Table> {
        let (column, is_score) = match Similarity::named(self.similarity) {
            Some(Similarity::Euclidean) => ("(q-d)^2", false),
            Some(Similarity::Manhattan) => ("|q-d|", false),
            _ => ("product", true),
        };
        let mut table = Table::new().text("term").number("   query").number("document");
        table = table.number(format!("{column:>8}")).number(" share");
        for ScoreTerm { term, query, document, part, share, .. } in self.terms.as_ref()? {
            let weights = [*query, *document, part.value()].map(|weight| format!("{weight:.4}"));
            let share = format!("{:.1}%", share * 100.0);
            table.row([vec![term.to_string()], weights.to_vec(), vec![share]].concat());
        }
        let sum =
            |name: &str, value: f32| [name, "", "", &format!("{value:.4}"), ""].map(String::from).to_vec();
        table.row(sum("total", self.total));
        if !is_score {
            table.row(sum("score", self.score));
        }
        Some(table)
    }
}
