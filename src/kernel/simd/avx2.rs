//! 8 lanes: AVX2 and FMA.
//!
//! Each function is one instruction or a few. Intel's intrinsics guide defines them.

use std::arch::x86_64::*;

use super::binary;
use crate::kernel::lanes::{Int8Lanes, Lanes, MAX_WIDTH};
use crate::kernel::tile::tiled;

/// 8 lanes, AVX2 and FMA.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx2(__m256);

tiled!(Avx2, 6 x 2, fewer: 1 2 3 4 5);

/// The 8 elements from index 8 − n on form a mask whose first n lanes are set.
static FIRST_LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Avx2 {
    /// # Safety
    ///
    /// AVX2 is available.
    #[inline(always)]
    unsafe fn first_lanes(count: usize) -> __m256i {
        debug_assert!(count <= 8);
        // SAFETY: at most 8 before the middle of 16, so 8 integers follow.
        unsafe { _mm256_loadu_si256(FIRST_LANES.as_ptr().add(8 - count).cast()) }
    }
}

impl Lanes for Avx2 {
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's obligation.
        Avx2(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's obligation.
        Avx2(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: lanes outside the mask are not read; the others are the caller's obligation.
        Avx2(unsafe { _mm256_maskload_ps(from, Self::first_lanes(count)) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: lanes outside the mask are not written; the others are the caller's obligation.
        unsafe { _mm256_maskstore_ps(to, Self::first_lanes(count), self.0) }
    }

    binary! {
        add = _mm256_add_ps;
        sub = _mm256_sub_ps;
        mul = _mm256_mul_ps;
        div = _mm256_div_ps;
        max = _mm256_max_ps;
        min = _mm256_min_ps;
    }

    #[inline(always)]
    fn prefetch(address: *const f32) {
        // SAFETY: part of SSE, which every x86-64 has; a prefetch from anywhere is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        Avx2(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }

    /// In two steps, as 2^exponent itself may be out of range.
    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        unsafe {
            let whole = _mm256_cvtps_epi32(exponent.0);
            let half = _mm256_srai_epi32::<1>(whole);
            let rest = _mm256_sub_epi32(whole, half);
            let bias = _mm256_set1_epi32(127);
            let half = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias)));
            let rest = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(rest, bias)));
            Avx2(_mm256_mul_ps(_mm256_mul_ps(self.0, half), rest))
        }
    }

    /// Pairs of rows, pairs of pairs, then halves.
    #[inline(always)]
    unsafe fn transpose(rows: &[*const f32; MAX_WIDTH], to: *mut f32, stride: usize) {
        // SAFETY: the caller's obligation.
        unsafe {
            let mut pairs = [_mm256_setzero_ps(); 8];
            for i in 0..4 {
                let (a, b) = (_mm256_loadu_ps(rows[2 * i]), _mm256_loadu_ps(rows[2 * i + 1]));
                pairs[2 * i] = _mm256_unpacklo_ps(a, b);
                pairs[2 * i + 1] = _mm256_unpackhi_ps(a, b);
            }
            let mut fours = [_mm256_setzero_ps(); 8];
            for i in [0, 4] {
                for half in 0..2 {
                    let (a, b) = (pairs[i + half], pairs[i + 2 + half]);
                    fours[i + 2 * half] = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
                    fours[i + 2 * half + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, b);
                }
            }
            for i in 0..4 {
                let (a, b) = (fours[i], fours[i + 4]);
                _mm256_storeu_ps(to.add(i * stride), _mm256_permute2f128_ps::<0x20>(a, b));
                _mm256_storeu_ps(to.add((i + 4) * stride), _mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
    }
}

/// `maddubs` adds two products in 16 bits and saturates. 2 · 127 · 127 fits, so a weight gets 7 bits.
impl Int8Lanes for Avx2 {
    type Sums = __m256i;
    type Codes = __m256i;

    const TILE_ROWS: usize = 4;
    const LEVELS: i8 = 63;
    const OFFSET: u8 = 64;

    #[inline(always)]
    unsafe fn splat_sums(value: i32) -> __m256i {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn splat_token(group: i32) -> __m256i {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_set1_epi32(group) }
    }

    #[inline(always)]
    unsafe fn load_quantized(from: *const u8) -> __m256i {
        // SAFETY: the caller's obligation.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn add_products(sums: __m256i, weights: __m256i, token: __m256i) -> __m256i {
        // SAFETY: the caller's obligation.
        unsafe {
            let pairs = _mm256_maddubs_epi16(weights, token);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn to_lanes(sums: __m256i) -> Self {
        // SAFETY: the caller's obligation.
        Avx2(unsafe { _mm256_cvtepi32_ps(sums) })
    }

    #[inline(always)]
    fn at_least(self, other: Self) -> u32 {
        // SAFETY: `self` shows that the instruction set is available.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, other.0)) as u32 }
    }
}
