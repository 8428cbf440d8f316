//! How near the kernels come to the multiply-add peak, shape by shape.
//!
//! ```text
//! cargo bench --bench kernels -- [WORD]...
//! ```
//!
//! With words, only what has all of them in its line is measured: `avx512 vocabulary`.
//!
//! Shapes are those of the 67 M DistilBERT: H = 768, F = 3072, V = 30,522, A = 12, D = 64. Every product is first
//! compared with a naive one in f64. Each time stands beside a peak measured just before and after it, so that a
//! machine whose speed drifts does not distort the share. Figures are medians with their spread, one thread each.

#![expect(unsafe_code, reason = "the kernels, and the peak's own instructions")]
#![allow(missing_docs, dead_code, unused_imports, clippy::print_stdout, clippy::unwrap_used)]

// The kernels are not public: they are compiled here once more, as they are.
#[path = "../../src/kernel/mod.rs"]
mod kernel;
mod peak;

use std::hint::black_box;
use std::time::Instant;

use kernel::naive::{self, numbers};
use kernel::{
    attention, linear, maximum, screened_maximum, Activation, AttentionScratch, Epilogue, GemmWeight,
    InstructionSet, MatRef, Matrix, Panels, QuantizedTokens, Screen, TextMaxima,
};

const ROUNDS: usize = 15;
const TOKENS: [usize; 4] = [12, 128, 150, 512];

fn main() {
    println!(
        "kernels: {}",
        InstructionSet::available().iter().map(|kernel| kernel.name()).collect::<Vec<_>>().join(", ")
    );
    for threads in [1, std::thread::available_parallelism().unwrap().get()] {
        let (peak, instructions) = peak::multiply_add_peak(threads);
        let bandwidth = peak::read_bandwidth(threads);
        println!(
            "{threads} threads: multiply-add peak {:.1} GFLOP/s ({instructions}), reading {:.1} GB/s",
            peak / 1e9,
            bandwidth / 1e9
        );
    }
    for kernel in InstructionSet::available() {
        for (title, n, k) in [("(T, 768) x (768, 768)", 768, 768), ("up", 3072, 768), ("down", 768, 3072)] {
            for tokens in TOKENS {
                dense(kernel, title, tokens, n, k);
            }
        }
        for tokens in TOKENS {
            vocabulary(kernel, tokens);
        }
        for tokens in TOKENS {
            attend(kernel, tokens);
        }
    }
}

fn dense(kernel: InstructionSet, title: &str, tokens: usize, n: usize, k: usize) {
    let (x, weight, bias) = (matrix(tokens, k, 1), numbers(n * k, 2), numbers(n, 3));
    let rows = MatRef::new(&weight, k);
    let panels = Panels::new(kernel, rows);
    let mut out = Matrix::new(tokens, n);
    let epilogue = Epilogue::Activation(Activation::GeluErf);
    let flop = 2.0 * (tokens * n * k) as f64;
    for (how, weight) in [("as it lies", GemmWeight::Rows(rows)), ("packed", GemmWeight::panels(&panels))] {
        linear(kernel, x.rows(), weight, &bias, Epilogue::None, out.rows_mut());
        let expected = naive::linear(x.rows().rows(0..1), rows, &bias, Epilogue::None);
        naive::assert_close(out.rows().row(0), &expected, 1e-3, kernel, (tokens, n, k));
        let title = format!("dense {title} with GELU, T = {tokens}, {how}");
        report(kernel, &title, flop, || linear(kernel, x.rows(), weight, &bias, epilogue, out.rows_mut()));
    }
}

fn vocabulary(kernel: InstructionSet, tokens: usize) {
    let (n, k) = (30_522, 768);
    let (hidden, decoder) = (matrix(tokens, k, 1), numbers(n * k, 2));
    let (hidden, decoder) = (hidden.rows(), MatRef::new(&decoder, k));
    // As many terms above zero as in a trained model: about one in a hundred of a text.
    let bias = vec![-34.0; n];
    let mut maxima = vec![0.0; n];
    let flop = 2.0 * (tokens * n * k) as f64;
    report(kernel, &format!("vocabulary, T = {tokens}, every logit"), flop, || {
        maximum(kernel, hidden, decoder, &mut [text(tokens, &mut maxima)]);
    });
    naive::assert_close(&maxima[..20], &naive::maximum(hidden, decoder.rows(0..20)), 1e-4, kernel, tokens);
    let Some(screen) = Screen::new(kernel, decoder, &bias) else { return };
    let screens = [screen];
    let mut screened = vec![0.0; n];
    let mut run = || {
        let quantized = QuantizedTokens::new(kernel, hidden).unwrap();
        screened_maximum(kernel, hidden, &quantized, decoder, &screens, &mut [text(tokens, &mut screened)])
            .unwrap()
    };
    let left = run() as f64 / (tokens * n) as f64;
    report(kernel, &format!("vocabulary, T = {tokens}, screened, {:.2} % left", left * 100.0), flop, || {
        black_box(run());
    });
    let same = |v: usize| maxima[v] + bias[v] <= 0.0 || maxima[v].to_bits() == screened[v].to_bits();
    assert!((0..n).all(same));
}

fn attend(kernel: InstructionSet, tokens: usize) {
    let (heads, size) = (12, 64);
    let [query, key, value] = [1, 2, 3].map(|seed| matrix(tokens, heads * size, seed));
    let mut out = Matrix::new(tokens, heads * size);
    let mut scratch = AttentionScratch::default();
    let flop = 4.0 * (tokens * tokens * heads * size) as f64;
    report(kernel, &format!("attention, T = {tokens}, 12 heads"), flop, || {
        for (head, out) in out.rows_mut().column_blocks(size).into_iter().enumerate() {
            let heads =
                [&query, &key, &value].map(|matrix| matrix.rows().columns(head * size..(head + 1) * size));
            attention(kernel, heads, None, out, &mut scratch);
        }
    });
}

/// Prints the speed of `run` and its share of the peak around it, unless nobody asked for it.
fn report(kernel: InstructionSet, title: &str, flop: f64, mut run: impl FnMut()) {
    run();
    let title = format!("{} {title}", kernel.name());
    if !std::env::args().skip(1).all(|word| word == "--bench" || title.contains(&word)) {
        return;
    }
    let mut shares: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let before = peak::multiply_add_now();
            let start = Instant::now();
            run();
            let speed = flop / start.elapsed().as_secs_f64();
            let peak = (before + peak::multiply_add_now()) / 2.0;
            (speed / peak, speed)
        })
        .collect();
    shares.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (low, (share, speed), high) = (shares[0].0, shares[ROUNDS / 2], shares[ROUNDS - 1].0);
    println!("{title}: {:.1} GFLOP/s, {share:.2} of the peak ({low:.2} … {high:.2})", speed / 1e9);
}

fn matrix(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut matrix = Matrix::new(rows, columns);
    for row in 0..rows {
        matrix.rows_mut().row_mut(row).copy_from_slice(&numbers(columns, seed + 100 * row as u64));
    }
    matrix
}

fn text(tokens: usize, maxima: &mut [f32]) -> TextMaxima<'_> {
    TextMaxima { tokens: 0..tokens, maxima, positions: None }
}
