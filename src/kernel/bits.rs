//! The bits of each instruction set, which no change of the kernels may change: journals and indexes name the instruction
//! set, and vectors that were written before must be those that are written now.

use super::naive::numbers;
use super::*;

/// FNV-1a over the bits of floats.
fn hash(values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn products(kernel: InstructionSet) -> Vec<f32> {
    let mut all = Vec::new();
    for (m, n, k) in [(1, 5, 7), (3, 97, 64), (13, 33, 768), (29, 64, 1600), (7, 40, 3072)] {
        let (x, weight) = (numbers(m * k, 1), numbers(n * k, 2));
        let (bias, residual) = (numbers(n, 3), numbers(m * n, 4));
        let (x, weight) = (MatRef::new(&x, k), MatRef::new(&weight, k));
        for epilogue in [
            Epilogue::None,
            Epilogue::Activation(Activation::GeluErf),
            Epilogue::Activation(Activation::GeluTanh),
            Epilogue::Activation(Activation::Silu),
            Epilogue::Residual(MatRef::new(&residual, n)),
        ] {
            let mut out = vec![0.0; m * n];
            linear(kernel, x, GemmWeight::Rows(weight), &bias, epilogue, MatMut::new(&mut out, n));
            all.extend(out);
        }
    }
    all
}

fn maxima(kernel: InstructionSet) -> Vec<f32> {
    let (m, n, k) = (31, 193, 384);
    let (hidden, weight) = (numbers(m * k, 5), numbers(n * k, 6));
    let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
    let mut texts = [
        TextMaxima { tokens: 0..11, maxima: &mut first, positions: None },
        TextMaxima { tokens: 11..m, maxima: &mut second, positions: None },
    ];
    maximum(kernel, MatRef::new(&hidden, k), MatRef::new(&weight, k), &mut texts);
    first.into_iter().chain(second).collect()
}

fn heads(kernel: InstructionSet) -> Vec<f32> {
    let mut all = Vec::new();
    for (tokens, size, window) in [(1, 64, None), (37, 32, None), (300, 64, None), (50, 40, Some(8))] {
        let data = [7, 8, 9].map(|seed| numbers(tokens * size, seed));
        let mut out = vec![0.0; tokens * size];
        let rows = data.each_ref().map(|data| MatRef::new(data, size));
        attention(kernel, rows, window, MatMut::new(&mut out, size), &mut AttentionScratch::default());
        all.extend(out);
    }
    all
}

fn norms(kernel: InstructionSet) -> Vec<f32> {
    let (m, h) = (5, 391);
    let mut x = numbers(m * h, 10);
    layer_norm(kernel, MatMut::new(&mut x, h), &numbers(h, 11), &numbers(h, 12), 1e-12);
    x
}

#[test]
fn the_bits_of_an_instruction_set_stay_what_they_are() {
    let expected: [(InstructionSet, [u64; 4]); 4] = [
        (
            InstructionSet::Portable,
            [0xac1c76d36c7ce994, 0x812b7620e6453b1f, 0xec6f0732a1b7d3e3, 0x38d256fa41b2c244],
        ),
        (
            InstructionSet::Neon,
            [0x3cbae54a496c346e, 0xb496d33ab5724ad5, 0xa6af10e03511fc73, 0x38d256fa41b2c244],
        ),
        (
            InstructionSet::Avx2,
            [0x3cbae54a496c346e, 0xb496d33ab5724ad5, 0x1d8a4def75040a87, 0xa344da5e104e89c3],
        ),
        (
            InstructionSet::Avx512,
            [0x3cbae54a496c346e, 0xb496d33ab5724ad5, 0x58ccc65a0b23c88c, 0x089bf59dfa2959a7],
        ),
    ];
    for (kernel, hashes) in expected.into_iter().filter(|(kernel, _)| kernel.is_available()) {
        let found = [products(kernel), maxima(kernel), heads(kernel), norms(kernel)].map(|out| hash(&out));
        assert_eq!(found, hashes, "{kernel:?}: {found:#x?}");
    }
}
