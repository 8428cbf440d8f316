//! Judgements, runs and figures against pytrec_eval and scipy; `eval` by running it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flate2::{write::GzEncoder, Compression};
use neural_sparse::eval::{
    compare, evaluate, read_qrels, read_run, write_run, Evaluation, Flops, Measure, Qrels, Run, RunHit,
};
use serde_json::value::RawValue;

use crate::program::{fixture, folder};

/// The names of the golden files, in the order of [`Measure::DEFAULT`].
const NAMES: [&str; 4] = ["ndcg@10", "mrr@10", "recall@100", "map"];

fn judged(run: &str, measures: &[Measure]) -> Evaluation {
    let qrels = read_qrels(&fixture("eval/qrels.tsv")).unwrap();
    evaluate(&qrels, &read_run(&fixture("eval").join(run)).unwrap(), measures)
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
        let found = judged(&format!("run-{name}.trec"), &Measure::DEFAULT);
        let answered = found.queries().iter().filter(|query| query.is_answered);
        let mut queries: Vec<&String> = answered.map(|query| &query.query).collect();
        queries.sort();
        assert_eq!(queries, golden.keys().collect::<Vec<_>>());
        for query in found.queries().iter().filter(|query| query.is_answered) {
            for (figure, value) in NAMES.iter().zip(&query.values) {
                assert_eq!(*value, golden[&query.query][*figure], "{name} {} {figure}", query.query);
            }
        }
    }
}

#[test]
fn every_measure_and_both_means_are_pytrec_evals_and_ir_measures_to_the_last_bit() {
    let golden = golden("measures-a.json");
    let measures: Vec<Measure> =
        golden["mean over judged"].keys().map(|measure| measure.parse().unwrap()).collect();
    assert_eq!(measures.len(), 32);
    let found = judged("run-a.trec", &measures);
    for query in found.queries() {
        for (measure, value) in measures.iter().zip(&query.values) {
            let expected = if query.is_answered { golden[&query.query][&measure.to_string()] } else { 0.0 };
            assert_eq!(*value, expected, "{} {measure}", query.query);
        }
    }
    for (place, measure) in measures.iter().enumerate() {
        let name = measure.to_string();
        assert_eq!(found.means()[place], golden["mean over judged"][&name], "{name} over all");
        assert_eq!(found.means_of_answered()[place], golden["mean over answered"][&name], "{name}");
    }
}

#[test]
fn every_judged_query_counts_whatever_its_grades_and_hits() {
    let mut qrels = Qrels::default();
    for (query, document, grade) in [("a", "d", 1), ("zero", "d", 0), ("negative", "d", -1), ("none", "d", 1)]
    {
        assert!(qrels.insert(query, document, grade));
    }
    assert!(!qrels.insert("a", "d", 1), "a second judgement, though alike");
    let mut run = Run::default();
    let hit = || vec![RunHit { document: "d".into(), score: 1.0 }];
    for query in ["negative", "not judged", "a", "zero"] {
        assert!(run.insert(query, hit()));
    }
    // A query without hits is as one that a run does not have: a file has no line for it.
    assert!(run.insert("none", Vec::new()));
    let found = evaluate(&qrels, &run, &["P@1".parse().unwrap(), "Judged@1".parse().unwrap()]);
    assert_eq!((found.num_judged(), found.num_answered()), (4, 3));
    assert_eq!((found.means(), found.means_of_answered()), (vec![0.25, 0.75], vec![1.0 / 3.0, 1.0]));
    let order: Vec<&str> = found.queries().iter().map(|query| query.query.as_str()).collect();
    assert_eq!(order, ["negative", "a", "zero", "none"]);
    let nothing = evaluate(&Qrels::default(), &run, &Measure::DEFAULT);
    assert_eq!((nothing.means(), nothing.means_of_answered()), (vec![0.0; 4], vec![0.0; 4]));
}

#[test]
fn runs_and_judgements_are_read_compressed() {
    let place = folder();
    let plain = |name: &str| fs::read(fixture("eval").join(name)).unwrap();
    let gzip = |bytes: &[u8]| {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut out, bytes).unwrap();
        out.finish().unwrap()
    };
    let path = place.path().join("file");
    let (qrels, run) = (plain("qrels.tsv"), plain("run-a.trec"));
    for (qrels, run) in [
        (gzip(&qrels), gzip(&run)),
        (zstd::encode_all(&qrels[..], 3).unwrap(), zstd::encode_all(&run[..], 3).unwrap()),
    ] {
        fs::write(&path, qrels).unwrap();
        assert_eq!(read_qrels(&path).unwrap(), read_qrels(&fixture("eval/qrels.tsv")).unwrap());
        fs::write(&path, run).unwrap();
        assert_eq!(read_run(&path).unwrap(), read_run(&fixture("eval/run-a.trec")).unwrap());
    }
    // The first half of a compressed file is an error, not a part of it.
    let whole = gzip(&plain("run-a.trec"));
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(read_run(&path).is_err());
}

#[test]
fn scores_are_rounded_as_trec_eval_rounds_them() {
    // pytrec_eval 0.5.11 has recip_rank 1.0: both scores are one f32 when they are read as f64 first.
    let place = folder();
    let path = place.path().join("run");
    fs::write(&path, "q Q0 a 1 1.0000000596046448 t\nq Q0 b 2 1.0 t\n").unwrap();
    let run = read_run(&path).unwrap();
    assert_eq!(run.hits("q").unwrap()[0].document, "b");
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
    let ids = text.split_once("ids Q0").unwrap().1;
    assert!(ids.starts_with(" é 1 1 tag\nids Q0 z 2 1 tag\nids Q0 Z 3 1 tag\nids Q0 9 4 1 tag\n"), "{text}");
}

#[test]
fn two_runs_differ_as_scipy_says() {
    let (first, second) = (judged("run-a.trec", &Measure::DEFAULT), judged("run-b.trec", &Measure::DEFAULT));
    let golden = golden("comparison.json");
    for (name, found) in NAMES.iter().zip(compare(&first, &second)) {
        assert!((found.difference - golden[*name]["difference"]).abs() < 1e-12, "{name}");
        assert!((found.p_value / golden[*name]["p"] - 1.0).abs() < 1e-9, "{name}: {}", found.p_value);
        assert!((found.second - found.first - found.difference).abs() < 1e-12, "{name}");
        assert_eq!(found.better + found.equal + found.worse, found.num_queries);
    }
    for same in compare(&first, &first) {
        assert_eq!((same.difference, same.p_value, same.better + same.worse), (0.0, 1.0, 0));
    }
}

#[test]
fn runs_are_compared_over_the_queries_of_either() {
    let mut qrels = Qrels::default();
    let mut runs = [Run::default(), Run::default()];
    for (number, query) in ["both", "first", "second", "neither"].iter().enumerate() {
        qrels.insert(query, "d", 1);
        for (place, run) in runs.iter_mut().enumerate() {
            if number == 0 || number == place + 1 {
                run.insert(query, vec![RunHit { document: "d".into(), score: 1.0 }]);
            }
        }
    }
    let [first, second] = runs.map(|run| evaluate(&qrels, &run, &["P@1".parse().unwrap()]));
    let found = compare(&first, &second)[0];
    assert_eq!((found.num_queries, found.better, found.equal, found.worse), (3, 1, 1, 1));
    assert_eq!((found.first, found.second, found.difference), (2.0 / 3.0, 2.0 / 3.0, 0.0));
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
        ("a\tb\t1\n\na\tb\t2\n", "line 3: `b` is judged for `a` a second time, after line 1"),
        ("a\tb\t1\na\tc\t1\na\tb\t1\n", "line 3: `b` is judged for `a` a second time, after line 1"),
        ("a\tb\tone\n", "line 1: the grade is `one`"),
        ("\tb\t1\n", "line 1: an id is empty"),
        ("query-id\tcorpus-id\nq\td\nq\td\n", "line 3: `d` is judged for `q` a second time"),
    ] {
        let found = error(read_qrels, text);
        assert!(found.contains(message), "{found}");
    }
    for (text, message) in [
        ("a Q0 b 1 2\n", "line 1: 5 columns"),
        ("a Q0 b 1 x t\n", "the score is `x`"),
        ("a Q0 b 1 NaN t\n", "not a number"),
        ("a Q0 b 1 2 t\na Q0 b 2 1 t\n", "line 2: `a` has `b` a second time, after line 1"),
    ] {
        let found = error(read_run, text);
        assert!(found.contains(message), "{found}");
    }
    assert!(read_run(Path::new("/nonexistent/run")).unwrap_err().to_string().contains("cannot open"));
}
