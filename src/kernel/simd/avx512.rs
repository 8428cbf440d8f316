//! 16 lanes: AVX-512F, and its VNNI for products of 8-bit integers.
//!
//! Each function is one instruction or a few. Intel's intrinsics guide defines them.

use std::arch::x86_64::*;

use super::binary;
use crate::kernel::lanes::{Int8Lanes, Lanes, MAX_WIDTH};
use crate::kernel::tile::tiled;

/// 16 lanes, AVX-512F.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx512(__m512);

tiled!(Avx512, 12 x 2, fewer: 1 2 3 4 5 6 7 8 9 10 11);

impl Avx512 {
    #[inline(always)]
    fn first_lanes(count: usize) -> __mmask16 {
        debug_assert!(count < 16);
        (1 << count) - 1
    }
}

impl Lanes for Avx512 {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's obligation.
        Avx512(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's obligation.
        Avx512(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: lanes outside the mask are not read; the others are the caller's obligation.
        Avx512(unsafe { _mm512_maskz_loadu_ps(Self::first_lanes(count), from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: lanes outside the mask are not written; the others are the caller's obligation.
        unsafe { _mm512_mask_storeu_ps(to, Self::first_lanes(count), self.0) }
    }

    binary! {
        add = _mm512_add_ps;
        sub = _mm512_sub_ps;
        mul = _mm512_mul_ps;
        div = _mm512_div_ps;
        max = _mm512_max_ps;
        min = _mm512_min_ps;
        scale = _mm512_scalef_ps;
    }

    #[inline(always)]
    fn prefetch(address: *const f32) {
        // SAFETY: part of SSE, which every x86-64 has; a prefetch from anywhere is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        Avx512(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    /// Pairs of rows, pairs of pairs, then quarters.
    #[inline(always)]
    unsafe fn transpose(rows: &[*const f32; MAX_WIDTH], to: *mut f32, stride: usize) {
        // SAFETY: the caller's obligation.
        unsafe {
            let mut pairs = [_mm512_setzero_ps(); 16];
            for i in 0..8 {
                let (a, b) = (_mm512_loadu_ps(rows[2 * i]), _mm512_loadu_ps(rows[2 * i + 1]));
                pairs[2 * i] = _mm512_unpacklo_ps(a, b);
                pairs[2 * i + 1] = _mm512_unpackhi_ps(a, b);
            }
            let mut fours = [_mm512_setzero_ps(); 16];
            for i in [0, 4, 8, 12] {
                for half in 0..2 {
                    let (a, b) = (pairs[i + half], pairs[i + 2 + half]);
                    fours[i + 2 * half] = _mm512_shuffle_ps::<0b01_00_01_00>(a, b);
                    fours[i + 2 * half + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(a, b);
                }
            }
            // Quarter q of vector i of four rows is column 4q + i of them.
            for i in 0..4 {
                let [a, b, c, d] = [fours[i], fours[i + 4], fours[i + 8], fours[i + 12]];
                let even_above = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
                let odd_above = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
                let even_below = _mm512_shuffle_f32x4::<0b10_00_10_00>(c, d);
                let odd_below = _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d);
                let columns = [
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(even_above, even_below),
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(odd_above, odd_below),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(even_above, even_below),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(odd_above, odd_below),
                ];
                for (quarter, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * quarter + i) * stride), column);
                }
            }
        }
    }
}

impl Int8Lanes for Avx512 {
    type Sums = __m512i;
    type Codes = __m512i;

    const TILE_ROWS: usize = 12;
    const LEVELS: i8 = 127;
    const OFFSET: u8 = 128;

    #[inline(always)]
    unsafe fn splat_sums(value: i32) -> __m512i {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn splat_token(group: i32) -> __m512i {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_set1_epi32(group) }
    }

    #[inline(always)]
    unsafe fn load_quantized(from: *const u8) -> __m512i {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn add_products(sums: __m512i, weights: __m512i, token: __m512i) -> __m512i {
        // SAFETY: the caller's obligation.
        unsafe { _mm512_dpbusd_epi32(sums, weights, token) }
    }

    #[inline(always)]
    unsafe fn to_lanes(sums: __m512i) -> Self {
        // SAFETY: the caller's obligation.
        Avx512(unsafe { _mm512_cvtepi32_ps(sums) })
    }

    #[inline(always)]
    fn at_least(self, other: Self) -> u32 {
        // SAFETY: `self` shows that the instruction set is available.
        u32::from(unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, other.0) })
    }
}
