//! `explain` as its users call it.

use crate::program::{fixture, neural_sparse};

#[test]
fn each_term_names_the_token_that_gave_it() {
    let out = neural_sparse(&["explain", "--model", "tiny", "Currently New York is rainy."]).run().ok();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["weight", "term", "from", "characters", "kind"]);
    assert_eq!(lines.len(), 23, "a title and 22 terms");
    // The weight is PyTorch's; "rainy" is at characters 22 to 27.
    assert_eq!(lines[6], ["1.4600", "rainy", "\"rainy\"", "22-27", "literal"]);
    assert!(lines.iter().any(|line| line[1] == "haven" && line[4] == "expansion"));
}

#[test]
fn json_counts_characters_not_bytes() {
    let out = neural_sparse(&["explain", "--model", "tiny", "--json", "été à York"]).run().ok();
    let explained: serde_json::Value = serde_json::from_str(&out).unwrap();
    let tokens = explained["tokens"].as_array().unwrap();
    assert_eq!(tokens[0]["token"], "[CLS]");
    assert!(tokens[0].get("start").is_none());
    let york = tokens.iter().find(|token| token["token"] == "york").unwrap();
    assert_eq!((york["start"].as_u64(), york["end"].as_u64()), (Some(6), Some(10)));
    let terms = explained["terms"].as_array().unwrap();
    let weights: Vec<f64> = terms.iter().map(|term| term["weight"].as_f64().unwrap()).collect();
    assert!(weights.is_sorted_by(|a, b| a >= b));
    let term = terms.iter().find(|term| term["term"] == "york").unwrap();
    assert_eq!((term["literal"].as_bool(), term["token"].as_str()), (Some(true), Some("york")));
}

#[test]
fn the_terms_and_weights_are_those_of_encode() {
    let text = "which planet is red";
    let explained = neural_sparse(&["explain", "--model", "tiny", "--json", text]).run().ok();
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let encoded = neural_sparse(&["encode", "--model", "tiny", text]).run().ok();
    let encoded: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&encoded).unwrap();
    let terms = explained["terms"].as_array().unwrap();
    assert_eq!(terms.len(), encoded.len());
    for term in terms {
        assert_eq!(term["weight"], encoded[term["term"].as_str().unwrap()]);
    }
}

#[test]
fn a_query_of_a_table_comes_from_its_own_tokens() {
    let model = fixture("idf-query");
    let args = ["explain", "--model", model.to_str().unwrap(), "--as", "query", "--json", "old house old"];
    let explained: serde_json::Value = serde_json::from_str(&neural_sparse(&args).run().ok()).unwrap();
    let terms = explained["terms"].as_array().unwrap();
    assert_eq!(terms.len(), 2);
    for term in terms {
        assert_eq!(term["term"], term["token"]);
        assert_eq!(term["literal"], true);
    }
}

#[test]
fn rows_are_explained_as_texts_are() {
    let text = "Currently New York is rainy.";
    let alone = neural_sparse(&["explain", "--model", "tiny", "--json", text]).run().ok();
    let rows = format!("{{\"id\":\"a\",\"text\":\"{text}\"}}\n{{\"text\":\"{text}\"}}\n{{\"text\":7}}\n");
    let args = ["explain", "--model", "tiny", "--quiet", "--input", "-", "--on-error", "skip"];
    let finished = neural_sparse(&args).stdin(rows).run();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(3), ""));
    let expected = ["\"a\"", "2"].map(|id| format!("{{\"id\":{id},{}", &alone[1..])).concat();
    assert_eq!(finished.stdout, expected);
}
