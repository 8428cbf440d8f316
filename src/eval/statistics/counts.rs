//! Distributions, in memory that does not grow with the rows.

use std::collections::{BTreeMap, HashMap, HashSet};

/// Bits of an f32 that a bucket of weights leaves out: 2⁻¹¹ of the weight is lost, and 4 MB suffice.
const BITS_LEFT_OUT: u32 = 12;

/// How many terms and which weights rows have.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Rows by their number of terms.
    terms: BTreeMap<usize, u64>,
    /// Weights by the leading bits of their f32, which ascend with the weight. Empty until there is one.
    weights: Vec<u64>,
    sum: f64,
    least: f32,
    most: f32,
}

impl Counts {
    /// Counts a row.
    ///
    /// * `weights`: of its terms, not negative.
    pub fn add(&mut self, weights: impl ExactSizeIterator<Item = f32>) {
        *self.terms.entry(weights.len()).or_default() += 1;
        for weight in weights {
            if self.weights.is_empty() {
                self.weights = vec![0; 1 << (31 - BITS_LEFT_OUT)];
                self.least = weight;
            }
            // Not negative, by how rows are read: the sign is no part of the bucket.
            self.weights[(weight.abs().to_bits() >> BITS_LEFT_OUT) as usize] += 1;
            self.sum += f64::from(weight);
            self.least = self.least.min(weight);
            self.most = self.most.max(weight);
        }
    }

    /// Rows that were counted.
    pub fn rows(&self) -> u64 {
        self.terms.values().sum()
    }

    /// Rows without terms.
    pub fn empty_rows(&self) -> u64 {
        self.terms.get(&0).copied().unwrap_or(0)
    }

    /// Weights of all rows.
    pub fn num_weights(&self) -> u64 {
        self.weights.iter().sum()
    }

    /// Terms of a row, on the mean.
    pub fn mean_terms(&self) -> f64 {
        self.num_weights() as f64 / self.rows().max(1) as f64
    }

    /// The mean share of V terms for which a row has no weight: 1 - mean terms / V, as sentence-transformers'
    /// `SparseEncoder.sparsity` has it.
    pub fn sparsity_ratio(&self, vocab_size: usize) -> f64 {
        1.0 - self.mean_terms() / vocab_size.max(1) as f64
    }

    /// The mean weight; 0 where there is none.
    pub fn mean_weight(&self) -> f64 {
        self.sum / self.num_weights().max(1) as f64
    }

    /// The least weight.
    pub fn least_weight(&self) -> f32 {
        self.least
    }

    /// The largest weight.
    pub fn most_weight(&self) -> f32 {
        self.most
    }

    /// The number of terms that `percent` of the rows do not exceed, by nearest rank.
    pub fn terms_percentile(&self, percent: f64) -> usize {
        let counts = self.terms.iter().map(|(terms, count)| (*terms, *count));
        percentile(counts, self.rows(), percent).unwrap_or(0)
    }

    /// The weight that `percent` of the weights do not exceed, by nearest rank, up to 2⁻¹¹ of it too small.
    pub fn weight_percentile(&self, percent: f64) -> f32 {
        let counts = self.weights.iter().enumerate().map(|(bucket, count)| (bucket, *count));
        let Some(bucket) = percentile(counts, self.num_weights(), percent) else { return 0.0 };
        f32::from_bits((bucket as u32) << BITS_LEFT_OUT).clamp(self.least, self.most)
    }

    /// The share of weights that lie below a weight, up to one bucket.
    pub fn share_below(&self, weight: f32) -> f64 {
        let end = ((weight.to_bits() >> BITS_LEFT_OUT) as usize).min(self.weights.len());
        self.weights[..end].iter().sum::<u64>() as f64 / self.num_weights().max(1) as f64
    }

    /// The share of weights that lie above a weight, up to one bucket.
    pub fn share_above(&self, weight: f32) -> f64 {
        if self.most <= weight {
            return 0.0;
        }
        let start = ((weight.to_bits() >> BITS_LEFT_OUT) as usize).min(self.weights.len());
        self.weights[start..].iter().sum::<u64>() as f64 / self.num_weights().max(1) as f64
    }
}

/// The first key at which at least `percent` of `total` have been counted; keys ascend.
fn percentile(counts: impl Iterator<Item = (usize, u64)>, total: u64, percent: f64) -> Option<usize> {
    let rank = ((percent / 100.0 * total as f64).ceil() as u64).max(1);
    let mut so_far = 0;
    for (key, count) in counts {
        so_far += count;
        if so_far >= rank {
            return Some(key);
        }
    }
    None
}

/// Terms that are not among the tokens of their text.
#[derive(Clone, Debug, Default)]
pub struct Expansion {
    /// Rows that have a text.
    pub rows: u64,
    terms: u64,
    weight: f64,
    /// Of those that are expansion.
    expanded_terms: u64,
    expanded_weight: f64,
    /// Rows that have a term as an expansion.
    by_term: HashMap<String, u64>,
}

impl Expansion {
    /// Counts a row that has a text.
    ///
    /// * `own`: the tokens of its text.
    pub fn add(&mut self, terms: &[(String, f32)], own: &HashSet<String>) {
        self.rows += 1;
        for (term, weight) in terms {
            self.terms += 1;
            self.weight += f64::from(*weight);
            if !own.contains(term) {
                self.expanded_terms += 1;
                self.expanded_weight += f64::from(*weight);
                *self.by_term.entry(term.clone()).or_default() += 1;
            }
        }
    }

    /// The share of terms that are expansion, and of weight.
    pub fn shares(&self) -> (f64, f64) {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        (share(self.expanded_terms as f64, self.terms as f64), share(self.expanded_weight, self.weight))
    }

    /// Expansions by descending number of rows, ties by name.
    pub fn most_frequent(&self, count: usize) -> Vec<(&str, u64)> {
        let mut terms: Vec<(&str, u64)> =
            self.by_term.iter().map(|(term, rows)| (term.as_str(), *rows)).collect();
        terms.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        terms.truncate(count);
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut counts = Counts::default();
        let mut weights = Vec::new();
        for row in 0..200usize {
            let own: Vec<f32> =
                (0..row % 7).map(|place| 0.01 + ((row * 31 + place * 17) % 97) as f32 / 40.0).collect();
            counts.add(own.iter().copied());
            weights.extend(own);
        }
        weights.sort_by(f32::total_cmp);
        let mut terms: Vec<usize> = (0..200).map(|row| row % 7).collect();
        terms.sort_unstable();
        for percent in [1.0, 10.0, 50.0, 90.0, 99.0, 100.0] {
            let rank = |count: usize| (percent / 100.0 * count as f64).ceil() as usize - 1;
            let exact = weights[rank(weights.len())];
            let found = counts.weight_percentile(percent);
            assert!(
                found <= exact && exact - found <= exact / 2048.0,
                "{percent} %: {found}, expected {exact}"
            );
            assert_eq!(counts.terms_percentile(percent), terms[rank(200)], "{percent} %");
        }
        assert_eq!((counts.least_weight(), counts.most_weight()), (weights[0], weights[weights.len() - 1]));
        assert_eq!((counts.rows(), counts.empty_rows()), (200, 29));
        let above = weights.iter().filter(|weight| **weight > 1.0).count() as f64 / weights.len() as f64;
        assert!((counts.share_above(1.0) - above).abs() < 0.02);
        assert!((counts.share_below(1.0) - (1.0 - above)).abs() < 0.02);
    }

    #[test]
    fn nothing_has_zeros() {
        let counts = Counts::default();
        assert_eq!((counts.weight_percentile(50.0), counts.terms_percentile(50.0)), (0.0, 0));
        assert_eq!((counts.share_above(0.0), counts.share_below(1.0)), (0.0, 0.0));
    }
}
