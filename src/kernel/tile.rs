//! The tile of a product: some rows of x times a panel, in registers.

use super::lanes::Lanes;

/// Floats in a cache line, on every processor that we know of.
pub(super) const LINE: usize = 16;

/// Lanes, the panel that weights are packed into, and the tile of a product that the registers hold.
pub(super) trait Tiled: Lanes {
    /// Vectors of columns side by side in a panel and in a tile.
    const VECTORS: usize = 2;

    /// W, the columns of a panel.
    const COLUMNS: usize = Self::VECTORS * Self::WIDTH;

    /// Rows of the largest tile. It is as tall as the registers allow: they hold its sums, one line of the panel and one
    /// factor. A taller tile spills and halves the speed.
    const TILE_ROWS: usize;

    /// Sums a tile.
    ///
    /// # Safety
    ///
    /// The instruction set is available; `x` is valid for `rows` rows of `k` floats, `panel` for `k` lines, `out` for
    /// `rows` rows of `columns` floats; `rows` and `columns` are in their ranges.
    unsafe fn tile(tile: Tile);
}

/// The product of some rows of x with a panel, over some of the terms.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub x: *const f32,
    pub x_stride: usize,
    /// 1 to [`Tiled::TILE_ROWS`].
    pub rows: usize,
    /// (K, W), without gaps.
    pub panel: *const f32,
    /// K, the terms to sum.
    pub k: usize,
    pub out: *mut f32,
    pub out_stride: usize,
    /// Columns that `out` has; 1 to W.
    pub columns: usize,
    /// Whether the sums are added to `out`, rather than overwrite it.
    pub adds: bool,
    /// What to prefetch while this is summed.
    pub prefetch: Prefetch,
}

impl Tile {
    /// Writes the sums of a row, or adds them to what is there.
    ///
    /// # Safety
    ///
    /// That of [`Tiled::tile`].
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    pub unsafe fn store_row<L: Lanes, const V: usize>(&self, row: usize, sums: [L; V]) {
        // SAFETY: the caller's obligation; the lanes past the last column are neither read nor written.
        unsafe {
            for v in 0..V {
                let to = self.out.wrapping_add(row * self.out_stride + v * L::WIDTH);
                let live = self.columns.saturating_sub(v * L::WIDTH).min(L::WIDTH);
                if live == L::WIDTH {
                    let sums = if self.adds { L::load(to).add(sums[v]) } else { sums[v] };
                    sums.store(to);
                } else {
                    let sums = if self.adds { L::load_part(to, live).add(sums[v]) } else { sums[v] };
                    sums.store_part(to, live);
                }
            }
        }
    }
}

/// Addresses to prefetch: W cache lines for every [`LINE`] steps of a tile. They are hints only, so they may be invalid.
#[derive(Clone, Copy)]
pub(super) struct Prefetch {
    first: *const f32,
    /// Floats from one of W lines to the next.
    line_stride: usize,
    /// Floats from the first of W lines to the first of the next W.
    step_stride: usize,
}

impl Prefetch {
    /// Rows to be packed: a line of each, then the next line of each.
    pub fn rows(first: *const f32, stride: usize) -> Self {
        Prefetch { first, line_stride: stride, step_stride: LINE }
    }

    /// Panels that are packed, W columns wide, from `first` on.
    pub fn panels(first: *const f32, width: usize) -> Self {
        Prefetch { first, line_stride: LINE, step_stride: LINE * width }
    }

    /// The `line`-th of the lines to ask for while steps from `step` on are summed.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub fn address(&self, step: usize, line: usize) -> *const f32 {
        self.first.wrapping_add(step / LINE * self.step_stride + line * self.line_stride)
    }

    /// Nothing new: a line that is in cache already.
    pub fn nothing(at: *const f32) -> Self {
        Prefetch { first: at, line_stride: 0, step_stride: 0 }
    }
}

/// Lanes whose tile is [`tile_of`] so many rows and vectors.
macro_rules! tiled {
    ($lanes:ty, $rows:literal x $vectors:literal, fewer: $($fewer:literal)*) => {
        impl $crate::kernel::tile::Tiled for $lanes {
            const VECTORS: usize = $vectors;
            const TILE_ROWS: usize = $rows;

            #[inline(always)]
            unsafe fn tile(tile: $crate::kernel::tile::Tile) {
                // SAFETY: the caller's obligation.
                unsafe {
                    match tile.rows {
                        $($fewer => $crate::kernel::tile::tile_of::<Self, $fewer, $vectors>(tile),)*
                        _ => $crate::kernel::tile::tile_of::<Self, $rows, $vectors>(tile),
                    }
                }
            }
        }
    };
}

pub(super) use tiled;

/// [`Tiled::tile`] of R rows and V vectors.
///
/// Plain indices throughout: an iterator's closure might not be inlined. It would then be compiled without the
/// instruction set, and the sums would be kept in memory.
///
/// # Safety
///
/// That of [`Tiled::tile`].
#[allow(clippy::needless_range_loop)]
#[inline(always)]
pub(super) unsafe fn tile_of<L: Lanes, const R: usize, const V: usize>(tile: Tile) {
    debug_assert_eq!(tile.rows, R);
    // SAFETY: the caller's obligation; the lanes past the last column are neither read nor written.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        let Prefetch { first: mut next_step, line_stride, step_stride } = tile.prefetch;
        let mut i = 0;
        while i < tile.k {
            let end = tile.k.min(i + LINE);
            let mut address = next_step;
            while i < end {
                let line = tile.panel.add(i * V * L::WIDTH);
                let mut vectors = [L::load(line); V];
                for v in 1..V {
                    vectors[v] = L::load(line.add(v * L::WIDTH));
                }
                let mut x = tile.x.add(i);
                for r in 0..R {
                    let factor = L::splat(*x);
                    for v in 0..V {
                        sums[r][v] = factor.mul_add(vectors[v], sums[r][v]);
                    }
                    x = x.wrapping_add(tile.x_stride);
                }
                // Spread over the steps, because a processor fetches only a few lines at a time.
                for v in 0..(V * L::WIDTH).div_ceil(LINE) {
                    L::prefetch(address.wrapping_add(v * LINE * line_stride));
                }
                address = address.wrapping_add(line_stride);
                i += 1;
            }
            next_step = next_step.wrapping_add(step_stride);
        }
        for r in 0..R {
            tile.store_row(r, sums[r]);
        }
    }
}
