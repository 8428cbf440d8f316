//! Folders that sentence-transformers wrote, against the vectors that it gives itself for both roles.

use std::collections::{BTreeMap, HashMap};

use neural_sparse::{Dialect, EncoderOptions, InstructionSet, ModelFiles, Side, SparseEncoder};
use serde_json::Value;

use crate::program::{fixture, json_lines};

const TOLERANCE: f64 = 1e-4;

const FOLDERS: [&str; 11] = [
    "opensearch-router",
    "st5-lexical",
    "st5-router",
    "st5-symmetric",
    "st5-two-models",
    "st6-lengths",
    "st6-lexical",
    "st6-prompts",
    "st6-router",
    "st6-router-json",
    "st6-symmetric-sum",
];

fn load(folder: &str, options: EncoderOptions) -> SparseEncoder {
    SparseEncoder::load(&ModelFiles::folder(folder, fixture(folder)), &options).unwrap()
}

/// The golden vectors of one role by text: weights by term id.
fn golden(folder: &str, side: Side) -> Vec<(String, BTreeMap<u32, f64>)> {
    let texts: HashMap<String, String> = json_lines(&fixture("texts.jsonl"))
        .into_iter()
        .map(|row| (row["id"].as_str().unwrap().into(), row["text"].as_str().unwrap().into()))
        .collect();
    let file = if side == Side::Query { "queries.jsonl" } else { "documents.jsonl" };
    let numbers = |value: &Value| value.as_array().unwrap().clone();
    json_lines(&fixture(folder).join(file))
        .into_iter()
        .map(|row| {
            let ids = numbers(&row["indices"]).into_iter().map(|id| id.as_u64().unwrap() as u32);
            let weights = numbers(&row["values"]).into_iter().map(|weight| weight.as_f64().unwrap());
            (texts[row["id"].as_str().unwrap()].clone(), ids.zip(weights).collect())
        })
        .collect()
}

/// Compares what `encoder` gives for the texts of a golden file, leaving out the terms that `ignored` names.
#[track_caller]
fn assert_golden(encoder: &SparseEncoder, folder: &str, side: Side, ignored: &[u32]) {
    let mut golden = golden(folder, side);
    assert!(golden.len() >= 50, "{folder}: {}", golden.len());
    if !ignored.is_empty() {
        // In another dialect a long query of a table loses two more tokens, to [CLS] and [SEP].
        let is_whole = |text: &str| !encoder.encode(&[text], side).unwrap()[0].is_cut;
        golden.retain(|row| side == Side::Document || is_whole(&row.0));
        assert!(golden.len() >= 20, "{folder}: {}", golden.len());
    }
    let texts: Vec<&str> = golden.iter().map(|row| row.0.as_str()).collect();
    let mut encoded = encoder.encode(&texts, side).unwrap();
    // And each by itself.
    for text in &texts {
        encoded.extend(encoder.encode(&[text], side).unwrap());
    }
    let mut num_compared = 0;
    for (place, ours) in encoded.iter().enumerate() {
        let (text, theirs) = &golden[place % golden.len()];
        let ours: BTreeMap<u32, f64> = ours.vector.iter().map(|(id, w)| (id, f64::from(w))).collect();
        for id in ours.keys().chain(theirs.keys()).filter(|id| !ignored.contains(id)) {
            let weight = |of: &BTreeMap<u32, f64>| of.get(id).copied().unwrap_or(0.0);
            let (a, b) = (weight(&ours), weight(theirs));
            let term = encoder.tokenizer().term(*id);
            assert!(
                (a - b).abs() <= TOLERANCE,
                "{folder} {side:?} {text:?}: {term:?} is {a}, sentence-transformers says {b}"
            );
            num_compared += 1;
        }
    }
    assert!(num_compared > 300, "{folder}: only {num_compared} weights to compare");
}

#[test]
fn every_layout_gives_the_vectors_of_sentence_transformers_in_its_dialect() {
    for folder in FOLDERS {
        for kernel in [InstructionSet::Portable, InstructionSet::best()] {
            let dialect = Dialect::SentenceTransformers;
            let options =
                EncoderOptions { dialect, instruction_set: Some(kernel), ..EncoderOptions::default() };
            let encoder = load(folder, options);
            for side in [Side::Query, Side::Document] {
                assert_golden(&encoder, folder, side, &[]);
            }
        }
    }
}

/// By default only the special tokens differ; where the heaviest terms are kept, others take their places.
#[test]
fn by_default_every_layout_differs_in_the_special_tokens_only() {
    for folder in FOLDERS {
        let encoder = load(folder, EncoderOptions::default());
        let special = encoder.tokenizer().special_ids().to_vec();
        for side in [Side::Query, Side::Document] {
            let texts: Vec<String> = golden(folder, side).into_iter().map(|row| row.0).collect();
            for encoded in encoder.encode(&texts, side).unwrap() {
                assert!(encoded.vector.indices().iter().all(|id| !special.contains(id)), "{folder}");
            }
            if folder != "st6-prompts" {
                assert_golden(&encoder, folder, side, &special);
            }
        }
    }
}

#[test]
fn a_side_alone_is_loaded_without_the_other() {
    for (folder, only, unread) in [
        ("st5-router", Side::Query, "document_0_MLMTransformer/model.safetensors"),
        ("st5-two-models", Side::Query, "document_0_MLMTransformer/model.safetensors"),
        ("st5-two-models", Side::Document, "query_0_MLMTransformer/model.safetensors"),
        ("opensearch-router", Side::Query, "model.safetensors"),
    ] {
        let model = crate::program::copied_whole(folder);
        std::fs::remove_file(model.path().join(unread)).unwrap();
        let files = ModelFiles::folder(folder, model.path());
        let dialect = Dialect::SentenceTransformers;
        let options = EncoderOptions { dialect, only: Some(only), ..EncoderOptions::default() };
        let encoder = SparseEncoder::load(&files, &options).unwrap();
        assert_golden(&encoder, folder, only, &[]);
        let other = if only == Side::Query { Side::Document } else { Side::Query };
        let refused = encoder.encode(&["x"], other).unwrap_err().to_string();
        assert!(refused.contains("was loaded for") && refused.contains(folder), "{refused}");
    }
}
