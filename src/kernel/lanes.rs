//! What an instruction set brings: a vector of f32 lanes, and products of 8-bit integers. All operations are written once
//! over these, and over [`Tiled`](super::tile::Tiled).

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

/// Vectors of columns side by side in a panel of quantized weights.
pub(super) const INT8_VECTORS: usize = 2;

/// Lanes that also multiply 8-bit integers: those of a weight, unsigned with an offset, and those of a token, signed.
pub(super) trait Int8Lanes: Lanes {
    /// As many i32 as there are lanes.
    type Sums: Copy;
    /// Four 8-bit integers for each lane.
    type Codes: Copy;

    /// W of quantized weights.
    const INT8_COLUMNS: usize = INT8_VECTORS * Self::WIDTH;

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

    /// The same four elements of a token, a byte each, for every lane.
    ///
    /// # Safety
    ///
    /// The instruction set is available.
    unsafe fn splat_token(group: i32) -> Self::Codes;

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
    unsafe fn add_products(sums: Self::Sums, weights: Self::Codes, token: Self::Codes) -> Self::Sums;

    /// # Safety
    ///
    /// The instruction set is available.
    unsafe fn to_lanes(sums: Self::Sums) -> Self;

    /// A bit for each lane in which `self` is at least `other`; none where either is NaN.
    fn at_least(self, other: Self) -> u32;
}
