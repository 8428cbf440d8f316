//! Estimates against the naive ones, their bounds against every product, and screened maxima against all.

use super::*;
use crate::kernel::naive::numbers;
use crate::kernel::{linear, maximum, Epilogue, GemmWeight, MatMut};

/// Each instruction set with the 8-bit kernels that go with it.
fn kernels() -> Vec<(InstructionSet, Int8Kernel)> {
    let screened =
        InstructionSet::available().into_iter().filter(|kernel| Int8Kernel::beside(*kernel).is_some());
    screened
        .flat_map(|kernel| Int8Kernel::available().into_iter().map(move |quantized| (kernel, quantized)))
        .collect()
}

fn screen(kernel: Int8Kernel, weight: MatRef, bias: &[f32]) -> Screen {
    Screen::with(kernel, weight, bias).expect("can be screened")
}

fn quantized_tokens(kernel: Int8Kernel, hidden: MatRef) -> QuantizedTokens {
    QuantizedTokens::with(kernel, hidden).expect("can be screened")
}

struct EstimateAll<'a> {
    screen: &'a Screen,
    quantized: &'a QuantizedTokens,
    out: &'a mut Vec<f32>,
}

impl Int8Operation for EstimateAll<'_> {
    type Output = ();

    /// (V in whole panels, T): the transposed estimates, without their padding.
    #[inline(always)]
    unsafe fn run<L: Int8Lanes>(self) {
        let width = L::INT8_COLUMNS;
        let mut estimates = vec![0.0; self.quantized.tokens.len() * width];
        for panel in 0..self.screen.num_rows.div_ceil(width) {
            // SAFETY: the caller's obligation.
            unsafe { estimate_panel::<L>(self.screen, self.quantized, panel, &mut estimates) };
            for column in 0..width {
                self.out.extend(estimates.iter().skip(column).step_by(width));
            }
        }
    }
}

/// [`Int8Lanes::LEVELS`]
struct Levels;

impl Int8Operation for Levels {
    type Output = i8;

    #[inline(always)]
    unsafe fn run<L: Int8Lanes>(self) -> i8 {
        L::LEVELS
    }
}

/// Rows like those of models: some elements much larger than the others.
fn uneven(count: usize, columns: usize, seed: u64) -> Vec<f32> {
    let mut values = numbers(count * columns, seed);
    for (i, value) in values.iter_mut().enumerate() {
        *value *= if i % 97 == 5 { 3.0 } else { 0.7 };
    }
    values
}

#[test]
fn estimates_are_the_naive_ones_and_their_error_holds_for_every_product() {
    for (kernel, int8_kernel) in kernels() {
        for (tokens, terms, k) in
            [(1, 1, 1), (3, 33, 7), (13, 95, 64), (25, 40, 130), (12, 64, 768), (7, 20, 3000)]
        {
            let (hidden, weight) = (uneven(tokens, k, 1), uneven(terms, k, 2));
            let (hidden, weight) = (MatRef::new(&hidden, k), MatRef::new(&weight, k));
            let bias = vec![0.0; terms];
            let (screen, quantized) =
                (screen(int8_kernel, weight, &bias), quantized_tokens(int8_kernel, hidden));
            let mut estimates = Vec::new();
            int8_kernel.run(EstimateAll { screen: &screen, quantized: &quantized, out: &mut estimates });
            let mut products = vec![0.0; tokens * terms];
            linear(
                kernel,
                hidden,
                GemmWeight::Rows(weight),
                &bias,
                Epilogue::None,
                MatMut::new(&mut products, terms),
            );
            let levels = f32::from(int8_kernel.run(Levels));
            for term in 0..terms {
                let row = weight.row(term);
                let scale = row.iter().fold(0.0, |a: f32, b| a.max(b.abs())) / levels;
                for (place, token) in quantized.tokens.iter().enumerate() {
                    let found = estimates[term * tokens + place];
                    let row_of_token = &quantized.quantized[place * k.next_multiple_of(4)..][..k];
                    let product: i64 = row
                        .iter()
                        .zip(row_of_token)
                        .map(|(w, x)| i64::from((w * (1.0 / scale)).round_ties_even() as i32) * i64::from(*x))
                        .sum();
                    assert_eq!(found, token.scale * product as f32, "{int8_kernel:?} {term} {place}");
                    let error = f64::from(token.a) * f64::from(screen.norms[term])
                        + f64::from(token.b) * f64::from(screen.residuals[term]);
                    let product = f64::from(products[place * terms + term]) / f64::from(scale);
                    let off = (product - f64::from(found)).abs();
                    assert!(off <= error, "{kernel:?} {int8_kernel:?}: off by {off}, more than {error}");
                }
            }
        }
    }
}

/// The maxima and positions of three texts, with a screen in two pieces and without one, and the number of survivors.
#[allow(clippy::type_complexity)]
fn both_ways(
    kernel: InstructionSet,
    int8_kernel: Int8Kernel,
    hidden: MatRef,
    weight: MatRef,
    bias: &[f32],
) -> ([Vec<(Vec<f32>, Vec<u32>)>; 2], usize) {
    let (t, n) = (hidden.num_rows(), weight.num_rows());
    let texts = [0..1, 1..t / 2, t / 2..t];
    let run = |work: &mut dyn FnMut(&mut [TextMaxima])| {
        let mut rows: Vec<_> = texts.iter().map(|_| (vec![9.0; n], vec![9; n])).collect();
        let mut maxima: Vec<TextMaxima> = texts
            .iter()
            .zip(&mut rows)
            .map(|(tokens, (maxima, positions))| TextMaxima {
                tokens: tokens.clone(),
                maxima,
                positions: Some(positions),
            })
            .collect();
        work(&mut maxima);
        rows
    };
    let pieces = [0..n / 3, n / 3..n].map(|rows| screen(int8_kernel, weight.rows(rows.clone()), &bias[rows]));
    let quantized = quantized_tokens(int8_kernel, hidden);
    let mut survivors = 0;
    let screened = run(&mut |texts| {
        survivors =
            screened_maximum(kernel, hidden, &quantized, weight, &pieces, texts).expect("no overflow");
    });
    let whole = run(&mut |texts| maximum(kernel, hidden, weight, texts));
    ([screened, whole], survivors)
}

#[test]
fn a_screen_leaves_the_bits_of_every_maximum_above_zero() {
    for (kernel, int8_kernel) in kernels() {
        for (tokens, terms, k) in [(9, 300, 64), (40, 500, 128), (13, 200, 770)] {
            let mut weight = uneven(terms, k, 3);
            // A term of zeros, two of equal products, and tokens that are equal.
            weight[2 * k..3 * k].fill(0.0);
            weight.copy_within(4 * k..5 * k, 5 * k);
            let mut hidden = uneven(tokens, k, 4);
            hidden.copy_within(6 * k..7 * k, 8 * k);
            let (hidden, weight) = (MatRef::new(&hidden, k), MatRef::new(&weight, k));
            let unbiased = vec![0.0; terms];
            let (plain, _) = both_ways(kernel, int8_kernel, hidden, weight, &unbiased);
            // With this bias about one term in twenty is above zero; some are exactly zero or next to it.
            let mut bias: Vec<f32> = plain[1][2].0.iter().map(|maximum| -maximum).collect();
            let mut sorted = plain[1][2].0.clone();
            sorted.sort_unstable_by(f32::total_cmp);
            let high = sorted[terms * 19 / 20];
            for (term, bias) in bias.iter_mut().enumerate() {
                match term % 8 {
                    0 => {}
                    1 => *bias = bias.next_up(),
                    _ => *bias = -high,
                }
            }
            let ([screened, whole], survivors) = both_ways(kernel, int8_kernel, hidden, weight, &bias);
            let mut num_above = 0;
            for ((found, places), (maxima, winners)) in screened.iter().zip(&whole) {
                for term in 0..terms {
                    if maxima[term] + bias[term] > 0.0 {
                        num_above += 1;
                        assert_eq!(found[term].to_bits(), maxima[term].to_bits(), "{int8_kernel:?} {term}");
                        assert_eq!(places[term], winners[term], "{int8_kernel:?} {term}");
                    } else {
                        assert!(found[term] + bias[term] <= 0.0, "{int8_kernel:?} {term}");
                    }
                }
            }
            assert!(num_above > terms / 20, "the screen was not tried");
            assert!(survivors < tokens * terms / 2, "{survivors} of {tokens} x {terms} pairs survive");
        }
    }
}

#[test]
fn rows_without_a_bound_are_not_screened() {
    for (kernel, int8_kernel) in kernels() {
        let fine = numbers(2 * 8, 1);
        for spoiled in [f32::NAN, f32::INFINITY, 1e-30] {
            let mut row = vec![0.0; 8];
            row[3] = spoiled;
            let rows = [fine.clone(), row].concat();
            assert!(Screen::new(kernel, MatRef::new(&rows, 8), &[0.0; 3]).is_none(), "{spoiled}");
            assert!(QuantizedTokens::new(kernel, MatRef::new(&rows, 8)).is_none(), "{spoiled}");
        }
        let large = vec![2e18; 8];
        let (large, bias) = (MatRef::new(&large, 8), [0.0]);
        let (screen, quantized) = (screen(int8_kernel, large, &bias), quantized_tokens(int8_kernel, large));
        let mut maxima = [7.0];
        let mut texts = [TextMaxima { tokens: 0..1, maxima: &mut maxima, positions: None }];
        assert_eq!(screened_maximum(kernel, large, &quantized, large, &[screen], &mut texts), None);
        assert_eq!(maxima, [7.0], "nothing is written");
    }
}
