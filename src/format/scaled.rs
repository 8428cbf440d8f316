//! Weights as integers, for the engines that know no others.

use crate::input::RowError;

/// What weights are multiplied by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale(pub f32);

impl Scale {
    /// The integer nearest to the scaled weight, halves away from zero, and at least 1: no term is lost to rounding.
    pub fn integer(self, weight: f32) -> Result<u32, RowError> {
        let scaled = (weight * self.0).round().max(1.0);
        // Beyond, f32 cannot tell two integers apart.
        if scaled > (1 << 24) as f32 {
            let scale = self.0;
            return Err(RowError::new(format!("the weight {weight} times {scale} is more than 16,777,216")));
        }
        Ok(scaled as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_rounded_and_none_becomes_nothing() {
        let integers = [1e-9, 0.004, 0.015, 0.5, 1.0, 2.996].map(|weight| Scale(100.0).integer(weight));
        assert_eq!(integers, [1, 1, 2, 50, 100, 300].map(Ok));
        assert!(Scale(100.0).integer(1e38).is_err());
    }
}
