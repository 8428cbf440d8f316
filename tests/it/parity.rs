//! Our vectors against PyTorch's, for every checkpoint layout and the built-in model.

use std::collections::HashMap;

use neural_sparse::known::find;
use neural_sparse::{EncoderOptions, InstructionSet, ModelFiles, Side, SparseEncoder, UntiedDecoder};

use crate::program::{copied, fixture, json_lines};

/// How far a weight may be from PyTorch's: f32 sums in another order, and goldens of 6 decimals.
const TOLERANCE: f64 = 1e-4;

/// A term that only one side has must weigh less than this.
const PRESENCE_TOLERANCE: f64 = 2e-4;

fn encoder(folder: &str, decoder: Option<UntiedDecoder>) -> SparseEncoder {
    encoder_on(None, folder, decoder)
}

fn encoder_on(kernel: Option<InstructionSet>, folder: &str, decoder: Option<UntiedDecoder>) -> SparseEncoder {
    let options = EncoderOptions { decoder, instruction_set: kernel, ..EncoderOptions::default() };
    let files =
        if folder == "tiny" { ModelFiles::tiny() } else { ModelFiles::folder(folder, fixture(folder)) };
    SparseEncoder::load(&files, &options).unwrap()
}

/// Encodes the texts of a golden file together and compares every weight.
#[track_caller]
pub fn assert_equals_golden(encoder: &SparseEncoder, side: Side, golden_file: &str) {
    // Some models have texts of their own beside those that all share.
    let folder = golden_file.split('/').next().unwrap();
    let own = fixture(folder).join("texts.jsonl");
    let own = if own.exists() { json_lines(&own) } else { Vec::new() };
    let texts: HashMap<String, String> = json_lines(&fixture("texts.jsonl"))
        .iter()
        .chain(&own)
        .map(|row| (row["id"].as_str().unwrap().into(), row["text"].as_str().unwrap().into()))
        .collect();
    let golden = json_lines(&fixture(golden_file));
    assert!(golden.len() >= 12, "{golden_file} has {} rows", golden.len());
    let inputs: Vec<&str> = golden.iter().map(|row| texts[row["id"].as_str().unwrap()].as_str()).collect();
    let encoded = encoder.encode(&inputs, side).unwrap();
    let mut num_compared = 0;
    for (row, ours) in golden.iter().zip(&encoded) {
        let theirs = row["vector"].as_object().unwrap();
        let ours: HashMap<&str, f64> = ours
            .vector
            .iter()
            .map(|(id, weight)| (encoder.tokenizer().term(id).unwrap(), f64::from(weight)))
            .collect();
        for term in theirs.keys().map(String::as_str).chain(ours.keys().copied()) {
            let (a, b) = (ours.get(term), theirs.get(term).and_then(|weight| weight.as_f64()));
            let tolerance = if a.is_some() && b.is_some() { TOLERANCE } else { PRESENCE_TOLERANCE };
            let difference = (a.copied().unwrap_or(0.0) - b.unwrap_or(0.0)).abs();
            assert!(
                difference <= tolerance,
                "{golden_file} {}: `{term}` is {a:?}, PyTorch says {b:?}",
                row["id"]
            );
            num_compared += 1;
        }
    }
    assert!(num_compared > 100, "{golden_file}: only {num_compared} weights to compare");
}

#[track_caller]
fn assert_documents_equal_golden(folder: &str) {
    for kernel in InstructionSet::available() {
        let encoder = encoder_on(Some(kernel), folder, None);
        assert_eq!(encoder.instruction_set(), kernel);
        assert_equals_golden(&encoder, Side::Document, &format!("{folder}/reference.jsonl"));
    }
}

#[test]
fn the_built_in_model() {
    assert_documents_equal_golden("tiny");
}

#[test]
fn bert_with_gamma_and_beta_and_a_tied_decoder() {
    assert_documents_equal_golden("bert-tied");
}

#[test]
fn bert_in_shards_with_its_own_decoder_and_tanh_gelu() {
    assert_documents_equal_golden("bert-untied-sharded");
}

#[test]
fn distilbert_in_f16_with_vocab_txt() {
    assert_documents_equal_golden("distilbert-f16");
}

#[test]
fn distilbert_in_bf16_without_prefix_cased_with_its_own_decoder() {
    assert_documents_equal_golden("distilbert-untied-noprefix");
}

#[test]
fn bert_from_pytorch_model_bin_with_a_limit_from_the_tokenizer() {
    assert_documents_equal_golden("bert-bin");
}

#[test]
fn roberta_in_bf16_with_positions_after_the_padding_token() {
    assert_documents_equal_golden("roberta-bf16");
}

#[test]
fn modernbert_with_windows_as_transformers_5_writes_it() {
    assert_documents_equal_golden("modernbert");
}

#[test]
fn modernbert_with_every_bias_as_transformers_4_writes_it() {
    assert_documents_equal_golden("modernbert-biased");
}

#[test]
fn gte_with_scaled_rotations_and_more_rows_than_tokens() {
    assert_documents_equal_golden("gte-new");
}

#[test]
fn two_logarithms_where_the_pooling_config_says_so() {
    assert_documents_equal_golden("bert-log1p-relu");
}

/// Other programs cache a model without its pooling config; which model it is a copy of then says what it has.
#[test]
fn two_logarithms_where_the_model_is_known() {
    // Copies files, not folders: the pooling config stays behind.
    let model = copied("bert-log1p-relu");
    let load = |name: &str| {
        let files = ModelFiles::folder("copy", model.path());
        let only = Some(Side::Document);
        let options = EncoderOptions { known: find(name), only, ..EncoderOptions::default() };
        SparseEncoder::load(&files, &options).unwrap()
    };
    assert_equals_golden(&load("doc-v3-distill"), Side::Document, "bert-log1p-relu/reference.jsonl");
    let text = ["the old house by the river"];
    let single = load("elsewhere").encode(&text, Side::Document).unwrap().remove(0).vector;
    assert_ne!(load("doc-v3-distill").encode(&text, Side::Document).unwrap().remove(0).vector, single);
}

#[test]
fn a_stored_decoder_that_differs_is_used_as_transformers_5_does() {
    for tie in ["true", "false", "absent"] {
        assert_documents_equal_golden(&format!("bert-decoder-differs-{tie}"));
    }
}

#[test]
fn a_stored_decoder_that_differs_can_be_read_as_tied() {
    for tie in ["true", "absent"] {
        let folder = format!("bert-decoder-differs-{tie}");
        let tied = encoder(&folder, Some(UntiedDecoder::UseEmbeddings));
        assert_equals_golden(&tied, Side::Document, &format!("{folder}/tied.jsonl"));
    }
}

#[test]
fn queries_from_a_table_and_documents_from_the_model() {
    for folder in ["idf-query", "idf-query-txt"] {
        assert_documents_equal_golden(folder);
        assert_equals_golden(&encoder(folder, None), Side::Query, &format!("{folder}/queries.jsonl"));
    }
}

/// Scores that sentence-transformers' tests publish for rasyosef/splade-tiny in f32; ours has its tensors in f16.
#[test]
fn the_built_in_model_gives_the_published_scores() {
    let encoder = encoder("tiny", None);
    let query = encoder.encode(&["Which planet is known as the Red Planet?"], Side::Query).unwrap().remove(0);
    let documents = [
        ("Venus is often called Earth's twin because of its similar size and proximity.", 4.99237),
        ("Mars, known for its reddish appearance, is often referred to as the Red Planet.", 18.62739),
        ("Jupiter, the largest planet in our solar system, has a prominent red spot.", 12.62022),
        ("Saturn, famous for its rings, is sometimes mistaken for the Red Planet.", 13.89826),
    ];
    for (document, published) in documents {
        let encoded = encoder.encode(&[document], Side::Document).unwrap().remove(0);
        let score = query.vector.dot(&encoded.vector).unwrap();
        assert!((score - published).abs() < 5e-3, "{document}: {score}, published {published}");
    }
}

#[test]
fn the_cards_pair_has_22_terms_on_each_side() {
    let encoder = encoder("tiny", None);
    let pair = ["What's the weather in ny now?", "Currently New York is rainy."];
    let encoded = encoder.encode(&pair, Side::Document).unwrap();
    assert_eq!((encoded[0].vector.len(), encoded[1].vector.len()), (22, 22));
    assert!((encoded[0].vector.dot(&encoded[1].vector).unwrap() - 17.6849).abs() < 1e-3);
}
