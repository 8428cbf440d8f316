//! Each operation computed by its formula in f64. The tests compare every kernel with these.

use super::{Activation, Epilogue, InstructionSet, MatRef};

/// Numbers in [-1, 1) from a fixed multiplicative generator.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Panics where an element differs from its twin by more than `tolerance`, relative to twins above 1.
pub(crate) fn assert_close(
    found: &[f32],
    naive: &[f64],
    tolerance: f64,
    kernel: InstructionSet,
    shape: impl std::fmt::Debug,
) {
    assert_eq!(found.len(), naive.len());
    for (i, (&found, &naive)) in found.iter().zip(naive).enumerate() {
        let error = (f64::from(found) - naive).abs() / naive.abs().max(1.0);
        assert!(error <= tolerance, "{kernel:?} {shape:?}, element {i}: {found} for {naive}");
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

pub(crate) fn linear(x: MatRef, weight: MatRef, bias: &[f32], epilogue: Epilogue) -> Vec<f64> {
    let mut out = Vec::new();
    for row in 0..x.num_rows() {
        for (column, &bias) in bias.iter().enumerate() {
            let product = dot(x.row(row), weight.row(column)) + f64::from(bias);
            out.push(match epilogue {
                Epilogue::None => product,
                Epilogue::Activation(f) => activation(f, product),
                Epilogue::Residual(residual) => product + f64::from(residual.row(row)[column]),
                Epilogue::Factor(factor) => product * f64::from(factor.row(row)[column]),
            });
        }
    }
    out
}

pub(crate) fn maximum(hidden: MatRef, weight: MatRef) -> Vec<f64> {
    let largest =
        |v| (0..hidden.num_rows()).map(|t| dot(hidden.row(t), weight.row(v))).fold(f64::MIN, f64::max);
    (0..weight.num_rows()).map(largest).collect()
}

pub(crate) fn attention([query, key, value]: [MatRef; 3], window: Option<usize>) -> Vec<f64> {
    let size = query.num_columns();
    let mut out = Vec::new();
    for i in 0..query.num_rows() {
        let sees = |j: &usize| window.is_none_or(|window| i.abs_diff(*j) <= window);
        let seen: Vec<usize> = (0..key.num_rows()).filter(sees).collect();
        let score = |&j: &usize| dot(query.row(i), key.row(j)) / (size as f64).sqrt();
        let weights = softmax(&seen.iter().map(score).collect::<Vec<_>>());
        for d in 0..size {
            out.push(seen.iter().zip(&weights).map(|(&j, weight)| weight * f64::from(value.row(j)[d])).sum());
        }
    }
    out
}

/// Pairs (x[i], x[i + D/2]) as complex numbers, each times e^(iφ).
pub(crate) fn rotated(row: &[f32], angles: &[f64]) -> Vec<f64> {
    let half = angles.len();
    let mut out = vec![0.0; row.len()];
    for head in (0..row.len()).step_by(2 * half) {
        for (i, angle) in angles.iter().enumerate() {
            let (a, b) = (f64::from(row[head + i]), f64::from(row[head + half + i]));
            out[head + i] = a * angle.cos() - b * angle.sin();
            out[head + half + i] = b * angle.cos() + a * angle.sin();
        }
    }
    out
}

pub(crate) fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
    scores.iter().map(|score| (score - largest).exp() / sum).collect()
}

pub(crate) fn layer_norm(row: &[f32], weight: &[f32], bias: &[f32], epsilon: f64) -> Vec<f64> {
    let count = row.len() as f64;
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let norm =
        |((&x, &w), &b)| (f64::from(x) - mean) / (variance + epsilon).sqrt() * f64::from(w) + f64::from(b);
    row.iter().zip(weight).zip(bias).map(norm).collect()
}

pub(crate) fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::GeluErf => x * upper_tail(-x / std::f64::consts::SQRT_2) / 2.0,
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x / (1.0 + (-2.0 * inner).exp())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// 1 − erf(x): the power series near 0, Lentz' continued fraction away from it, both to about 1e-15.
fn upper_tail(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - upper_tail(-x);
    }
    let scale = std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp();
    if x < 2.5 {
        // erf(x) = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - scale * sum;
    }
    // erfc(x) = e^(−x²)/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …
    let fraction = (1..120).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
    scale / 2.0 / fraction
}
