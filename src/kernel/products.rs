//! Sums of products of rows with packed panels: the core of [`linear`], [`maximum`] and [`attention`].
//!
//! ```text
//! out[row][column] = Σ_i x[row][i] · panel[i][column]
//! ```
//!
//! A sum is cut into chunks of [`CHUNK`] terms. Within a chunk the terms are added in the order of i, each by one
//! multiply-add; the chunks are added in order. Nothing else affects the order, so the size of a tile is free to choose.
//!
//! A tile's sums are vectors of columns. A panel therefore has one line for each i, which holds W
//! columns side by side, a few vectors of them. The rows of a weight matrix, as a checkpoint stores them, are transposed into a panel just before
//! they are multiplied with every token. For 512 tokens that is a hundredth of the work, for ten it is a third: so panels
//! can be kept.
//!
//! [`linear`]: super::linear()
//! [`maximum`]: super::maximum()
//! [`attention`]: super::attention()

use std::cell::Cell;

use super::lanes::MAX_WIDTH;
use super::tile::{Prefetch, Tile, Tiled, LINE};
use super::MatRef;

/// W of the widest panels; a multiple of every other W.
pub const PANEL_COLUMNS: usize = 32;

/// Terms of a product that are packed and summed at a time: the panel stays in the second-level cache while every row of
/// x is multiplied with it. Of 64 to 768, 768 was fastest on a Zen 4, by 1 to 7 %.
const CHUNK: usize = 768;

/// How far ahead packed panels are prefetched, in floats. Of 0 to 49,152 on a Zen 4, this was fastest for queries, by 2 to
/// 10 %; prefetching one line ahead instead took 20 % longer.
const PREFETCH_DISTANCE: usize = 2048;

/// Up to W rows of a weight matrix.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Rows in memory, packed on the way.
    Rows {
        /// Each valid for reads of K floats; 1 to W of them.
        rows: &'a [*const f32],
        /// The first of the W rows that come next.
        next: *const f32,
        /// Floats from one of the next rows to the one after it; 0 where `next` is no such row.
        stride: usize,
    },
    /// Rows that are packed into a panel already.
    Packed {
        /// (K, W), from the start of a cache line on.
        panel: &'a [f32],
        /// How many of the columns are rows of the matrix.
        columns: usize,
    },
}

/// `out[row][column] = x[row] · weight[column]`, for all rows of `x` and up to W rows of a weight matrix.
///
/// # Safety
///
/// The instruction set is available; the weight rows are as long as those of `x`, K; `out` is valid for as many rows
/// as `x` has, of as many columns as there are weight rows.
#[inline(always)]
pub(super) unsafe fn product<L: Tiled>(x: MatRef, weight: Source, out: *mut f32, out_stride: usize) {
    let k = x.num_columns();
    let width = L::COLUMNS;
    let mut memory = PANEL.take();
    let scratch = aligned(&mut memory, CHUNK.min(k) * width);
    let num_tiles = x.num_rows().div_ceil(L::TILE_ROWS);
    for at in (0..k).step_by(CHUNK) {
        let terms = CHUNK.min(k - at);
        let (panel, columns, prefetch) = match weight {
            Source::Rows { rows, next, stride } => {
                // SAFETY: the caller's obligation.
                unsafe { pack::<L>(rows, at, terms, scratch) };
                let next = if at + CHUNK >= k { next } else { rows[0].wrapping_add(at + CHUNK) };
                (&*scratch, rows.len(), Prefetch::rows(next, stride))
            }
            Source::Packed { panel, columns } => {
                let panel = &panel[at * width..];
                (panel, columns, Prefetch::panels(panel.as_ptr().wrapping_add(PREFETCH_DISTANCE), width))
            }
        };
        assert!(panel.len() >= terms * width && columns <= width, "the size of a panel");
        for tile in 0..num_tiles {
            let row = tile_start(tile, num_tiles, x.num_rows());
            // SAFETY: the caller's obligation; the panel has so many lines, and every row of x and of out that a tile
            // has exists.
            unsafe {
                L::tile(Tile {
                    x: x.as_ptr().wrapping_add(row * x.stride() + at),
                    x_stride: x.stride(),
                    rows: tile_start(tile + 1, num_tiles, x.num_rows()) - row,
                    panel: panel.as_ptr(),
                    k: terms,
                    out: out.wrapping_add(row * out_stride),
                    out_stride,
                    columns,
                    adds: at > 0,
                    prefetch,
                });
            }
        }
    }
    PANEL.set(memory);
}

/// The first row of a tile. The rows are divided evenly, because a tile of one row takes as long as one of four.
#[inline(always)]
pub(super) fn tile_start(tile: usize, num_tiles: usize, num_rows: usize) -> usize {
    tile * num_rows / num_tiles
}

thread_local! {
    /// The panel of the calling thread, kept from one product to the next.
    static PANEL: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// `count` floats that begin at a cache line, so that no vector of a panel crosses from one line into the next.
pub(super) fn aligned(memory: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if memory.len() < count + LINE {
        memory.resize(count + LINE, 0.0);
    }
    let start = line_start(memory);
    &mut memory[start..start + count]
}

/// Where the first cache line begins.
#[inline(always)]
pub(super) fn line_start(memory: &[f32]) -> usize {
    memory.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE)
}

/// Transposes `terms` elements of up to W rows, from `at` on, into a panel of (terms, W); zeros where there is no row.
///
/// # Safety
///
/// The instruction set of `L` is available, and each row is valid for reads up to `at + terms`.
#[inline(always)]
pub(super) unsafe fn pack<L: Tiled>(rows: &[*const f32], at: usize, terms: usize, panel: &mut [f32]) {
    let width = L::COLUMNS;
    assert!(panel.len() >= terms * width && rows.len() <= width, "the size of a panel");
    let to = panel.as_mut_ptr();
    for v in 0..L::VECTORS {
        let first = (v * L::WIDTH).min(rows.len());
        let group = &rows[first..(first + L::WIDTH).min(rows.len())];
        let is_whole = group.len() == L::WIDTH;
        let blocks = if is_whole { terms / L::WIDTH } else { 0 };
        let mut pointers = [std::ptr::null(); MAX_WIDTH];
        for block in 0..blocks {
            let from = block * L::WIDTH;
            for (pointer, row) in pointers.iter_mut().zip(group) {
                *pointer = row.wrapping_add(at + from);
            }
            // SAFETY: a whole group of rows, each valid for a vector from here; the panel has so many lines.
            unsafe { L::transpose(&pointers, to.add(from * width + v * L::WIDTH), width) };
        }
        for i in blocks * L::WIDTH..terms {
            for lane in 0..L::WIDTH {
                // SAFETY: a row is valid up to `at + terms`; the panel has so many lines of W.
                unsafe {
                    let value = if lane < group.len() { *group[lane].add(at + i) } else { 0.0 };
                    *to.add(i * width + v * L::WIDTH + lane) = value;
                }
            }
        }
    }
}
