//! Functions of one element or of one row: activations, exp, softmax, layer norm.
//!
//! The approximations are this project's own, fitted by `fit.py`: least squares with Lawson's weights, iterated until the
//! largest error stops falling. The bounds are against f64 and tested below:
//!
//! | function | error |
//! |---|---|
//! | exp | 2e-7 relative, where the result is normal |
//! | GELU of either kind, SiLU | 5e-7 · max(1, \|x\|) |
//!
//! An element's bits do not depend on its neighbours: the lanes past the end of a row go through the same instructions as
//! the others.

use super::lanes::Lanes;
use super::tile::Tiled;
use super::{InstructionSet, MatMut, Operation};

/// A hidden activation of a BERT-shaped model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x), Φ the normal distribution function.
    GeluErf,
    /// x·σ(2u), u = √(2/π)·(x + 0.044715·x³): GELU by its tanh approximation.
    GeluTanh,
    /// max(0, x).
    Relu,
    /// x·σ(x), σ the logistic function.
    Silu,
}

impl Activation {
    /// Every one of them.
    #[cfg(test)]
    pub const ALL: [Activation; 4] =
        [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Silu];
}

/// (x − mean) / √(variance + ε) · weight + bias for every row, in place; the variance from centred values.
///
/// * `x`: (M, H), H the length of `weight` and of `bias`.
///
/// # Panics
///
/// When shapes do not fit.
pub fn layer_norm(kernel: InstructionSet, x: MatMut, weight: &[f32], bias: &[f32], epsilon: f32) {
    assert_eq!((weight.len(), bias.len()), (x.num_columns(), x.num_columns()), "the shapes");
    kernel.run(LayerNorm { x, weight, bias, epsilon });
}

/// Replaces every vector `$x` of a slice by `$value`, in place. The instruction set of `$lanes` must be available. A macro,
/// because a function with a closure might not be inlined, and would then be compiled without the instruction set.
macro_rules! for_each_vector {
    ($lanes:ty, $slice:expr, |$x:ident| $value:expr) => {{
        let slice: &mut [f32] = $slice;
        let whole = slice.len() - slice.len() % <$lanes>::WIDTH;
        let rest = slice.len() - whole;
        for chunk in slice[..whole].chunks_exact_mut(<$lanes>::WIDTH) {
            // SAFETY: a chunk is a vector long, and the instruction set is available where this is used.
            unsafe {
                let $x = <$lanes>::load(chunk.as_ptr());
                <$lanes>::store($value, chunk.as_mut_ptr());
            }
        }
        if rest > 0 {
            // SAFETY: `rest` elements remain, less than a vector, and the instruction set is available.
            unsafe {
                let $x = <$lanes>::load_part(slice[whole..].as_ptr(), rest);
                <$lanes>::store_part($value, slice[whole..].as_mut_ptr(), rest);
            }
        }
    }};
}

struct LayerNorm<'a> {
    x: MatMut<'a>,
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl Operation for LayerNorm<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(mut self) {
        let size = self.weight.len();
        for row in 0..self.x.num_rows() {
            let row = self.x.row_mut(row);
            // SAFETY: the caller's obligation.
            let mean = unsafe { sum_of::<L, false>(row) } / size as f32;
            for x in row.iter_mut() {
                *x -= mean;
            }
            // SAFETY: the caller's obligation.
            let variance = unsafe { sum_of::<L, true>(row) } / size as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(self.weight).zip(self.bias) {
                *x = *x * scale * weight + bias;
            }
        }
    }
}

/// Applies the activation to every element of `x`, in place.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
pub(super) unsafe fn activate_lanes<L: Lanes>(activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::GeluErf => for_each_vector!(L, x, |x| gelu_erf(x)),
        Activation::GeluTanh => for_each_vector!(L, x, |x| gelu_tanh(x)),
        Activation::Relu => for_each_vector!(L, x, |x| x.all(0.0).max(x)),
        Activation::Silu => for_each_vector!(L, x, |x| logistic_times(x, x)),
    }
}

/// Computes exp(x − max x) in place and returns the sum: a softmax without its division.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
pub(super) unsafe fn exp_of_centred<L: Lanes>(row: &mut [f32]) -> f32 {
    // The maximum may overlook a NaN; the sum does not.
    // SAFETY: the caller's obligation.
    let largest = unsafe { largest_of::<L>(row) };
    for_each_vector!(L, row, |x| exp_lanes(x.sub(x.all(largest))));
    // SAFETY: the caller's obligation.
    unsafe { sum_of::<L, false>(row) }
}

/// The largest element; it may overlook a NaN.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn largest_of<L: Lanes>(row: &[f32]) -> f32 {
    // SAFETY: the caller's obligation; a chunk is a vector long.
    unsafe {
        let mut largest = L::splat(f32::NEG_INFINITY);
        let chunks = row.chunks_exact(L::WIDTH);
        let rest = chunks.remainder();
        for chunk in chunks {
            largest = largest.max(L::load(chunk.as_ptr()));
        }
        rest.iter().fold(largest.largest(), |a, &b| if b > a { b } else { a })
    }
}

/// The sum of the elements, or of their squares. Four vectors at a time, then one, then the rest: an order
/// that depends on the length alone.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn sum_of<L: Lanes, const SQUARED: bool>(row: &[f32]) -> f32 {
    // SAFETY: the caller's obligation; every load is inside the row.
    unsafe {
        let mut sums = [L::splat(0.0); 4];
        let mut at = 0;
        while at + 4 * L::WIDTH <= row.len() {
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = L::load(row.as_ptr().add(at + i * L::WIDTH));
                *sum = if SQUARED { x.mul_add(x, *sum) } else { sum.add(x) };
            }
            at += 4 * L::WIDTH;
        }
        while at < row.len() {
            let from = row.as_ptr().add(at);
            let x =
                if at + L::WIDTH <= row.len() { L::load(from) } else { L::load_part(from, row.len() - at) };
            sums[0] = if SQUARED { x.mul_add(x, sums[0]) } else { sums[0].add(x) };
            at += L::WIDTH;
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
    }
}

/// The polynomial with these coefficients, lowest first, by Horner's rule.
#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(x: L, coefficients: [f32; N]) -> L {
    let mut value = x.all(coefficients[N - 1]);
    for i in (0..N - 1).rev() {
        value = value.mul_add(x, x.all(coefficients[i]));
    }
    value
}

/// e^x = 2^n · e^r, n the nearest whole number to x / ln 2, |r| ≤ ln 2 / 2, and e^r = 1 + r + r²·p(r).
///
/// p has degree 4. The polynomial's relative error is 3.1e-9, so rounding dominates.
#[inline(always)]
pub(super) fn exp_lanes<L: Lanes>(x: L) -> L {
    /// ln 2 in two parts. The first has 9 bits of mantissa, so its product with n is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// 1.5 · 2²³: an f32 this large has no fraction, so adding it rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    // e^-105 rounds to 0 and e^89 to infinity; between them `scale` is right. NaN stays NaN, because it is the second
    // operand.
    let x = x.all(-105.0).max(x);
    let x = x.all(89.0).min(x);
    let n = x.mul_add(x.all(std::f32::consts::LOG2_E), x.all(ROUND)).sub(x.all(ROUND));
    let r = n.mul_add(x.all(-LN_2[0]), x);
    let r = n.mul_add(x.all(-LN_2[1]), r);
    let p = polynomial(r, [0.499_999_94, 0.166_665_2, 0.041_668_393, 0.008_368_781, 0.001_381_446_7]);
    let tail = p.mul_add(r.mul(r), r);
    tail.add(x.all(1.0)).scale(n)
}

/// x·Φ(x) = x·(½ + x·P(x²)/Q(x²)), the odd function in place of erf(x/√2)/2.
///
/// P and Q are of degree 5, fitted on |x| ≤ 5.5 with an error of 7.2e-9; all their coefficients are positive,
/// so nothing cancels. The quotient is then raised by 1e-7 of itself, so that the odd function reaches ½ at 5.5 and is cut
/// off there. This makes GELU exactly 0 far below and x far above; otherwise it would be off by a small multiple of x.
#[inline(always)]
fn gelu_erf<L: Lanes>(x: L) -> L {
    const P: [f32; 6] =
        [0.398_942_23, 0.033_852_68, 0.004_677_262, 1.688_259_8e-4, 6.352_115e-6, 2.274_935e-8];
    const Q: [f32; 6] = [1.0, 0.251_522, 0.028_645_892, 0.001_884_446_6, 7.364_757e-5, 1.197_503_3e-6];
    const RAISED: f32 = 1.000_000_1;
    let limit = x.all(5.5);
    let near = limit.min(limit.all(-5.5).max(x));
    let square = near.mul(near);
    let half_erf = near.all(RAISED).mul(near).mul(polynomial(square, P)).div(polynomial(square, Q));
    let half = x.all(0.5);
    let half_erf = half.min(half.all(-0.5).max(half_erf));
    x.mul(half.add(half_erf))
}

#[inline(always)]
fn gelu_tanh<L: Lanes>(x: L) -> L {
    /// 2·√(2/π)
    const SCALE: f32 = 1.595_769;
    let inner = x.mul(x).mul_add(x.all(SCALE * 0.044715), x.all(SCALE)).mul(x);
    logistic_times(x, inner)
}

/// x·σ(y) = x / (1 + e^(−y)).
#[inline(always)]
fn logistic_times<L: Lanes>(x: L, y: L) -> L {
    x.div(exp_lanes(y.all(0.0).sub(y)).add(x.all(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::{self, assert_close, numbers};

    /// Applies `activation` to every element.
    ///
    /// NaN gives NaN, and so does −∞ except for ReLU: it is 0 · −∞ in the formulas.
    fn activate(kernel: InstructionSet, activation: Activation, x: &mut [f32]) {
        kernel.run(Activate { activation, x });
    }

    /// e to the power of every element: 0 far below, ∞ above 88.7; NaN gives NaN.
    fn exp(kernel: InstructionSet, x: &mut [f32]) {
        kernel.run(Exp { x });
    }

    /// exp(x − max x) / Σ exp(x − max x) over one row, the sum in an order that depends on its length alone.
    ///
    /// A NaN or +∞ anywhere makes the whole row NaN.
    fn softmax(kernel: InstructionSet, row: &mut [f32]) {
        kernel.run(Softmax { row });
    }

    struct Activate<'a> {
        activation: Activation,
        x: &'a mut [f32],
    }

    impl Operation for Activate<'_> {
        #[inline(always)]
        unsafe fn run<L: Tiled>(self) {
            // SAFETY: the caller's obligation.
            unsafe { activate_lanes::<L>(self.activation, self.x) }
        }
    }

    struct Exp<'a> {
        x: &'a mut [f32],
    }

    impl Operation for Exp<'_> {
        #[inline(always)]
        unsafe fn run<L: Tiled>(self) {
            for_each_vector!(L, self.x, |x| exp_lanes(x));
        }
    }

    struct Softmax<'a> {
        row: &'a mut [f32],
    }

    impl Operation for Softmax<'_> {
        #[inline(always)]
        unsafe fn run<L: Tiled>(self) {
            // SAFETY: the caller's obligation.
            let sum = unsafe { exp_of_centred::<L>(self.row) };
            for x in self.row {
                *x /= sum;
            }
        }
    }

    /// Every 1009th f32 there is, and the extremes.
    fn sweep() -> Vec<f32> {
        let special = [0.0, -0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-45, -1e-45, f32::MAX, f32::MIN];
        let dense = (-200_000..200_000).map(|i| i as f32 / 15_000.0);
        (0..u32::MAX / 1009)
            .map(|i| f32::from_bits(i * 1009))
            .filter(|x| x.is_finite())
            .chain(special)
            .chain(dense)
            .collect()
    }

    #[test]
    fn activations_are_within_their_bound() {
        let x = sweep();
        for activation in Activation::ALL {
            let naive: Vec<f64> = x.iter().map(|&x| naive::activation(activation, f64::from(x))).collect();
            for kernel in InstructionSet::available() {
                let mut y = x.clone();
                activate(kernel, activation, &mut y);
                let mut worst = (0.0, 0.0);
                for ((&x, &y), naive) in x.iter().zip(&y).zip(&naive) {
                    let error = (f64::from(y) - naive).abs() / f64::from(x).abs().max(1.0);
                    worst = if error > worst.0 || error.is_nan() { (error, x) } else { worst };
                }
                assert!(worst.0 <= 5e-7, "{kernel:?} {activation:?}: off by {} at {}", worst.0, worst.1);
            }
        }
    }

    #[test]
    fn activations_of_extremes() {
        for kernel in InstructionSet::available() {
            for activation in Activation::ALL {
                let mut y =
                    [0.0, -0.0, f32::NAN, f32::INFINITY, 1000.0, -1000.0, f32::MIN, f32::NEG_INFINITY];
                activate(kernel, activation, &mut y);
                assert_eq!(y[..2], [0.0, 0.0], "{kernel:?} {activation:?}");
                assert!(y[2].is_nan());
                assert_eq!(y[3..7], [f32::INFINITY, 1000.0, 0.0, 0.0], "{kernel:?} {activation:?}");
                assert!(if activation == Activation::Relu { y[7] == 0.0 } else { y[7].is_nan() });
            }
        }
    }

    #[test]
    fn exp_is_within_its_bound() {
        let x = sweep();
        for kernel in InstructionSet::available() {
            let mut y = x.clone();
            exp(kernel, &mut y);
            let mut worst = (0.0, 0.0);
            for (&x, &y) in x.iter().zip(&y) {
                let naive = f64::from(x).exp();
                if naive > f64::from(f32::MAX) {
                    assert!(y == f32::INFINITY || naive < 3.4029e38, "{kernel:?}: {y} at {x}");
                } else if naive < f64::from(f32::MIN_POSITIVE) {
                    assert!((f64::from(y) - naive).abs() <= 1.5e-45, "{kernel:?}: {y} at {x}");
                } else {
                    let error = (f64::from(y) - naive).abs() / naive;
                    worst = if error > worst.0 || error.is_nan() { (error, x) } else { worst };
                }
            }
            assert!(worst.0 <= 2e-7, "{kernel:?}: off by {} at {}", worst.0, worst.1);
            let mut y = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            exp(kernel, &mut y);
            assert!(y[2].is_nan());
            assert_eq!([y[0], y[1], y[3], y[4]], [1.0, 1.0, f32::INFINITY, 0.0]);
        }
    }

    #[test]
    fn an_element_has_the_same_bits_wherever_it_stands() {
        for kernel in InstructionSet::available() {
            for activation in Activation::ALL {
                let x = numbers(100, 7);
                let mut whole = x.clone();
                activate(kernel, activation, &mut whole);
                for first in 0..40 {
                    for length in [1, 2, 7, 9, 15, 17, 33] {
                        let mut part = x[first..first + length].to_vec();
                        activate(kernel, activation, &mut part);
                        let same = part.iter().zip(&whole[first..]).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(same, "{kernel:?} {activation:?} {first} {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn softmax_equals_the_naive_one() {
        for kernel in InstructionSet::available() {
            for length in [1, 2, 7, 8, 16, 31, 513, 8192] {
                let mut row: Vec<f32> = numbers(length, 5).into_iter().map(|x| 20.0 * x).collect();
                let naive = naive::softmax(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
                softmax(kernel, &mut row);
                assert_close(&row, &naive, 1e-6, kernel, length);
                row[length / 2] = f32::NAN;
                softmax(kernel, &mut row);
                assert!(row.iter().all(|x| x.is_nan()), "{kernel:?}: a NaN is seen");
            }
        }
    }

    #[test]
    fn layer_norm_equals_the_naive_one_whatever_the_mean() {
        for kernel in InstructionSet::available() {
            for size in [1, 2, 7, 8, 16, 31, 64, 511, 768] {
                let (weight, bias) = (numbers(size, 1), numbers(size, 2));
                for offset in [0.0, 100.0] {
                    let x: Vec<f32> = numbers(3 * size, 3).into_iter().map(|x| x + offset).collect();
                    let mut whole = x.clone();
                    layer_norm(kernel, MatMut::new(&mut whole, size), &weight, &bias, 1e-12);
                    // A mean of 100 is itself rounded to 8e-6.
                    let tolerance = 2e-6 + 3e-7 * f64::from(offset);
                    for (x, y) in x.chunks_exact(size).zip(whole.chunks_exact(size)) {
                        if size > 2 {
                            let naive = naive::layer_norm(x, &weight, &bias, 1e-12);
                            assert_close(y, &naive, tolerance, kernel, (size, offset));
                        }
                        let mut alone = x.to_vec();
                        layer_norm(kernel, MatMut::new(&mut alone, size), &weight, &bias, 1e-12);
                        assert!(alone.iter().zip(y).all(|(a, b)| a.to_bits() == b.to_bits()));
                    }
                }
            }
        }
    }
}
