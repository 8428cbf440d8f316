//! The vocabulary projection, folded into its maximum over the tokens of a text as it is computed.

use super::products::{Panel, Tiled, BLOCK, CHUNK, MAX_TILE_ROWS};
use super::{Kernel, Operation, Rows};

/// The largest product of any token with each row of `weight`: `maxima[v] = max_t hidden[t] · weight[v]`.
///
/// * `hidden`: (T, K), the tokens of one text.
/// * `weight`: (N, K), the vocabulary or a range of it.
/// * `maxima`: (N), overwritten; −∞ where T is 0.
/// * `positions`: (N) if given, the first token that has the largest product.
///
/// A NaN product makes the maximum NaN, whatever the others are. The (T, N) products are never written; each
/// has the bits that [`linear`](super::linear()) without a bias gives it. Threads share a text by ranges of
/// `weight`.
///
/// # Panics
///
/// When shapes do not fit, or the processor lacks the kernel.
pub fn maximum(
    kernel: Kernel,
    hidden: Rows,
    weight: Rows,
    maxima: &mut [f32],
    positions: Option<&mut [u32]>,
) {
    assert_eq!(hidden.num_columns(), weight.num_columns(), "the length of the dot product");
    assert_eq!(maxima.len(), weight.num_rows(), "the number of maxima");
    if let Some(positions) = &positions {
        assert_eq!(positions.len(), weight.num_rows(), "the number of positions");
    }
    kernel.run(Maximum { hidden, weight, maxima, positions });
}

struct Maximum<'a> {
    hidden: Rows<'a>,
    weight: Rows<'a>,
    maxima: &'a mut [f32],
    positions: Option<&'a mut [u32]>,
}

impl Operation for Maximum<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(mut self) {
        let (hidden, weight) = (self.hidden, self.weight);
        let k = hidden.num_columns();
        self.maxima.fill(f32::NEG_INFINITY);
        if let Some(positions) = &mut self.positions {
            positions.fill(0);
        }
        let mut products = [0.0; MAX_TILE_ROWS * BLOCK];
        for column in (0..weight.num_rows()).step_by(BLOCK) {
            let columns = BLOCK.min(weight.num_rows() - column);
            for row in (0..hidden.num_rows()).step_by(L::TILE_ROWS) {
                let rows = L::TILE_ROWS.min(hidden.num_rows() - row);
                for at in (0..k).step_by(CHUNK) {
                    let panel = Panel {
                        x: hidden.as_ptr().wrapping_add(row * hidden.stride() + at),
                        x_stride: hidden.stride(),
                        rows,
                        weight: weight.as_ptr().wrapping_add(column * weight.stride() + at),
                        weight_stride: weight.stride(),
                        columns,
                        k: CHUNK.min(k - at),
                        out: products.as_mut_ptr(),
                        out_stride: BLOCK,
                        next: weight.as_ptr().wrapping_add((column + BLOCK) * weight.stride() + at),
                        part: (row / L::TILE_ROWS, hidden.num_rows().div_ceil(L::TILE_ROWS)),
                        add: at > 0,
                    };
                    // SAFETY: rows, columns and terms are inside the matrices, as compared; the
                    // buffer has room for the largest tile.
                    unsafe { L::panel(panel) };
                }
                let maxima = &mut self.maxima[column..column + columns];
                for (i, products) in products.chunks_exact(BLOCK).take(rows).enumerate() {
                    match &mut self.positions {
                        None => fold(products, maxima),
                        Some(positions) => {
                            let positions = &mut positions[column..column + columns];
                            fold_with_positions(products, (row + i) as u32, maxima, positions);
                        }
                    }
                }
            }
        }
    }
}

/// A NaN wins once and for all: nothing is larger than it.
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
    use crate::kernel::naive::{assert_close, numbers};
    use crate::kernel::{linear, naive, Epilogue, RowsMut};

    fn maxima(kernel: Kernel, hidden: Rows, weight: Rows) -> (Vec<f32>, Vec<u32>) {
        let mut maxima = vec![0.0; weight.num_rows()];
        let mut positions = vec![9; weight.num_rows()];
        maximum(kernel, hidden, weight, &mut maxima, Some(&mut positions));
        let mut alone = vec![0.0; weight.num_rows()];
        maximum(kernel, hidden, weight, &mut alone, None);
        assert!(
            maxima.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits()),
            "positions change nothing"
        );
        (maxima, positions)
    }

    #[test]
    fn maxima_are_those_of_the_naive_products_and_have_the_bits_of_linear() {
        for kernel in Kernel::available() {
            for (tokens, k, n) in
                [(1, 1, 1), (1, 768, 97), (5, 31, 193), (13, 64, 95), (511, 128, 7), (7, 1700, 5)]
            {
                let (hidden, weight) = (numbers(tokens * k, 1), numbers(n * k, 2));
                let (hidden, weight) = (Rows::new(&hidden, k), Rows::new(&weight, k));
                let (maxima, positions) = maxima(kernel, hidden, weight);
                assert_close(&maxima, &naive::maximum(hidden, weight), 1e-5, kernel, (tokens, n, k));
                let mut products = vec![0.0; tokens * n];
                let nothing = vec![0.0; n];
                linear(kernel, hidden, weight, Epilogue::Bias(&nothing), RowsMut::new(&mut products, n));
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
        for kernel in Kernel::available() {
            let (tokens, k, n) = (9, 100, 2 * BLOCK + 3);
            let (hidden, weight) = (numbers(tokens * k, 1), numbers(n * k, 2));
            let (hidden, weight) = (Rows::new(&hidden, k), Rows::new(&weight, k));
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
        for kernel in Kernel::available() {
            for token in 0..9 {
                let (mut hidden, weight) = (numbers(9 * 20, 1), numbers(5 * 20, 2));
                hidden[token * 20 + 3] = f32::NAN;
                let (maxima, positions) = maxima(kernel, Rows::new(&hidden, 20), Rows::new(&weight, 20));
                assert!(maxima.iter().all(|maximum| maximum.is_nan()));
                assert!(positions.iter().all(|&position| position == token as u32));
            }
        }
    }

    #[test]
    fn no_tokens_give_minus_infinity() {
        let weight = numbers(3 * 4, 1);
        let (maxima, positions) = maxima(Kernel::best(), Rows::new(&[], 4), Rows::new(&weight, 4));
        assert_eq!((maxima, positions), (vec![f32::NEG_INFINITY; 3], vec![0; 3]));
    }
}
