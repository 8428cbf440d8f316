//! How a query and a document are compared: vectors in, one number out, larger for a better match.
//!
//! Knows only vectors; which similarity a model was trained for is in its files. The four functions are those of
//! sentence-transformers' `SparseEncoder.similarity`.

use std::fmt::{self, Display, Formatter};

use crate::sparse::{ScoreOverflow, SparseVector};

/// The function that scores a query against a document.
///
/// With q and d the weights of a term in the query and in the document, 0 where it is absent, and sums over terms:
///
/// ```text
/// dot          Σ q·d
/// cosine       Σ q·d / (√Σ q² · √Σ d²)      0 where either vector is empty
/// euclidean    −√Σ (q − d)²
/// manhattan    −Σ |q − d|
/// ```
///
/// Named as in sentence-transformers' setting `similarity_fn_name`. Distances are negative, so that the largest score
/// is the best in all four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Similarity {
    /// The dot product, which is sentence-transformers' default for sparse models.
    #[default]
    Dot,
    /// The cosine of the angle between the vectors: the dot product of both divided by their lengths.
    Cosine,
    /// The negative euclidean distance.
    Euclidean,
    /// The negative sum of the absolute differences.
    Manhattan,
}

/// What one term has to do with a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermPart {
    /// The vocabulary id.
    pub term: u32,
    /// Its weight in the query, 0 if it is absent; for [`Similarity::Cosine`] that of the normalised vector.
    pub query: f32,
    /// The same in the document.
    pub document: f32,
    /// What it adds to [`Similarity::total`]; never negative.
    pub part: f32,
}

impl Similarity {
    /// All of them.
    pub const ALL: [Similarity; 4] =
        [Similarity::Dot, Similarity::Cosine, Similarity::Euclidean, Similarity::Manhattan];

    /// `dot`, `cosine`, `euclidean` or `manhattan`.
    pub fn name(self) -> &'static str {
        match self {
            Similarity::Dot => "dot",
            Similarity::Cosine => "cosine",
            Similarity::Euclidean => "euclidean",
            Similarity::Manhattan => "manhattan",
        }
    }

    /// The similarity of this name, spelled exactly so, as sentence-transformers wants it.
    pub fn named(name: &str) -> Option<Similarity> {
        Similarity::ALL.into_iter().find(|similarity| similarity.name() == name)
    }

    /// The score of a document for a query; the larger, the better.
    ///
    /// Computed in f64 over the terms by ascending id and rounded once, so the result depends on nothing but the two
    /// vectors, and both orders of them give the same.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`] where no f32 holds it.
    pub fn score(self, query: &SparseVector, document: &SparseVector) -> Result<f32, ScoreOverflow> {
        let sum = self.sum(query, document);
        ScoreOverflow::check(match self {
            Similarity::Dot | Similarity::Cosine => sum,
            // From 0: the distance of equal vectors is 0, not -0.
            Similarity::Euclidean => 0.0 - sum.sqrt(),
            Similarity::Manhattan => 0.0 - sum,
        })
    }

    /// The sum of the terms' parts, from which the score is made: the score itself for dot and cosine, the squared
    /// distance for euclidean, the distance for manhattan.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`]; a squared distance overflows long before the distance does.
    pub fn total(self, query: &SparseVector, document: &SparseVector) -> Result<f32, ScoreOverflow> {
        ScoreOverflow::check(self.sum(query, document))
    }

    /// What each term adds to [`Similarity::total`], by ascending id: q·d for the terms that both vectors have, for
    /// cosine of the normalised vectors; (q − d)² or |q − d| for the terms that either has.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`] where no f32 holds a part.
    pub fn explain(
        self,
        query: &SparseVector,
        document: &SparseVector,
    ) -> Result<Vec<TermPart>, ScoreOverflow> {
        let (lengths, entries) = match self {
            Similarity::Dot => ([1.0, 1.0], query.intersection(document)),
            Similarity::Cosine => ([query.norm(), document.norm()], query.intersection(document)),
            Similarity::Euclidean | Similarity::Manhattan => ([1.0, 1.0], query.union(document)),
        };
        let part = |(term, query, document): (u32, f32, f32)| {
            let (query, document) = (f64::from(query) / lengths[0], f64::from(document) / lengths[1]);
            let part = ScoreOverflow::check(self.part(query, document))?;
            Ok(TermPart { term, query: query as f32, document: document as f32, part })
        };
        entries.into_iter().map(part).collect()
    }

    /// Whether the score is the dot product of two vectors that can be prepared one without the other, which is what an
    /// inverted index computes.
    pub fn is_dot_of_prepared(self) -> bool {
        matches!(self, Similarity::Dot | Similarity::Cosine)
    }

    /// The vector as a store of dot products needs it: normalised for cosine, as it is otherwise.
    ///
    /// The dot product of two prepared vectors is the score to 1e-6 of it, where [`Similarity::is_dot_of_prepared`].
    pub fn prepared(self, vector: SparseVector) -> SparseVector {
        match self {
            Similarity::Cosine => vector.normalized(),
            Similarity::Dot | Similarity::Euclidean | Similarity::Manhattan => vector,
        }
    }

    fn sum(self, query: &SparseVector, document: &SparseVector) -> f64 {
        let parts = |entries: Vec<(u32, f32, f32)>| {
            let part = |(_, query, document)| self.part(f64::from(query), f64::from(document));
            // Not `sum`: that of nothing is -0.
            entries.into_iter().map(part).fold(0.0, |sum, part| sum + part)
        };
        match self {
            Similarity::Dot => parts(query.intersection(document)),
            // One division, so that a vector's cosine with itself is 1.
            Similarity::Cosine => {
                let products = parts(query.intersection(document));
                if products > 0.0 {
                    products / (query.norm() * document.norm())
                } else {
                    0.0
                }
            }
            Similarity::Euclidean | Similarity::Manhattan => parts(query.union(document)),
        }
    }

    fn part(self, query: f64, document: f64) -> f64 {
        match self {
            Similarity::Dot | Similarity::Cosine => query * document,
            Similarity::Euclidean => (query - document) * (query - document),
            Similarity::Manhattan => (query - document).abs(),
        }
    }
}

impl Display for Similarity {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(pairs: &[(u32, f32)]) -> SparseVector {
        SparseVector::from_pairs(pairs.to_vec()).expect("distinct and finite")
    }

    // Worked out by hand: q = (3, 0, 4), d = (0, 12, 5).
    #[test]
    fn each_similarity_follows_its_formula() {
        let (query, document) = (vector(&[(0, 3.0), (2, 4.0)]), vector(&[(1, 12.0), (2, 5.0)]));
        let scores = Similarity::ALL.map(|similarity| similarity.score(&query, &document));
        assert_eq!(scores, [20.0, 20.0 / 65.0, -(154.0f32.sqrt()), -16.0].map(Ok));
        assert_eq!(Similarity::ALL.map(|similarity| similarity.score(&document, &query)), scores);
        let totals = Similarity::ALL.map(|similarity| similarity.total(&query, &document));
        assert_eq!(totals, [20.0, 20.0 / 65.0, 154.0, 16.0].map(Ok));
    }

    #[test]
    fn an_empty_vector_scores_0_or_its_distance_from_0() {
        let (empty, other) = (SparseVector::default(), vector(&[(0, 3.0), (2, 4.0)]));
        assert_eq!(
            Similarity::ALL.map(|similarity| similarity.score(&empty, &other)),
            [0.0, 0.0, -5.0, -7.0].map(Ok)
        );
        let nothing = Similarity::ALL.map(|similarity| similarity.score(&empty, &empty));
        assert_eq!(nothing, [Ok(0.0); 4]);
        assert!(nothing.iter().all(|score| score.is_ok_and(f32::is_sign_positive)), "0, not -0");
    }

    #[test]
    fn equal_vectors_score_best() {
        let vector = vector(&[(1, 0.3), (2, 1.7), (9, 0.01)]);
        let scores = Similarity::ALL.map(|similarity| similarity.score(&vector, &vector));
        assert_eq!(scores[1..], [1.0, 0.0, 0.0].map(Ok));
    }

    #[test]
    fn the_largest_and_smallest_weights_have_a_cosine() {
        for weight in [f32::MAX, 1e-45] {
            let (query, document) = (vector(&[(0, weight), (1, weight)]), vector(&[(0, weight)]));
            assert_eq!(Similarity::Cosine.score(&query, &document), Ok(std::f32::consts::FRAC_1_SQRT_2));
        }
    }

    #[test]
    fn parts_add_up_to_the_total() {
        let query = vector(&[(0, 0.5), (3, 1.25), (4, 2.0), (9, 0.1)]);
        let document = vector(&[(3, 1.0), (4, 0.7), (7, 0.3), (9, 0.1)]);
        for (similarity, terms) in Similarity::ALL.into_iter().zip([3, 3, 5, 5]) {
            let parts = similarity.explain(&query, &document).expect("small");
            assert_eq!(parts.len(), terms);
            assert!(parts.is_sorted_by_key(|part| part.term));
            let sum: f32 = parts.iter().map(|part| part.part).sum();
            let total = similarity.total(&query, &document).expect("small");
            assert!((sum - total).abs() < 1e-6, "{similarity}: {sum}");
        }
        let normalized = [query.normalized(), document.normalized()];
        for part in Similarity::Cosine.explain(&query, &document).expect("small") {
            let shared = normalized[0].intersection(&normalized[1]);
            assert!(shared.contains(&(part.term, part.query, part.document)));
        }
    }

    #[test]
    fn prepared_vectors_have_the_score_as_their_dot_product() {
        let (query, document) = (vector(&[(0, 3.0), (2, 4.0)]), vector(&[(1, 12.0), (2, 5.0)]));
        for similarity in Similarity::ALL.into_iter().filter(|similarity| similarity.is_dot_of_prepared()) {
            let prepared = [&query, &document].map(|vector| similarity.prepared(vector.clone()));
            let found = prepared[0].dot(&prepared[1]).expect("small");
            let score = similarity.score(&query, &document).expect("small");
            assert!((found - score).abs() <= 1e-6 * score, "{similarity}: {found} {score}");
        }
    }

    #[test]
    fn a_score_or_a_part_that_no_f32_holds_is_an_error() {
        let (large, other) = (vector(&[(0, 3e38), (1, 3e38)]), vector(&[(2, 3e38)]));
        assert_eq!(Similarity::Dot.score(&large, &large), Err(ScoreOverflow));
        assert_eq!(Similarity::Dot.explain(&large, &large), Err(ScoreOverflow));
        let cosine = Similarity::Cosine.score(&large, &large).expect("at most 1");
        assert!((cosine - 1.0).abs() < 1e-6);
        for distance in [Similarity::Euclidean, Similarity::Manhattan] {
            assert_eq!(distance.score(&large, &other), Err(ScoreOverflow), "{distance}");
        }
        // A distance that an f32 holds, and its square that none does.
        let (near, empty) = (vector(&[(0, 1e30)]), SparseVector::default());
        assert_eq!(Similarity::Euclidean.score(&near, &empty), Ok(-1e30));
        assert_eq!(Similarity::Euclidean.total(&near, &empty), Err(ScoreOverflow));
        assert_eq!(Similarity::Euclidean.explain(&near, &empty), Err(ScoreOverflow));
    }

    #[test]
    fn names_come_back_and_are_exact() {
        assert!(Similarity::ALL
            .iter()
            .all(|similarity| Similarity::named(similarity.name()) == Some(*similarity)));
        for name in ["", "Dot", "cos_sim", "maxsim", "dot "] {
            assert_eq!(Similarity::named(name), None, "{name}");
        }
    }
}
