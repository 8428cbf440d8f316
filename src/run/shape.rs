//! What is kept of each vector: pruning, the heaviest terms, preparation for dot products, rounding.

use std::num::NonZeroUsize;

use crate::format::{Findings, Format};
use crate::similarity::Similarity;
use crate::sparse::{Prune, SparseVector};
use crate::spec::Dialect;

/// What is kept of each vector, in this order: the terms that a pruning rule keeps, the heaviest of them, prepared for
/// the engine that will compare them, rounded. By default, all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// The rule that drops small weights.
    pub prune: Option<Prune>,
    /// So many of the heaviest terms are kept.
    pub top_k: Option<NonZeroUsize>,
    /// Weights are rounded to so many decimals; a term that becomes 0 is left out.
    pub decimals: Option<u8>,
    /// What vectors are prepared for; the dot product leaves them as they are.
    pub similarity: Similarity,
}

/// A model compares vectors by a distance, which no inverted index and no search engine ranks by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{model}` compares vectors by {similarity} distance, which cannot be ranked by sums of products, as inverted \
     indexes and search engines do"
)]
pub struct UnrankedSimilarity {
    /// The model as the user names it.
    pub model: String,
    /// How it compares vectors.
    pub similarity: Similarity,
}

impl Shape {
    /// The same, pruning as the dialect does.
    pub fn in_dialect(&self, dialect: Dialect) -> Self {
        let prune = match self.prune {
            Some(Prune::MaxRatio(ratio)) if dialect.drops_equal_ratio() => Some(Prune::AboveMaxRatio(ratio)),
            rule => rule,
        };
        Shape { prune, ..self.clone() }
    }

    /// The same for what is written in `format`: see [`Shape::for_dot_products`].
    ///
    /// # Errors
    ///
    /// Those of [`Shape::for_dot_products`], where the format's store compares by dot product.
    pub fn for_format(
        &self,
        format: &dyn Format,
        similarity: Similarity,
        model: &str,
    ) -> Result<Self, UnrankedSimilarity> {
        if format.keeps_raw_weights() {
            return Ok(self.clone());
        }
        self.for_dot_products(similarity, model)
    }

    /// The same for vectors that will be compared by dot product, in an engine or in an index: those of a model that
    /// compares by cosine are normalised, after they are pruned and before they are rounded.
    ///
    /// * `model`: as the user names it.
    ///
    /// # Errors
    ///
    /// [`UnrankedSimilarity`] where the model compares by a distance.
    pub fn for_dot_products(&self, similarity: Similarity, model: &str) -> Result<Self, UnrankedSimilarity> {
        if similarity.is_dot_of_prepared() {
            return Ok(Shape { similarity, ..self.clone() });
        }
        Err(UnrankedSimilarity { model: model.to_string(), similarity })
    }

    /// Says of so many vectors how they differ from the model's.
    pub fn count_normalized(&self, vectors: usize, findings: &mut Findings) {
        if self.similarity == Similarity::Cosine {
            findings.add(
                "vectors normalised: the model compares by cosine, which is the dot product of normalised vectors",
                vectors,
            );
        }
    }

    /// What is kept of a vector.
    pub fn apply(&self, mut vector: SparseVector) -> SparseVector {
        if let Some(rule) = self.prune {
            vector = vector.prune(rule);
        }
        if let Some(count) = self.top_k {
            vector = vector.top_k(count.get());
        }
        vector = self.similarity.prepared(vector);
        match self.decimals {
            Some(decimals) => rounded(&vector, decimals.into()),
            None => vector,
        }
    }
}

/// The weights rounded to so many decimals, each the f32 that is nearest to the decimal number.
fn rounded(vector: &SparseVector, decimals: usize) -> SparseVector {
    let round =
        |weight: f32| format!("{weight:.decimals$}").parse().expect("a printed f32, anything else is a bug");
    let pairs = vector.iter().map(|(id, weight)| (id, round(weight))).collect();
    SparseVector::from_pairs(pairs).expect("the ids of a vector, anything else is a bug")
}
