//! Rows of weights and of hidden states quantized to 8-bit integers, with the norms that bound the error.

use crate::kernel::lanes::Int8Lanes;
use crate::kernel::simd::{Int8Kernel, Int8Operation};
use crate::kernel::{InstructionSet, MatRef};

/// The longest rows that are screened: their exact sums fit an i32.
const MAX_TERMS: usize = 1 << 16;

/// The factor by which norms are enlarged, so that their own rounding cannot break the bound.
const NORM_SLACK: f32 = 1.0 + 1.0 / 4096.0;

/// Rows of a weight matrix, quantized.
pub struct Screen {
    pub(super) quantized: Vec<CacheLine>,
    /// K.
    pub(super) k: usize,
    pub(super) num_rows: usize,
    /// p, q and −bias/s of each row; as many as there are columns of panels.
    pub(super) norms: Vec<f32>,
    pub(super) residuals: Vec<f32>,
    pub(super) floors: Vec<f32>,
    pub(super) kernel: Int8Kernel,
    pub(super) largest_norm: f32,
}

/// A cache line of quantized weights, aligned to a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct CacheLine([u8; 64]);

/// Hidden states of tokens, quantized.
pub struct QuantizedTokens {
    /// (T, 4 · `k_groups`), −127 to 127.
    pub(super) quantized: Vec<i8>,
    pub(super) tokens: Vec<Token>,
    pub(super) largest_norm: f32,
}

/// σ, a and b of a token, and the sum of its quantized elements: a weight's offset adds that many times itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) scale: f32,
    pub(super) a: f32,
    pub(super) b: f32,
    pub(super) sum: i32,
}

impl Screen {
    /// Quantizes the rows of `weight`, for products that are computed by `kernel`.
    ///
    /// * `weight`: (N, K), the vocabulary or a range of it; N at least 1.
    /// * `bias`: (N), what is added to a product before it is compared with zero.
    ///
    /// `None` where 8-bit integers are not faster than f32 on this processor, and where a row cannot be screened: it has a
    /// NaN or an infinity, only tiny elements, or is too long.
    pub fn new(kernel: InstructionSet, weight: MatRef, bias: &[f32]) -> Option<Screen> {
        assert_eq!(weight.num_rows(), bias.len(), "the length of the bias");
        if weight.num_columns() > MAX_TERMS {
            return None;
        }
        Screen::with(Int8Kernel::beside(kernel)?, weight, bias)
    }

    /// [`Screen::new`] with these instructions.
    pub(super) fn with(kernel: Int8Kernel, weight: MatRef, bias: &[f32]) -> Option<Screen> {
        kernel.run(QuantizeWeights { kernel, weight, bias })
    }
}

impl QuantizedTokens {
    /// Quantizes hidden states, for screens of the same `kernel`.
    ///
    /// * `hidden`: (T, K).
    ///
    /// `None` where a row cannot be screened, as in [`Screen::new`].
    pub fn new(kernel: InstructionSet, hidden: MatRef) -> Option<QuantizedTokens> {
        QuantizedTokens::with(Int8Kernel::beside(kernel)?, hidden)
    }

    /// [`QuantizedTokens::new`] with these instructions.
    pub(super) fn with(kernel: Int8Kernel, hidden: MatRef) -> Option<QuantizedTokens> {
        kernel.run(QuantizeTokens { hidden })
    }
}

/// The largest magnitude of a row, and its norm.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn largest_and_norm<L: Int8Lanes>(row: &[f32]) -> (f32, f32) {
    // SAFETY: the caller's obligation; every load is inside the row.
    unsafe {
        let zero = L::splat(0.0);
        let (mut largest, mut squares) = (zero, zero);
        let mut at = 0;
        while at < row.len() {
            let from = row.as_ptr().add(at);
            let x =
                if at + L::WIDTH <= row.len() { L::load(from) } else { L::load_part(from, row.len() - at) };
            largest = largest.max(x.max(zero.sub(x)));
            squares = x.mul_add(x, squares);
            at += L::WIDTH;
        }
        // The maximum may overlook a NaN; the sum does not.
        (largest.largest(), squares.sum().sqrt())
    }
}

/// Quantizes a row: `quantized[i] = round(row[i] / scale)`. Returns ‖row − scale · quantized‖.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn quantize_row<L: Int8Lanes>(row: &[f32], scale: f32, quantized: &mut [f32]) -> f32 {
    /// 1.5 · 2²³: adding it rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    // SAFETY: the caller's obligation; every load and store is inside the row.
    unsafe {
        let inverse = L::splat(1.0 / scale);
        let (round, minus_scale) = (L::splat(ROUND), L::splat(-scale));
        let mut squares = L::splat(0.0);
        let mut at = 0;
        while at < row.len() {
            let (from, to) = (row.as_ptr().add(at), quantized.as_mut_ptr().add(at));
            let rest = row.len() - at;
            let x = if rest >= L::WIDTH { L::load(from) } else { L::load_part(from, rest) };
            let rounded = x.mul_add(inverse, round).sub(round);
            // Exact except for one rounding of the difference.
            let residual = rounded.mul_add(minus_scale, x);
            squares = residual.mul_add(residual, squares);
            if rest >= L::WIDTH {
                rounded.store(to);
            } else {
                rounded.store_part(to, rest);
            }
            at += L::WIDTH;
        }
        squares.sum().sqrt()
    }
}

/// Whether a row can be screened, by its largest element and its norm.
fn is_screenable(largest: f32, norm: f32) -> bool {
    let tiny = (-60.0f32).exp2();
    norm.is_finite() && (largest == 0.0 || largest >= tiny)
}

struct QuantizeWeights<'a> {
    kernel: Int8Kernel,
    weight: MatRef<'a>,
    bias: &'a [f32],
}

impl Int8Operation for QuantizeWeights<'_> {
    type Output = Option<Screen>;

    #[inline(always)]
    unsafe fn run<L: Int8Lanes>(self) -> Option<Screen> {
        let (num_rows, k) = (self.weight.num_rows(), self.weight.num_columns());
        let width = L::INT8_COLUMNS;
        let columns = num_rows.next_multiple_of(width);
        let k_groups = k.div_ceil(4);
        let mut screen = Screen {
            quantized: vec![CacheLine([L::OFFSET; 64]); (columns * k_groups * 4).div_ceil(64)],
            k,
            num_rows,
            norms: vec![0.0; columns],
            residuals: vec![0.0; columns],
            // No product reaches the columns past the last.
            floors: vec![f32::INFINITY; columns],
            kernel: self.kernel,
            largest_norm: 0.0,
        };
        let mut quantized = vec![0.0; 4 * k_groups];
        for row in 0..num_rows {
            let weight = self.weight.row(row);
            // SAFETY: the caller's obligation.
            let (largest, norm) = unsafe { largest_and_norm::<L>(weight) };
            if !is_screenable(largest, norm) {
                return None;
            }
            let scale = if largest > 0.0 { largest / f32::from(L::LEVELS) } else { 1.0 };
            // SAFETY: the caller's obligation.
            let residual = unsafe { quantize_row::<L>(weight, scale, &mut quantized) };
            screen.norms[row] = norm / scale * NORM_SLACK;
            screen.residuals[row] = residual / scale * NORM_SLACK;
            screen.floors[row] = ((-f64::from(self.bias[row]) / f64::from(scale)) as f32).next_down();
            screen.largest_norm = screen.largest_norm.max(norm);
            // For each group of four elements of K, a panel has the four bytes of each of its W columns side by side.
            let (panel, column) = (row / width, row % width);
            for (group, quantized) in quantized.chunks_exact(4).enumerate() {
                let at = ((panel * k_groups + group) * width + column) * 4;
                let line = &mut screen.quantized[at / 64].0[at % 64..at % 64 + 4];
                for (to, rounded) in line.iter_mut().zip(quantized) {
                    // Clamped because the rounding of 1/scale may have carried it past `LEVELS`.
                    let rounded = (*rounded as i32).clamp(-i32::from(L::LEVELS), i32::from(L::LEVELS));
                    *to = (rounded + i32::from(L::OFFSET)) as u8;
                }
            }
        }
        Some(screen)
    }
}

struct QuantizeTokens<'a> {
    hidden: MatRef<'a>,
}

impl Int8Operation for QuantizeTokens<'_> {
    type Output = Option<QuantizedTokens>;

    #[inline(always)]
    unsafe fn run<L: Int8Lanes>(self) -> Option<QuantizedTokens> {
        let (num_tokens, k) = (self.hidden.num_rows(), self.hidden.num_columns());
        let padded = k.next_multiple_of(4);
        let mut tokens = QuantizedTokens {
            quantized: vec![0; num_tokens * padded],
            tokens: vec![Token::default(); num_tokens],
            largest_norm: 0.0,
        };
        let gamma = (k + 64) as f32 * (-23.0f32).exp2();
        let rounding = (-20.0f32).exp2();
        let mut quantized = vec![0.0; k];
        let rows = tokens.tokens.iter_mut().zip(tokens.quantized.chunks_exact_mut(padded));
        for (row, (token, to)) in rows.enumerate() {
            let hidden = self.hidden.row(row);
            // SAFETY: the caller's obligation.
            let (largest, norm) = unsafe { largest_and_norm::<L>(hidden) };
            if !is_screenable(largest, norm) {
                return None;
            }
            tokens.largest_norm = tokens.largest_norm.max(norm);
            if largest == 0.0 {
                continue;
            }
            let scale = largest / 127.0;
            // SAFETY: the caller's obligation.
            let residual = unsafe { quantize_row::<L>(hidden, scale, &mut quantized) };
            for (to, rounded) in to.iter_mut().zip(&quantized) {
                *to = *rounded as i8;
                token.sum += i32::from(*to);
            }
            // ‖ĥ‖ ≤ ‖h‖ + ‖h − ĥ‖.
            let b = (norm + residual) * NORM_SLACK;
            let a = (residual + gamma * norm + rounding * b) * NORM_SLACK;
            (token.scale, token.a, token.b) = (scale, a, b);
        }
        Some(tokens)
    }
}
