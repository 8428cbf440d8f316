//! `eval --data` and `eval sweep`: a folder in BEIR's layout in, figures out.

use std::fs;

use serde_json::{json, Value};
use tempfile::TempDir;

use crate::program::{fixture, folder, neural_sparse, Finished};

/// Id, title, text.
const DOCUMENTS: [(&str, &str, &str); 8] = [
    ("d1", "Weather", "Currently New York is rainy."),
    ("d2", "", "Paris is sunny in summer."),
    ("d3", "Pie", "A recipe for apple pie with sugar."),
    ("d4", "Storm", "The storm hit the coast of New Jersey with heavy rain."),
    ("q2", "Museum", "The museum in Paris opens at nine."),
    ("d6", "Apple", "The company sold more phones than last year."),
    ("d7", "", "An orchard grows apples and pears."),
    ("d8", "Rain", "Rain in the city, sun in the hills."),
];

const QUERIES: [(&str, &str); 4] =
    [("q1", "is it raining in new york"), ("q2", "paris"), ("q3", "apple cake"), ("q4", "not judged")];

const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td8\t1\nq2\td2\t1\nq3\td3\t1\nq3\td7\t1\n";

/// A folder with the collection `data`, and a cache to be.
fn place() -> TempDir {
    let place = folder();
    let data = place.path().join("data");
    fs::create_dir_all(data.join("qrels")).unwrap();
    let corpus: String = DOCUMENTS
        .iter()
        .map(|(id, title, text)| format!("{}\n", json!({"_id": id, "title": title, "text": text})))
        .collect();
    fs::write(data.join("corpus.jsonl"), corpus).unwrap();
    let queries: String =
        QUERIES.iter().map(|(id, text)| format!("{}\n", json!({"_id": id, "text": text}))).collect();
    fs::write(data.join("queries.jsonl"), queries).unwrap();
    fs::write(data.join("qrels/test.tsv"), QRELS).unwrap();
    place
}

fn run(place: &TempDir, args: &[&str]) -> Finished {
    neural_sparse(args).in_folder(place.path()).run()
}

const EVAL: [&str; 6] = ["eval", "--model", "tiny", "--quiet", "--cache", "cache"];
const SWEEP: [&str; 9] =
    ["eval", "sweep", "--model", "tiny", "--quiet", "--cache", "cache", "--data", "data"];

fn eval(place: &TempDir, args: &[&str]) -> Vec<Value> {
    let printed = run(place, &[&EVAL[..], &["--json"], args].concat()).ok();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sweep(place: &TempDir, args: &[&str]) -> Vec<Value> {
    let printed = run(place, &[&SWEEP[..], &["--json"], args].concat()).ok();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_figures_are_those_of_encode_search_and_eval_one_after_the_other() {
    let place = place();
    let found = &eval(&place, &["--data", "data", "--save-run", "saved.trec"])[0];
    // The same by hand: title, space, text; a run; and its figures.
    let encode = ["encode", "--model", "tiny", "--quiet"];
    let texts = ["--text-field", "title", "--text-field", "text", "--input", "data/corpus.jsonl"];
    run(&place, &[&encode[..], &texts, &["--output", "docs.jsonl"]].concat()).ok();
    run(&place, &[&encode[..], &["--input", "data/queries.jsonl", "--output", "queries.jsonl"]].concat())
        .ok();
    run(&place, &["index", "build", "--quiet", "--input", "docs.jsonl", "--output", "index"]).ok();
    let search =
        ["search", "--index", "index", "--queries", "queries.jsonl", "--k", "1000", "--run", "all.trec"];
    run(&place, &search).ok();
    let all = fs::read_to_string(place.path().join("all.trec")).unwrap();
    assert!(
        all.lines().any(|line| line.starts_with("q2 Q0 q2 ")),
        "the case that BEIR leaves out is not there"
    );
    let judged: String = all
        .lines()
        .filter(|line| !line.starts_with("q4 ") && !line.starts_with("q2 Q0 q2 "))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(place.path().join("judged.trec"), &judged).unwrap();
    let args = ["eval", "--run", "judged.trec", "--qrels", "data/qrels/test.tsv", "--json"];
    let expected: Value = serde_json::from_str(&run(&place, &args).ok()).unwrap();
    for name in ["ndcg@10", "mrr@10", "recall@100", "map", "queries"] {
        assert_eq!(found[name], expected[name], "{name}");
    }
    assert!(number(&found["ndcg@10"]) > 0.3 && number(&found["ndcg@10"]) < 1.0);
    // What was saved is that run, but for the numbers of its ranks.
    let lines = |text: &str| {
        let columns = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
        let mut lines: Vec<_> =
            text.lines().map(columns).map(|c| (c[0].clone(), c[2].clone(), c[4].clone())).collect();
        lines.sort();
        lines
    };
    let saved = fs::read_to_string(place.path().join("saved.trec")).unwrap();
    assert_eq!(lines(&saved), lines(&judged));
    // FLOPS is over the judged queries and all documents.
    let only_judged: String = fs::read_to_string(place.path().join("queries.jsonl")).unwrap();
    let only_judged: String = only_judged.lines().take(3).map(|line| format!("{line}\n")).collect();
    fs::write(place.path().join("judged.jsonl"), only_judged).unwrap();
    let stats = run(&place, &["stats", "docs.jsonl", "--queries", "judged.jsonl", "--json"]).ok();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert!((number(&found["flops"]) - number(&stats["flops"])).abs() < 1e-9);
    assert_eq!(found["document_terms"], stats["terms"]["mean"]);
    assert_eq!(found["query_terms"], stats["queries"]["terms"]["mean"]);
    assert_eq!(
        (&found["data"], &found["model"], &found["documents"]),
        (&json!("data"), &json!("tiny"), &json!(8))
    );
    assert!(number(&found["queries_per_second"]) > 0.0);
}

#[test]
fn vectors_are_kept_by_model_options_and_collection() {
    let place = place();
    let folders = || fs::read_dir(place.path().join("cache")).unwrap().count();
    let first = eval(&place, &["--data", "data"]);
    assert_eq!(folders(), 1);
    let cached = fs::read_dir(place.path().join("cache")).unwrap().next().unwrap().unwrap().path();
    let vectors = fs::read(cached.join("vectors.jsonl")).unwrap();
    let written = fs::metadata(cached.join("vectors.jsonl")).unwrap().modified().unwrap();
    let again = eval(&place, &["--data", "data"]);
    assert_eq!(fs::metadata(cached.join("vectors.jsonl")).unwrap().modified().unwrap(), written);
    for name in ["ndcg@10", "map", "flops", "index_bytes"] {
        assert_eq!(first[0][name], again[0][name]);
    }
    // Pruning has an index of its own, of the same vectors.
    let pruned = eval(&place, &["--data", "data", "--top-k", "4"]);
    assert_eq!((folders(), &pruned[0]["document_terms"]), (1, &json!(4.0)));
    // Other options and another collection have vectors of their own.
    eval(&place, &["--data", "data", "--max-length", "6"]);
    assert_eq!(folders(), 2);
    let corpus = fs::read_to_string(place.path().join("data/corpus.jsonl")).unwrap();
    fs::write(place.path().join("data/corpus.jsonl"), corpus + "{\"_id\":\"d9\",\"text\":\"rain\"}\n")
        .unwrap();
    assert_eq!(eval(&place, &["--data", "data"])[0]["documents"], 9);
    assert_eq!(folders(), 3);
    assert_eq!(fs::read(cached.join("vectors.jsonl")).unwrap(), vectors);
}

#[test]
fn a_run_that_was_stopped_goes_on_by_itself() {
    let place = place();
    let corpus = place.path().join("data/corpus.jsonl");
    let good = fs::read_to_string(&corpus).unwrap();
    let expected = eval(&place, &["--data", "data"]);
    fs::remove_dir_all(place.path().join("cache")).unwrap();
    // The same size and the same beginning, and a row that stops the run.
    let bad = good.replace("\"d8\"", "[\"8]");
    assert_eq!(bad.len(), good.len());
    fs::write(&corpus, bad).unwrap();
    let stderr = run(&place, &[&EVAL[..], &["--data", "data"]].concat()).fails(1);
    assert!(
        stderr.contains("`data/corpus.jsonl` line 8") && stderr.contains("the same command goes on"),
        "{stderr}"
    );
    fs::write(&corpus, good).unwrap();
    let found = eval(&place, &["--data", "data"]);
    assert_eq!(found[0]["map"], expected[0]["map"]);
}

#[test]
fn several_collections_have_an_average() {
    let place = place();
    let other = place.path().join("other");
    fs::create_dir_all(other.join("qrels")).unwrap();
    for file in ["corpus.jsonl", "queries.jsonl"] {
        fs::copy(place.path().join("data").join(file), other.join(file)).unwrap();
    }
    fs::write(other.join("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq4\td1\t1\n").unwrap();
    fs::write(other.join("qrels/dev.tsv"), "query-id\tcorpus-id\tscore\nq3\td6\t1\n").unwrap();
    let found = eval(&place, &["--data", "data", "--data", "other"]);
    let names: Vec<&str> = found.iter().map(|row| row["data"].as_str().unwrap()).collect();
    assert_eq!(names, ["data", "other", "average"]);
    for name in ["ndcg@10", "mrr@10", "recall@100", "map", "flops", "query_terms"] {
        let mean = (number(&found[0][name]) + number(&found[1][name])) / 2.0;
        assert!((number(&found[2][name]) - mean).abs() < 1e-12, "{name}");
    }
    let dev = &eval(&place, &["--data", "other", "--split", "dev"])[0];
    assert_eq!(dev["queries"], 1);
    assert_ne!(dev["map"], found[1]["map"]);
    let table = run(&place, &[&EVAL[..], &["--data", "data", "--data", "other"]].concat()).ok();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], rows[0][1], rows[3][0]), ("data", "ndcg@10", "average"));
    assert_eq!(rows[1][1], format!("{:.5}", number(&found[0]["ndcg@10"])));
}

#[test]
fn runs_are_judged_and_compared() {
    let place = folder();
    let (qrels, a, b) = (fixture("eval/qrels.tsv"), fixture("eval/run-a.trec"), fixture("eval/run-b.trec"));
    let [qrels, a, b] = [&qrels, &a, &b].map(|path| path.to_str().unwrap());
    let golden: Value =
        serde_json::from_str(&fs::read_to_string(fixture("eval/figures-a.json")).unwrap()).unwrap();
    let golden = golden.as_object().unwrap();
    let mean =
        |name: &str| golden.values().map(|query| number(&query[name])).sum::<f64>() / golden.len() as f64;
    let found: Value =
        serde_json::from_str(&run(&place, &["eval", "--run", a, "--qrels", qrels, "--json"]).ok()).unwrap();
    for name in ["ndcg@10", "mrr@10", "recall@100", "map"] {
        assert!((number(&found[name]) - mean(name)).abs() < 1e-12, "{name}");
    }
    let printed = run(&place, &["eval", "--run", a, "--qrels", qrels]).ok();
    assert!(printed.contains(&format!("ndcg@10     {:.5}\n", mean("ndcg@10"))), "{printed}");
    let compared: Value =
        serde_json::from_str(&run(&place, &["eval", "--compare", a, b, "--qrels", qrels, "--json"]).ok())
            .unwrap();
    let golden: Value =
        serde_json::from_str(&fs::read_to_string(fixture("eval/comparison.json")).unwrap()).unwrap();
    for name in ["ndcg@10", "mrr@10", "recall@100", "map"] {
        let row = &compared[name];
        assert!((number(&row["difference"]) - number(&golden[name]["difference"])).abs() < 1e-12, "{name}");
        assert!((number(&row["p"]) - number(&golden[name]["p"])).abs() < 1e-9, "{name}");
        let difference = number(&row["second"]) - number(&row["first"]);
        assert!((number(&row["difference"]) - difference).abs() < 1e-12, "{name}");
    }
    let table = run(&place, &["eval", "--compare", a, b, "--qrels", qrels]).ok();
    assert_eq!(table.lines().count(), 5, "{table}");
}

#[test]
fn a_sweep_measures_what_eval_measures() {
    let place = place();
    let points = sweep(&place, &["--prune", "max_ratio=0,0.3,0.6", "--top-k", "4", "--keep-quality", "0.9"]);
    let labels: Vec<&str> = points.iter().map(|point| point["setting"].as_str().unwrap()).collect();
    let expected = [
        "all terms",
        "top_k=4",
        "max_ratio=0.3",
        "max_ratio=0.3 top_k=4",
        "max_ratio=0.6",
        "max_ratio=0.6 top_k=4",
    ];
    assert_eq!(labels, expected);
    for (point, args) in
        [(0, &[][..]), (1, &["--top-k", "4"]), (5, &["--top-k", "4", "--prune", "max_ratio=0.6"])]
    {
        let alone = &eval(&place, &[&["--data", "data"], args].concat())[0];
        for name in ["ndcg@10", "map", "flops", "document_terms", "index_bytes", "query_postings"] {
            assert_eq!(points[point][name], alone[name], "{name} of {}", labels[point]);
        }
    }
    let all = number(&points[0]["ndcg@10"]);
    for point in &points {
        assert!((number(&point["quality"]) - number(&point["ndcg@10"]) / all).abs() < 1e-12);
    }
    let good = points.iter().filter(|point| number(&point["quality"]) >= 0.9);
    let least = good.map(|point| number(&point["index_bytes"])).fold(f64::MAX, f64::min);
    let kept: Vec<&Value> = points.iter().filter(|point| point["kept"] == true).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(number(&kept[0]["index_bytes"]), least);
}

#[test]
fn a_sweep_of_lengths_and_windows_is_one_of_eval_with_these() {
    let place = place();
    let points = sweep(&place, &["--max-lengths", "6,512", "--on-long", "truncate,chunk=1,chunk-rows=1"]);
    assert_eq!(points.len(), 6);
    let with = |length: &str, long: &str| {
        let of_setting = |point: &&Value| point["max_length"] == length && point["on_long"] == long;
        points.iter().find(of_setting).unwrap_or_else(|| panic!("no point {length} {long}"))
    };
    for (length, long) in [("6", "truncate"), ("6", "chunk=1"), ("6", "chunk-rows=1"), ("512", "chunk=1")] {
        let alone = &eval(&place, &["--data", "data", "--max-length", length, "--on-long", long])[0];
        for name in ["ndcg@10", "map", "document_terms", "documents"] {
            assert_eq!(with(length, long)[name], alone[name], "{name} of {length} {long}");
        }
    }
    // Texts of one window are alike, whatever the rule.
    for name in ["ndcg@10", "map", "document_terms"] {
        assert_eq!(with("512", "truncate")[name], with("512", "chunk=1")[name]);
        assert_eq!(with("512", "truncate")[name], with("512", "chunk-rows=1")[name]);
    }
    assert_ne!(with("6", "truncate")["document_terms"], with("6", "chunk=1")["document_terms"]);
    assert!(number(&with("6", "chunk-rows=1")["documents"]) > 8.0, "windows are rows");
}

#[test]
fn a_document_of_windows_scores_what_its_best_one_does() {
    let place = place();
    let args = ["--data", "data", "--max-length", "6", "--on-long", "chunk-rows=0", "--save-run", "run.trec"];
    eval(&place, &args);
    let build = [
        "index",
        "build",
        "--model",
        "tiny",
        "--quiet",
        "--max-length",
        "6",
        "--on-long",
        "chunk",
        "--chunk-rows",
    ];
    let texts = [
        "--chunk-overlap",
        "0",
        "--text-field",
        "title",
        "--text-field",
        "text",
        "--input",
        "data/corpus.jsonl",
    ];
    run(&place, &[&build[..], &texts, &["--output", "index"]].concat()).ok();
    let hits = run(
        &place,
        &["search", "--index", "index", "--max-length", "6", "--quiet", "--k", "1000", QUERIES[2].1],
    )
    .ok();
    let mut best: Vec<(String, f32)> = Vec::new();
    for line in hits.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let document = columns[2].split('#').next().unwrap();
        if !best.iter().any(|(other, _)| other == document) {
            best.push((document.into(), columns[1].parse().unwrap()));
        }
    }
    assert!(best.len() < hits.lines().count(), "no document has two windows that match");
    let saved = fs::read_to_string(place.path().join("run.trec")).unwrap();
    let saved: Vec<Vec<&str>> =
        saved.lines().filter(|line| line.starts_with("q3 ")).map(|line| line.split(' ').collect()).collect();
    assert_eq!(saved.len(), best.len());
    for line in saved {
        assert!(
            best.contains(&(line[2].to_string(), line[4].parse().unwrap())),
            "{line:?} is not in {best:?}"
        );
    }
}

#[test]
fn a_sweep_writes_csv_and_a_page() {
    let place = place();
    let args = ["--prune", "max_ratio=0.2,0.5", "--prune", "alpha_mass=0.9", "--keep-quality", "0.5"];
    let files = ["--csv", "sweep.csv", "--html", "sweep.html"];
    let table = run(&place, &[&SWEEP[..], &args, &files].concat()).ok();
    let points = sweep(&place, &args);
    assert!(table.contains("At least 50 % of nDCG@10: "), "{table}");
    let csv = fs::read_to_string(place.path().join("sweep.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 5);
    for (row, point) in rows[1..].iter().zip(&points) {
        assert_eq!(row.len(), rows[0].len());
        for (name, cell) in rows[0].iter().zip(row) {
            match &point[*name] {
                // Measured anew.
                _ if *name == "queries_per_second" => assert!(cell.parse::<f64>().unwrap() > 0.0),
                Value::Null => assert_eq!(*cell, ""),
                Value::String(text) => assert_eq!(cell, text),
                // serde_json's own numbers may be off by their last bit.
                value => assert!(
                    (cell.parse::<f64>().unwrap() - number(value)).abs() <= 1e-12 * number(value),
                    "{name}"
                ),
            }
        }
    }
    let page = fs::read_to_string(place.path().join("sweep.html")).unwrap();
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg class=\"plot\"").count(), 2);
    for point in &points {
        let figure =
            format!("{}: {:.5}</title>", point["setting"].as_str().unwrap(), number(&point["ndcg@10"]));
        assert_eq!(page.matches(&figure).count(), 2, "{figure}");
    }
    assert_eq!(page.matches("class=\"ring\"").count(), 2);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: Vec<Value> = serde_json::from_str(data).unwrap();
    assert_eq!(
        data.iter().map(|row| &row["map"]).collect::<Vec<_>>(),
        points.iter().map(|row| &row["map"]).collect::<Vec<_>>()
    );
    let stderr = run(&place, &[&SWEEP[..], &args, &files].concat()).fails(1);
    assert!(stderr.contains("`sweep.csv` exists already"), "{stderr}");
    // Indexes of a sweep do not stay.
    for cached in fs::read_dir(place.path().join("cache")).unwrap() {
        assert_eq!(fs::read_dir(cached.unwrap().path()).unwrap().count(), 1);
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let place = place();
    let stderr = run(&place, &[&EVAL[..], &["--data", "nowhere"]].concat()).fails(1);
    assert!(
        stderr.contains("`nowhere` is no collection in BEIR's layout") && stderr.contains("hint:"),
        "{stderr}"
    );
    let stderr = run(&place, &[&EVAL[..], &["--data", "data", "--split", "dev"]].concat()).fails(1);
    assert!(stderr.contains("data/qrels/dev.tsv"), "{stderr}");
    let twice = [&EVAL[..], &["--data", "data", "--data", "data", "--save-run", "run"]].concat();
    run(&place, &twice).fails(2);
    for args in [
        &["eval"][..],
        &["eval", "--run", "run"],
        &["eval", "--compare", "a", "--qrels", "q"],
        &["eval", "--data", "data", "--run", "run", "--qrels", "q"],
        &["eval", "--data", "data", "--on-long", "cut"],
        &["eval", "sweep", "--model", "tiny", "--data", "data"],
        &["eval", "sweep", "--data", "data", "--prune", "max_ratio=0.1,2"],
        &["eval", "sweep", "--data", "data", "--prune", "max_ratio"],
        &["eval", "sweep", "--data", "data", "--top-k", "3", "--keep-quality", "1.5"],
        &["eval", "sweep", "--data", "data", "--max-length", "3", "--max-lengths", "3,4"],
    ] {
        run(&place, args).fails(2);
    }
    fs::write(place.path().join("data/qrels/test.tsv"), "q9\td1\t1\n").unwrap();
    let stderr = run(&place, &[&EVAL[..], &["--data", "data"]].concat()).fails(1);
    assert!(stderr.contains("no query of `data/queries.jsonl` is judged"), "{stderr}");
    fs::write(place.path().join("run.trec"), "q1 Q0 d1 1 1 t\n").unwrap();
    let stderr = run(&place, &["eval", "--run", "run.trec", "--qrels", "data/qrels/test.tsv"]).fails(1);
    assert!(stderr.contains("no query of `run.trec` is judged in"), "{stderr}");
}
