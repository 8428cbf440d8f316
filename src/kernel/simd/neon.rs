//! 4 lanes: the Advanced SIMD instructions of 64-bit Arm, and its dot products of 8-bit integers.
//!
//! Each function is one instruction or a few. Arm's intrinsics guide defines them.

use std::arch::aarch64::*;
use std::arch::asm;

use super::binary;
use crate::kernel::lanes::{Int8Lanes, Lanes, MAX_WIDTH};
use crate::kernel::tile::{Tile, Tiled, LINE};

/// Lanes of [`Neon`].
const WIDTH: usize = 4;

/// 4 lanes, on every 64-bit Arm processor.
///
/// * `DOT`: whether products of 8-bit integers are summed by `sdot`, which not all of them have.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Neon<const DOT: bool>(float32x4_t);

impl<const DOT: bool> Lanes for Neon<DOT> {
    const WIDTH: usize = WIDTH;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's obligation.
        Neon(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's obligation.
        Neon(unsafe { vld1q_f32(from) })
    }

    /// There are no masked loads: the lanes go through memory.
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        debug_assert!(count < WIDTH);
        let mut lanes = [0.0; WIDTH];
        // SAFETY: read only below `count`, the caller's obligation; fewer than there are lanes.
        unsafe {
            for lane in 0..count {
                *lanes.as_mut_ptr().add(lane) = from.add(lane).read();
            }
            Self::load(lanes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's obligation.
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        debug_assert!(count < WIDTH);
        let mut lanes = [0.0; WIDTH];
        // SAFETY: written only below `count`, the caller's obligation; fewer than there are lanes.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for lane in 0..count {
                to.add(lane).write(*lanes.as_ptr().add(lane));
            }
        }
    }

    binary! {
        add = vaddq_f32;
        sub = vsubq_f32;
        mul = vmulq_f32;
        div = vdivq_f32;
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        Neon(unsafe { vfmaq_f32(addend.0, self.0, factor.0) })
    }

    /// By comparison, for the processor's own maximum treats NaN and zeros otherwise.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        Neon(unsafe { vbslq_f32(vcgtq_f32(self.0, other.0), self.0, other.0) })
    }

    /// See [`Lanes::max`].
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        Neon(unsafe { vbslq_f32(vcltq_f32(self.0, other.0), self.0, other.0) })
    }

    /// In two steps, as 2^exponent itself may be out of range.
    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        unsafe {
            let whole = vcvtnq_s32_f32(exponent.0);
            let half = vshrq_n_s32::<1>(whole);
            let rest = vsubq_s32(whole, half);
            let bias = vdupq_n_s32(127);
            let half = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(half, bias)));
            let rest = vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(rest, bias)));
            Neon(vmulq_f32(vmulq_f32(self.0, half), rest))
        }
    }

    /// Pairs of rows, then pairs of pairs.
    #[inline(always)]
    unsafe fn transpose(rows: &[*const f32; MAX_WIDTH], to: *mut f32, stride: usize) {
        // SAFETY: the caller's obligation.
        unsafe {
            let [a, b] = [vld1q_f32(rows[0]), vld1q_f32(rows[1])];
            let [c, d] = [vld1q_f32(rows[2]), vld1q_f32(rows[3])];
            let (even_ab, odd_ab) = (as_f64(vtrn1q_f32(a, b)), as_f64(vtrn2q_f32(a, b)));
            let (even_cd, odd_cd) = (as_f64(vtrn1q_f32(c, d)), as_f64(vtrn2q_f32(c, d)));
            vst1q_f32(to, as_f32(vtrn1q_f64(even_ab, even_cd)));
            vst1q_f32(to.add(stride), as_f32(vtrn1q_f64(odd_ab, odd_cd)));
            vst1q_f32(to.add(2 * stride), as_f32(vtrn2q_f64(even_ab, even_cd)));
            vst1q_f32(to.add(3 * stride), as_f32(vtrn2q_f64(odd_ab, odd_cd)));
        }
    }

    /// `prfm` for the second-level cache; the intrinsic is not stable.
    #[inline(always)]
    fn prefetch(address: *const f32) {
        // SAFETY: a prefetch from anywhere is allowed, and reads and writes nothing.
        unsafe {
            asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, preserves_flags, readonly));
        }
    }
}

/// Two floats as one.
#[inline(always)]
unsafe fn as_f64(lanes: float32x4_t) -> float64x2_t {
    // SAFETY: the caller's obligation.
    unsafe { vreinterpretq_f64_f32(lanes) }
}

/// One of them as two floats.
#[inline(always)]
unsafe fn as_f32(lanes: float64x2_t) -> float32x4_t {
    // SAFETY: the caller's obligation.
    unsafe { vreinterpretq_f32_f64(lanes) }
}

/// 8 rows of 2 vectors: 16 of the 32 registers hold sums, 8 the factors of four steps, 2 a line of the panel.
///
/// Here a multiply-add takes its factor from any lane of a register. So the factors of four steps are loaded at once: 8
/// loads for them and 8 for the panel's lines stand beside 64 multiply-adds.
impl Tiled for Neon<false> {
    const TILE_ROWS: usize = 8;

    #[inline(always)]
    unsafe fn tile(tile: Tile) {
        // SAFETY: the caller's obligation.
        unsafe {
            match tile.rows {
                1 => tile_of::<1>(tile),
                2 => tile_of::<2>(tile),
                3 => tile_of::<3>(tile),
                4 => tile_of::<4>(tile),
                5 => tile_of::<5>(tile),
                6 => tile_of::<6>(tile),
                7 => tile_of::<7>(tile),
                _ => tile_of::<8>(tile),
            }
        }
    }
}

/// Vectors of columns of a tile.
const VECTORS: usize = 2;

/// One step of a tile: adds the products of lane L of each row's factors with a line of the panel.
///
/// # Safety
///
/// That of [`Tiled::tile`].
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn step<const R: usize, const L: i32>(
    sums: &mut [[float32x4_t; VECTORS]; R],
    factors: &[float32x4_t; R],
    line: *const f32,
) {
    // SAFETY: the caller's obligation.
    unsafe {
        let vectors = [vld1q_f32(line), vld1q_f32(line.add(WIDTH))];
        for r in 0..R {
            for v in 0..VECTORS {
                sums[r][v] = vfmaq_laneq_f32::<L>(sums[r][v], vectors[v], factors[r]);
            }
        }
    }
}

/// [`Tiled::tile`] of R rows.
///
/// # Safety
///
/// That of [`Tiled::tile`].
#[allow(clippy::needless_range_loop)]
#[inline(always)]
unsafe fn tile_of<const R: usize>(tile: Tile) {
    debug_assert_eq!(tile.rows, R);
    // SAFETY: the caller's obligation; the lanes past the last column are neither read nor written.
    unsafe {
        let mut sums = [[vdupq_n_f32(0.0); VECTORS]; R];
        let mut i = 0;
        while i + WIDTH <= tile.k {
            let mut factors = [vdupq_n_f32(0.0); R];
            let mut x = tile.x.add(i);
            for r in 0..R {
                factors[r] = vld1q_f32(x);
                x = x.wrapping_add(tile.x_stride);
            }
            let line = tile.panel.add(i * VECTORS * WIDTH);
            step::<R, 0>(&mut sums, &factors, line);
            step::<R, 1>(&mut sums, &factors, line.add(VECTORS * WIDTH));
            step::<R, 2>(&mut sums, &factors, line.add(2 * VECTORS * WIDTH));
            step::<R, 3>(&mut sums, &factors, line.add(3 * VECTORS * WIDTH));
            // 8 lines for every 16 steps.
            let asked = i % LINE / 2;
            Neon::<false>::prefetch(tile.prefetch.address(i, asked));
            Neon::<false>::prefetch(tile.prefetch.address(i, asked + 1));
            i += WIDTH;
        }
        while i < tile.k {
            let mut factors = [vdupq_n_f32(0.0); R];
            let mut x = tile.x.add(i);
            for r in 0..R {
                factors[r] = vld1q_dup_f32(x);
                x = x.wrapping_add(tile.x_stride);
            }
            step::<R, 0>(&mut sums, &factors, tile.panel.add(i * VECTORS * WIDTH));
            i += 1;
        }
        for r in 0..R {
            let [first, second] = sums[r];
            tile.store_row::<Neon<false>, VECTORS>(r, [Neon(first), Neon(second)]);
        }
    }
}

/// `sdot` adds four products to each lane. Weights are signed there, so they need no offset.
impl Int8Lanes for Neon<true> {
    type Sums = int32x4_t;
    type Codes = int8x16_t;

    const TILE_ROWS: usize = 8;
    const LEVELS: i8 = 127;
    const OFFSET: u8 = 0;

    #[inline(always)]
    unsafe fn splat_sums(value: i32) -> int32x4_t {
        // SAFETY: the caller's obligation.
        unsafe { vdupq_n_s32(value) }
    }

    #[inline(always)]
    unsafe fn splat_token(group: i32) -> int8x16_t {
        // SAFETY: the caller's obligation.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(group)) }
    }

    #[inline(always)]
    unsafe fn load_quantized(from: *const u8) -> int8x16_t {
        // SAFETY: the caller's obligation.
        unsafe { vld1q_s8(from.cast()) }
    }

    /// By assembly: the intrinsic is not stable.
    #[inline(always)]
    unsafe fn add_products(mut sums: int32x4_t, weights: int8x16_t, token: int8x16_t) -> int32x4_t {
        // SAFETY: the caller's obligation; nothing but a register is written.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {weights:v}.16b, {token:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                token = in(vreg) token,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }

    #[inline(always)]
    unsafe fn to_lanes(sums: int32x4_t) -> Self {
        // SAFETY: the caller's obligation.
        Neon(unsafe { vcvtq_f32_s32(sums) })
    }

    #[inline(always)]
    fn at_least(self, other: Self) -> u32 {
        at_least(self, other)
    }
}

/// Products of 16 bits, added in pairs to sums of 32: two vectors of sums, each lane in two parts.
impl Int8Lanes for Neon<false> {
    type Sums = int32x4x2_t;
    type Codes = int8x16_t;

    const TILE_ROWS: usize = 4;
    const LEVELS: i8 = 127;
    const OFFSET: u8 = 0;

    #[inline(always)]
    unsafe fn splat_sums(value: i32) -> int32x4x2_t {
        // SAFETY: the caller's obligation. Of the two parts of each lane, one starts with the value.
        unsafe {
            let start = vtrn1q_s32(vdupq_n_s32(value), vdupq_n_s32(0));
            int32x4x2_t(start, start)
        }
    }

    #[inline(always)]
    unsafe fn splat_token(group: i32) -> int8x16_t {
        // SAFETY: the caller's obligation.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(group)) }
    }

    #[inline(always)]
    unsafe fn load_quantized(from: *const u8) -> int8x16_t {
        // SAFETY: the caller's obligation.
        unsafe { vld1q_s8(from.cast()) }
    }

    #[inline(always)]
    unsafe fn add_products(sums: int32x4x2_t, weights: int8x16_t, token: int8x16_t) -> int32x4x2_t {
        // SAFETY: the caller's obligation. A product is at most 127 · 127.
        unsafe {
            let low = vmull_s8(vget_low_s8(weights), vget_low_s8(token));
            let high = vmull_high_s8(weights, token);
            int32x4x2_t(vpadalq_s16(sums.0, low), vpadalq_s16(sums.1, high))
        }
    }

    #[inline(always)]
    unsafe fn to_lanes(sums: int32x4x2_t) -> Self {
        // SAFETY: the caller's obligation.
        Neon(unsafe { vcvtq_f32_s32(vpaddq_s32(sums.0, sums.1)) })
    }

    #[inline(always)]
    fn at_least(self, other: Self) -> u32 {
        at_least(self, other)
    }
}

/// [`Int8Lanes::at_least`]
#[inline(always)]
fn at_least<const DOT: bool>(a: Neon<DOT>, b: Neon<DOT>) -> u32 {
    const BITS: [u32; WIDTH] = [1, 2, 4, 8];
    // SAFETY: `a` shows that the instruction set is available.
    unsafe { vaddvq_u32(vandq_u32(vcgeq_f32(a.0, b.0), vld1q_u32(BITS.as_ptr()))) }
}
