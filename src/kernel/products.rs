//! Dot products of token rows with weight rows, both as they lie in memory: the core of [`linear`] and
//! [`maximum`].
//!
//! A product is cut along K into chunks of [`CHUNK`]. Within a chunk each lane sums every `WIDTH`-th term, in
//! order; the lanes are then added by the tree of [`Lanes::sums`]; the chunks are added in order. Nothing
//! else decides the order, so tiles may be cut wherever it is fast.
//!
//! Weights are not repacked: they stay the memory-mapped rows of the checkpoint, and a dot product reads both
//! of its rows in order as they are.
//!
//! [`linear`]: super::linear()
//! [`maximum`]: super::maximum()

use std::mem::MaybeUninit;

use super::attention;
use super::lanes::{Lanes, Portable};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// Terms of a dot product that are summed at one go: a tile's token rows then stay in the first-level cache
/// while a block of weight rows passes over them, also where K is 3072.
pub(super) const CHUNK: usize = 768;

/// Weight rows that pass over all token rows before the next ones do: `BLOCK * CHUNK` floats stay in the
/// second-level cache.
pub(super) const BLOCK: usize = 96;

/// The largest number of token rows in a tile of any kernel.
pub(super) const MAX_TILE_ROWS: usize = 8;

/// Floats between rows that fall into the same lines of a first-level cache: 4 KiB on all processors of note.
const COLLIDING_STRIDE: usize = 1024;

/// Floats between the copies of such rows; one cache line more than they need.
const COPY_STRIDE: usize = CHUNK + 16;

/// Up to a tile of token rows against a block of weight rows, over one chunk of K.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub x: *const f32,
    pub x_stride: usize,
    /// Token rows; 1 to [`Tiled::TILE_ROWS`].
    pub rows: usize,
    pub weight: *const f32,
    pub weight_stride: usize,
    /// Weight rows, at least 1.
    pub columns: usize,
    /// Terms to sum, at most [`CHUNK`].
    pub k: usize,
    pub out: *mut f32,
    pub out_stride: usize,
    /// Where the weights continue that will be wanted after all token rows have passed over these, with the
    /// same stride; never read, only asked for ahead of time.
    pub next: *const f32,
    /// Which of how many panels over these weights this is: they ask for one part of `next` each.
    pub part: (usize, usize),
    /// Whether to add to `out`, rather than to overwrite it.
    pub add: bool,
}

/// Lanes and the tiles that their registers hold.
pub(super) trait Tiled: Lanes {
    /// Token rows of a tile.
    const TILE_ROWS: usize;

    /// `out[row][column] = x[row] · weight[column]`, or `+=`.
    ///
    /// # Safety
    ///
    /// The instruction set is available, the pointers are valid for the panel's rows and columns, `rows` is
    /// 1 to `TILE_ROWS`, and `columns` is at least 1.
    unsafe fn panel(panel: Panel);

    /// Rows of a tile of [`attention`](super::attention()), where one factor is broadcast.
    const BROADCAST_ROWS: usize;

    /// [`attention::sum_rows`] of `BROADCAST_ROWS` rows.
    ///
    /// # Safety
    ///
    /// That of the function.
    unsafe fn sum_rows(
        factors: *const f32,
        factors_stride: usize,
        panel: *const f32,
        count: usize,
        out: *mut f32,
        out_stride: usize,
        add: bool,
    );
}

/// Tiles of so many token rows, fewer in the last, and so many weight rows; and of so many rows in attention.
///
/// The sums fill the registers but for the weights and one token: a tile any larger spills, and halves the
/// speed. Of 6 × 4, 8 × 3 and 5 × 5 in AVX-512, the first was fastest on a Zen 4.
macro_rules! tiled {
    (
        $lanes:ty, ($tile_rows:literal, else $($fewer:literal)*), $tile_columns:literal, $broadcast_rows:literal
    ) => {
        impl Tiled for $lanes {
            const TILE_ROWS: usize = $tile_rows;

            #[inline(always)]
            unsafe fn panel(panel: Panel) {
                const { assert!($tile_rows <= MAX_TILE_ROWS) };
                // SAFETY: the caller's obligation.
                unsafe {
                    match panel.rows {
                        $($fewer => columns::<Self, $fewer, $tile_columns>(panel),)*
                        _ => columns::<Self, $tile_rows, $tile_columns>(panel),
                    }
                }
            }

            const BROADCAST_ROWS: usize = $broadcast_rows;

            #[inline(always)]
            unsafe fn sum_rows(
                factors: *const f32,
                factors_stride: usize,
                panel: *const f32,
                count: usize,
                out: *mut f32,
                out_stride: usize,
                add: bool,
            ) {
                // SAFETY: the caller's obligation.
                unsafe {
                    attention::sum_rows::<Self, $broadcast_rows>(
                        factors,
                        factors_stride,
                        panel,
                        count,
                        out,
                        out_stride,
                        add,
                    )
                }
            }
        }
    };
}

tiled!(Portable, (4, else 1 2 3), 3, 4);
#[cfg(target_arch = "x86_64")]
tiled!(Avx2, (4, else 1 2 3), 3, 6);
#[cfg(target_arch = "x86_64")]
tiled!(Avx512, (6, else 1 2 3 4 5), 4, 8);

/// A panel of R token rows, tile after tile of C weight rows.
///
/// # Safety
///
/// Those of [`Tiled::panel`], with R rows.
#[inline(always)]
unsafe fn columns<L: Lanes, const R: usize, const C: usize>(panel: Panel) {
    debug_assert_eq!(panel.rows, R);
    let mut copy = [const { MaybeUninit::<f32>::uninit() }; MAX_TILE_ROWS * COPY_STRIDE];
    // Taken once: borrowing the copy anew would make the pointers into it stale.
    let copy = copy.as_mut_ptr().cast::<f32>();
    let mut x = [panel.x; R];
    for (row, pointer) in x.iter_mut().enumerate() {
        *pointer = panel.x.wrapping_add(row * panel.x_stride);
        // Rows that start in the same set of cache lines push each other and the weights out of the first level.
        if panel.x_stride.is_multiple_of(COLLIDING_STRIDE) && panel.columns > C {
            // SAFETY: a row is valid for `k` floats, at most `CHUNK`, for which the copy has room.
            unsafe {
                let to = copy.add(row * COPY_STRIDE);
                std::ptr::copy_nonoverlapping(*pointer, to, panel.k);
                *pointer = to;
            }
        }
    }
    let (part, parts) = (panel.part.0, panel.part.1.min(C));
    let asked = C.min(C * part / parts)..C.min(C * (part + 1) / parts);
    let mut column = 0;
    while column < panel.columns {
        let live = C.min(panel.columns - column);
        let mut weight = [panel.weight; C];
        for (c, pointer) in weight.iter_mut().enumerate() {
            // The last tile repeats its last row rather than have a kernel of its own.
            *pointer = panel.weight.wrapping_add((column + c.min(live - 1)) * panel.weight_stride);
        }
        let ahead = panel.next.wrapping_add((column + asked.start) * panel.weight_stride);
        let ahead = Ahead { first: ahead, rows: asked.len(), stride: panel.weight_stride };
        // SAFETY: rows of the panel, each valid for `k` floats.
        let sums = unsafe { tile::<L, R, C>(x, weight, panel.k, ahead) };
        for (row, sums) in sums.iter().enumerate() {
            for (c, &sum) in sums.iter().enumerate().take(live) {
                // SAFETY: `column + c` is below the panel's columns.
                unsafe {
                    let to = panel.out.add(row * panel.out_stride + column + c);
                    *to = if panel.add { *to + sum } else { sum };
                }
            }
        }
        column += C;
    }
}

/// Weight rows to ask for while a tile is computed.
#[derive(Clone, Copy)]
struct Ahead {
    first: *const f32,
    rows: usize,
    stride: usize,
}

/// The R × C dot products of length `k`.
///
/// Plain indices throughout: an iterator's closure could be left standing alone, compiled without the
/// instruction set, and the sums with it in memory.
///
/// # Safety
///
/// The instruction set of `L` is available, and every pointer of `x` and `weight` is valid for `k` floats.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize, const C: usize>(
    x: [*const f32; R],
    weight: [*const f32; C],
    k: usize,
    ahead: Ahead,
) -> [[f32; C]; R] {
    // SAFETY: the caller's obligation.
    unsafe {
        let mut lanes = [[L::splat(0.0); C]; R];
        let mut at = 0;
        while at + L::WIDTH <= k {
            let mut w = [lanes[0][0]; C];
            for c in 0..C {
                w[c] = L::load(weight[c].add(at));
            }
            for r in 0..R {
                let x = L::load(x[r].add(at));
                for c in 0..C {
                    lanes[r][c] = x.mul_add(w[c], lanes[r][c]);
                }
            }
            for row in 0..ahead.rows {
                L::prefetch(ahead.first.wrapping_add(row * ahead.stride + at));
            }
            at += L::WIDTH;
        }
        if at < k {
            // Zeros in the lanes past the end add nothing: the order is that of a longer row.
            let mut w = [lanes[0][0]; C];
            for c in 0..C {
                w[c] = L::load_part(weight[c].add(at), k - at);
            }
            for r in 0..R {
                let x = L::load_part(x[r].add(at), k - at);
                for c in 0..C {
                    lanes[r][c] = x.mul_add(w[c], lanes[r][c]);
                }
            }
        }
        let mut sums = [[0.0; C]; R];
        let mut first = 0;
        while first < R * C {
            let mut four = [lanes[0][0]; 4];
            for i in 0..4 {
                let of = if first + i < R * C { first + i } else { R * C - 1 };
                four[i] = lanes[of / C][of % C];
            }
            let four = L::sums(four);
            for i in 0..4 {
                if first + i < R * C {
                    sums[(first + i) / C][(first + i) % C] = four[i];
                }
            }
            first += 4;
        }
        sums
    }
}
