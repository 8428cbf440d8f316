//! Weights summed over the tokens of a text.

use crate::conventions::PoolingActivation;

/// The weights of terms summed over tokens, and the token with the largest logit of each.
pub(super) struct Sums {
    activation: PoolingActivation,
    /// f64: hundreds of tokens add up.
    pub weights: Vec<f64>,
    largest: Vec<f32>,
    pub positions: Vec<u32>,
}

impl Sums {
    pub fn new(terms: usize, activation: PoolingActivation) -> Self {
        let (weights, largest) = (vec![0.0; terms], vec![f32::NEG_INFINITY; terms]);
        Sums { activation, weights, largest, positions: vec![0; terms] }
    }

    /// Adds the weights of one token's logits. A logit of NaN or +∞ leaves a sum that is not finite; one of −∞ adds
    /// nothing.
    pub fn add(&mut self, token: u32, logits: &[f32]) {
        for (term, &logit) in logits.iter().enumerate() {
            if logit > self.largest[term] {
                (self.largest[term], self.positions[term]) = (logit, token);
            }
            if logit > 0.0 {
                self.weights[term] += f64::from(self.activation.apply(logit));
            } else if logit.is_nan() {
                self.weights[term] = f64::NAN;
            }
        }
    }
}
