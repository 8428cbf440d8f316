//! [`Lanes`] in the vector instructions of x86-64.
//!
//! Each function is one instruction or a few. Intel's intrinsics guide defines them.

use std::arch::x86_64::*;

use super::lanes::{Lanes, MAX_WIDTH};

/// 8 lanes, AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(pub(super) __m256);

/// 16 lanes, AVX-512F.
#[derive(Clone, Copy)]
pub(super) struct Avx512(pub(super) __m512);

/// A two-operand method: one intrinsic.
macro_rules! binary {
    ($($method:ident = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $method(self, other: Self) -> Self {
            // SAFETY: `self` shows that the instruction set is available.
            Self(unsafe { $intrinsic(self.0, other.0) })
        }
    )*};
}

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
