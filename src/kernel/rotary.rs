//! Rotary positions: each pair of a head's elements is rotated by an angle that grows with the token's position.

use super::tile::Tiled;
use super::{InstructionSet, MatMut, Operation};

/// The cosine and sine of every angle, one row for each position.
///
/// The angle of pair i at position p is p · f_i. PyTorch multiplies the two in f32. At thousands of positions the rounding
/// of that product exceeds the tolerance on weights, so the product is rounded to f32 here too.
#[derive(Clone, Debug)]
pub struct Rotations {
    /// (positions, D / 2) each
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// D / 2
    num_pairs: usize,
}

impl Rotations {
    /// * `frequencies`: (D / 2), in radians per position; at least one.
    /// * `positions`: the number of positions, which count from 0.
    pub fn new(frequencies: &[f32], positions: usize) -> Self {
        let angles = (0..positions).flat_map(|position| {
            frequencies.iter().map(move |frequency| f64::from(position as f32 * frequency))
        });
        let (cos, sin) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Rotations { cos, sin, num_pairs: frequencies.len() }
    }

    /// cos and sin of the angles at one position, (D / 2) each.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let row = position * self.num_pairs..(position + 1) * self.num_pairs;
        (&self.cos[row.clone()], &self.sin[row])
    }
}

/// Rotates the pair (i, i + D/2) of every head of row t by its angle at position `first + t`, in place.
///
/// * `x`: (M, A·D), heads side by side.
/// * `first`: the position of the first row in its text.
///
/// Source: RoFormer (arXiv:2104.09864), in the order of halves that GPT-NeoX and transformers use.
///
/// # Panics
///
/// When the columns are not a whole number of heads, or there are more rows than positions.
pub fn rotate(kernel: InstructionSet, x: MatMut, first: usize, rotations: &Rotations) {
    assert!(x.num_columns().is_multiple_of(2 * rotations.num_pairs), "columns of whole heads");
    kernel.run(Rotate { x, first, rotations });
}

struct Rotate<'a> {
    x: MatMut<'a>,
    first: usize,
    rotations: &'a Rotations,
}

impl Operation for Rotate<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(mut self) {
        let half = self.rotations.num_pairs;
        for row in 0..self.x.num_rows() {
            let (cos, sin) = self.rotations.at(self.first + row);
            for head in self.x.row_mut(row).chunks_exact_mut(2 * half) {
                let (a, b) = head.split_at_mut(half);
                for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::{self, assert_close, numbers};

    #[test]
    fn rows_are_turned_as_complex_numbers_are_multiplied() {
        let frequencies = [1.0, 0.3, 0.01, 2e-4, 0.7];
        let rotations = Rotations::new(&frequencies, 8192);
        for kernel in InstructionSet::available() {
            for first in [0, 1, 8000] {
                let mut x = numbers(3 * 20, 5);
                let angles = |row: usize| frequencies.map(|f| f64::from((first + row) as f32 * f));
                let naive: Vec<f64> =
                    (0..3).flat_map(|row| naive::rotated(&x[row * 20..][..20], &angles(row))).collect();
                rotate(kernel, MatMut::new(&mut x, 20), first, &rotations);
                assert_close(&x, &naive, 3e-7, kernel, first);
            }
        }
    }
}
