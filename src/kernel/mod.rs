//! The arithmetic of a forward pass on the CPU, in f32: products, attention, norms, activations.
//!
//! Every output element has one summation order, which depends on the length of the sum and on the
//! instruction set alone: never on how many rows there are, where a row stands, or which thread computes it. The same
//! row gives the same bits in a batch of 1 and of 10,000.
//!
//! Nothing here starts a thread. An operation works on the rows and columns it is given, and
//! [`RowsMut`] cuts a matrix into blocks that different threads may fill.
//!
//! Dimension letters: **T** tokens, **M** rows of any kind, **K** the length of a dot product, **N** weight
//! rows, **D** head size.

mod attention;
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
pub use panels::{Panels, Weight};
pub use products::PANEL_COLUMNS;
pub use rotary::{rotate, Rotations};
pub use rows::{Matrix, Rows, RowsMut};
pub use screen::{screen_instructions, screened_maximum, Screen, TokenCodes};

use products::Tiled;

/// The instruction set that an operation is computed with. Each has bits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain Rust, on any processor.
    Portable,
    /// AVX2 and FMA: 8 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F: 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The fastest that this processor has.
    pub fn best() -> Kernel {
        *Kernel::available().last().expect("the portable kernel is always there, anything else is a bug")
    }

    /// Those that this processor has, slowest first.
    pub fn available() -> Vec<Kernel> {
        let all = [
            Kernel::Portable,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512,
        ];
        all.into_iter().filter(|kernel| kernel.is_available()).collect()
    }

    /// Its name, as [`Kernel::named`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => "avx512",
        }
    }

    /// The kernel of that name, if this processor has it.
    pub fn named(name: &str) -> Option<Kernel> {
        Kernel::available().into_iter().find(|kernel| kernel.name() == name)
    }

    fn is_available(self) -> bool {
        match self {
            Kernel::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => is_x86_feature_detected!("avx512f") && Kernel::Avx2.is_available(),
        }
    }

    /// Runs an operation compiled for this instruction set.
    ///
    /// # Panics
    ///
    /// When the processor lacks it. The answer is remembered by the standard library, so asking is cheap.
    fn run<O: Operation>(self, operation: O) {
        assert!(self.is_available(), "this processor has no {}", self.name());
        match self {
            // SAFETY: plain Rust needs no instruction set.
            Kernel::Portable => unsafe { operation.run::<lanes::Portable>() },
            // SAFETY: just found to be available.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { run_avx2(operation) },
            // SAFETY: just found to be available.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { run_avx512(operation) },
        }
    }
}

/// An operation, written once over a vector of lanes.
///
/// `run` is inlined into a function that has the instruction set enabled, so everything it calls on the way
/// to an intrinsic must be `#[inline(always)]`: a function or a closure left standing alone would be
/// compiled without.
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
    fn every_available_kernel_is_found_by_its_name() {
        for kernel in Kernel::available() {
            assert_eq!(Kernel::named(kernel.name()), Some(kernel));
        }
        assert_eq!(Kernel::named("AVX2"), None);
        assert!(Kernel::available().contains(&Kernel::best()));
    }
}
