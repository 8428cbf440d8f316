//! Rows of weights and of hidden states as codes of 8 bits, with the norms that bound what the codes lose.

use crate::kernel::int8::{CodeKernel, CodeLanes, CodeOperation};
use crate::kernel::products::VECTORS;
use crate::kernel::{InstructionSet, MatRef};

/// The longest rows: their exact sums fit an i32.
const MAX_TERMS: usize = 1 << 16;

/// By how much norms are enlarged.
const ENLARGED: f32 = 1.0 + 1.0 / 4096.0;

/// Rows of a weight matrix as codes.
pub struct Screen {
    pub(super) codes: Vec<CodeLine>,
    /// K.
    pub(super) k: usize,
    pub(super) num_rows: usize,
    /// p, q and −bias/s of each row; as many as there are columns of panels.
    pub(super) norms: Vec<f32>,
    pub(super) residuals: Vec<f32>,
    pub(super) floors: Vec<f32>,
    pub(super) kernel: CodeKernel,
    pub(super) largest_norm: f32,
}

/// A cache line of codes, where cache lines begin.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct CodeLine([u8; 64]);

/// Tokens as codes.
pub struct TokenCodes {
    /// (T, K rounded up to whole fours), −127 to 127.
    pub(super) codes: Vec<i8>,
    pub(super) tokens: Vec<Token>,
    pub(super) largest_norm: f32,
}

/// σ, a and b of a token, and what a weight's offset adds to its products.
#[derive(Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) scale: f32,
    pub(super) a: f32,
    pub(super) b: f32,
    pub(super) sum_of_codes: i32,
}

impl Screen {
    /// Codes the rows of `weight` for products that are computed by `kernel`.
    ///
    /// * `weight`: (N, K), the vocabulary or a range of it; N at least 1.
    /// * `bias`: (N), what is added to a product before it is compared with zero.
    ///
    /// `None` where nothing is faster than f32 on this processor, or a row cannot be screened: it has a NaN, an infinity,
    /// or only tiny elements, or is too long.
    pub fn new(kernel: InstructionSet, weight: MatRef, bias: &[f32]) -> Option<Screen> {
        assert_eq!(weight.num_rows(), bias.len(), "the length of the bias");
        if weight.num_columns() > MAX_TERMS {
            return None;
        }
        Screen::with(CodeKernel::beside(kernel)?, weight, bias)
    }

    /// [`Screen::new`] with these instructions.
    pub(super) fn with(kernel: CodeKernel, weight: MatRef, bias: &[f32]) -> Option<Screen> {
        kernel.run(CodeWeights { kernel, weight, bias })
    }
}

impl TokenCodes {
    /// Codes hidden states for screens of the same `kernel`.
    ///
    /// * `hidden`: (T, K).
    ///
    /// `None` where a row cannot be screened, as in [`Screen::new`].
    pub fn new(kernel: InstructionSet, hidden: MatRef) -> Option<TokenCodes> {
        TokenCodes::with(CodeKernel::beside(kernel)?, hidden)
    }

    /// [`TokenCodes::new`] with these instructions.
    pub(super) fn with(kernel: CodeKernel, hidden: MatRef) -> Option<TokenCodes> {
        kernel.run(CodeTokens { hidden })
    }
}

/// The largest magnitude of a row, and its norm.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn largest_and_norm<L: CodeLanes>(row: &[f32]) -> (f32, f32) {
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
        // A NaN that the maximum overlooks is in the sum.
        (largest.largest(), squares.sum().sqrt())
    }
}

/// Codes of a row: `codes[i] = round(row[i] / scale)`, and ‖row − scale · codes‖.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn code_row<L: CodeLanes>(row: &[f32], scale: f32, codes: &mut [f32]) -> f32 {
    /// 1.5 · 2²³: adding it rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    // SAFETY: the caller's obligation; every load and store is inside the row.
    unsafe {
        let inverse = L::splat(1.0 / scale);
        let (round, minus_scale) = (L::splat(ROUND), L::splat(-scale));
        let mut squares = L::splat(0.0);
        let mut at = 0;
        while at < row.len() {
            let (from, to) = (row.as_ptr().add(at), codes.as_mut_ptr().add(at));
            let rest = row.len() - at;
            let x = if rest >= L::WIDTH { L::load(from) } else { L::load_part(from, rest) };
            let code = x.mul_add(inverse, round).sub(round);
            // Exact but for one rounding of the difference.
            let residual = code.mul_add(minus_scale, x);
            squares = residual.mul_add(residual, squares);
            if rest >= L::WIDTH {
                code.store(to);
            } else {
                code.store_part(to, rest);
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

struct CodeWeights<'a> {
    kernel: CodeKernel,
    weight: MatRef<'a>,
    bias: &'a [f32],
}

impl CodeOperation for CodeWeights<'_> {
    type Output = Option<Screen>;

    #[inline(always)]
    unsafe fn run<L: CodeLanes>(self) -> Option<Screen> {
        let (num_rows, k) = (self.weight.num_rows(), self.weight.num_columns());
        let width = VECTORS * L::WIDTH;
        let columns = num_rows.next_multiple_of(width);
        let fours = k.div_ceil(4);
        let mut screen = Screen {
            codes: vec![CodeLine([L::OFFSET; 64]); columns * fours * 4 / 64],
            k,
            num_rows,
            norms: vec![0.0; columns],
            residuals: vec![0.0; columns],
            // No product reaches the columns past the last.
            floors: vec![f32::INFINITY; columns],
            kernel: self.kernel,
            largest_norm: 0.0,
        };
        let mut codes = vec![0.0; 4 * fours];
        for row in 0..num_rows {
            let weight = self.weight.row(row);
            // SAFETY: the caller's obligation.
            let (largest, norm) = unsafe { largest_and_norm::<L>(weight) };
            if !is_screenable(largest, norm) {
                return None;
            }
            let scale = if largest > 0.0 { largest / f32::from(L::LEVELS) } else { 1.0 };
            // SAFETY: the caller's obligation.
            let residual = unsafe { code_row::<L>(weight, scale, &mut codes) };
            screen.norms[row] = norm / scale * ENLARGED;
            screen.residuals[row] = residual / scale * ENLARGED;
            screen.floors[row] = ((-f64::from(self.bias[row]) / f64::from(scale)) as f32).next_down();
            screen.largest_norm = screen.largest_norm.max(norm);
            // A panel has W columns of four codes side by side for each four terms.
            let (panel, column) = (row / width, row % width);
            for (four, codes) in codes.chunks_exact(4).enumerate() {
                let at = ((panel * fours + four) * width + column) * 4;
                let line = &mut screen.codes[at / 64].0[at % 64..at % 64 + 4];
                for (to, code) in line.iter_mut().zip(codes) {
                    // Whole numbers of at most `LEVELS`, give or take the rounding of 1/scale.
                    let code = (*code as i32).clamp(-i32::from(L::LEVELS), i32::from(L::LEVELS));
                    *to = (code + i32::from(L::OFFSET)) as u8;
                }
            }
        }
        Some(screen)
    }
}

struct CodeTokens<'a> {
    hidden: MatRef<'a>,
}

impl CodeOperation for CodeTokens<'_> {
    type Output = Option<TokenCodes>;

    #[inline(always)]
    unsafe fn run<L: CodeLanes>(self) -> Option<TokenCodes> {
        let (num_tokens, k) = (self.hidden.num_rows(), self.hidden.num_columns());
        let padded = k.next_multiple_of(4);
        let mut coded = TokenCodes {
            codes: vec![0; num_tokens * padded],
            tokens: vec![Token::default(); num_tokens],
            largest_norm: 0.0,
        };
        let gamma = (k + 64) as f32 * (-23.0f32).exp2();
        let rounding = (-20.0f32).exp2();
        let mut codes = vec![0.0; k];
        let rows = coded.tokens.iter_mut().zip(coded.codes.chunks_exact_mut(padded));
        for (row, (token, to)) in rows.enumerate() {
            let hidden = self.hidden.row(row);
            // SAFETY: the caller's obligation.
            let (largest, norm) = unsafe { largest_and_norm::<L>(hidden) };
            if !is_screenable(largest, norm) {
                return None;
            }
            coded.largest_norm = coded.largest_norm.max(norm);
            if largest == 0.0 {
                continue;
            }
            let scale = largest / 127.0;
            // SAFETY: the caller's obligation.
            let residual = unsafe { code_row::<L>(hidden, scale, &mut codes) };
            for (to, code) in to.iter_mut().zip(&codes) {
                *to = *code as i8;
                token.sum_of_codes += i32::from(*to);
            }
            // ‖ĥ‖ ≤ ‖h‖ + ‖h − ĥ‖.
            let b = (norm + residual) * ENLARGED;
            let a = (residual + gamma * norm + rounding * b) * ENLARGED;
            (token.scale, token.a, token.b) = (scale, a, b);
        }
        Some(coded)
    }
}
