//! The instruction sets: which there are, whether this processor has them, and how an operation is compiled for one.
//!
//! A new one is a file here, which implements [`Lanes`](super::lanes::Lanes), [`Tiled`] and, where it multiplies 8-bit
//! integers faster than floats, [`Int8Lanes`]; and an arm in each `match` of this file.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use super::lanes::Int8Lanes;
use super::tile::Tiled;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
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

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use binary;

/// The instruction set that an operation is computed with.
///
/// Results are bit-stable within one instruction set and may differ between them. The variants are the same on every
/// target: one that a processor lacks is not available there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust, on any processor.
    Portable,
    /// Advanced SIMD: 4 lanes. 64-bit Arm only.
    Neon,
    /// AVX2 and FMA: 8 lanes. x86-64 only.
    Avx2,
    /// AVX-512F: 16 lanes. x86-64 only.
    Avx512,
}

impl InstructionSet {
    /// Every one of them, slowest first.
    pub const ALL: [InstructionSet; 4] =
        [InstructionSet::Portable, InstructionSet::Neon, InstructionSet::Avx2, InstructionSet::Avx512];

    /// The fastest that this processor has.
    pub fn best() -> InstructionSet {
        InstructionSet::available().last().copied().unwrap_or(InstructionSet::Portable)
    }

    /// Those that this processor has, slowest first.
    pub fn available() -> Vec<InstructionSet> {
        InstructionSet::ALL.into_iter().filter(|set| set.is_available()).collect()
    }

    /// Its name, which [`InstructionSet::named`] reads.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable",
            InstructionSet::Neon => "neon",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
        }
    }

    /// The instruction set of that name, whether or not this processor has it.
    pub fn named(name: &str) -> Option<InstructionSet> {
        InstructionSet::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            InstructionSet::Portable => true,
            // Part of the architecture.
            InstructionSet::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => {
                is_x86_feature_detected!("avx512f") && InstructionSet::Avx2.is_available()
            }
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx2 | InstructionSet::Avx512 => false,
        }
    }

    /// Runs an operation compiled for this instruction set.
    ///
    /// # Panics
    ///
    /// When the processor lacks it. The check is cheap, because the standard library caches the answer.
    pub(super) fn run<O: Operation>(self, operation: O) {
        assert!(self.is_available(), "this processor has no {}", self.name());
        match self {
            // SAFETY: plain Rust needs no instruction set.
            InstructionSet::Portable => unsafe { operation.run::<portable::Portable>() },
            // SAFETY: the assertion above.
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => unsafe { run_neon(operation) },
            #[cfg(not(target_arch = "aarch64"))]
            InstructionSet::Neon => unreachable!("not available, as asserted above"),
            // SAFETY: the assertion above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { run_avx2(operation) },
            // SAFETY: the assertion above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => unsafe { run_avx512(operation) },
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx2 | InstructionSet::Avx512 => unreachable!("not available, as asserted above"),
        }
    }
}

/// The instructions that multiply 8-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Int8Kernel {
    /// `smull` and `sadalp`: no more products an instruction than in f32, but a quarter of the bytes.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// `sdot`, four times as fast.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// `maddubs`, twice as fast as products in f32.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// `vpdpbusd`, four times as fast.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Int8Kernel {
    /// Those that there are on this target, slowest first.
    const ALL: &[Int8Kernel] = &[
        #[cfg(target_arch = "aarch64")]
        Int8Kernel::Neon,
        #[cfg(target_arch = "aarch64")]
        Int8Kernel::NeonDot,
        #[cfg(target_arch = "x86_64")]
        Int8Kernel::Avx2,
        #[cfg(target_arch = "x86_64")]
        Int8Kernel::Avx512Vnni,
    ];

    /// The fastest of this processor that goes with `kernel`; `None` beside the portable one.
    pub fn beside(kernel: InstructionSet) -> Option<Int8Kernel> {
        let goes_with = |int8: &Int8Kernel| int8.is_available() && int8.goes_with(kernel);
        Int8Kernel::ALL.iter().copied().rfind(goes_with)
    }

    /// Whether a processor that is told to use `kernel` may use these as well.
    fn goes_with(self, kernel: InstructionSet) -> bool {
        match self {
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::Neon | Int8Kernel::NeonDot => kernel == InstructionSet::Neon,
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => matches!(kernel, InstructionSet::Avx2 | InstructionSet::Avx512),
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => kernel == InstructionSet::Avx512,
        }
    }

    /// Its main instruction.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::Neon => "smull",
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::NeonDot => "sdot",
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => "vpmaddubsw",
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => "vpdpbusd",
        }
    }

    /// Those that this processor has.
    #[cfg(test)]
    pub fn available() -> Vec<Int8Kernel> {
        Int8Kernel::ALL.iter().copied().filter(|kernel| kernel.is_available()).collect()
    }

    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::Neon => true,
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => InstructionSet::Avx2.is_available(),
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => {
                is_x86_feature_detected!("avx512vnni") && InstructionSet::Avx512.is_available()
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
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::Neon => unsafe { run_int8_neon(operation) },
            // SAFETY: the assertion above.
            #[cfg(target_arch = "aarch64")]
            Int8Kernel::NeonDot => unsafe { run_int8_neon_dot(operation) },
            // SAFETY: the assertion above.
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx2 => unsafe { run_int8_avx2(operation) },
            // SAFETY: the assertion above.
            #[cfg(target_arch = "x86_64")]
            Int8Kernel::Avx512Vnni => unsafe { run_int8_avx512_vnni(operation) },
        }
    }
}

/// An operation, written once over a vector of lanes.
///
/// `run` is inlined into a function that has the instruction set enabled. So every function that it calls on the way to an
/// intrinsic must be `#[inline(always)]`: one that is not inlined would be compiled without the instruction set.
pub(super) trait Operation {
    /// # Safety
    ///
    /// The instruction set of `L` is available.
    unsafe fn run<L: Tiled>(self);
}

/// An operation, written once over [`Int8Lanes`]. The rules of [`Operation`] hold here too.
pub(super) trait Int8Operation {
    type Output;

    /// # Safety
    ///
    /// The instructions of `L` are available.
    unsafe fn run<L: Int8Lanes>(self) -> Self::Output;
}

/// The functions that have an instruction set enabled: for each its name, the features, and the lanes.
macro_rules! compiled_for {
    ($($name:ident, $features:literal, $lanes:ty;)*) => {$(
        #[target_feature(enable = $features)]
        unsafe fn $name<O: Operation>(operation: O) {
            // SAFETY: the caller's obligation.
            unsafe { operation.run::<$lanes>() }
        }
    )*};
}

/// The same for products of 8-bit integers.
macro_rules! compiled_for_int8 {
    ($($name:ident, $features:literal, $lanes:ty;)*) => {$(
        #[target_feature(enable = $features)]
        unsafe fn $name<O: Int8Operation>(operation: O) -> O::Output {
            // SAFETY: the caller's obligation.
            unsafe { operation.run::<$lanes>() }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
compiled_for! {
    run_avx2, "avx2,fma", avx2::Avx2;
    run_avx512, "avx512f,avx2,fma", avx512::Avx512;
}

#[cfg(target_arch = "x86_64")]
compiled_for_int8! {
    run_int8_avx2, "avx2,fma", avx2::Avx2;
    run_int8_avx512_vnni, "avx512f,avx512vnni,avx2,fma", avx512::Avx512;
}

#[cfg(target_arch = "aarch64")]
compiled_for! {
    run_neon, "neon", neon::Neon<false>;
}

#[cfg(target_arch = "aarch64")]
compiled_for_int8! {
    run_int8_neon, "neon", neon::Neon<false>;
    run_int8_neon_dot, "neon,dotprod", neon::Neon<true>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_is_found_by_its_name() {
        for set in InstructionSet::ALL {
            assert_eq!(InstructionSet::named(set.name()), Some(set));
        }
        assert_eq!(InstructionSet::named("AVX2"), None);
        assert!(InstructionSet::available().contains(&InstructionSet::best()));
        assert!(InstructionSet::Portable.is_available());
    }

    #[test]
    fn the_fastest_products_of_integers_go_with_each_instruction_set() {
        assert_eq!(Int8Kernel::beside(InstructionSet::Portable), None);
        for set in InstructionSet::available() {
            let beside = Int8Kernel::beside(set);
            let slower = Int8Kernel::available().into_iter().filter(|int8| int8.goes_with(set)).count();
            assert_eq!(beside.is_some(), slower > 0, "{set:?}");
        }
    }
}
