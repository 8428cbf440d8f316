//! The vocabulary projection. Its products are folded into the maximum over a text's tokens as they are computed.

use std::cell::Cell;
use std::ops::Range;

use super::panels::GemmWeight;
use super::products;
use super::tile::Tiled;
use super::{InstructionSet, MatRef, Operation};

/// One text, and the maxima of its terms.
#[derive(Debug)]
pub struct TextMaxima<'a> {
    /// Which rows of the hidden states are its tokens.
    pub tokens: Range<usize>,
    /// (N): `max_t hidden[t] · weight[v]`.
    pub maxima: &'a mut [f32],
    /// (N), or `None` if not wanted: the position in the text of the first token that has the largest product.
    pub positions: Option<&'a mut [u32]>,
}

/// The largest product of any token of each text with each row of `weight`.
///
/// * `hidden`: (T, K), the tokens of all texts.
/// * `weight`: (N, K), the vocabulary or a range of it.
/// * `texts`: their maxima are overwritten, with −∞ where a text has no token.
///
/// A NaN product makes the maximum NaN, whatever the others are. The (T, N) products are never written; each
/// has the bits that [`linear`](super::linear()) without a bias gives it. Threads share texts by ranges of
/// `weight`.
///
/// # Panics
///
/// When shapes do not fit, or the processor lacks the kernel.
pub fn maximum(kernel: InstructionSet, hidden: MatRef, weight: MatRef, texts: &mut [TextMaxima]) {
    check(hidden, weight, texts);
    kernel.run(Maximum { hidden, weight, texts });
}

/// Panics unless the shapes fit.
pub(super) fn check(hidden: MatRef, weight: MatRef, texts: &[TextMaxima]) {
    assert_eq!(hidden.num_columns(), weight.num_columns(), "the length of the dot product");
    for text in texts {
        assert!(text.tokens.end <= hidden.num_rows(), "tokens {:?} of {}", text.tokens, hidden.num_rows());
        assert_eq!(text.maxima.len(), weight.num_rows(), "the number of maxima");
        assert!(text.positions.as_ref().is_none_or(|positions| positions.len() == weight.num_rows()));
    }
}

struct Maximum<'a, 'b> {
    hidden: MatRef<'a>,
    weight: MatRef<'a>,
    texts: &'a mut [TextMaxima<'b>],
}

thread_local! {
    /// The products of all tokens with the terms of one panel.
    static PRODUCTS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

impl Operation for Maximum<'_, '_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(self) {
        let (hidden, weight) = (self.hidden, self.weight);
        let width = L::COLUMNS;
        let mut memory = PRODUCTS.take();
        let products = products::aligned(&mut memory, hidden.num_rows() * width);
        for column in (0..weight.num_rows()).step_by(width) {
            let columns = column..weight.num_rows().min(column + width);
            let mut pointers = None;
            let source = GemmWeight::Rows(weight);
            let source = source.source(columns.clone(), width, &mut pointers);
            // SAFETY: the instruction set is the caller's obligation; there is room for the products of each row.
            unsafe { products::product::<L>(hidden, source, products.as_mut_ptr(), width) };
            for text in self.texts.iter_mut() {
                let maxima = &mut text.maxima[columns.clone()];
                maxima.fill(f32::NEG_INFINITY);
                let products =
                    products[text.tokens.start * width..text.tokens.end * width].chunks_exact(width);
                match &mut text.positions {
                    None => products.for_each(|products| fold(products, maxima)),
                    Some(positions) => {
                        let positions = &mut positions[columns.clone()];
                        positions.fill(0);
                        for (position, products) in (0..).zip(products) {
                            fold_with_positions(products, position, maxima, positions);
                        }
                    }
                }
            }
        }
        PRODUCTS.set(memory);
    }
}

/// A NaN stays the maximum, because no product compares larger than it.
#[inline(always)]
fn fold(products: &[f32], maxima: &mut [f32]) {
    for (maximum, &product) in maxima.iter_mut().zip(products) {
        *maximum = if product > *maximum || product.is_nan() { product } else { *maximum };
    }
}

#[inline(always)]
fn fold_with_positions(products: &[f32], position: u32, maxima: &mut [f32], positions: &mut [u32]) {
    for ((maximum, winner), &product) in maxima.iter_mut().zip(positions).zip(products) {
        let wins = product > *maximum || product.is_nan();
        *maximum = if wins { product } else { *maximum };
        *winner = if wins { position } else { *winner };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::{self, assert_close, numbers};
    use crate::kernel::{linear, Epilogue, MatMut};

    /// The maxima and positions of a text that stands between two others.
    fn maxima(kernel: InstructionSet, hidden: MatRef, weight: MatRef) -> (Vec<f32>, Vec<u32>) {
        let (n, k) = (weight.num_rows(), weight.num_columns());
        let mut all = numbers(3 * k, 77);
        (0..hidden.num_rows()).for_each(|row| all.extend_from_slice(hidden.row(row)));
        all.extend(numbers(k, 78));
        let all = MatRef::new(&all, k);
        let tokens = 3..3 + hidden.num_rows();
        let (mut maxima, mut alone, mut before) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let mut positions = vec![9; n];
        let mut texts = [
            TextMaxima { tokens: 0..3, maxima: &mut before, positions: None },
            TextMaxima { tokens: tokens.clone(), maxima: &mut maxima, positions: Some(&mut positions) },
            TextMaxima { tokens, maxima: &mut alone, positions: None },
        ];
        maximum(kernel, all, weight, &mut texts);
        assert!(
            maxima.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()),
            "positions change nothing"
        );
        (maxima, positions)
    }

    #[test]
    fn maxima_are_those_of_the_naive_products_and_have_the_bits_of_linear() {
        for kernel in InstructionSet::available() {
            for (tokens, k, n) in
                [(1, 1, 1), (1, 768, 97), (5, 31, 193), (13, 64, 95), (511, 128, 7), (7, 1700, 5)]
            {
                let (hidden, weight) = (numbers(tokens * k, 1), numbers(n * k, 2));
                let (hidden, weight) = (MatRef::new(&hidden, k), MatRef::new(&weight, k));
                let (maxima, positions) = maxima(kernel, hidden, weight);
                let tolerance = 6e-7 + 5e-8 * k as f64;
                assert_close(&maxima, &naive::maximum(hidden, weight), tolerance, kernel, (tokens, n, k));
                let mut products = vec![0.0; tokens * n];
                let nothing = vec![0.0; n];
                let (weight, out) = (GemmWeight::Rows(weight), MatMut::new(&mut products, n));
                linear(kernel, hidden, weight, &nothing, Epilogue::None, out);
                for v in 0..n {
                    let winner = positions[v] as usize;
                    assert_eq!(products[winner * n + v].to_bits(), maxima[v].to_bits());
                    assert!((0..winner).all(|t| products[t * n + v] < maxima[v]), "the first of equals");
                    assert!((winner..tokens).all(|t| products[t * n + v] <= maxima[v]));
                }
            }
        }
    }

    #[test]
    fn a_range_of_the_vocabulary_has_the_bits_of_the_whole() {
        for kernel in InstructionSet::available() {
            let (tokens, k, n) = (9, 100, 195);
            let (hidden, weight) = (numbers(tokens * k, 1), numbers(n * k, 2));
            let (hidden, weight) = (MatRef::new(&hidden, k), MatRef::new(&weight, k));
            let whole = maxima(kernel, hidden, weight);
            for (first, last) in [(0, 1), (1, 2), (3, 100), (95, 97), (190, n)] {
                let part = maxima(kernel, hidden, weight.rows(first..last));
                assert_eq!(part.0, whole.0[first..last]);
                assert_eq!(part.1, whole.1[first..last]);
            }
        }
    }

    #[test]
    fn a_nan_product_is_seen_wherever_it_stands() {
        for kernel in InstructionSet::available() {
            for token in 0..9 {
                let (mut hidden, weight) = (numbers(9 * 20, 1), numbers(5 * 20, 2));
                hidden[token * 20 + 3] = f32::NAN;
                let (maxima, positions) = maxima(kernel, MatRef::new(&hidden, 20), MatRef::new(&weight, 20));
                assert!(maxima.iter().all(|maximum| maximum.is_nan()));
                assert!(positions.iter().all(|&position| position == token as u32));
            }
        }
    }

    #[test]
    fn no_tokens_give_minus_infinity() {
        let weight = numbers(3 * 4, 1);
        let (maxima, positions) =
            maxima(InstructionSet::best(), MatRef::new(&[], 4), MatRef::new(&weight, 4));
        assert_eq!((maxima, positions), (vec![f32::NEG_INFINITY; 3], vec![0; 3]));
    }
}
