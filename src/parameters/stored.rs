//! One tensor as a checkpoint stores it: its dtype, its shape, and where its elements lie in a file.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;

/// More tensors than any checkpoint has.
pub(super) const MAX_TENSORS: usize = 1 << 17;

/// More dimensions than any tensor has.
pub(super) const MAX_DIMENSIONS: usize = 8;

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Whole numbers, 8-bit floats and the like: the name that messages use, and the bits of an element.
    Other(&'static str, u8),
}

impl Dtype {
    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F64 => "f64",
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::Bf16 => "bf16",
            Dtype::Other(name, _) => name,
        }
    }

    /// The bits of one element.
    pub fn bits(self) -> u64 {
        match self {
            Dtype::F64 => 64,
            Dtype::F32 => 32,
            Dtype::F16 | Dtype::Bf16 => 16,
            Dtype::Other(_, bits) => bits.into(),
        }
    }
}

/// Where a tensor's elements lie.
///
/// Every element that it names is inside the file: whoever makes one has checked that.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StoredTensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// From an element to the next along each dimension, in elements; `None` where the elements are one after the other
    /// in row-major order.
    pub strides: Option<Vec<usize>>,
    /// Which of the checkpoint's files.
    pub file: usize,
    /// The bytes from the first element to the end of the last.
    pub bytes: Range<usize>,
}

impl StoredTensor {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values in f32, in row-major order: f16 and bf16 widen exactly, f64 is rounded once.
    ///
    /// * `bytes`: those of the whole file.
    /// * returns: `None` for a dtype that is none of these.
    pub fn to_f32(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        let bytes = &bytes[self.bytes.clone()];
        match self.dtype {
            Dtype::F64 => Some(self.gather(bytes, |bytes: [u8; 8]| f64::from_le_bytes(bytes) as f32)),
            Dtype::F32 => Some(self.gather(bytes, f32::from_le_bytes)),
            Dtype::F16 if self.strides.is_none() => Some(widened_f16(bytes)),
            Dtype::F16 => Some(self.gather(bytes, |bytes| f16::from_le_bytes(bytes).to_f32())),
            // A bf16 is the upper half of an f32.
            Dtype::Bf16 => {
                Some(self.gather(bytes, |bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)))
            }
            Dtype::Other(..) => None,
        }
    }

    /// Every element in row-major order.
    fn gather<const N: usize>(&self, bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (elements, _) = bytes.as_chunks::<N>();
        let Some(strides) = &self.strides else {
            return elements.iter().map(|element| value(*element)).collect();
        };
        let mut values = Vec::with_capacity(self.len());
        if self.len() == 0 {
            return values;
        }
        // The last dimension in the inner loop, the others counted like the digits of a number.
        let (&columns, rows) = self.shape.split_last().expect("a scalar has no strides");
        let (&step, strides) = strides.split_last().expect("as many strides as dimensions");
        let mut index = vec![0; rows.len()];
        loop {
            let start: usize = index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
            values.extend((0..columns).map(|column| value(elements[start + column * step])));
            let Some(digit) = (0..rows.len()).rev().find(|&digit| index[digit] + 1 < rows[digit]) else {
                return values;
            };
            index[digit] += 1;
            index[digit + 1..].fill(0);
        }
    }
}

/// f16 values, widened a piece at a time by the processor's own instruction where it has one.
fn widened_f16(bytes: &[u8]) -> Vec<f32> {
    const PIECE: usize = 1024;
    let mut values = vec![0.0; bytes.len() / 2];
    let mut halves = [f16::ZERO; PIECE];
    for (values, bytes) in values.chunks_mut(PIECE).zip(bytes.chunks(2 * PIECE)) {
        let halves = &mut halves[..values.len()];
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *half = f16::from_le_bytes(*bytes);
        }
        halves.convert_to_f32_slice(values);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dtype: Dtype, shape: &[usize], strides: Option<&[usize]>, bytes: &[u8]) -> StoredTensor {
        let (shape, strides) = (shape.to_vec(), strides.map(<[usize]>::to_vec));
        StoredTensor { dtype, shape, strides, file: 0, bytes: 0..bytes.len() }
    }

    #[test]
    fn every_float_becomes_the_nearest_f32() {
        // f64: halfway between two f32 goes to the even one, as in PyTorch; too large is infinite.
        let halfway = 1.0 + f64::from(f32::EPSILON) / 2.0;
        let bytes: Vec<u8> =
            [halfway, halfway + 1e-12, -0.0, 1e300, 1e-46].into_iter().flat_map(f64::to_le_bytes).collect();
        let values = stored(Dtype::F64, &[5], None, &bytes).to_f32(&bytes).expect("floats");
        assert_eq!(values[..2], [1.0, 1.0 + f32::EPSILON]);
        assert!(values[2] == 0.0 && values[2].is_sign_negative());
        assert_eq!(values[3..], [f32::INFINITY, 0.0]);
        // 1.5, the smallest subnormal, −∞ and a NaN.
        let bytes: Vec<u8> =
            [0x3e00_u16, 0x0001, 0xfc00, 0x7e00].into_iter().flat_map(u16::to_le_bytes).collect();
        let values = stored(Dtype::F16, &[4], None, &bytes).to_f32(&bytes).expect("floats");
        assert_eq!(values[..3], [1.5, (-24.0f32).exp2(), f32::NEG_INFINITY]);
        assert!(values[3].is_nan());
        let bytes: Vec<u8> = [0x3fc0_u16, 0xff80].into_iter().flat_map(u16::to_le_bytes).collect();
        let values = stored(Dtype::Bf16, &[2], None, &bytes).to_f32(&bytes).expect("floats");
        assert_eq!(values, [1.5, f32::NEG_INFINITY]);
        assert_eq!(stored(Dtype::Other("I64", 64), &[1], None, &[0; 8]).to_f32(&[0; 8]), None);
    }

    #[test]
    fn a_long_row_of_f16_is_widened_whole() {
        let bytes: Vec<u8> =
            (0..3000_u16).flat_map(|i| f16::from_f32(f32::from(i % 2048)).to_le_bytes()).collect();
        let values = stored(Dtype::F16, &[3000], None, &bytes).to_f32(&bytes).expect("floats");
        assert!(values.iter().enumerate().all(|(i, value)| *value == (i % 2048) as f32));
    }

    #[test]
    fn strides_are_followed_in_every_dimension() {
        let bytes: Vec<u8> = (0..24).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let values = |shape: &[usize], strides: &[usize]| {
            stored(Dtype::F32, shape, Some(strides), &bytes).to_f32(&bytes).expect("floats")
        };
        assert_eq!(values(&[3, 2], &[1, 3]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(values(&[2, 2, 2], &[1, 12, 4]), [0.0, 4.0, 12.0, 16.0, 1.0, 5.0, 13.0, 17.0]);
        assert_eq!(values(&[4], &[6]), [0.0, 6.0, 12.0, 18.0]);
        assert_eq!(values(&[0, 2], &[1, 3]), [0.0; 0]);
    }
}
