//! Judged collections in the layouts that they have on the hub, which give the figures of the same rows in BEIR's.

use std::fs;
use std::path::{Path, PathBuf};

use neural_sparse::eval::Collection;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{fixture, folder, neural_sparse, Finished};

fn collection(name: &str) -> PathBuf {
    fixture("collections").join(name)
}

fn eval(cache: &TempDir, data: &Path, more: &[&str]) -> Finished {
    let args = [
        "eval",
        "--model",
        "tiny",
        "--quiet",
        "--json",
        "--data",
        data.to_str().unwrap(),
        "--cache",
        "cache",
    ];
    neural_sparse(&[&args[..], more].concat()).in_folder(cache.path()).run()
}

fn figures(cache: &TempDir, data: &Path, more: &[&str]) -> Vec<Value> {
    let found: Value = serde_json::from_str(&eval(cache, data, more).ok()).unwrap();
    let names = ["ndcg@10", "map", "document_terms", "query_terms", "queries", "documents", "flops"];
    names.map(|name| found[name].clone()).to_vec()
}

#[cfg(feature = "parquet")]
#[test]
fn tables_of_parquet_have_the_figures_of_the_same_rows_in_lines() {
    let place = folder();
    let expected = figures(&place, &collection("beir"), &[]);
    assert_eq!(expected[5], 8);
    for (name, more) in [
        ("nano", &[][..]),
        ("nano", &["--split", "train"]),
        ("nano-many", &["--split", "NanoOurs"]),
        ("mteb", &[]),
        ("mteb", &["--split", "test"]),
        ("converted", &[]),
        ("converted", &["--split", "test"]),
    ] {
        assert_eq!(figures(&place, &collection(name), more), expected, "{name} {more:?}");
    }
    assert_ne!(figures(&place, &collection("nano-many"), &["--split", "NanoTheirs"]), expected);
    assert_ne!(figures(&place, &collection("mteb"), &["--split", "train"]), expected);
}

#[test]
fn a_split_that_is_not_there_is_an_error_that_names_the_others() {
    let error = |name: &str, split: Option<&str>| {
        Collection::open(&collection(name), split).expect_err("no such split").to_string()
    };
    assert!(error("beir", Some("dev")).ends_with("qrels` has no judgements called `dev`, only `test`"));
    assert!(error("nano", Some("test")).ends_with("qrels` has no judgements called `test`, only `train`"));
    let many = "qrels` has no judgements called `test`, only `NanoOurs`, `NanoTheirs`";
    assert!(error("nano-many", None).ends_with(many), "{}", error("nano-many", None));
    // Documents of which collection, where only the judgements have a name of their own.
    let place = folder();
    fs::create_dir_all(place.path().join("qrels")).unwrap();
    fs::create_dir_all(place.path().join("corpus")).unwrap();
    for name in ["a-00000-of-00001.parquet", "b-00000-of-00001.parquet"] {
        fs::write(place.path().join("corpus").join(name), "").unwrap();
    }
    fs::write(place.path().join("qrels/test.tsv"), "1\t1\t1\n").unwrap();
    let error = Collection::open(place.path(), None).expect_err("several tables").to_string();
    assert!(error.ends_with("corpus` has no rows called `test`, only `a`, `b`"), "{error}");
    // Judgements in a file that stands alone have no other name.
    fs::remove_dir_all(place.path().join("qrels")).unwrap();
    fs::write(place.path().join("qrels.txt"), "1 0 1 1\n").unwrap();
    let error = Collection::open(place.path(), Some("dev")).expect_err("one file").to_string();
    assert!(error.ends_with("has no judgements called `dev`, only `qrels.txt`"), "{error}");
}

/// Every part in every form that it may have, under every compression.
#[test]
fn parts_in_any_form_of_lines_make_the_same_collection() {
    let beir = collection("beir");
    let expected = Collection::open(&beir, None).unwrap();
    let read = |name: &str| fs::read_to_string(beir.join(name)).unwrap();
    let rows = |name: &str| -> Vec<Value> {
        read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let tsv = |row: &Value| format!("{}\t{}\r\n", text(&row["_id"]), text(&row["text"]));
    let csv = |row: &Value| format!("\"{}\",\"{}\"\n", text(&row["_id"]), text(&row["text"]));
    let queries = rows("queries.jsonl");
    let bom = "\u{feff}";
    let forms = [
        ("queries.jsonl", read("queries.jsonl")),
        ("queries.jsonl", format!("{bom}\n{}\n\n", read("queries.jsonl").replace('\n', "\r\n"))),
        ("queries.tsv", format!("{bom}{}\n", queries.iter().map(tsv).collect::<String>())),
        ("topics.tsv", queries.iter().map(tsv).collect()),
        ("queries.csv", format!("{bom}_id,text\n{}", queries.iter().map(csv).collect::<String>())),
    ];
    let trec: String = read("qrels/test.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            format!("{} 0 {} {}\n", columns[0], columns[1], columns[2])
        })
        .collect();
    let judgements = [("qrels/test.tsv", read("qrels/test.tsv")), ("qrels.txt", format!("{bom}{trec}\n"))];
    for (form, (name, queries)) in forms.iter().enumerate() {
        for (qrels_name, qrels) in &judgements {
            for compression in ["", ".gz", ".zst"] {
                let place = folder();
                fs::create_dir(place.path().join("qrels")).unwrap();
                if !qrels_name.contains('/') {
                    fs::remove_dir(place.path().join("qrels")).unwrap();
                }
                let write = |name: &str, text: &str| {
                    let bytes = compressed(text.as_bytes(), compression);
                    fs::write(place.path().join(format!("{name}{compression}")), bytes).unwrap();
                };
                write("corpus.jsonl", &read("corpus.jsonl"));
                write(name, queries);
                write(qrels_name, qrels);
                let found = Collection::open(place.path(), None).unwrap();
                assert_eq!(found.queries, expected.queries, "{name} {form}, {qrels_name}, {compression}");
                assert_eq!(found.qrels, expected.qrels, "{name} {form}, {qrels_name}, {compression}");
            }
        }
    }
}

#[test]
fn documents_in_tsv_and_csv_have_the_figures_of_the_same_rows_in_json() {
    let place = folder();
    let queries = fs::read(collection("beir").join("queries.jsonl")).unwrap();
    let qrels = fs::read(collection("beir").join("qrels/test.tsv")).unwrap();
    let documents = fs::read_to_string(collection("beir").join("corpus.jsonl")).unwrap();
    let texts: Vec<(String, String)> = documents
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap().to_string();
            (text("_id"), format!("{} {}", text("title"), text("text")).trim().to_string())
        })
        .collect();
    let tsv: String = texts.iter().map(|(id, text)| format!("{id}\t{text}\n")).collect();
    let csv: String = texts.iter().map(|(id, text)| format!("{id},\"{text}\"\n")).collect();
    let expected = figures(&place, &collection("beir"), &[]);
    for (name, corpus) in [("corpus.tsv.gz", tsv), ("corpus.csv.zst", format!("id,text\n{csv}"))] {
        let data = place.path().join(name);
        fs::create_dir_all(data.join("qrels")).unwrap();
        let bytes = compressed(corpus.as_bytes(), if name.ends_with("gz") { ".gz" } else { ".zst" });
        fs::write(data.join(name), bytes).unwrap();
        fs::write(data.join("queries.jsonl"), &queries).unwrap();
        fs::write(data.join("qrels/test.tsv"), &qrels).unwrap();
        assert_eq!(figures(&place, &data, &[]), expected, "{name}");
    }
}

fn compressed(bytes: &[u8], suffix: &str) -> Vec<u8> {
    match suffix {
        ".gz" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut gzip, bytes).unwrap();
            gzip.finish().unwrap()
        }
        ".zst" => zstd::encode_all(bytes, 3).unwrap(),
        _ => bytes.to_vec(),
    }
}
