//! How weights are written in an index, and what they are then.

use bytemuck::{Pod, Zeroable};
use half::f16;

/// How the weights of documents are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    #[default]
    F32,
    /// With Lucene's 9 significant bits, the others cut off: `FeatureField`, which OpenSearch's rank_features and
    /// Elasticsearch's sparse_vector use, so that scores are theirs.
    Lucene9,
    /// Rounded to the nearest IEEE 754 half, 11 significant bits, at most 65,504.
    F16,
    /// Rounded to the nearest of 255 equal steps up to the largest weight of the term's list, at least one step.
    U8,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Codec; 4] = [Codec::F32, Codec::Lucene9, Codec::F16, Codec::U8];

    /// As options and reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::F32 => "f32",
            Codec::Lucene9 => "lucene9",
            Codec::F16 => "f16",
            Codec::U8 => "u8",
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
            Codec::F16 => 2,
            Codec::U8 => 3,
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
            Codec::F16 => size_of::<Half>(),
            Codec::U8 => size_of::<Step>(),
        }
    }

    /// The unit of a list's weights, by its largest one: 1 where it has no say.
    pub(super) fn unit(self, largest: f32) -> f32 {
        match self {
            Codec::F32 | Codec::Lucene9 | Codec::F16 => 1.0,
            Codec::U8 => Step::unit(largest),
        }
    }

    /// Appends a weight of a list as it is written.
    pub(super) fn write(self, weight: f32, unit: f32, out: &mut Vec<u8>) {
        match self {
            Codec::F32 => out.extend_from_slice(&weight.to_le_bytes()),
            Codec::Lucene9 => out.extend_from_slice(&NineBits::of(weight).0.to_le_bytes()),
            Codec::F16 => out.extend_from_slice(&Half::of(weight).0.to_le_bytes()),
            Codec::U8 => out.push(Step::of(weight, unit).0),
        }
    }

    /// What a weight is once it has been written.
    pub(super) fn in_units(self, weight: f32, unit: f32) -> f32 {
        match self {
            Codec::F32 => weight,
            Codec::Lucene9 => NineBits::of(weight).value(unit),
            Codec::F16 => Half::of(weight).value(unit),
            Codec::U8 => Step::of(weight, unit).value(unit),
        }
    }

    /// What a weight is once it has been written to a list whose largest weight is `largest`.
    pub fn rounded(self, weight: f32, largest: f32) -> f32 {
        self.in_units(weight, self.unit(largest))
    }
}

/// A weight as it stands in a file.
pub(super) trait Weight: Pod {
    /// * `unit`: that of its list.
    fn value(self, unit: f32) -> f32;
}

impl Weight for f32 {
    #[inline(always)]
    fn value(self, _: f32) -> f32 {
        self
    }
}

/// The exponent and 8 bits of the fraction of an f32 that is not negative: its bits without the lowest 15.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct NineBits(u16);

impl NineBits {
    fn of(weight: f32) -> Self {
        NineBits((weight.to_bits() >> 15) as u16)
    }
}

impl Weight for NineBits {
    #[inline(always)]
    fn value(self, _: f32) -> f32 {
        f32::from_bits(u32::from(self.0) << 15)
    }
}

/// The bits of a half that is not negative.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Half(u16);

impl Half {
    fn of(weight: f32) -> Self {
        Half(f16::from_f32(weight.min(f16::MAX.to_f32())).to_bits())
    }
}

impl Weight for Half {
    #[inline(always)]
    fn value(self, _: f32) -> f32 {
        // In the place of an f32's, its exponent is 112 too small, also that of numbers below the normal ones: a product
        // that is exact, where a conversion would be a call.
        const SCALE: f32 = f32::from_bits((127 + 112) << 23);
        f32::from_bits(u32::from(self.0) << 13) * SCALE
    }
}

/// How many units a weight has.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Step(u8);

impl Step {
    fn unit(largest: f32) -> f32 {
        let unit = (largest / f32::from(u8::MAX)).max(f32::MIN_POSITIVE);
        // Of the largest numbers there are, rounding may have gone up.
        if (f32::from(u8::MAX) * unit).is_finite() {
            unit
        } else {
            unit.next_down()
        }
    }

    fn of(weight: f32, unit: f32) -> Self {
        Step((weight / unit).round().clamp(1.0, u8::MAX.into()) as u8)
    }
}

impl Weight for Step {
    #[inline(always)]
    fn value(self, unit: f32) -> f32 {
        f32::from(self.0) * unit
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
            assert_eq!(Codec::Lucene9.rounded(weight, weight), kept, "{weight}");
        }
    }

    #[test]
    fn halves_are_those_of_the_half_crate() {
        for bits in 0..f16::INFINITY.to_bits() {
            let half = f16::from_bits(bits).to_f32();
            assert_eq!(Half(bits).value(1.0).to_bits(), half.to_bits());
            assert_eq!(Codec::F16.rounded(half, 1.0), half);
        }
        // The values are numpy's: numpy.float16.
        for (weight, kept) in [(0.1, 0.099975586), (2.9999, 3.0), (6e-8, 5.9604645e-8), (1e30, 65504.0)] {
            assert_eq!(Codec::F16.rounded(weight, weight), kept, "{weight}");
        }
    }

    #[test]
    fn steps_divide_a_list_evenly() {
        assert_eq!(Codec::U8.rounded(255.0, 255.0), 255.0);
        for (weight, kept) in [(99.4, 99.0), (99.6, 100.0), (0.2, 1.0)] {
            assert_eq!(Codec::U8.rounded(weight, 255.0), kept);
        }
        for largest in [f32::MAX, 3e38, 1.0, 0.37, 1e-30, f32::MIN_POSITIVE, 1e-44] {
            let found = Codec::U8.rounded(largest, largest);
            assert!(found.is_finite() && found > 0.0, "{largest}: {found}");
            if largest > 1e-35 {
                assert!((found / largest - 1.0).abs() < 1e-6, "{largest}: {found}");
            }
        }
    }
}
