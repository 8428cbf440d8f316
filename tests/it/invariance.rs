//! The same text gives the same bits: alone, in any batch, at any place, with any number of threads.

use neural_sparse::{Encoded, EncoderOptions, Kernel, ModelFiles, Side, SparseEncoder};

use crate::program::fixture;

fn load(files: &ModelFiles, kernel: Kernel, num_threads: usize) -> SparseEncoder {
    let (kernel, num_threads) = (Some(kernel), Some(num_threads));
    let options = EncoderOptions { kernel, num_threads, ..EncoderOptions::default() };
    SparseEncoder::load(files, &options).unwrap()
}

/// Texts of 0 to `longest` words, each different from the others.
fn texts(lengths: &[usize]) -> Vec<String> {
    let words = [
        "the", "river", "was", "cold", "in", "winter", "and", "warm", "so", "we", "sat", "by", "an", "old",
        "house",
    ];
    let text = |&length: &usize| {
        (0..length)
            .map(|place| words[(place * 7 + place * place + length) % words.len()])
            .collect::<Vec<_>>()
            .join(" ")
    };
    lengths.iter().map(text).collect()
}

fn bits(encoded: &Encoded) -> Vec<(u32, u32)> {
    encoded.vector.iter().map(|(id, weight)| (id, weight.to_bits())).collect()
}

fn assert_invariant(files: &ModelFiles, kernel: Kernel, lengths: &[usize]) {
    let texts = texts(lengths);
    let single = load(files, kernel, 1);
    let alone: Vec<Vec<(u32, u32)>> =
        texts.iter().map(|text| bits(&single.encode(&[text], Side::Document).unwrap()[0])).collect();
    assert!(alone.iter().any(|vector| !vector.is_empty()));
    for num_threads in [1, 2, 5] {
        let encoder = load(files, kernel, num_threads);
        for step in [1, texts.len() - 1, 7] {
            let order: Vec<usize> = (0..texts.len()).map(|place| place * step % texts.len()).collect();
            let batch: Vec<&str> = order.iter().map(|&index| texts[index].as_str()).collect();
            let together = encoder.encode(&batch, Side::Document).unwrap();
            for (&index, encoded) in order.iter().zip(&together) {
                let words = lengths[index];
                assert_eq!(bits(encoded), alone[index], "{words} words, {num_threads} threads, step {step}");
            }
        }
    }
}

#[test]
fn the_built_in_model_from_1_to_512_tokens() {
    // With [CLS] and [SEP]: every small size, the sizes around those where a matrix product may change its routine, the limit.
    let mut lengths: Vec<usize> = (0..20).collect();
    lengths.extend([30, 31, 46, 61, 62, 63, 64, 100, 126, 127, 128, 254, 255, 300, 400, 509, 510, 511, 600]);
    assert_invariant(&ModelFiles::tiny(), Kernel::best(), &lengths);
}

#[test]
fn fixture_models_of_other_shapes() {
    for name in ["bert-untied-sharded", "distilbert-f16"] {
        for kernel in Kernel::available() {
            assert_invariant(&ModelFiles::folder(name, fixture(name)), kernel, &(0..65).collect::<Vec<_>>());
        }
    }
}

#[test]
fn explaining_a_text_gives_the_vector_that_encoding_gives() {
    let encoder = load(&ModelFiles::tiny(), Kernel::best(), 2);
    for text in texts(&[0, 1, 9, 600]) {
        let explained = encoder.explain(&text, Side::Document).unwrap();
        assert_eq!(bits(&explained.encoded), bits(&encoder.encode(&[text], Side::Document).unwrap()[0]));
        assert_eq!(explained.positions.len(), explained.encoded.vector.len());
        assert_eq!(explained.tokens.len(), explained.encoded.num_tokens);
    }
}
