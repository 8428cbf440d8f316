//! How weights are written in an index, and what they are then.

use bytemuck::Pod;

/// How the weights of documents are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    #[default]
    F32,
    /// With Lucene's 9 significant bits, the others cut off: `FeatureField`, which OpenSearch's rank_features and
    /// Elasticsearch's sparse_vector use, so that scores are theirs.
    Lucene9,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Codec; 2] = [Codec::F32, Codec::Lucene9];

    /// As options and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::F32 => "f32",
            Codec::Lucene9 => "lucene9",
        }
    }

    /// The codec of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The number that stands for it in a file.
    pub(super) fn code(self) -> u32 {
        match self {
            Codec::F32 => 0,
            Codec::Lucene9 => 1,
        }
    }

    pub(super) fn of_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.code() == code)
    }

    /// Bytes of a weight.
    pub(super) fn weight_bytes(self) -> usize {
        match self {
            Codec::F32 => size_of::<f32>(),
            Codec::Lucene9 => size_of::<NineBits>(),
        }
    }

    /// Appends a weight as it is written.
    pub(super) fn write(self, weight: f32, out: &mut Vec<u8>) {
        match self {
            Codec::F32 => out.extend_from_slice(&weight.to_le_bytes()),
            Codec::Lucene9 => out.extend_from_slice(&NineBits::of(weight).0.to_le_bytes()),
        }
    }

    /// What a weight is once it has been written.
    pub fn rounded(self, weight: f32) -> f32 {
        match self {
            Codec::F32 => weight,
            Codec::Lucene9 => NineBits::of(weight).value(),
        }
    }
}

/// A weight as it stands in a file.
pub(super) trait Weight: Pod {
    fn value(self) -> f32;
}

impl Weight for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

/// The exponent and 8 bits of the fraction of an f32 that is not negative: its bits without the lowest 15.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub(super) struct NineBits(u16);

impl NineBits {
    fn of(weight: f32) -> Self {
        NineBits((weight.to_bits() >> 15) as u16)
    }
}

impl Weight for NineBits {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The values are numpy's: the bits of an f32 & 0xFFFF8000.
    #[test]
    fn nine_bits_are_cut_off_and_not_rounded() {
        for (weight, kept) in
            [(1.0, 1.0), (1.999, 1.9960938), (0.1, 0.099853516), (2.9999998, 2.9921875), (3e38, 2.9974091e38)]
        {
            assert_eq!(Codec::Lucene9.rounded(weight), kept, "{weight}");
        }
    }
}
