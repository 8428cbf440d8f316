//! softmax(Q·Kᵀ / √D)·V for one head of one text.
//!
//! Both products are sums over packed panels. A score is summed over d in order, so K is transposed; an output element
//! over the tokens in order, in chunks of [`TOKENS`] whose sums are added in order. Scores exist for a block of
//! [`QUERIES`] query rows at a time, never (T, T).

use super::elementwise::exp_of_centred;
use super::panels::RowPointers;
use super::products::{self, Ahead, Tile, Tiled, VECTORS};
use super::{Kernel, Operation, Rows, RowsMut};

/// Query rows whose scores exist at a time: 24 × T floats, 768 KiB at the longest text of 8192 tokens. A
/// multiple of the rows of every kernel's tile.
const QUERIES: usize = 24;

/// Tokens whose values are summed at one go: their rows stay in the second-level cache while a block of
/// query rows passes over them.
const TOKENS: usize = 256;

/// Memory for [`attention`], kept between calls by whoever makes many.
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
/// * `query`: (M, D), any of the text's tokens: all of them, or a block for each thread.
/// * `key`, `value`: (T, D), all tokens of the text; T at least 1.
/// * `out`: (M, D), overwritten.
///
/// A row's bits depend on its query row, the keys and values, T and the kernel. Extra memory: 2·T·D + 24·T
/// floats, rounded up.
///
/// # Panics
///
/// When shapes do not fit, or the processor lacks the kernel.
pub fn attention(
    kernel: Kernel,
    query: Rows,
    key: Rows,
    value: Rows,
    out: RowsMut,
    scratch: &mut AttentionScratch,
) {
    let size = query.num_columns();
    assert_eq!(
        (key.num_columns(), value.num_columns(), out.num_columns()),
        (size, size, size),
        "the head size"
    );
    assert_eq!(key.num_rows(), value.num_rows(), "the number of tokens");
    assert!(key.num_rows() > 0, "a text has tokens");
    assert_eq!(query.num_rows(), out.num_rows(), "the number of query rows");
    kernel.run(Attention { query, key, value, out, scratch });
}

struct Attention<'a> {
    query: Rows<'a>,
    key: Rows<'a>,
    value: Rows<'a>,
    out: RowsMut<'a>,
    scratch: &'a mut AttentionScratch,
}

impl Operation for Attention<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(mut self) {
        let (tokens, size) = (self.key.num_rows(), self.query.num_columns());
        let width = VECTORS * L::WIDTH;
        let padded_size = size.next_multiple_of(width);
        // Rows a power of two apart would share the same few cache lines: one line more keeps them apart.
        let stride = tokens.next_multiple_of(width) + 16;
        let AttentionScratch { query, key, value, scores, sums } = self.scratch;
        // SAFETY: the instruction set is available: the caller's obligation.
        unsafe { pack_keys::<L>(self.key, key) };
        pack_values(self.value, width, value);
        query.resize(QUERIES * size, 0.0);
        scores.resize(QUERIES * stride, 0.0);
        sums.resize(QUERIES * padded_size, 0.0);
        let root = (size as f32).sqrt();
        for first in (0..self.query.num_rows()).step_by(QUERIES) {
            let rows = QUERIES.min(self.query.num_rows() - first);
            query.fill(0.0);
            for (row, query) in query.chunks_exact_mut(size).enumerate().take(rows) {
                for (query, x) in query.iter_mut().zip(self.query.row(first + row)) {
                    *query = x / root;
                }
            }
            for (panel, key) in key.chunks_exact(size * width).enumerate() {
                let scores = &mut scores[panel * width..];
                // SAFETY: the instruction set is available: the caller's obligation.
                unsafe { sums_of_rows::<L>(query, size, rows, key, scores, stride, false) };
            }
            let mut totals = [0.0; QUERIES];
            for (total, scores) in totals.iter_mut().zip(scores.chunks_exact_mut(stride)).take(rows) {
                // SAFETY: the instruction set is available: the caller's obligation.
                *total = unsafe { exp_of_centred::<L>(&mut scores[..tokens]) };
            }
            for token in (0..tokens).step_by(TOKENS) {
                let end = tokens.min(token + TOKENS);
                for (panel, value) in value.chunks_exact(tokens * width).enumerate() {
                    let (scores, value) = (&scores[token..], &value[token * width..end * width]);
                    let sums = &mut sums[panel * width..];
                    // SAFETY: the instruction set is available: the caller's obligation.
                    unsafe { sums_of_rows::<L>(scores, stride, rows, value, sums, padded_size, token > 0) };
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
fn pack_values(values: Rows, width: usize, panels: &mut Vec<f32>) {
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
unsafe fn pack_keys<L: Tiled>(keys: Rows, panels: &mut Vec<f32>) {
    let width = VECTORS * L::WIDTH;
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
    let width = VECTORS * L::WIDTH;
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
                ahead: Ahead::nothing(panel.as_ptr()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::{self, assert_close, numbers};

    fn attended(kernel: Kernel, query: Rows, key: Rows, value: Rows) -> Vec<f32> {
        let mut out = vec![f32::NAN; query.num_rows() * query.num_columns()];
        let mut scratch = AttentionScratch::default();
        attention(kernel, query, key, value, RowsMut::new(&mut out, query.num_columns()), &mut scratch);
        out
    }

    #[test]
    fn attention_equals_the_naive_one_on_heads_of_a_wider_matrix() {
        for kernel in Kernel::available() {
            for (tokens, size) in
                [(1, 64), (2, 1), (5, 7), (13, 32), (31, 64), (33, 40), (257, 64), (511, 33)]
            {
                let all: Vec<f32> = numbers(tokens * 6 * size, 1).into_iter().map(|x| 2.0 * x).collect();
                let all = Rows::new(&all, 6 * size);
                let head = |i: usize| all.columns(i * size..(i + 1) * size);
                let naive = naive::attention(head(1), head(3), head(5));
                let mut out = vec![f32::NAN; tokens * 2 * size];
                let (_, columns) = RowsMut::new(&mut out, 2 * size).split_columns(size);
                attention(kernel, head(1), head(3), head(5), columns, &mut AttentionScratch::default());
                let found: Vec<f32> = (0..tokens)
                    .flat_map(|row| {
                        assert!(
                            out[row * 2 * size..][..size].iter().all(|x| x.is_nan()),
                            "another's columns"
                        );
                        out[row * 2 * size + size..][..size].to_vec()
                    })
                    .collect();
                assert_close(&found, &naive, 2e-6, kernel, (tokens, size));
            }
        }
    }

    #[test]
    fn a_query_row_has_the_same_bits_alone_and_in_any_block_and_with_used_scratch() {
        for kernel in Kernel::available() {
            let (tokens, size) = (75, 32);
            let (query, key, value) =
                (numbers(tokens * size, 1), numbers(tokens * size, 2), numbers(tokens * size, 3));
            let rows = |data| Rows::new(data, size);
            let whole = attended(kernel, rows(&query), rows(&key), rows(&value));
            let mut scratch = AttentionScratch::default();
            let nan = vec![f32::NAN; 300 * size];
            let mut out = nan.clone();
            attention(kernel, rows(&nan), rows(&nan), rows(&nan), RowsMut::new(&mut out, size), &mut scratch);
            for (first, last) in [(0, 1), (1, 2), (3, 20), (0, 24), (23, 25), (25, 74), (74, 75)] {
                let mut part = vec![0.0; (last - first) * size];
                let query = rows(&query).rows(first..last);
                attention(
                    kernel,
                    query,
                    rows(&key),
                    rows(&value),
                    RowsMut::new(&mut part, size),
                    &mut scratch,
                );
                let same = part.iter().zip(&whole[first * size..]).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{kernel:?} {first} {last}");
            }
        }
    }

    #[test]
    fn a_nan_is_seen_in_every_row_that_attends_to_it() {
        for kernel in Kernel::available() {
            let (query, value) = (numbers(9 * 8, 1), numbers(9 * 8, 2));
            let mut key = numbers(9 * 8, 3);
            key[30] = f32::NAN;
            let out = attended(kernel, Rows::new(&query, 8), Rows::new(&key, 8), Rows::new(&value, 8));
            assert!(out.iter().all(|x| x.is_nan()));
        }
    }
}
