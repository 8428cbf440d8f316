//! Judgements, runs and figures against pytrec_eval and scipy; `eval` by running it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use neural_sparse::eval::{compare, evaluate, mean, read_qrels, read_run, write_run, Figures, Flops};
use serde_json::value::RawValue;

use crate::program::{fixture, folder};

fn figures(run: &str) -> Vec<(String, Figures)> {
    let qrels = read_qrels(&fixture("eval/qrels.tsv")).unwrap();
    evaluate(&qrels, &read_run(&fixture("eval").join(run)).unwrap())
}

fn golden(name: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let text = fs::read_to_string(fixture("eval").join(name)).unwrap();
    let written: BTreeMap<String, BTreeMap<String, &RawValue>> = serde_json::from_str(&text).unwrap();
    // serde_json's own numbers may be off by their last bit.
    let exact = |figures: BTreeMap<String, &RawValue>| {
        figures.into_iter().map(|(name, figure)| (name, figure.get().parse().unwrap())).collect()
    };
    written.into_iter().map(|(query, figures)| (query, exact(figures))).collect()
}

#[test]
fn every_figure_of_every_query_is_pytrec_evals_to_the_last_bit() {
    for name in ["a", "b"] {
        let golden = golden(&format!("figures-{name}.json"));
        let found = figures(&format!("run-{name}.trec"));
        let queries: Vec<&String> = found.iter().map(|(query, _)| query).collect();
        assert_eq!(queries, golden.keys().collect::<Vec<_>>());
        for (query, figures) in found {
            let expected = &golden[&query];
            assert_eq!(figures.ndcg_at_10, expected["ndcg@10"], "{name} {query}");
            assert_eq!(figures.recall_at_100, expected["recall@100"], "{name} {query}");
            assert_eq!(figures.map, expected["map"], "{name} {query}");
            assert_eq!(figures.mrr_at_10, expected["mrr@10"], "{name} {query}");
        }
    }
}

#[test]
fn both_forms_of_judgements_are_the_same() {
    assert_eq!(
        read_qrels(&fixture("eval/qrels.trec")).unwrap(),
        read_qrels(&fixture("eval/qrels.tsv")).unwrap()
    );
}

#[test]
fn a_run_that_is_written_and_read_again_is_the_same() {
    let run = read_run(&fixture("eval/run-a.trec")).unwrap();
    let place = folder();
    let path = place.path().join("run");
    let mut bytes = Vec::new();
    write_run(&mut bytes, &run, "tag").unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(read_run(&path).unwrap() == run);
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.starts_with("ids Q0 é 1 1 tag\nids Q0 z 2 1 tag\nids Q0 Z 3 1 tag\nids Q0 9 4 1 tag\n"),
        "{text}"
    );
}

#[test]
fn two_runs_differ_as_scipy_says() {
    let (first, second) = (figures("run-a.trec"), figures("run-b.trec"));
    let golden = golden("comparison.json");
    for (name, figure) in [
        ("ndcg@10", (|figures| figures.ndcg_at_10) as fn(&Figures) -> f64),
        ("recall@100", |figures| figures.recall_at_100),
        ("mrr@10", |figures| figures.mrr_at_10),
        ("map", |figures| figures.map),
    ] {
        let found = compare(&first, &second, figure);
        assert!((found.difference - golden[name]["difference"]).abs() < 1e-12, "{name}");
        assert!((found.p_value / golden[name]["p"] - 1.0).abs() < 1e-9, "{name}: {}", found.p_value);
        assert_eq!(found.better + found.equal + found.worse, found.num_queries);
    }
    let same = compare(&first, &first, |figures| figures.map);
    assert_eq!((same.difference, same.p_value, same.better + same.worse), (0.0, 1.0, 0));
}

#[test]
fn flops_are_the_expected_number_of_shared_terms() {
    let mut flops = Flops::default();
    flops.add_query(["a", "b"]);
    flops.add_query(["b"]);
    for document in [&["a", "b", "c"][..], &["b"], &[], &["c"]] {
        flops.add_document(document.iter().copied());
    }
    // a: 1/2 of the queries, 1/4 of the documents; b: 2/2 and 2/4; c: none.
    assert_eq!(flops.value(), 0.125 + 0.5);
    assert_eq!(Flops::default().value(), 0.0);
}

#[test]
fn means_are_over_the_queries_that_are_judged_and_in_the_run() {
    let found = figures("run-a.trec");
    let golden = golden("figures-a.json");
    let expected = golden.values().map(|figures| figures["ndcg@10"]).sum::<f64>() / golden.len() as f64;
    assert!((mean(&found).ndcg_at_10 - expected).abs() < 1e-15);
    assert_eq!(mean(&[]), Figures::default());
}

fn error<T: std::fmt::Debug>(
    read: fn(&Path) -> Result<T, neural_sparse::eval::EvalError>,
    text: &str,
) -> String {
    let place = folder();
    let path = place.path().join("file");
    fs::write(&path, text).unwrap();
    read(&path).unwrap_err().to_string()
}

#[test]
fn lines_that_are_none_are_errors_that_name_them() {
    for (text, message) in [
        ("a\tb\n", "line 1: expected a query"),
        ("a\tb\t1\na\tb\tx\n", "line 2: the grade is `x`"),
        ("a\tb\t1\n\na\tb\t2\n", "line 3: `b` is judged for `a` a second time"),
    ] {
        let found = error(read_qrels, text);
        assert!(found.contains(message), "{found}");
    }
    for (text, message) in [
        ("a Q0 b 1 2\n", "line 1: 5 columns"),
        ("a Q0 b 1 x t\n", "the score is `x`"),
        ("a Q0 b 1 NaN t\n", "not a number"),
        ("a Q0 b 1 2 t\na Q0 b 2 1 t\n", "line 2: `a` has `b` a second time"),
    ] {
        let found = error(read_run, text);
        assert!(found.contains(message), "{found}");
    }
    assert!(read_run(Path::new("/nonexistent/run")).unwrap_err().to_string().contains("cannot read"));
}
