//! Sparse vectors over a vocabulary: what every text becomes.
//!
//! Depends on nothing; knows neither texts nor terms, only ids and weights.

use std::fmt;
use std::str::FromStr;

/// A sparse vector: for each vocabulary entry that is present, its weight.
///
/// Indices are strictly ascending and below V; weights are f32, finite and
/// greater than 0. A zero is never stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector {
    indices: Vec<u32>,
    weights: Vec<f32>,
}

/// A score, or a part of one, that is larger than an f32 can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the score is beyond the largest 32-bit number, 3.4e38: the weights are too large")]
pub struct ScoreOverflow;

impl ScoreOverflow {
    /// A sum in f64 as the f32 that is nearest to it.
    pub(crate) fn check(sum: f64) -> Result<f32, ScoreOverflow> {
        let rounded = sum as f32;
        if rounded.is_finite() {
            Ok(rounded)
        } else {
            Err(ScoreOverflow)
        }
    }
}

/// A rule that drops the small weights of a vector, as OpenSearch's `sparse_encoding` processor defines it.
///
/// Source: `PruneUtils` of opensearch-project/neural-search; all arithmetic in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prune {
    /// Keeps weights of at least `ratio` times the largest; the ratio is in [0, 1).
    MaxRatio(f32),
    /// Keeps weights above `ratio` times the largest, as the models that opensearch-py-ml traces prune by themselves.
    AboveMaxRatio(f32),
    /// Keeps the heaviest weights while their running sum is at most `ratio` times the total;
    /// the term that crosses is dropped. The ratio is in [0, 1).
    AlphaMass(f32),
    /// Keeps weights of at least this value, which is not negative.
    AbsValue(f32),
}

impl Prune {
    /// The rule as its users name it: `max_ratio`, `alpha_mass` or `abs_value`.
    pub fn name(self) -> &'static str {
        match self {
            Prune::MaxRatio(_) | Prune::AboveMaxRatio(_) => "max_ratio",
            Prune::AlphaMass(_) => "alpha_mass",
            Prune::AbsValue(_) => "abs_value",
        }
    }

    /// The ratio, or the weight.
    pub fn value(self) -> f32 {
        match self {
            Prune::MaxRatio(value)
            | Prune::AboveMaxRatio(value)
            | Prune::AlphaMass(value)
            | Prune::AbsValue(value) => value,
        }
    }
}

/// `max_ratio=0.1`
impl fmt::Display for Prune {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}={}", self.name(), self.value())
    }
}

/// What [`Prune`] is displayed as; its error says in words what is wrong.
impl FromStr for Prune {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULES: &str = "the rules are max_ratio=R, alpha_mass=R and abs_value=W";
        let (rule, number) = text.split_once('=').ok_or(RULES)?;
        let number: f32 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
        let ratio = if (0.0..1.0).contains(&number) {
            Ok(number)
        } else {
            Err(format!("{number} is not a ratio of at least 0 and below 1"))
        };
        match rule {
            "max_ratio" => Ok(Prune::MaxRatio(ratio?)),
            "alpha_mass" => Ok(Prune::AlphaMass(ratio?)),
            "abs_value" if number >= 0.0 && number.is_finite() => Ok(Prune::AbsValue(number)),
            "abs_value" => Err(format!("{number} is not a weight of at least 0")),
            _ => Err(format!("no rule `{rule}`; {RULES}")),
        }
    }
}

impl SparseVector {
    /// Keeps the entries of a dense row that are greater than 0.
    ///
    /// * `row`: (V), f32, finite.
    pub fn from_dense(row: &[f32]) -> Self {
        let mut vector = SparseVector::default();
        for (index, &weight) in row.iter().enumerate() {
            if weight > 0.0 {
                vector.indices.push(index as u32);
                vector.weights.push(weight);
            }
        }
        vector
    }

    /// Builds a vector from (index, weight) pairs in any order; entries that are not greater than 0 are left out.
    ///
    /// Returns `None` when an index occurs twice or a weight is not finite.
    pub fn from_pairs(mut pairs: Vec<(u32, f32)>) -> Option<Self> {
        pairs.sort_unstable_by_key(|&(index, _)| index);
        let unique = pairs.windows(2).all(|pair| pair[0].0 != pair[1].0);
        let finite = pairs.iter().all(|(_, weight)| weight.is_finite());
        pairs.retain(|&(_, weight)| weight > 0.0);
        (unique && finite).then(|| Self::from_distinct(pairs))
    }

    /// The vocabulary ids, strictly ascending.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The weights, in the order of [`SparseVector::indices`].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Number of terms.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether no term is present.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The weight of an index; 0 where it is absent.
    pub fn weight(&self, index: u32) -> f32 {
        self.indices.binary_search(&index).map_or(0.0, |place| self.weights[place])
    }

    /// (index, weight) pairs by ascending index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, f32)> + '_ {
        self.indices.iter().copied().zip(self.weights.iter().copied())
    }

    /// (index, weight) pairs, heaviest first, ties by ascending index.
    pub fn heaviest_first(&self) -> Vec<(u32, f32)> {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        pairs
    }

    /// The shared terms of two vectors, as (index, weight here, weight there) by ascending index.
    pub fn intersection(&self, other: &SparseVector) -> Vec<(u32, f32, f32)> {
        let mut shared = Vec::new();
        let (mut here, mut there) = (0, 0);
        while here < self.len() && there < other.len() {
            match self.indices[here].cmp(&other.indices[there]) {
                std::cmp::Ordering::Less => here += 1,
                std::cmp::Ordering::Greater => there += 1,
                std::cmp::Ordering::Equal => {
                    shared.push((self.indices[here], self.weights[here], other.weights[there]));
                    here += 1;
                    there += 1;
                }
            }
        }
        shared
    }

    /// The dot product: the score of a query and a document, unless their model names another
    /// [`Similarity`](crate::Similarity).
    ///
    /// Products are exact in f64, summed there by ascending index and rounded
    /// once, so the result depends on nothing but the two vectors.
    ///
    /// # Errors
    ///
    /// [`ScoreOverflow`] where the rounded sum is infinite.
    pub fn dot(&self, other: &SparseVector) -> Result<f32, ScoreOverflow> {
        let product = |&(_, a, b): &(u32, f32, f32)| f64::from(a) * f64::from(b);
        // Not `sum`: that of nothing is -0.
        let sum = self.intersection(other).iter().map(product).fold(0.0, |sum, product| sum + product);
        ScoreOverflow::check(sum)
    }

    /// The terms of either vector, as (index, weight here, weight there) by ascending index; an absent term weighs 0.
    pub fn union(&self, other: &SparseVector) -> Vec<(u32, f32, f32)> {
        let mut all = Vec::with_capacity(self.len().max(other.len()));
        let (mut here, mut there) = (self.iter().peekable(), other.iter().peekable());
        loop {
            match (here.peek().copied(), there.peek().copied()) {
                (Some((a, left)), Some((b, right))) if a == b => {
                    all.push((a, left, right));
                    here.next();
                    there.next();
                }
                (Some((a, left)), other) if other.is_none_or(|(b, _)| a < b) => {
                    all.push((a, left, 0.0));
                    here.next();
                }
                (_, Some((b, right))) => {
                    all.push((b, 0.0, right));
                    there.next();
                }
                _ => return all,
            }
        }
    }

    /// Each term of either vector with the larger of its weights.
    pub fn maximum(&self, other: &SparseVector) -> SparseVector {
        let larger = |(index, left, right): (u32, f32, f32)| (index, left.max(right));
        let (indices, weights) = self.union(other).into_iter().map(larger).unzip();
        SparseVector { indices, weights }
    }

    /// The length of the vector: the root of the sum of its squared weights.
    ///
    /// Squares are exact in f64, summed there by ascending index. No finite weights overflow it, and only an empty
    /// vector has norm 0.
    pub fn norm(&self) -> f64 {
        // Not `sum`: that of nothing is -0.
        self.weights.iter().fold(0.0, |sum, &weight| sum + f64::from(weight) * f64::from(weight)).sqrt()
    }

    /// The vector divided by its [`SparseVector::norm`], so that its length is 1; an empty vector stays empty.
    ///
    /// Each weight is divided in f64 and rounded once. A weight that is below the smallest f32 then, which takes one
    /// 10^38 times as large beside it, is left out.
    pub fn normalized(&self) -> SparseVector {
        let norm = self.norm();
        let divided = self.iter().map(|(index, weight)| (index, (f64::from(weight) / norm) as f32));
        let (indices, weights) = divided.filter(|(_, weight)| *weight > 0.0).unzip();
        SparseVector { indices, weights }
    }

    /// The `count` heaviest terms, ties by ascending index.
    pub fn top_k(&self, count: usize) -> SparseVector {
        if self.len() <= count {
            return self.clone();
        }
        Self::from_distinct(self.heaviest_first().into_iter().take(count).collect())
    }

    /// What `rule` keeps. [`Prune::AlphaMass`] may keep nothing.
    pub fn prune(&self, rule: Prune) -> SparseVector {
        match rule {
            Prune::AbsValue(least) => self.at_least(least),
            Prune::MaxRatio(ratio) => self.at_least(ratio * self.largest()),
            Prune::AboveMaxRatio(ratio) => {
                let line = ratio * self.largest();
                Self::from_distinct(self.iter().filter(|&(_, weight)| weight > line).collect())
            }
            Prune::AlphaMass(ratio) => {
                // The total is summed in f64 and rounded once, the running sum in f32: OpenSearch's order.
                let total = self.weights.iter().map(|&weight| f64::from(weight)).sum::<f64>();
                let heaviest = self.heaviest_first().into_iter();
                if (total as f32).is_infinite() {
                    // In f32, every running sum would be at most an infinite total.
                    let mut running = 0.0f64;
                    let kept = heaviest.take_while(|&(_, weight)| {
                        running += f64::from(weight);
                        running <= f64::from(ratio) * total
                    });
                    return Self::from_distinct(kept.collect());
                }
                let mut running = 0.0f32;
                let kept = heaviest.take_while(|&(_, weight)| {
                    running += weight;
                    running <= ratio * total as f32
                });
                Self::from_distinct(kept.collect())
            }
        }
    }

    fn largest(&self) -> f32 {
        self.weights.iter().copied().fold(0.0, f32::max)
    }

    fn at_least(&self, least: f32) -> SparseVector {
        Self::from_distinct(self.iter().filter(|&(_, weight)| weight >= least).collect())
    }

    /// `pairs`: distinct indices in any order, weights finite and above 0.
    fn from_distinct(mut pairs: Vec<(u32, f32)>) -> SparseVector {
        pairs.sort_unstable_by_key(|&(index, _)| index);
        let (indices, weights) = pairs.into_iter().unzip();
        SparseVector { indices, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(pairs: &[(u32, f32)]) -> SparseVector {
        SparseVector::from_pairs(pairs.to_vec()).expect("distinct and finite")
    }

    #[test]
    fn a_dense_row_keeps_what_is_above_zero() {
        let vector = SparseVector::from_dense(&[0.0, 1.5, -2.0, 0.25]);
        assert_eq!(vector.indices(), [1, 3]);
        assert_eq!(vector.weights(), [1.5, 0.25]);
    }

    #[test]
    fn pairs_are_sorted_and_checked() {
        assert_eq!(vector(&[(9, 1.0), (2, 3.0), (4, 0.0)]).indices(), [2, 9]);
        assert_eq!(SparseVector::from_pairs(vec![(1, 1.0), (1, 2.0)]), None);
        assert_eq!(SparseVector::from_pairs(vec![(1, f32::NAN)]), None);
        assert_eq!(SparseVector::from_pairs(vec![(1, f32::INFINITY)]), None);
    }

    #[test]
    fn heaviest_first_breaks_ties_by_id() {
        assert_eq!(vector(&[(5, 1.0), (3, 1.0), (4, 2.0)]).heaviest_first(), [(4, 2.0), (3, 1.0), (5, 1.0)]);
    }

    #[test]
    fn dot_is_the_sum_of_products_over_shared_terms() {
        let query = vector(&[(1, 2.0), (3, 0.5), (7, 1.0)]);
        let document = vector(&[(0, 9.0), (1, 0.25), (7, 3.0), (8, 9.0)]);
        assert_eq!(query.dot(&document), Ok(3.5));
        assert_eq!(document.dot(&query), Ok(3.5));
        let nothing = query.dot(&SparseVector::default()).expect("finite");
        assert!(nothing.is_sign_positive(), "no shared term is 0, not -0");
    }

    #[test]
    fn a_score_that_no_f32_holds_is_an_error() {
        let large = vector(&[(0, f32::MAX), (1, 1.0)]);
        assert_eq!(large.dot(&vector(&[(0, 1.0)])), Ok(f32::MAX));
        assert_eq!(large.dot(&vector(&[(0, 1.0), (1, 1.0)])), Ok(f32::MAX), "rounded to the nearest");
        assert_eq!(large.dot(&vector(&[(0, 1.001)])), Err(ScoreOverflow));
        assert_eq!(large.dot(&large), Err(ScoreOverflow));
    }

    #[test]
    fn the_maximum_has_every_term_of_both() {
        let (a, b) =
            (vector(&[(1, 2.0), (3, 0.5), (7, 1.0)]), vector(&[(0, 9.0), (3, 0.75), (7, 0.5), (8, 1.0)]));
        let both = vector(&[(0, 9.0), (1, 2.0), (3, 0.75), (7, 1.0), (8, 1.0)]);
        assert_eq!((a.maximum(&b), b.maximum(&a)), (both.clone(), both));
        assert_eq!(a.maximum(&SparseVector::default()), a);
        assert_eq!(SparseVector::default().maximum(&a), a);
    }

    #[test]
    fn the_union_has_0_for_an_absent_term() {
        let (a, b) = (vector(&[(1, 2.0), (3, 0.5)]), vector(&[(0, 9.0), (3, 0.75), (8, 1.0)]));
        assert_eq!(a.union(&b), [(0, 0.0, 9.0), (1, 2.0, 0.0), (3, 0.5, 0.75), (8, 0.0, 1.0)]);
        assert_eq!(a.union(&SparseVector::default()), [(1, 2.0, 0.0), (3, 0.5, 0.0)]);
        assert_eq!(SparseVector::default().union(&SparseVector::default()), []);
    }

    #[test]
    fn a_normalized_vector_has_length_1() {
        assert_eq!(vector(&[(2, 3.0), (7, 4.0)]).normalized(), vector(&[(2, 0.6), (7, 0.8)]));
        assert_eq!(SparseVector::default().normalized(), SparseVector::default());
        // Squares of neither fit an f32.
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for weight in [f32::MAX, 3e38, 1.0, f32::MIN_POSITIVE, 1e-45] {
            let equal = vector(&[(0, weight), (1, weight)]);
            assert_eq!(equal.normalized(), vector(&[(0, half), (1, half)]), "{weight}");
        }
    }

    #[test]
    fn a_weight_that_normalizing_makes_0_is_left_out() {
        let far_apart = vector(&[(0, 1e-45), (1, f32::MAX), (2, 1.0)]);
        let normalized = far_apart.normalized();
        assert_eq!(normalized.indices(), [1, 2]);
        assert!(normalized.weights().iter().all(|weight| *weight > 0.0));
        // The largest weight of V equal ones, far from 0.
        let many = vector(&(0..300_000).map(|id| (id, f32::MAX)).collect::<Vec<_>>()).normalized();
        assert_eq!(many.len(), 300_000);
        assert!((many.norm() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn top_k_keeps_the_heaviest_and_the_lower_id_on_a_tie() {
        let all = vector(&[(1, 1.0), (2, 3.0), (3, 1.0)]);
        assert_eq!(all.top_k(2), vector(&[(1, 1.0), (2, 3.0)]));
        assert_eq!(all.top_k(9), all);
    }

    // The cases and their answers follow the definition in OpenSearch's documentation
    // of `prune_type`, worked out by hand.
    #[test]
    fn pruning_follows_opensearch() {
        let all = vector(&[(1, 4.0), (2, 2.0), (3, 1.0), (4, 1.0)]);
        assert_eq!(all.prune(Prune::MaxRatio(0.5)), vector(&[(1, 4.0), (2, 2.0)]), "at least, not above");
        assert_eq!(all.prune(Prune::AboveMaxRatio(0.5)), vector(&[(1, 4.0)]), "above, not at least");
        assert_eq!(all.prune(Prune::AbsValue(1.0)), all);
        assert_eq!(all.prune(Prune::AbsValue(1.5)).len(), 2);
        assert_eq!(
            all.prune(Prune::AlphaMass(0.75)),
            vector(&[(1, 4.0), (2, 2.0)]),
            "6 of 8 is exactly 0.75"
        );
        assert_eq!(
            all.prune(Prune::AlphaMass(0.4)),
            SparseVector::default(),
            "the first term already crosses"
        );
        assert_eq!(SparseVector::default().prune(Prune::MaxRatio(0.5)), SparseVector::default());
        let large = vector(&[(1, f32::MAX), (2, f32::MAX / 4.0), (3, f32::MAX / 4.0)]);
        assert_eq!(
            large.prune(Prune::AlphaMass(0.75)),
            vector(&[(1, f32::MAX)]),
            "1 of 1.5, then 1.25 of 1.5"
        );
    }
}
