//! The same text gives the same bits: alone, in any batch, at any place, with any number of threads.

use neural_sparse::check::verify::{second_opinion, Outcome};
use neural_sparse::{Encoded, EncoderOptions, InstructionSet, ModelFiles, Side, SparseEncoder};

use crate::bad_models::set;
use crate::program::{copied, fixture};

fn load(files: &ModelFiles, kernel: InstructionSet, num_threads: usize) -> SparseEncoder {
    let (kernel, num_threads) = (Some(kernel), Some(num_threads));
    let options = EncoderOptions { instruction_set: kernel, num_threads, ..EncoderOptions::default() };
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

fn assert_invariant(files: &ModelFiles, kernel: InstructionSet, lengths: &[usize]) {
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
    assert_invariant(&ModelFiles::tiny(), InstructionSet::best(), &lengths);
}

#[test]
fn fixture_models_of_other_shapes() {
    for name in [
        "bert-untied-sharded",
        "distilbert-f16",
        "roberta-bf16",
        "modernbert",
        "gte-new",
        "st6-symmetric-sum",
    ] {
        for kernel in InstructionSet::available() {
            assert_invariant(&ModelFiles::folder(name, fixture(name)), kernel, &(0..65).collect::<Vec<_>>());
        }
    }
}

/// Rotary positions need no embedding, so there may be as many as one likes: texts longer than a batch, which all
/// threads share, in blocks of rows.
#[test]
fn texts_longer_than_a_batch() {
    for name in ["modernbert", "gte-new"] {
        let model = copied(name);
        set(&model.path().join("config.json"), "max_position_embeddings", 4096.into());
        set(&model.path().join("tokenizer_config.json"), "model_max_length", 4096.into());
        let files = ModelFiles::folder(name, model.path());
        for kernel in InstructionSet::available() {
            assert_invariant(&files, kernel, &[3, 510, 511, 700, 1300]);
        }
        // And right: against the forward pass in candle's tensors.
        let encoder = load(&files, InstructionSet::best(), 2);
        let check = second_opinion(&encoder, Side::Document).unwrap();
        assert_eq!(check.outcome, Outcome::Pass, "{}", check.found);
        let tokens = encoder.encode(&texts(&[1300]), Side::Document).unwrap()[0].num_tokens;
        assert!(tokens > 1300, "{tokens}");
    }
}

#[test]
fn a_screen_changes_no_bit_and_no_position() {
    let texts = texts(&[0, 1, 2, 9, 30, 61, 200, 511]);
    for kernel in InstructionSet::available() {
        let with = |without_screen: bool| {
            let options =
                EncoderOptions { instruction_set: Some(kernel), without_screen, ..EncoderOptions::default() };
            SparseEncoder::load(&ModelFiles::tiny(), &options).unwrap()
        };
        let (screened, whole) = (with(false), with(true));
        let encode = |encoder: &SparseEncoder| encoder.encode(&texts, Side::Document).unwrap();
        let of_all = encode(&whole);
        for (ours, all) in encode(&screened).iter().zip(&of_all) {
            assert_eq!(bits(ours), bits(all), "{}", kernel.name());
        }
        for text in &texts {
            let explain = |encoder: &SparseEncoder| encoder.explain(text, Side::Document).unwrap();
            let (ours, all) = (explain(&screened), explain(&whole));
            assert_eq!((bits(&ours.encoded), ours.positions), (bits(&all.encoded), all.positions));
        }
        let (count, nothing) = (screened.screen_count(), whole.screen_count());
        assert_eq!(nothing.pairs, 0);
        if kernel == InstructionSet::Portable {
            assert_eq!(count.pairs, 0, "nothing is cheaper than f32 there");
        } else {
            let num_tokens: usize = of_all.iter().map(|encoded| encoded.num_tokens).sum();
            assert_eq!(count.pairs, 2 * (num_tokens * 30_522) as u64, "each token twice with each term");
            assert!(count.computed > 0 && count.computed * 50 < count.pairs, "{count:?}");
        }
    }
}

#[test]
fn each_token_of_a_batch_of_many_texts_meets_each_term_once() {
    // More texts than are pooled at once, in one batch.
    let encoder = load(&ModelFiles::tiny(), InstructionSet::best(), 1);
    let texts: Vec<String> = (0..70).map(|number| format!("house {number}")).collect();
    let encoded = encoder.encode(&texts, Side::Document).unwrap();
    let num_tokens: usize = encoded.iter().map(|encoded| encoded.num_tokens).sum();
    let expected =
        if InstructionSet::best() == InstructionSet::Portable { 0 } else { (num_tokens * 30_522) as u64 };
    assert_eq!(encoder.screen_count().pairs, expected);
}

#[test]
fn repeated_queries_keep_their_bits() {
    for kernel in InstructionSet::available() {
        let encoder = load(&ModelFiles::tiny(), kernel, 2);
        let texts = texts(&[9, 3]);
        let first = encoder.encode(&texts[..1], Side::Query).unwrap();
        for _ in 0..4 {
            let again = encoder.encode(&texts, Side::Query).unwrap();
            assert_eq!(bits(&again[0]), bits(&first[0]), "{}", kernel.name());
        }
        let fresh = load(&ModelFiles::tiny(), kernel, 1).encode(&texts, Side::Query).unwrap();
        assert_eq!(bits(&encoder.encode(&texts[1..], Side::Query).unwrap()[0]), bits(&fresh[1]));
    }
}

#[test]
fn explaining_a_text_gives_the_vector_that_encoding_gives() {
    let encoder = load(&ModelFiles::tiny(), InstructionSet::best(), 2);
    for text in texts(&[0, 1, 9, 600]) {
        let explained = encoder.explain(&text, Side::Document).unwrap();
        assert_eq!(bits(&explained.encoded), bits(&encoder.encode(&[text], Side::Document).unwrap()[0]));
        assert_eq!(explained.positions.len(), explained.encoded.vector.len());
        assert_eq!(explained.tokens.len(), explained.encoded.num_tokens);
    }
}
