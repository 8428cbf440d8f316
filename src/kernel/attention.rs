//! softmax(Q·Kᵀ / √D)·V for one head of one text.
//!
//! Both products are sums over packed panels. A score is summed over d in order, so K is transposed. An output element is
//! summed over the tokens in order, in chunks of [`TOKENS`], and the chunks are added in order. The (T, T) scores are never
//! built: they exist for a block of [`QUERIES`] query rows at a time, and under a window only for the tokens that a row of
//! the block sees.

use std::ops::Range;

use super::elementwise::exp_of_centred;
use super::panels::RowPointers;
use super::products;
use super::tile::{Prefetch, Tile, Tiled};
use super::{InstructionSet, MatMut, MatRef, Operation};

/// Query rows whose scores exist at a time: 24 × T floats, 768 KiB at the longest text of 8192 tokens. A multiple of the
/// tile rows of every kernel.
const QUERIES: usize = 24;

/// Tokens whose values are summed at a time: their rows stay in the second-level cache while a block of query rows is
/// multiplied with them.
const TOKENS: usize = 256;

/// Scratch memory for [`attention`]. A caller keeps it between calls.
#[derive(Debug, Default)]
pub struct AttentionScratch {
    /// (QUERIES, D), divided by √D; rows past the last query are zero.
    query: Vec<f32>,
    /// Panels of (D, W), W tokens each, the last padded with zeros.
    key: Vec<f32>,
    /// Panels of (T, W), W columns each, the last padded with zeros.
    value: Vec<f32>,
    /// (QUERIES, T and some more).
    scores: Vec<f32>,
    /// (QUERIES, D padded).
    sums: Vec<f32>,
}

/// softmax(Q·Kᵀ / √D)·V of one head of one text.
///
/// * `heads`: query, key and value of every token of the text, (T, D) each; T at least 1.
/// * `window`: token i sees those tokens j with |i − j| ≤ window; all of them when `None`.
/// * `out`: (T, D), overwritten.
///
/// A row's bits depend on the text's rows, the window and the kernel. Extra memory: 2·T·D + 24·T floats, rounded up.
///
/// # Panics
///
/// When shapes do not fit, or the processor lacks the kernel.
pub fn attention(
    kernel: InstructionSet,
    [query, key, value]: [MatRef; 3],
    window: Option<usize>,
    out: MatMut,
    scratch: &mut AttentionScratch,
) {
    let shape = (query.num_rows(), query.num_columns());
    for other in [key, value] {
        assert_eq!((other.num_rows(), other.num_columns()), shape, "the shape of a head");
    }
    assert_eq!((out.num_rows(), out.num_columns()), shape, "the shape of the output");
    assert!(shape.0 > 0, "a text has tokens");
    kernel.run(Attention { query, key, value, window, out, scratch });
}

struct Attention<'a> {
    query: MatRef<'a>,
    key: MatRef<'a>,
    value: MatRef<'a>,
    window: Option<usize>,
    out: MatMut<'a>,
    scratch: &'a mut AttentionScratch,
}

/// The range of `tokens` that the rows of `rows` see between them.
fn seen(rows: Range<usize>, window: Option<usize>, tokens: usize) -> Range<usize> {
    match window {
        None => 0..tokens,
        Some(window) => rows.start.saturating_sub(window)..tokens.min(rows.end.saturating_add(window)),
    }
}

impl Operation for Attention<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(mut self) {
        let (tokens, size) = (self.key.num_rows(), self.query.num_columns());
        let width = L::COLUMNS;
        let padded_size = size.next_multiple_of(width);
        // Rows at a distance of a power of two would compete for the same few cache lines; one more line avoids that.
        let stride = tokens.next_multiple_of(width) + 16;
        let AttentionScratch { query, key, value, scores, sums } = self.scratch;
        // SAFETY: the instruction set is available: the caller's obligation.
        unsafe { pack_keys::<L>(self.key, key) };
        pack_values(self.value, width, value);
        query.resize(QUERIES * size, 0.0);
        scores.resize(QUERIES * stride, 0.0);
        sums.resize(QUERIES * padded_size, 0.0);
        let root = (size as f32).sqrt();
        for first in (0..tokens).step_by(QUERIES) {
            let rows = QUERIES.min(tokens - first);
            query.fill(0.0);
            for (row, query) in query.chunks_exact_mut(size).enumerate().take(rows) {
                for (query, x) in query.iter_mut().zip(self.query.row(first + row)) {
                    *query = x / root;
                }
            }
            let in_block = seen(first..first + rows, self.window, tokens);
            // Whole panels: the scores of some tokens before the block's first are computed too, and ignored.
            let start = in_block.start - in_block.start % width;
            let panels =
                key.chunks_exact(size * width).take(in_block.end.div_ceil(width)).skip(start / width);
            for (panel, key) in panels.enumerate() {
                let scores = &mut scores[panel * width..];
                // SAFETY: the instruction set is available: the caller's obligation.
                unsafe { sums_of_rows::<L>(query, size, rows, key, scores, stride, false) };
            }
            let mut totals = [0.0; QUERIES];
            for (row, scores) in scores.chunks_exact_mut(stride).enumerate().take(rows) {
                let scores = &mut scores[..in_block.end - start];
                let own = seen(first + row..first + row + 1, self.window, tokens);
                // The softmax of −∞ is exactly 0.
                scores[..own.start - start].fill(f32::NEG_INFINITY);
                scores[own.end - start..].fill(f32::NEG_INFINITY);
                // SAFETY: the instruction set is available: the caller's obligation.
                totals[row] = unsafe { exp_of_centred::<L>(scores) };
            }
            for token in (start..in_block.end).step_by(TOKENS) {
                let end = in_block.end.min(token + TOKENS);
                for (panel, value) in value.chunks_exact(tokens * width).enumerate() {
                    let (scores, value) = (&scores[token - start..], &value[token * width..end * width]);
                    let sums = &mut sums[panel * width..];
                    // SAFETY: the instruction set is available: the caller's obligation.
                    unsafe {
                        sums_of_rows::<L>(scores, stride, rows, value, sums, padded_size, token > start)
                    };
                }
            }
            for (row, (sums, total)) in sums.chunks_exact(padded_size).zip(totals).enumerate().take(rows) {
                for (out, sum) in self.out.row_mut(first + row).iter_mut().zip(sums) {
                    *out = sum / total;
                }
            }
        }
    }
}

/// Copies the columns of `values` (T, D) into panels of (T, width).
#[inline(always)]
fn pack_values(values: MatRef, width: usize, panels: &mut Vec<f32>) {
    let (rows, columns) = (values.num_rows(), values.num_columns());
    panels.clear();
    panels.resize(rows * columns.next_multiple_of(width), 0.0);
    for row in 0..rows {
        for (panel, values) in values.row(row).chunks(width).enumerate() {
            panels[(panel * rows + row) * width..][..values.len()].copy_from_slice(values);
        }
    }
}

/// Transposes the rows of `keys` (T, D) into panels of (D, W), W of them in each.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn pack_keys<L: Tiled>(keys: MatRef, panels: &mut Vec<f32>) {
    let width = L::COLUMNS;
    let (num_rows, size) = (keys.num_rows(), keys.num_columns());
    panels.resize(num_rows.next_multiple_of(width) * size, 0.0);
    for (first, panel) in (0..num_rows).step_by(width).zip(panels.chunks_exact_mut(width * size)) {
        let rows = RowPointers::new(keys, first..num_rows.min(first + width));
        // SAFETY: the caller's obligation; rows of so many floats.
        unsafe { products::pack::<L>(rows.as_slice(), 0, size, panel) };
    }
}

/// `out[row][..W] = Σ_i factors[row][i] · panel[i][..W]`, or added to `out`, over the lines of a panel in order.
///
/// * `factors`: rows `factors_stride` apart; as many as the last tile has, of which `rows` matter.
/// * `panel`: (I, W).
/// * `out`: rows `out_stride` apart, as many as of `factors`.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn sums_of_rows<L: Tiled>(
    factors: &[f32],
    factors_stride: usize,
    rows: usize,
    panel: &[f32],
    out: &mut [f32],
    out_stride: usize,
    adds: bool,
) {
    let width = L::COLUMNS;
    let k = panel.len() / width;
    for row in (0..rows).step_by(L::TILE_ROWS) {
        let factors = &factors[row * factors_stride..][..(L::TILE_ROWS - 1) * factors_stride + k];
        let out = &mut out[row * out_stride..][..(L::TILE_ROWS - 1) * out_stride + width];
        // SAFETY: the instruction set is the caller's obligation; the slices were just cut to the tile.
        unsafe {
            L::tile(Tile {
                x: factors.as_ptr(),
                x_stride: factors_stride,
                rows: L::TILE_ROWS,
                panel: panel.as_ptr(),
                k,
                out: out.as_mut_ptr(),
                out_stride,
                columns: width,
                adds,
                prefetch: Prefetch::nothing(panel.as_ptr()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::{self, assert_close, numbers};

    fn attended(kernel: InstructionSet, heads: [MatRef; 3], window: Option<usize>) -> Vec<f32> {
        let mut out = vec![f32::NAN; heads[0].num_rows() * heads[0].num_columns()];
        let out_rows = MatMut::new(&mut out, heads[0].num_columns());
        attention(kernel, heads, window, out_rows, &mut AttentionScratch::default());
        out
    }

    #[test]
    fn attention_equals_the_naive_one_on_heads_of_a_wider_matrix() {
        for (tokens, size) in [(1, 64), (2, 1), (5, 7), (13, 32), (31, 64), (33, 40), (257, 64), (511, 33)] {
            let all: Vec<f32> = numbers(tokens * 6 * size, 1).into_iter().map(|x| 2.0 * x).collect();
            let all = MatRef::new(&all, 6 * size);
            let heads = [1, 3, 5].map(|i| all.columns(i * size..(i + 1) * size));
            for window in [None, Some(0), Some(1), Some(4), Some(64), Some(tokens), Some(usize::MAX)] {
                let naive = naive::attention(heads, window);
                for kernel in InstructionSet::available() {
                    let mut out = vec![f32::NAN; tokens * 2 * size];
                    let (_, columns) = MatMut::new(&mut out, 2 * size).split_columns(size);
                    attention(kernel, heads, window, columns, &mut AttentionScratch::default());
                    let (others, found): (Vec<&[f32]>, Vec<&[f32]>) =
                        out.chunks_exact(2 * size).map(|row| row.split_at(size)).unzip();
                    assert!(others.concat().iter().all(|x| x.is_nan()), "another's columns");
                    assert_close(&found.concat(), &naive, 2e-6, kernel, (tokens, size, window));
                }
            }
        }
    }

    #[test]
    fn used_scratch_changes_no_bit() {
        for kernel in InstructionSet::available() {
            let (tokens, size) = (75, 32);
            let data = [1, 2, 3].map(|seed| numbers(tokens * size, seed));
            let heads = data.each_ref().map(|data| MatRef::new(data, size));
            for window in [None, Some(9)] {
                let fresh = attended(kernel, heads, window);
                let mut scratch = AttentionScratch::default();
                let nan = vec![f32::NAN; 300 * size];
                let mut out = nan.clone();
                let out_rows = MatMut::new(&mut out, size);
                attention(kernel, [MatRef::new(&nan, size); 3], None, out_rows, &mut scratch);
                let mut out = vec![0.0; tokens * size];
                attention(kernel, heads, window, MatMut::new(&mut out, size), &mut scratch);
                assert!(out.iter().zip(&fresh).all(|(a, b)| a.to_bits() == b.to_bits()), "{kernel:?}");
            }
        }
    }

    #[test]
    fn a_nan_is_seen_in_every_row_that_attends_to_it() {
        for kernel in InstructionSet::available() {
            let (query, value) = (numbers(99 * 8, 1), numbers(99 * 8, 2));
            let mut key = numbers(99 * 8, 3);
            key[30] = f32::NAN;
            let heads = [&query, &key, &value].map(|data| MatRef::new(data, 8));
            assert!(attended(kernel, heads, None).iter().all(|x| x.is_nan()));
            let windowed = attended(kernel, heads, Some(2));
            for (token, row) in windowed.chunks_exact(8).enumerate() {
                assert_eq!(row.iter().all(|x| x.is_nan()), (1..=5).contains(&token), "{kernel:?} {token}");
            }
        }
    }
}
