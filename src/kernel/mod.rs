//! The arithmetic of a forward pass on the CPU, in f32: products, attention, norms, activations.
//!
//! Every output element has one summation order. It depends only on the length of the sum and on the instruction set:
//! never on the number of rows, the position of a row, or the thread that computes it. The same row gives the same bits
//! in a batch of 1 and of 10,000.
//!
//! Nothing here starts a thread. An operation works on the rows and columns that it is given, and [`MatMut`] cuts a matrix
//! into blocks that different threads may fill.
//!
//! Dimension letters: **T** tokens, **M** rows of any kind, **K** the length of a dot product, **N** weight
//! rows, **D** head size.

mod attention;
#[cfg(test)]
mod bits;
mod elementwise;
mod int8;
mod lanes;
mod linear;
mod maximum;
#[cfg(test)]
pub(crate) mod naive;
mod panels;
mod products;
mod rotary;
mod rows;
mod screen;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use attention::{attention, AttentionScratch};
pub use elementwise::{layer_norm, Activation};
pub use linear::{linear, Epilogue};
pub use maximum::{maximum, TextMaxima};
pub use panels::{GemmWeight, Panels};
pub use products::PANEL_COLUMNS;
pub use rotary::{rotate, Rotations};
pub use rows::{MatMut, MatRef, Matrix};
pub use screen::{screen_instructions, screened_maximum, QuantizedTokens, Screen};

use products::Tiled;

/// The instruction set that an operation is computed with.
///
/// Results are bit-stable within one instruction set and may differ between them. The variants are the same on every
/// target: one that a processor lacks is not available there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust, on any processor.
    Portable,
    /// AVX2 and FMA: 8 lanes. x86-64 only.
    Avx2,
    /// AVX-512F: 16 lanes. x86-64 only.
    Avx512,
}

impl InstructionSet {
    /// Every one of them, slowest first.
    pub const ALL: [InstructionSet; 3] =
        [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];

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
    fn run<O: Operation>(self, operation: O) {
        assert!(self.is_available(), "this processor has no {}", self.name());
        match self {
            // SAFETY: plain Rust needs no instruction set.
            InstructionSet::Portable => unsafe { operation.run::<lanes::Portable>() },
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

/// An operation, written once over a vector of lanes.
///
/// `run` is inlined into a function that has the instruction set enabled. So every function that it calls on the way to an
/// intrinsic must be `#[inline(always)]`: one that is not inlined would be compiled without the instruction set.
trait Operation {
    /// # Safety
    ///
    /// The instruction set of `L` is available.
    unsafe fn run<L: Tiled>(self);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<O: Operation>(operation: O) {
    // SAFETY: the caller's obligation.
    unsafe { operation.run::<x86::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn run_avx512<O: Operation>(operation: O) {
    // SAFETY: the caller's obligation.
    unsafe { operation.run::<x86::Avx512>() }
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
}
