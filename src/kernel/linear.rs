//! x·Wᵀ + b, and the operation that follows it in a layer, done while the block is still in cache.

use std::ops::Range;

use super::elementwise::{self, Activation};
use super::panels::GemmWeight;
use super::products;
use super::tile::Tiled;
use super::{InstructionSet, MatMut, MatRef, Operation};

/// The operation on a product before it is written.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// x·Wᵀ + b.
    None,
    /// f(x·Wᵀ + b).
    Activation(Activation),
    /// (x·Wᵀ + b) + r; r: (M, N).
    Residual(MatRef<'a>),
    /// (x·Wᵀ + b) ⊙ f; f: (M, N).
    Factor(MatRef<'a>),
}

impl Epilogue<'_> {
    /// The part for some of the rows and columns, to go with a block of the output.
    pub fn block(&self, rows: Range<usize>, columns: Range<usize>) -> Self {
        match *self {
            Epilogue::None | Epilogue::Activation(_) => *self,
            Epilogue::Residual(residual) => Epilogue::Residual(residual.rows(rows).columns(columns)),
            Epilogue::Factor(factor) => Epilogue::Factor(factor.rows(rows).columns(columns)),
        }
    }

    /// Panics unless the shapes are those of an (M, N) output.
    fn check(&self, rows: usize, columns: usize) {
        if let Epilogue::Residual(other) | Epilogue::Factor(other) = self {
            let shape = (other.num_rows(), other.num_columns());
            assert_eq!(shape, (rows, columns), "the shape of a residual or factor");
        }
    }
}

/// The product of every row of `x` with every row of `weight`, and its epilogue.
///
/// * `x`: (M, K), one token a row.
/// * `weight`: (N, K).
/// * `bias`: (N).
/// * `out`: (M, N), overwritten.
///
/// An element's bits depend on its row of `x`, its row of `weight`, its bias, residual or factor, K and the kernel.
/// A caller with several threads gives each a block of rows or of columns: `x.rows(..)`, `weight.rows(..)`, a range of
/// `bias`, [`Epilogue::block`] and a block of [`MatMut`]. Blocks of rows suit many tokens; blocks of columns suit a short
/// text, for which reading the weights dominates. A packed weight gives the same bits.
///
/// # Panics
///
/// When shapes do not fit, the weight was packed for another kernel, or the processor lacks the kernel.
pub fn linear(
    kernel: InstructionSet,
    x: MatRef,
    weight: GemmWeight,
    bias: &[f32],
    epilogue: Epilogue,
    out: MatMut,
) {
    assert_eq!(x.num_columns(), weight.num_columns(), "the length of the dot product");
    assert_eq!(
        (out.num_rows(), out.num_columns()),
        (x.num_rows(), weight.num_rows()),
        "the shape of the output"
    );
    assert_eq!(bias.len(), weight.num_rows(), "the length of the bias");
    epilogue.check(x.num_rows(), weight.num_rows());
    weight.check(kernel);
    kernel.run(Linear { x, weight, bias, epilogue, out });
}

struct Linear<'a> {
    x: MatRef<'a>,
    weight: GemmWeight<'a>,
    bias: &'a [f32],
    epilogue: Epilogue<'a>,
    out: MatMut<'a>,
}

impl Operation for Linear<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(mut self) {
        let width = L::COLUMNS;
        for column in (0..self.weight.num_rows()).step_by(width) {
            let columns = width.min(self.weight.num_rows() - column);
            let mut pointers = None;
            let source = self.weight.source(column..column + columns, width, &mut pointers);
            let out = self.out.as_mut_ptr().wrapping_add(column);
            // SAFETY: the instruction set is the caller's obligation; the shapes were compared.
            unsafe { products::product::<L>(self.x, source, out, self.out.stride()) };
            for row in 0..self.x.num_rows() {
                let out = &mut self.out.row_mut(row)[column..column + columns];
                add(out, &self.bias[column..column + columns]);
                // SAFETY: the instruction set is available: the caller's obligation.
                unsafe { finish::<L>(&self.epilogue, row, column, out) };
            }
        }
    }
}

/// Applies the epilogue to `out`, a piece of row `row` from `column` on.
///
/// # Safety
///
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn finish<L: Tiled>(epilogue: &Epilogue, row: usize, column: usize, out: &mut [f32]) {
    let columns = column..column + out.len();
    match *epilogue {
        Epilogue::None => {}
        Epilogue::Activation(activation) => {
            // SAFETY: the caller's obligation.
            unsafe { elementwise::activate_lanes::<L>(activation, out) }
        }
        Epilogue::Residual(residual) => add(out, &residual.row(row)[columns]),
        Epilogue::Factor(factor) => {
            for (out, factor) in out.iter_mut().zip(&factor.row(row)[columns]) {
                *out *= factor;
            }
        }
    }
}

#[inline(always)]
fn add(out: &mut [f32], other: &[f32]) {
    for (out, other) in out.iter_mut().zip(other) {
        *out += other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::naive::{self, assert_close, numbers};
    use crate::kernel::Panels;

    const ROWS: [usize; 7] = [1, 2, 3, 5, 7, 13, 511];
    const TERMS: [usize; 9] = [1, 7, 8, 16, 31, 64, 128, 768, 3072];

    /// Numbers of weight rows: odd, and on both sides of a block's border. Only one where the sums are long.
    fn columns(rows: usize, k: usize) -> &'static [usize] {
        if rows * k > 100_000 {
            &[5]
        } else {
            &[1, 5, 97]
        }
    }

    fn product(
        kernel: InstructionSet,
        x: MatRef,
        weight: MatRef,
        bias: &[f32],
        epilogue: Epilogue,
    ) -> Vec<f32> {
        let mut out = vec![f32::NAN; x.num_rows() * weight.num_rows()];
        linear(kernel, x, GemmWeight::Rows(weight), bias, epilogue, MatMut::new(&mut out, weight.num_rows()));
        out
    }

    #[test]
    fn products_equal_the_naive_ones() {
        for (m, k) in ROWS.into_iter().flat_map(|m| TERMS.map(|k| (m, k))) {
            for &n in columns(m, k) {
                let (x, weight) = (numbers(m * k, 1), numbers(n * k, 2));
                let (bias, residual) = (numbers(n, 3), numbers(m * n, 4));
                let (x, weight) = (MatRef::new(&x, k), MatRef::new(&weight, k));
                // Terms are below 1: partial sums grow with the root of K, and as many roundings add up.
                let tolerance = 6e-7 + 5e-8 * k as f64;
                for epilogue in [
                    Epilogue::None,
                    Epilogue::Activation(Activation::GeluErf),
                    Epilogue::Residual(MatRef::new(&residual, n)),
                    Epilogue::Factor(MatRef::new(&residual, n)),
                ] {
                    let naive = naive::linear(x, weight, &bias, epilogue);
                    for kernel in InstructionSet::available() {
                        let out = product(kernel, x, weight, &bias, epilogue);
                        assert_close(&out, &naive, tolerance, kernel, (m, n, k));
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_and_in_any_block() {
        for kernel in InstructionSet::available() {
            for k in TERMS {
                let (m, n) = (13, 11);
                let (x, weight, bias) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3));
                let (x, weight) = (MatRef::new(&x, k), MatRef::new(&weight, k));
                for activation in Activation::ALL {
                    let epilogue = Epilogue::Activation(activation);
                    let whole = product(kernel, x, weight, &bias, epilogue);
                    for first in 0..m {
                        for last in first + 1..=m {
                            let part = product(kernel, x.rows(first..last), weight, &bias, epilogue);
                            assert_eq!(
                                bits(&part),
                                bits(&whole[first * n..last * n]),
                                "{kernel:?} {first} {last}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_range_of_columns_has_the_bits_of_the_whole() {
        for kernel in InstructionSet::available() {
            for k in [31, 768, 1600, 3072] {
                let (m, n) = (7, 127);
                let (x, weight, bias) = (numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3));
                let residual = numbers(m * n, 4);
                let (x, weight) = (MatRef::new(&x, k), MatRef::new(&weight, k));
                for epilogue in [
                    Epilogue::Residual(MatRef::new(&residual, n)),
                    Epilogue::Factor(MatRef::new(&residual, n)),
                    Epilogue::Activation(Activation::GeluErf),
                ] {
                    let whole = product(kernel, x, weight, &bias, epilogue);
                    let panels = Panels::new(kernel, weight);
                    let in_blocks = |weight: GemmWeight, width: usize| {
                        let mut out = vec![f32::NAN; m * n];
                        for (i, out) in MatMut::new(&mut out, n).column_blocks(width).into_iter().enumerate()
                        {
                            let columns = i * width..i * width + out.num_columns();
                            let bias = &bias[columns.clone()];
                            let epilogue = epilogue.block(0..m, columns.clone());
                            linear(kernel, x, weight.rows(columns), bias, epilogue, out);
                        }
                        out
                    };
                    for width in [1, 2, 5, 17, 96, 100] {
                        let out = in_blocks(GemmWeight::Rows(weight), width);
                        assert_eq!(bits(&out), bits(&whole), "{kernel:?} in blocks of {width}");
                    }
                    for width in [32, 96, 128] {
                        let out = in_blocks(GemmWeight::panels(&panels), width);
                        assert_eq!(bits(&out), bits(&whole), "{kernel:?} in packed blocks of {width}");
                    }
                }
            }
        }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }
}
