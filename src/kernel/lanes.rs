//! A vector of f32 lanes: the only abstraction over the instruction sets.

/// The widest vector, in lanes.
pub(super) const MAX_WIDTH: usize = 16;

/// A vector of [`Lanes::WIDTH`] floats.
///
/// Creating a vector is unsafe, because it needs the instruction set. Computing with one is safe, because a vector that
/// exists proves that the instruction set is available. Every method is `#[inline(always)]`, see
/// [`Operation`](super::Operation).
pub(super) trait Lanes: Copy {
    /// The number of lanes; at most [`MAX_WIDTH`].
    const WIDTH: usize;

    /// `value` in every lane.
    ///
    /// # Safety
    ///
    /// The instruction set is available.
    unsafe fn splat(value: f32) -> Self;

    /// # Safety
    ///
    /// The instruction set is available, and `from` is valid for reads of `WIDTH` floats.
    unsafe fn load(from: *const f32) -> Self;

    /// The first `count` lanes from memory, 0.0 in the others.
    ///
    /// # Safety
    ///
    /// The instruction set is available, `from` is valid for reads of `count` floats, and `count < WIDTH`.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;

    /// # Safety
    ///
    /// `to` is valid for writes of `WIDTH` floats.
    unsafe fn store(self, to: *mut f32);

    /// Writes the first `count` lanes.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `count` floats, and `count < WIDTH`.
    unsafe fn store_part(self, to: *mut f32, count: usize);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;

    /// `self * factor + addend`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// The larger in each lane; `other` when either is NaN or both are zeros, as x86 has it.
    fn max(self, other: Self) -> Self;

    /// The smaller in each lane; `other` when either is NaN or both are zeros, as x86 has it.
    fn min(self, other: Self) -> Self;

    /// `self * 2^exponent`, for whole numbers of magnitude at most 250; overflows to infinity and underflows
    /// gradually.
    fn scale(self, exponent: Self) -> Self;

    /// Writes the transpose of a square: lane i of vector j is element j of row i.
    ///
    /// * `rows`: the first `WIDTH` are read.
    /// * `to`: vectors `stride` floats apart.
    ///
    /// # Safety
    ///
    /// The instruction set is available, each of the rows is valid for reads of `WIDTH` floats, and `to` for
    /// writes of `WIDTH` vectors.
    unsafe fn transpose(rows: &[*const f32; MAX_WIDTH], to: *mut f32, stride: usize);

    /// Asks for the cache line of an address, valid or not, in the second-level cache.
    #[inline(always)]
    fn prefetch(_address: *const f32) {}

    /// `value` in every lane of another vector.
    #[inline(always)]
    fn all(self, value: f32) -> Self {
        // SAFETY: `self` shows that the instruction set is available.
        unsafe { Self::splat(value) }
    }

    /// The sum of the lanes: the upper half added to the lower, until one is left.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; MAX_WIDTH];
        // SAFETY: there is room for the widest vector.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut width = Self::WIDTH;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        lanes[0]
    }

    /// The largest lane; NaN lanes may go unseen.
    #[inline(always)]
    fn largest(self) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; MAX_WIDTH];
        // SAFETY: there is room for the widest vector.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut largest = f32::NEG_INFINITY;
        for lane in lanes {
            largest = if lane > largest { lane } else { largest };
        }
        largest
    }
}

/// Lanes of [`Portable`]: the width of the vectors that every 64-bit processor has.
const PORTABLE: usize = 4;

/// Plain Rust, which compilers turn into the vectors that every processor of the target has.
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(super) struct Portable([f32; PORTABLE]);

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
