//! Which products of tokens and terms can matter: an exact screen of the vocabulary.
//!
//! Of all (token, term) logits, only the largest of each term counts, and only if it is above zero: one in hundreds. Each
//! product is estimated in 8-bit integers, with a bound on its distance from the f32 product. Only the products that can be
//! the largest and above zero, the survivors, are computed in f32. The result is the same, bit for bit.
//!
//! # The bound
//!
//! A hidden state h is quantized to ĥ = σ·x, where x are integers of magnitude at most 127; a decoder row w to ŵ = s·c.
//! Then x·c = P is a sum of integers, computed exactly, and h·w = σ·s·P + (h − ĥ)·w + ĥ·(w − ŵ), so by Cauchy and Schwarz
//!
//! ```text
//! |h·w − σ·s·P| ≤ ‖h − ĥ‖·‖w‖ + ‖ĥ‖·‖w − ŵ‖
//! ```
//!
//! The estimate has to bound the f32 sum, not h·w itself. The two differ by at most γ·‖h‖·‖w‖, γ = n·2⁻²⁴ / (1 − n·2⁻²⁴)
//! for n roundings one after the other: those of K multiply-adds and of adding the chunks. We take (K + 64)·2⁻²³, about
//! twice that. The surplus covers what multiply-adds lose below the smallest normal number, as long as no vector is tiny:
//! rows whose largest element is below 2⁻⁶⁰, but not 0, are not screened.
//!
//! Divided by s, with p = ‖w‖/s and q = ‖w − ŵ‖/s of each term, and a = ‖h − ĥ‖ + γ‖h‖ and b = ‖ĥ‖ of each token:
//!
//! ```text
//! estimate A = σ·P      error E = a·p + b·q      A − E ≤ fl(h·w)/s ≤ A + E
//! ```
//!
//! These are themselves computed in f32. |A| ≤ b·(p + q), and A, E and their sum are together off by less than
//! 2⁻²¹·(|A| + E): so 2⁻²⁰·b is added to a, and all four are enlarged by 2⁻¹², which covers also that norms are sums in
//! f32.
//!
//! A term's weight is above 0 only where fl(h·w) > −bias. So the survivors are the pairs with A + E ≥ −bias/s and
//! A + E ≥ the largest A − E of the term in the text. The token with the largest product is among them, and so is every
//! token with an equal product: the first of them wins, as without a screen.
//!
//! The bound is the Cauchy-Schwarz inequality on quantized vectors, as in maximum inner product search. A test compares
//! its error terms with every product.

mod quantized;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use super::lanes::{Int8Lanes, INT8_VECTORS};
use super::maximum::{self, TextMaxima};
use super::products::{self, Source, PANEL_COLUMNS};
use super::simd::{Int8Kernel, Int8Operation};
use super::tile::Tiled;
use super::{InstructionSet, MatRef, Operation};
use quantized::Token;
pub use quantized::{QuantizedTokens, Screen};

/// The maximum of a term without a survivor: below zero with any bias, the lowest f32 and −∞ included.
const SCREENED_OUT: f32 = f32::NEG_INFINITY;

/// The instructions that a screen beside `kernel` is computed with; `None` where nothing is screened.
pub fn screen_instructions(kernel: InstructionSet) -> Option<&'static str> {
    Some(Int8Kernel::beside(kernel)?.name())
}

/// The largest product of any token of each text with each row of `weight`, where it is above −bias; elsewhere a number
/// that is not above −bias, mostly −∞.
///
/// * `hidden`: (T, K), the tokens of all texts, and `quantized`: the same in 8-bit integers.
/// * `weight`: (N, K), the vocabulary or a range of it, and `screens`: the same in pieces, in 8-bit integers.
/// * `texts`: their maxima are overwritten.
/// * returns: how many of the T × N products were computed in f32; `None`, and nothing is written, where the products
///   may overflow.
///
/// A maximum above −bias has the bits and the position that [`maximum`](super::maximum()) gives it.
///
/// # Panics
///
/// When shapes do not fit, or the processor lacks the kernel.
pub fn screened_maximum(
    kernel: InstructionSet,
    hidden: MatRef,
    quantized: &QuantizedTokens,
    weight: MatRef,
    screens: &[Screen],
    texts: &mut [TextMaxima],
) -> Option<usize> {
    maximum::check(hidden, weight, texts);
    assert_eq!(hidden.num_rows(), quantized.tokens.len(), "the number of tokens");
    assert!(screens.iter().all(|screen| screen.k == hidden.num_columns()), "the screens' columns");
    assert_eq!(
        screens.iter().map(|screen| screen.num_rows).sum::<usize>(),
        weight.num_rows(),
        "the screens' rows"
    );
    // Far below the largest f32, so that no partial sum overflows.
    let may_overflow = |screen: &Screen| {
        f64::from(screen.largest_norm) * f64::from(quantized.largest_norm) > f64::from(f32::MAX) / 16.0
    };
    if screens.iter().any(may_overflow) {
        return None;
    }
    let mut survivors = vec![Vec::new(); hidden.num_rows()];
    let mut first = 0;
    for screen in screens {
        screen.kernel.run(Estimate { screen, first, quantized, texts, survivors: &mut survivors });
        first += screen.num_rows;
    }
    kernel.run(Survivors { hidden, weight, survivors: &survivors, texts });
    Some(survivors.iter().map(Vec::len).sum())
}

thread_local! {
    /// The estimates of all tokens for the terms of one panel.
    static ESTIMATES: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    /// The products of one token with some terms.
    static PRODUCTS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Finds the survivors and appends them to the terms of each token; terms count from `first`.
struct Estimate<'a, 'b> {
    screen: &'a Screen,
    first: usize,
    quantized: &'a QuantizedTokens,
    texts: &'a [TextMaxima<'b>],
    survivors: &'a mut [Vec<u32>],
}

impl Int8Operation for Estimate<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Int8Lanes>(self) {
        let Estimate { screen, quantized, texts, survivors, .. } = self;
        let width = L::INT8_COLUMNS;
        let mut memory = ESTIMATES.take();
        let estimates = products::aligned(&mut memory, quantized.tokens.len() * width);
        for panel in 0..screen.num_rows.div_ceil(width) {
            // SAFETY: the caller's obligation; there is room for a line of each token.
            unsafe { estimate_panel::<L>(screen, quantized, panel, estimates) };
            for v in 0..INT8_VECTORS {
                let column = panel * width + v * L::WIDTH;
                for text in texts {
                    let tokens = text.tokens.clone();
                    let estimates = &estimates[tokens.start * width + v * L::WIDTH..];
                    let first = (self.first + column) as u32;
                    // SAFETY: the caller's obligation; the columns of a panel exist.
                    unsafe {
                        collect_survivors::<L>(
                            screen,
                            column,
                            &quantized.tokens[tokens.clone()],
                            estimates,
                            first,
                            &mut survivors[tokens],
                        );
                    }
                }
            }
        }
        ESTIMATES.set(memory);
    }
}

/// σ·P of every token with the columns of a panel: (T, W).
///
/// # Safety
///
/// The instructions of `L` are available; `estimates` holds T · W.
#[inline(always)]
unsafe fn estimate_panel<L: Int8Lanes>(
    screen: &Screen,
    quantized: &QuantizedTokens,
    panel: usize,
    estimates: &mut [f32],
) {
    let width = L::INT8_COLUMNS;
    let k_groups = screen.k.div_ceil(4);
    let weights = screen.quantized.as_ptr().cast::<u8>().wrapping_add(panel * k_groups * width * 4);
    let num_tokens = quantized.tokens.len();
    let num_tiles = num_tokens.div_ceil(L::TILE_ROWS);
    for tile in 0..num_tiles {
        let token = products::tile_start(tile, num_tiles, num_tokens);
        let rows = products::tile_start(tile + 1, num_tiles, num_tokens) - token;
        let tile = EstimateTile {
            weights,
            k_groups,
            quantized: &quantized.quantized[token * k_groups * 4..],
            tokens: &quantized.tokens[token..token + rows],
            out: &mut estimates[token * width..(token + rows) * width],
        };
        // SAFETY: the caller's obligation.
        unsafe {
            match rows {
                1 => tile.sum::<L, 1>(),
                2 => tile.sum::<L, 2>(),
                3 => tile.sum::<L, 3>(),
                4 => tile.sum::<L, 4>(),
                5 => tile.sum::<L, 5>(),
                6 => tile.sum::<L, 6>(),
                7 => tile.sum::<L, 7>(),
                8 => tile.sum::<L, 8>(),
                9 => tile.sum::<L, 9>(),
                10 => tile.sum::<L, 10>(),
                11 => tile.sum::<L, 11>(),
                _ => tile.sum::<L, 12>(),
            }
        }
    }
}

/// The products of some tokens with a panel of quantized weights.
struct EstimateTile<'a> {
    weights: *const u8,
    k_groups: usize,
    quantized: &'a [i8],
    tokens: &'a [Token],
    out: &'a mut [f32],
}

impl EstimateTile<'_> {
    /// For R tokens.
    ///
    /// # Safety
    ///
    /// The instructions of `L` are available; `weights` is valid for `k_groups` lines of W · 4 bytes, and there are R
    /// tokens.
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn sum<L: Int8Lanes, const R: usize>(self) {
        assert!(
            self.quantized.len() >= R * self.k_groups * 4
                && self.tokens.len() == R
                && self.out.len() == R * L::INT8_COLUMNS
        );
        // SAFETY: the caller's obligation and the lengths just compared.
        unsafe {
            let mut sums = [[L::splat_sums(0); INT8_VECTORS]; R];
            for r in 0..R {
                // Takes back the offset that is stored with each quantized weight.
                let start = -i32::from(L::OFFSET) * self.tokens[r].sum;
                sums[r] = [L::splat_sums(start); INT8_VECTORS];
            }
            let quantized = self.quantized.as_ptr();
            let stride = self.k_groups * 4;
            for group in 0..self.k_groups {
                let line = self.weights.add(group * L::INT8_COLUMNS * 4);
                let mut weights = [L::load_quantized(line); INT8_VECTORS];
                for v in 1..INT8_VECTORS {
                    weights[v] = L::load_quantized(line.add(v * L::WIDTH * 4));
                }
                let mut token = quantized.add(group * 4);
                for r in 0..R {
                    let token_group = L::splat_token(token.cast::<i32>().read_unaligned());
                    for v in 0..INT8_VECTORS {
                        sums[r][v] = L::add_products(sums[r][v], weights[v], token_group);
                    }
                    token = token.wrapping_add(stride);
                }
            }
            for r in 0..R {
                let scale = L::splat(self.tokens[r].scale);
                for v in 0..INT8_VECTORS {
                    let to = self.out.as_mut_ptr().add((r * INT8_VECTORS + v) * L::WIDTH);
                    scale.mul(L::to_lanes(sums[r][v])).store(to);
                }
            }
        }
    }
}

/// Appends the survivors among the pairs of a text's tokens with a vector of columns, from `column` on.
///
/// * `estimates`: of the first token on, W apart.
/// * `survivors`: those of each of the text's tokens.
///
/// # Safety
///
/// The instructions of `L` are available, and the screen has a vector of columns there.
#[inline(always)]
unsafe fn collect_survivors<L: Int8Lanes>(
    screen: &Screen,
    column: usize,
    tokens: &[Token],
    estimates: &[f32],
    first: u32,
    survivors: &mut [Vec<u32>],
) {
    let width = L::INT8_COLUMNS;
    assert!(
        estimates.len() >= (tokens.len().max(1) - 1) * width + L::WIDTH && survivors.len() == tokens.len()
    );
    assert!(column + L::WIDTH <= screen.norms.len());
    let estimates = estimates.as_ptr();
    // SAFETY: the caller's obligation and the lengths just compared.
    unsafe {
        let p = L::load(screen.norms.as_ptr().add(column));
        let q = L::load(screen.residuals.as_ptr().add(column));
        let floor = L::load(screen.floors.as_ptr().add(column));
        // Most terms stay below zero, so the first pass checks only that.
        let mut highest = L::splat(f32::NEG_INFINITY);
        for (row, token) in tokens.iter().enumerate() {
            let [_, high] = bounds(L::load(estimates.add(row * width)), *token, p, q);
            highest = high.max(highest);
        }
        let alive = highest.at_least(floor);
        if alive == 0 {
            return;
        }
        let mut threshold = floor;
        for (row, token) in tokens.iter().enumerate() {
            let [low, _] = bounds(L::load(estimates.add(row * width)), *token, p, q);
            threshold = low.max(threshold);
        }
        for (row, token) in tokens.iter().enumerate() {
            let [_, high] = bounds(L::load(estimates.add(row * width)), *token, p, q);
            let mut lanes = high.at_least(threshold) & alive;
            while lanes != 0 {
                survivors[row].push(first + lanes.trailing_zeros());
                lanes &= lanes - 1;
            }
        }
    }
}

/// A − E and A + E.
#[inline(always)]
fn bounds<L: Int8Lanes>(estimate: L, token: Token, p: L, q: L) -> [L; 2] {
    let error = p.all(token.b).mul_add(q, p.all(token.a).mul(p));
    [estimate.sub(error), estimate.add(error)]
}

/// Computes the maxima of the survivors in f32.
struct Survivors<'a, 'b> {
    hidden: MatRef<'a>,
    weight: MatRef<'a>,
    survivors: &'a [Vec<u32>],
    texts: &'a mut [TextMaxima<'b>],
}

impl Operation for Survivors<'_, '_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(self) {
        let width = L::COLUMNS;
        let mut memory = PRODUCTS.take();
        let products = products::aligned(&mut memory, width);
        for text in self.texts {
            text.maxima.fill(SCREENED_OUT);
            if let Some(positions) = &mut text.positions {
                positions.fill(0);
            }
            for (position, token) in text.tokens.clone().enumerate() {
                let hidden = self.hidden.rows(token..token + 1);
                for terms in self.survivors[token].chunks(width) {
                    // A whole panel packs fastest, so the last term's row fills it up.
                    let last = self.weight.row(terms[terms.len() - 1] as usize).as_ptr();
                    let mut rows = [last; PANEL_COLUMNS];
                    for (pointer, term) in rows.iter_mut().zip(terms) {
                        *pointer = self.weight.row(*term as usize).as_ptr();
                    }
                    let panel = Source::Rows { rows: &rows[..width], next: rows[0], stride: 0 };
                    // SAFETY: the instruction set is the caller's obligation; rows of the matrix, as long as those
                    // of `hidden`; there is room for W products.
                    unsafe { products::product::<L>(hidden, panel, products.as_mut_ptr(), width) };
                    for (term, product) in terms.iter().zip(&*products) {
                        let maximum = &mut text.maxima[*term as usize];
                        if *product > *maximum {
                            *maximum = *product;
                            if let Some(positions) = &mut text.positions {
                                positions[*term as usize] = position as u32;
                            }
                        }
                    }
                }
            }
        }
        PRODUCTS.set(memory);
    }
}
