//! Screening: the vocabulary projection computed only where it can matter.
//!
//! Holds the decoder in 8-bit integers, which it makes at first use. Counts the pairs that survive the screen, and stops
//! screening when too many do. The weights of terms do not depend on any of this.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

use crate::kernel::{self, InstructionSet, MatRef, QuantizedTokens, Screen, TextMaxima};

/// Terms in a piece of the decoder. Threads share the vocabulary in whole pieces.
pub(crate) const PIECE_TERMS: usize = 512;

/// The number of pairs after which the share of survivors is known well enough.
const SAMPLE: u64 = 1 << 20;

/// Screening stops when more than one pair in this many survives: computing a survivor costs about six times as much as
/// a pair of a whole product.
const ONE_SURVIVOR_IN: u64 = 20;

/// How many (token, term) pairs a screen has seen, and how many of them were then computed in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScreenCount {
    /// Pairs that were screened.
    pub pairs: u64,
    /// Those that were computed in f32.
    pub computed: u64,
}

/// The screen of one model's decoder.
#[derive(Default)]
pub(crate) struct Screening {
    is_off: bool,
    /// Pieces of [`PIECE_TERMS`] rows; none where the decoder cannot be screened.
    pieces: OnceLock<Vec<Screen>>,
    pairs: AtomicU64,
    computed: AtomicU64,
}

impl Screening {
    /// A screen that lets everything through.
    pub fn off() -> Self {
        Screening { is_off: true, ..Screening::default() }
    }

    /// The name of the instructions that screen beside `kernel`; `None` where nothing is screened.
    pub fn instructions(kernel: InstructionSet) -> Option<&'static str> {
        kernel::screen_instructions(kernel)
    }

    /// The counts so far.
    pub fn count(&self) -> ScreenCount {
        ScreenCount {
            pairs: self.pairs.load(Ordering::Relaxed),
            computed: self.computed.load(Ordering::Relaxed),
        }
    }

    /// The tokens of some texts in 8-bit integers; `None` where they are not screened.
    ///
    /// * `hidden`: (T, H).
    /// * `decoder`: (V, H), `bias`: (V): always the same ones.
    pub fn quantized_tokens(
        &self,
        kernel: InstructionSet,
        hidden: MatRef,
        decoder: MatRef,
        bias: &[f32],
    ) -> Option<QuantizedTokens> {
        let ScreenCount { pairs, computed } = self.count();
        if self.is_off || (pairs > SAMPLE && computed * ONE_SURVIVOR_IN > pairs) {
            return None;
        }
        let pieces = self.pieces.get_or_init(|| quantize_decoder(kernel, decoder, bias).unwrap_or_default());
        if pieces.is_empty() {
            return None;
        }
        QuantizedTokens::new(kernel, hidden)
    }

    /// [`kernel::screened_maximum`] of some whole pieces; whether it was done.
    ///
    /// * `first`: the term that `decoder`, a range of the vocabulary, begins with.
    pub fn maximum(
        &self,
        kernel: InstructionSet,
        hidden: MatRef,
        quantized: &QuantizedTokens,
        decoder: MatRef,
        first: usize,
        texts: &mut [TextMaxima],
    ) -> bool {
        let Some(pieces) = self.pieces.get() else { return false };
        let pieces = &pieces[first / PIECE_TERMS..][..decoder.num_rows().div_ceil(PIECE_TERMS)];
        let survivors = kernel::screened_maximum(kernel, hidden, quantized, decoder, pieces, texts);
        if let Some(survivors) = survivors {
            let pairs = hidden.num_rows() * decoder.num_rows();
            self.pairs.fetch_add(pairs as u64, Ordering::Relaxed);
            self.computed.fetch_add(survivors as u64, Ordering::Relaxed);
        }
        survivors.is_some()
    }
}

/// The decoder in pieces; `None` where one of them cannot be screened.
///
/// Runs on threads of its own: a thread of the encoder that waits here must not be given other work, which might wait for
/// the same pieces.
fn quantize_decoder(kernel: InstructionSet, decoder: MatRef, bias: &[f32]) -> Option<Vec<Screen>> {
    let num_terms = decoder.num_rows();
    let pieces: Vec<usize> = (0..num_terms).step_by(PIECE_TERMS).collect();
    let quantize = |first: &usize| {
        let terms = *first..num_terms.min(first + PIECE_TERMS);
        Screen::new(kernel, decoder.rows(terms.clone()), &bias[terms])
    };
    let num_threads = rayon::current_num_threads();
    std::thread::scope(|scope| {
        let shares: Vec<_> = pieces
            .chunks(pieces.len().div_ceil(num_threads).max(1))
            .map(|share| scope.spawn(move || share.iter().map(quantize).collect::<Option<Vec<_>>>()))
            .collect();
        let quantized =
            shares.into_iter().map(|share| share.join().expect("no panic, anything else is a bug"));
        Some(quantized.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Maxima of one text of 64 tokens over 1,000 terms, and whether they were screened. The smaller `spread`, the more
    /// the tokens resemble each other.
    fn maxima(screening: &Screening, bias: f32, spread: f32) -> (bool, Vec<f32>) {
        let size = 64;
        let numbers = |count: usize, mut state: u32| -> Vec<f32> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..count).map(|_| next()).collect()
        };
        let hidden: Vec<f32> = numbers(64 * size, 1).into_iter().map(|x| 1.0 + spread * x).collect();
        let decoder = numbers(1000 * size, 2);
        let (hidden, decoder) = (MatRef::new(&hidden, size), MatRef::new(&decoder, size));
        let bias = vec![bias; 1000];
        let kernel = InstructionSet::best();
        let mut maxima = vec![0.0; 1000];
        let mut texts = [TextMaxima { tokens: 0..64, maxima: &mut maxima, positions: None }];
        let quantized = screening.quantized_tokens(kernel, hidden, decoder, &bias);
        let is_screened = quantized
            .is_some_and(|quantized| screening.maximum(kernel, hidden, &quantized, decoder, 0, &mut texts));
        if !is_screened {
            kernel::maximum(kernel, hidden, decoder, &mut texts);
        }
        (is_screened, maxima)
    }

    #[test]
    fn screening_stops_when_too_many_pairs_survive() {
        if Screening::instructions(InstructionSet::best()).is_none() {
            return;
        }
        // Every term is above zero, and no token's logit stands out.
        let screening = Screening::default();
        let (_, whole) = maxima(&Screening::off(), 99.0, 1e-3);
        let runs: Vec<bool> = (0..40)
            .map(|_| {
                let (is_screened, found) = maxima(&screening, 99.0, 1e-3);
                assert_eq!(found, whole);
                is_screened
            })
            .collect();
        assert!(runs[0] && !runs[39], "{:?}", screening.count());

        let useful = Screening::default();
        assert!((0..40).all(|_| maxima(&useful, -9.0, 1.0).0), "{:?}", useful.count());
    }
}
