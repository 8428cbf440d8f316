//! Plain Rust, for any processor.

use crate::kernel::lanes::{Lanes, MAX_WIDTH};
use crate::kernel::tile::tiled;

/// Lanes of [`Portable`]: the width of the vectors that every 64-bit processor has.
const PORTABLE: usize = 4;

/// Plain Rust, which compilers turn into the vectors that every processor of the target has.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(in crate::kernel) struct Portable([f32; PORTABLE]);

/// One expression for each lane.
macro_rules! each_lane {
    (|$lane:ident| $value:expr) => {{
        let mut lanes = [0.0; PORTABLE];
        let mut $lane = 0;
        while $lane < PORTABLE {
            lanes[$lane] = $value;
            $lane += 1;
        }
        Portable(lanes)
    }};
}

tiled!(Portable, 4 x 2, fewer: 1 2 3);

impl Lanes for Portable {
    const WIDTH: usize = PORTABLE;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Portable([value; PORTABLE])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's obligation.
        Portable(unsafe { from.cast::<[f32; PORTABLE]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: read only below `count`, the caller's obligation.
        each_lane!(|lane| if lane < count { unsafe { from.add(lane).read() } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's obligation.
        unsafe { to.cast::<[f32; PORTABLE]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        for (lane, &value) in self.0.iter().enumerate().take(count) {
            // SAFETY: written only below `count`, the caller's obligation.
            unsafe { to.add(lane).write(value) }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each_lane!(|i| self.0[i] + other.0[i])
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each_lane!(|i| self.0[i] - other.0[i])
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        each_lane!(|i| self.0[i] * other.0[i])
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        each_lane!(|i| self.0[i] / other.0[i])
    }

    /// Rounded twice: without hardware for it, `f32::mul_add` is a call into libm.
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        each_lane!(|i| self.0[i] * factor.0[i] + addend.0[i])
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        each_lane!(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        each_lane!(|i| if self.0[i] < other.0[i] { self.0[i] } else { other.0[i] })
    }

    /// In two steps, as 2^exponent itself may be out of range.
    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        let power = |exponent: i32| f32::from_bits(((exponent + 127) as u32) << 23);
        each_lane!(|i| {
            let whole = exponent.0[i] as i32;
            let half = whole >> 1;
            self.0[i] * power(half) * power(whole - half)
        })
    }

    #[inline(always)]
    unsafe fn transpose(rows: &[*const f32; MAX_WIDTH], to: *mut f32, stride: usize) {
        for (lane, row) in rows.iter().enumerate().take(PORTABLE) {
            for vector in 0..PORTABLE {
                // SAFETY: the caller's obligation.
                unsafe { to.add(vector * stride + lane).write(row.add(vector).read()) }
            }
        }
    }
}
