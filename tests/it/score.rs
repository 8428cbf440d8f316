//! `score` as its users call it.

use crate::program::{fixture, neural_sparse, Program};

const QUERY: &str = "What's the weather in ny now?";
const DOCUMENT: &str = "Currently New York is rainy.";

fn score(args: &[&str]) -> Program {
    neural_sparse(&[&["score", "--model", "tiny"], args].concat())
}

fn number(line: &str) -> f64 {
    line.trim().parse().unwrap_or_else(|_| panic!("`{line}` is not a score"))
}

#[test]
fn one_score_a_line_in_the_order_given() {
    let out = score(&[QUERY, "Completely unrelated words.", DOCUMENT]).run().ok();
    let scores: Vec<f64> = out.lines().map(number).collect();
    assert_eq!(scores.len(), 2);
    assert!((scores[1] - 17.6849).abs() < 1e-3 && scores[0] < scores[1], "{scores:?}");
}

#[test]
fn explain_shows_the_shared_terms_and_the_total() {
    let out = score(&["--explain", QUERY, DOCUMENT]).run().ok();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["term", "query", "document", "product", "share"]);
    assert_eq!((lines[1][0], lines[2][0]), ("haven", "york"));
    assert_eq!(lines.len(), 1 + 9 + 1, "nine shared terms");
    let products: Vec<f64> = lines[1..10].iter().map(|line| number(line[3])).collect();
    assert!(products.is_sorted_by(|a, b| a >= b));
    let total = number(lines[10][1]);
    assert_eq!(lines[10][0], "total");
    assert!((products.iter().sum::<f64>() - total).abs() < 1e-3 && (total - 17.6849).abs() < 1e-3);
    let shares: f64 = lines[1..10].iter().map(|line| number(line[4].trim_end_matches('%'))).sum();
    assert!((shares - 100.0).abs() < 0.5);
}

#[test]
fn json_gives_an_object_a_document() {
    let out = score(&["--json", "--explain", QUERY, DOCUMENT, ""]).run().ok();
    let rows: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["document"]), (2, &DOCUMENT.into()));
    assert!((rows[0]["score"].as_f64().unwrap() - 17.6849).abs() < 1e-3);
    assert_eq!(rows[0]["terms"].as_array().unwrap().len(), 9);
    assert_eq!(rows[0]["terms"][0]["term"], "haven");
}

#[test]
fn rows_get_their_score_and_keep_their_bytes() {
    let row = format!("{{\"qid\": 1e400, \"query\":\"{QUERY}\",\"document\":\"{DOCUMENT}\"}}");
    let out = score(&["--quiet", "--input", "-"]).stdin(format!("{row}\n{row}\n")).run().ok();
    let alone = score(&[QUERY, DOCUMENT]).run().ok();
    let expected = format!("{},\"score\":{}}}\n", &row[..row.len() - 1], alone.trim());
    assert_eq!(out, expected.repeat(2));
}

#[test]
fn a_bad_row_is_named_and_the_ones_before_it_are_written() {
    let good = format!("{{\"query\":\"{QUERY}\",\"document\":\"{DOCUMENT}\"}}");
    for (bad, says) in [
        ("{\"query\":\"a\"}", "standard input line 2: no field `document`"),
        ("{\"query\":\"a\",\"document\":\"b\",\"score\":1}", "has a field `score` already"),
    ] {
        let finished = score(&["--input", "-"]).stdin(format!("{good}\n{bad}\n")).run();
        assert_eq!((finished.code, finished.stdout.lines().count()), (Some(1), 1));
        assert!(finished.stderr.contains(says), "{}", finished.stderr);
    }
}

#[test]
fn a_query_alone_is_a_usage_error() {
    let stderr = score(&[QUERY]).run().fails(2);
    assert!(stderr.contains("at least one document") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn each_side_of_a_model_with_a_table_is_encoded_as_what_it_is() {
    let model = fixture("idf-query");
    let model = model.to_str().unwrap();
    // Some of these words survive in the document's vector.
    let text = "the old house by the river was cold in winter and warm in summer so we walked";
    let encode = |side: &str| {
        let out = neural_sparse(&["encode", "--model", model, "--as", side, text]).run().ok();
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&out).unwrap()
    };
    let (query, document) = (encode("query"), encode("document"));
    let expected: f64 = query
        .iter()
        .filter_map(|(term, weight)| Some(weight.as_f64()? * document.get(term)?.as_f64()?))
        .sum();
    let scored = number(&neural_sparse(&["score", "--model", model, text, text]).run().ok());
    assert!((scored - expected).abs() < 1e-4 && expected > 0.0, "{scored} {expected}");
}

#[test]
fn the_fields_of_a_pair_can_be_named() {
    let score = |rows: &str, more: &[&str]| {
        let arguments = [&["score", "--model", "tiny", "--quiet", "--input", "-"], more].concat();
        neural_sparse(&arguments).stdin(rows).run()
    };
    let plain = score("{\"query\":\"rain\",\"document\":\"wet\"}\n", &[]).ok();
    let scored = plain.rsplit_once(':').unwrap().1;
    let fields = ["--query-field", "q", "--document-field", "doc.body", "--id-field", "key"];
    let row = "{\"key\":7,\"q\":\"rain\",\"doc\":{\"body\":\"wet\"}";
    assert_eq!(score(&format!("{row}}}\n"), &fields).ok(), format!("{row},\"score\":{scored}"));
    let stderr = score("{\"q\":\"rain\",\"doc\":{\"body\":\"wet\"}}\n", &fields).fails(1);
    assert!(stderr.contains("no field `key`"), "{stderr}");
    let stderr = score(&format!("{row}}}\n"), &fields[2..]).fails(1);
    assert!(stderr.contains("no field `query`"), "{stderr}");
    let stderr = neural_sparse(&["score", "--model", "tiny", "--query-field", "q", "a", "b"]).run().fails(2);
    assert!(stderr.contains("--query-field"), "{stderr}");
}
