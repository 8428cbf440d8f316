//! Products of 8-bit integers, with which [`screen`](super::screen) estimates logits.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::lanes::Lanes;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};
use super::InstructionSet;

/// Lanes that also multiply 8-bit integers: those of a weight, unsigned with an offset, and those of a token, signed.
pub(super) trait Int8Lanes: Lanes {
    /// As many i32 as there are lanes.
    type Sums: Copy;
    /// Four 8-bit integers for each lane.
    type Codes: Copy;

    /// Tokens of a tile: its sums and a few operands fill the registers.
    const TILE_ROWS: usize;

    /// Quantized weights are −`LEVELS` to `LEVELS`, stored with [`Int8Lanes::OFFSET`] added.
    const LEVELS: i8;

    /// Added to a quantized weight to make it unsigned.
    const OFFSET: u8;

    /// # Safety
    ///
    /// The instruction set is available.
    unsafe fn splat_sums(value: i32) -> Self::Sums;

    /// # Safety
    ///
    /// The instruction set is available, and `from` is valid for reads of 4 · `WIDTH` bytes.
    unsafe fn load_quantized(from: *const u8) -> Self::Codes;

    /// Adds to each lane the sum of the products of its four weights with the four elements of a token, exactly.
    ///
    /// # Safety
    ///
    /// The instruction set is available. The stored weights are at most `OFFSET + LEVELS`. The token's elements, a byte
    /// each and the same four for every lane, are −127 to 127.
    unsafe fn add_products(sums: Self::Sums, weights: Self::Codes, token: Self::Sums) -> Self::Sums;

    /// # Safety
    ///
    /// The instruction set is available.
    unsafe fn to_lanes(sums: Self::Sums) -> Self;

    /// A bit for each lane in which `self` is at least `other`; none where either is NaN.
    fn at_least(self, other: Self) -> u32;
}

#[cfg(target_arch = "x86_64")]
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

/// `maddubs` adds two products in 16 bits and saturates. 2 · 127 · 127 fits, so a weight gets 7 bits.
#[cfg(target_arch = "x86_64")]
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

/// The instructions that multiply 8-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Int8Kernel {
    /// `maddubs`, twice as fast as products in f32.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// `vpdpbusd`, four times as fast.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Int8Kernel {
    /// The fastest of this processor that goes with `kernel`; `None` beside the portable one.
    pub fn beside(kernel: InstructionSet) -> Option<Int8Kernel> {
        match kernel {
            InstructionSet::Portable => None,
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx2 | InstructionSet::Avx512 => None,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 if Int8Kernel::Avx512Vnni.is_available() => Some(Int8Kernel::Avx512Vnni),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx512 => Some(Int8Kernel::Avx2),
        }
    }

    /// Its main instruction.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => "vpmaddubsw",
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => "vpdpbusd",
        }
    }

    /// Those that this processor has.
    #[cfg(test)]
    pub fn available() -> Vec<Int8Kernel> {
        let all: &[Int8Kernel] = &[
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2,
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni,
        ];
        all.iter().copied().filter(|kernel| kernel.is_available()).collect()
    }

    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vnni")
                    && Int8Kernel::Avx2.is_available()
            }
        }
    }

    /// Runs an operation compiled for these instructions.
    ///
    /// # Panics
    ///
    /// When the processor lacks them.
    pub fn run<O: Int8Operation>(self, operation: O) -> O::Output {
        assert!(self.is_available(), "this processor has no {self:?}");
        match self {
            // SAFETY: the assertion above.
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => unsafe { run_avx2(operation) },
            // SAFETY: the assertion above.
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => unsafe { run_avx512_vnni(operation) },
        }
    }
}

/// An operation, written once over [`Int8Lanes`]. The rules of [`Operation`](super::Operation) hold here too.
pub(super) trait Int8Operation {
    type Output;

    /// # Safety
    ///
    /// The instructions of `L` are available.
    unsafe fn run<L: Int8Lanes>(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<O: Int8Operation>(operation: O) -> O::Output {
    // SAFETY: the caller's obligation.
    unsafe { operation.run::<Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
unsafe fn run_avx512_vnni<O: Int8Operation>(operation: O) -> O::Output {
    // SAFETY: the caller's obligation.
    unsafe { operation.run::<Avx512>() }
}
