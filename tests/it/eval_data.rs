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
    let search = [
        "search",
        "--quiet",
        "--index",
        "index",
        "--queries",
        "queries.jsonl",
        "--k",
        "1000",
        "--run",
        "all.trec",
    ];
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
        assert!((number(&found["over_answered"][name]) - mean(name)).abs() < 1e-12, "{name}");
        // Over all judged queries, of which one is not in the run.
        let share = golden.len() as f64 / (golden.len() + 1) as f64;
        assert!((number(&found[name]) - share * mean(name)).abs() < 1e-12, "{name}");
    }
    assert_eq!((&found["queries"], &found["answered"]), (&json!(golden.len() + 1), &json!(golden.len())));
    let judge = ["eval", "judge", "--run", a, "--qrels", qrels, "--json"];
    assert_eq!(serde_json::from_str::<Value>(&run(&place, &judge).ok()).unwrap(), found);
    let printed = run(&place, &["eval", "--run", a, "--qrels", qrels]).ok();
    let row =
        ["ndcg@10".into(), format!("{:.5}", number(&found["ndcg@10"])), format!("{:.5}", mean("ndcg@10"))];
    assert!(
        printed.lines().any(|line| line.split_whitespace().eq(&row)) && printed.contains("trec_eval -c"),
        "{printed}"
    );
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
    assert_eq!(table.lines().count(), 6, "{table}");
    assert!(table.contains("\n27 queries: those of 28 judged ones"), "{table}");
    assert_eq!(run(&place, &["eval", "compare", a, b, "--qrels", qrels]).ok(), table);
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
    let all = number(&points.iter().find(|point| point["baseline"] == true).unwrap()["ndcg@10"]);
    assert_eq!(points[0]["baseline"], true);
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
        &["search", "--quiet", "--index", "index", "--max-length", "6", "--k", "1000", QUERIES[2].1],
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
    assert!(table.contains("The baseline, 100 %, is all terms: nDCG@10 "), "{table}");
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
                Value::Bool(is_so) => assert_eq!(*cell, is_so.to_string()),
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
        let entries = fs::read_dir(cached.unwrap().path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["about.json", "vectors.jsonl"]);
    }
}

#[test]
fn a_sweep_compares_with_the_best_setting_without_pruning_or_the_one_that_is_named() {
    let place = place();
    let args = ["--max-lengths", "4,512", "--prune", "max_ratio=0.3", "--keep-quality", "1"];
    let points = sweep(&place, &args);
    let unpruned = points.iter().filter(|point| point["prune"] == Value::Null);
    let best = unpruned.max_by(|a, b| number(&a["ndcg@10"]).total_cmp(&number(&b["ndcg@10"]))).unwrap();
    assert_eq!((&best["max_length"], &best["baseline"]), (&json!("512"), &json!(true)));
    let short = points.iter().find(|point| point["setting"] == "max_length=4 all terms").unwrap();
    assert!(number(&short["quality"]) < 1.0, "{short}");
    assert_eq!(short["kept"], false);
    let points = sweep(&place, &[&args[..], &["--baseline", "max_length=4"]].concat());
    for point in &points {
        assert_eq!(point["baseline"], point["setting"] == "max_length=4 all terms");
        let quality = number(&point["ndcg@10"]) / number(&short["ndcg@10"]);
        assert!((number(&point["quality"]) - quality).abs() < 1e-12);
    }
    let points = sweep(&place, &[&args[..], &["--baseline", "max_length=512,max_ratio=0.3"]].concat());
    let base: Vec<&Value> = points.iter().filter(|point| point["baseline"] == true).collect();
    assert_eq!((base.len(), &base[0]["setting"]), (1, &json!("max_length=512 max_ratio=0.3")));
    let printed = run(&place, &[&SWEEP[..], &args].concat()).ok();
    assert!(printed.contains("The baseline, 100 %, is max_length=512 all terms: nDCG@10 "), "{printed}");
    for (baseline, message) in
        [("max_length=99", "no setting that is measured is this one"), ("depth=3", "`depth=3` is none of")]
    {
        let stderr = run(&place, &[&SWEEP[..], &args, &["--baseline", baseline]].concat()).fails(2);
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn flags_without_effect_are_refused() {
    let place = place();
    let (qrels, a, b) = (fixture("eval/qrels.tsv"), fixture("eval/run-a.trec"), fixture("eval/run-b.trec"));
    let [qrels, a, b] = [&qrels, &a, &b].map(|path| path.to_str().unwrap());
    let (judge, compare) =
        (["eval", "--run", a, "--qrels", qrels], ["eval", "--compare", a, b, "--qrels", qrels]);
    for flags in [
        &["--model", "nosuch"][..],
        &["--codec", "u8"],
        &["--split", "dev"],
        &["--cache", "cache"],
        &["--on-long", "chunk"],
        &["--max-length", "9"],
        &["--threads", "2"],
        &["--device", "cpu"],
        &["--as", "query"],
        &["--dialect", "card"],
        &["--decoder", "stored"],
        &["--revision", "main"],
        &["--prune", "max_ratio=0.1"],
        &["--top-k", "9"],
        &["--decimals", "3"],
        &["--offline"],
        &["--quiet"],
    ] {
        for command in [&judge[..], &compare] {
            let stderr = run(&place, &[command, flags].concat()).fails(2);
            assert!(stderr.contains(&format!("{} has no effect", flags[0])), "{stderr}");
        }
    }
    // A variable is for all commands.
    let settings = neural_sparse(&judge).env("NEURAL_SPARSE_MODEL", "nosuch");
    settings.in_folder(place.path()).run().ok();
    for command in [&EVAL[..], &SWEEP[..7]] {
        let args = ["--data", "data", "--top-k", "3", "--as", "query"];
        let stderr = run(&place, &[command, &args].concat()).fails(2);
        assert!(stderr.contains("--as has no effect"), "{stderr}");
    }
}

#[test]
fn measures_are_chosen_by_ir_measures_names_and_written_for_each_query() {
    let place = place();
    let args = ["--data", "data", "--measures", "RR,P(rel=2)@1,MRR", "--per-query", "queries.jsonl"];
    let found = &eval(&place, &args)[0];
    assert!(found.get("ndcg@10").is_none());
    let lines = fs::read_to_string(place.path().join("queries.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for name in ["RR", "P(rel=2)@1"] {
        let mean = lines.iter().map(|line| number(&line[name])).sum::<f64>() / 3.0;
        assert!((number(&found[name]) - mean).abs() < 1e-12, "{name}");
    }
    assert_eq!(
        (&lines[0]["data"], &lines[0]["query"], &lines[0]["answered"]),
        (&json!("data"), &json!("q1"), &json!(true))
    );
    let stderr = run(&place, &[&EVAL[..], &["--data", "data", "--measures", "ndcg@10"]].concat()).fails(2);
    assert!(stderr.contains("no measure is called `ndcg`") && stderr.contains("nDCG, AP, RR"), "{stderr}");
    let stderr = run(&place, &[&EVAL[..], &args].concat()).fails(1);
    assert!(stderr.contains("`queries.jsonl` exists already"), "{stderr}");
}

#[test]
fn every_judged_query_counts_and_a_saved_run_has_the_same_figures() {
    let place = place();
    // One that is not among the queries, one without a word that a document has, and one that is judged 0 only.
    let qrels = format!("{QRELS}gone\td1\t1\nnothing\td1\t1\nq4\td1\t0\n");
    fs::write(place.path().join("data/qrels/test.tsv"), qrels).unwrap();
    let queries = fs::read_to_string(place.path().join("data/queries.jsonl")).unwrap();
    let queries = queries + "{\"_id\":\"nothing\",\"text\":\"\"}\n";
    fs::write(place.path().join("data/queries.jsonl"), queries).unwrap();
    let loud = ["eval", "--model", "tiny", "--cache", "cache", "--data", "data"];
    let finished = run(&place, &[&loud[..], &["--json", "--save-run", "run.trec"]].concat());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let note = "note: data: 1 of the judged queries have no text";
    assert!(finished.stderr.contains(note) && finished.stderr.contains("`gone`"), "{}", finished.stderr);
    let found: Value = serde_json::from_str(&finished.stdout).unwrap();
    let judge = ["eval", "judge", "--run", "run.trec", "--qrels", "data/qrels/test.tsv", "--json"];
    let again: Value = serde_json::from_str(&run(&place, &judge).ok()).unwrap();
    for name in ["ndcg@10", "mrr@10", "recall@100", "map", "queries", "answered"] {
        assert_eq!(found[name], again[name], "{name}");
    }
    assert_eq!(found["queries"], 6);
    assert!(number(&found["answered"]) < 6.0);
    let table = run(&place, &[&EVAL[..], &["--data", "data"]].concat()).ok();
    let titles: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    let place_of = |title: &str| titles.iter().position(|other| *other == title).unwrap();
    assert_eq!(row[place_of("judged")], "6");
    assert_eq!(row[place_of("answered")], found["answered"].to_string());
}

#[test]
fn sparsity_is_sentence_transformers() {
    let place = place();
    let found = &eval(&place, &["--data", "data"])[0];
    for side in ["query", "document"] {
        let expected = 1.0 - number(&found[format!("{side}_terms")]) / 30522.0;
        assert!((number(&found[format!("{side}_sparsity_ratio")]) - expected).abs() < 1e-12, "{side}");
    }
}

#[test]
fn collections_have_several_forms_and_the_same_figures() {
    let place = place();
    let expected = eval(&place, &["--data", "data"]);
    let data = |name: &str| place.path().join("data").join(name);
    let (corpus, queries) =
        (fs::read(data("corpus.jsonl")).unwrap(), fs::read(data("queries.jsonl")).unwrap());
    let figures = |found: &Value| {
        ["ndcg@10", "map", "document_terms", "query_terms", "queries"].map(|name| found[name].clone())
    };
    // Compressed lines, and queries as an id, a tab and a text.
    let other = place.path().join("compressed");
    fs::create_dir_all(other.join("qrels")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &corpus).unwrap();
    fs::write(other.join("corpus.jsonl.gz"), gzip.finish().unwrap()).unwrap();
    let topics: String = QUERIES.iter().map(|(id, text)| format!("{id}\t{text}\n")).collect();
    fs::write(other.join("topics.tsv.zst"), zstd::encode_all(topics.as_bytes(), 3).unwrap()).unwrap();
    fs::write(other.join("qrels/test.tsv.zst"), zstd::encode_all(QRELS.as_bytes(), 3).unwrap()).unwrap();
    // lsr-benchmark's names and TREC's judgements.
    let lsr = place.path().join("lsr");
    fs::create_dir_all(&lsr).unwrap();
    let rows: String = DOCUMENTS
        .iter()
        .map(|(id, title, text)| {
            let text = format!("{title} {text}").trim().to_string();
            let segments = json!([{"start": 0, "end": 1, "text": text}]);
            format!("{}\n", json!({"doc_id": id, "default_text": text, "segments": segments}))
        })
        .collect();
    fs::write(lsr.join("corpus.jsonl"), rows).unwrap();
    let rows: String =
        QUERIES.iter().map(|(id, text)| format!("{}\n", json!({"qid": id, "query": text}))).collect();
    fs::write(lsr.join("queries.jsonl"), rows).unwrap();
    let trec: String = QRELS
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| format!("{} 0 {} {}\n", columns[0], columns[1], columns[2]))
        .collect();
    fs::write(lsr.join("qrels.txt"), trec).unwrap();
    // The hub's judgements as rows, under the only name that there is.
    let rows = place.path().join("rows");
    fs::create_dir_all(rows.join("qrels")).unwrap();
    fs::create_dir_all(rows.join("corpus")).unwrap();
    let half = corpus.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(3).unwrap().0 + 1;
    fs::write(rows.join("corpus/a.jsonl"), &corpus[..half]).unwrap();
    fs::write(rows.join("corpus/b.jsonl"), &corpus[half..]).unwrap();
    fs::write(rows.join("queries.jsonl"), &queries).unwrap();
    let objects: String = QRELS
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| {
            let score: i64 = columns[2].parse().unwrap();
            format!("{}\n", json!({"query-id": columns[0], "corpus-id": columns[1], "score": score}))
        })
        .collect();
    fs::write(rows.join("qrels/train.jsonl"), objects).unwrap();
    for name in ["compressed", "lsr", "rows"] {
        assert_eq!(figures(&eval(&place, &["--data", name])[0]), figures(&expected[0]), "{name}");
    }
    // A null title is one that is not there.
    let text = String::from_utf8(corpus).unwrap();
    fs::write(data("corpus.jsonl"), text.replace("\"title\":\"\"", "\"title\":null")).unwrap();
    let with_null = &eval(&place, &["--data", "data"])[0];
    fs::write(data("corpus.jsonl"), text.replace(",\"title\":\"\"", "")).unwrap();
    assert_eq!(figures(with_null), figures(&eval(&place, &["--data", "data"])[0]));
}

#[test]
fn the_cache_is_listed_and_cleared_and_an_index_of_another_version_is_made_anew() {
    let place = place();
    let expected = eval(&place, &["--data", "data"]);
    let listed = run(&place, &["eval", "cache", "list", "--cache", "cache", "--json"]).ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["about"]["data"], &listed["about"]["model"]), (&json!("data"), &json!("tiny")));
    assert_eq!(listed["about"]["program"], env!("CARGO_PKG_VERSION"));
    assert!(listed["about"]["settings"]["the kernel"].is_string());
    let folder = place.path().join(listed["folder"].as_str().unwrap());
    let index = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir());
    let index = index.unwrap().join("index.nsi");
    let good = fs::read(&index).unwrap();
    // The version stands at byte 8.
    let mut old = good.clone();
    old[8] = 99;
    for bad in [&old[..], &good[..good.len() / 2], b"not an index"] {
        fs::write(&index, bad).unwrap();
        let found = eval(&place, &["--data", "data"]);
        assert_eq!((&found[0]["map"], &found[0]["flops"]), (&expected[0]["map"], &expected[0]["flops"]));
        assert_eq!(fs::read(&index).unwrap(), good);
    }
    fs::create_dir(place.path().join("cache/mine")).unwrap();
    let cleared = run(&place, &["eval", "cache", "clear", "--cache", "cache"]).ok();
    assert!(cleared.contains("bytes removed in `cache`"), "{cleared}");
    let left: Vec<_> =
        fs::read_dir(place.path().join("cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
    run(&place, &["eval", "cache", "list", "--cache", "nowhere"]).ok();
    run(&place, &["eval", "cache"]).fails(2);
}

#[test]
fn what_cannot_be_evaluated_is_an_error() {
    let place = place();
    let stderr = run(&place, &[&EVAL[..], &["--data", "nowhere"]].concat()).fails(1);
    assert!(
        stderr.contains("`nowhere` has no documents")
            && stderr.contains("hint: a collection in BEIR's layout"),
        "{stderr}"
    );
    let stderr = run(&place, &[&EVAL[..], &["--data", "data", "--split", "dev"]].concat()).fails(1);
    assert!(stderr.contains("`data/qrels` has no judgements called `dev`, only `test`"), "{stderr}");
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
