//! `stats`.

use std::fs;

use serde_json::{json, Value};
use tempfile::TempDir;

use crate::program::{folder, json_lines, neural_sparse};

fn path(place: &TempDir, name: &str) -> String {
    place.path().join(name).to_str().unwrap().to_string()
}

fn stats(place: &TempDir, args: &[&str]) -> Value {
    let files: Vec<String> = args
        .iter()
        .map(|arg| if arg.ends_with(".jsonl") { path(place, arg) } else { arg.to_string() })
        .collect();
    let args = [&["stats".to_string(), "--json".into()][..], &files].concat();
    serde_json::from_str(&neural_sparse(&args).run().ok()).unwrap()
}

/// Three rows and two queries, small enough to count by hand.
fn place() -> TempDir {
    let place = folder();
    let rows = [
        json!({"id": "a", "vector": {"rain": 2.0, "snow": 0.5}}),
        json!({"id": "b", "vector": {}}),
        json!({"id": "c", "vector": {"rain": 4.0, "sun": 1.0, "sky": 0.001}}),
    ];
    let queries =
        [json!({"id": 1, "vector": {"rain": 20.0, "fog": 1.0}}), json!({"id": 2, "vector": {"sun": 1.5}})];
    let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    fs::write(place.path().join("rows.jsonl"), lines(&rows)).unwrap();
    fs::write(place.path().join("queries.jsonl"), lines(&queries)).unwrap();
    place
}

#[test]
fn everything_is_counted() {
    let place = place();
    let found = stats(&place, &["rows.jsonl", "--queries", "queries.jsonl"]);
    assert_eq!((&found["rows"], &found["rows_without_terms"]), (&json!(3), &json!(1)));
    let terms = &found["terms"];
    assert_eq!(
        (&terms["1"], &terms["50"], &terms["99"], &terms["most"]),
        (&json!(0), &json!(2), &json!(3), &json!(3))
    );
    assert_eq!(terms["mean"], 5.0 / 3.0);
    let weights = &found["weights"];
    assert_eq!((&weights["most"], &weights["50"], &weights["90"]), (&json!(4.0), &json!(1.0), &json!(4.0)));
    assert!((weights["mean"].as_f64().unwrap() - 7.501 / 5.0).abs() < 1e-6);
    assert!((weights["least"].as_f64().unwrap() - 0.001).abs() < 1e-6);
    assert_eq!(found["distinct_terms"], 4);
    assert_eq!(found["most_frequent_terms"][0], json!({"term": "rain", "rows": 2}));
    // rain: half of the queries, two thirds of the rows; sun: half and a third.
    assert!((found["flops"].as_f64().unwrap() - (1.0 / 3.0 + 1.0 / 6.0)).abs() < 1e-12);
    assert_eq!(found["queries"]["terms"]["mean"], 1.5);
    let suggested = &found["suggested"];
    // 255 / 4 is 63.75; 0.5 / 63 is more than 0.001 and less than 0.5.
    assert_eq!((&suggested["quantize"], &suggested["share_raised_to_1"]), (&json!(63.0), &json!(0.2)));
    assert_eq!(suggested["quantization_ceiling_ingest"], 4.0);
    assert_eq!(suggested["share_cut_off_by_default_ingest"], 0.2);
    assert_eq!(suggested["quantization_ceiling_search"], 20.0);
    assert!((suggested["share_cut_off_by_default_search"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(found["expansion"], Value::Null);
    // sentence-transformers 6.2: SparseEncoder.sparsity of these rows as (3, 30522) has 1.6666666 and 0.9999454; its
    // SparseInformationRetrievalEvaluator has the same FLOPS.
    assert_eq!(found["active_dims"], terms["mean"]);
    assert!((found["sparsity_ratio"].as_f64().unwrap() - 0.999_945_4).abs() < 1e-7);
    assert!((found["queries"]["sparsity_ratio"].as_f64().unwrap() - (1.0 - 1.5 / 30522.0)).abs() < 1e-12);
    let printed = neural_sparse(&["stats", &path(&place, "rows.jsonl"), "--top", "1"]).run().ok();
    assert!(printed.contains("rows                         3, 1 of them without terms\n"), "{printed}");
    assert!(printed.contains("no row has a text"), "{printed}");
    assert!(printed.ends_with("most frequent terms\nterm  rows   share\nrain     2  66.7 %\n"), "{printed}");
}

#[test]
fn the_sparsity_of_a_vocabulary_that_is_not_the_vectors_is_not_known() {
    let place = place();
    fs::write(place.path().join("other.jsonl"), "{\"id\":1,\"vector\":{\"notaterm\":1}}\n").unwrap();
    let found = stats(&place, &["other.jsonl"]);
    assert_eq!((&found["sparsity_ratio"], &found["active_dims"]), (&Value::Null, &json!(1.0)));
    let printed = neural_sparse(&["stats", &path(&place, "other.jsonl"), "--model", "tiny"]).run().ok();
    assert!(printed.contains("not known: `notaterm` is not in the vocabulary of `tiny`"), "{printed}");
    let printed =
        neural_sparse(&["stats", &path(&place, "rows.jsonl"), "--model", "/nonexistent/model"]).run().ok();
    assert!(printed.contains("sparsity ratio of rows       not known: "), "{printed}");
}

#[test]
fn expansion_is_what_explain_calls_so() {
    let place = folder();
    let text = "Currently New York is rainy.";
    fs::write(place.path().join("docs.jsonl"), format!("{}\n", json!({"id": 1, "text": text}))).unwrap();
    let encode = ["encode", "--model", "tiny", "--quiet", "--keep", "text", "--input"];
    let (docs, rows) = (path(&place, "docs.jsonl"), path(&place, "rows.jsonl"));
    neural_sparse(&[&encode[..], &[&docs, "--output", &rows]].concat()).run().ok();
    let found = stats(&place, &["rows.jsonl", "--model", "tiny"]);
    let explained: Value =
        serde_json::from_str(&neural_sparse(&["explain", "--model", "tiny", "--json", text]).run().ok())
            .unwrap();
    let terms = explained["terms"].as_array().unwrap();
    let weight = |literal: bool| -> f64 {
        terms
            .iter()
            .filter(|term| term["literal"] == literal)
            .map(|term| term["weight"].as_f64().unwrap())
            .sum()
    };
    let expanded = terms.iter().filter(|term| term["literal"] == false).count();
    assert!(expanded > 0 && expanded < terms.len());
    assert_eq!(found["expansion"]["rows_with_text"], 1);
    assert_eq!(found["expansion"]["share_of_terms"], expanded as f64 / terms.len() as f64);
    let share = found["expansion"]["share_of_weight"].as_f64().unwrap();
    assert!((share - weight(false) / (weight(false) + weight(true))).abs() < 1e-6);
    // Ids of the vocabulary are the same terms.
    let qdrant = path(&place, "points.jsonl");
    neural_sparse(&[
        "convert", "--quiet", "--input", &rows, "--format", "qdrant", "--model", "tiny", "--output", &qdrant,
    ])
    .run()
    .ok();
    assert_eq!(json_lines(&place.path().join("points.jsonl")).len(), 1);
    let by_id = stats(&place, &["points.jsonl", "--model", "tiny", "--vector-field", "vector.vector"]);
    assert_eq!(by_id["weights"], found["weights"]);
}

#[test]
fn what_cannot_be_counted_is_an_error() {
    let place = place();
    let bad = |content: &str, args: &[&str]| {
        let file = path(&place, "bad.jsonl");
        fs::write(&file, content).unwrap();
        neural_sparse(&[&["stats", &file], args].concat()).run()
    };
    let stderr = bad("{\"id\":1,\"vector\":{\"a\":1}}\n{\"id\":2,\"text\":\"x\"}\n", &[]).fails(1);
    assert!(stderr.contains("bad.jsonl` line 2: no field `vector`"), "{stderr}");
    let stderr = bad("\n\n", &[]).fails(1);
    assert!(stderr.contains("no rows in `"), "{stderr}");
    let stderr =
        bad("{\"id\":1,\"text\":\"x\",\"vector\":{\"notaterm\":1}}\n", &["--model", "tiny"]).fails(2);
    assert!(stderr.contains("`notaterm` is not in the vocabulary of `tiny`"), "{stderr}");
    let stderr = neural_sparse(&["stats", "/nonexistent/rows.jsonl"]).run().fails(1);
    assert!(stderr.contains("/nonexistent/rows.jsonl"), "{stderr}");
    neural_sparse(&["stats"]).run().fails(2);
}
