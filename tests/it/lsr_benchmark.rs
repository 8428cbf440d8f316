//! lsr-benchmark's folders of vectors: read as its embedding systems write them, written as its loader reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{fixture, folder, neural_sparse};

type Rows = BTreeMap<String, BTreeMap<u32, f32>>;

/// Rows of Milvus, which have lists of ids and weights, by their own ids.
fn rows(text: &str) -> Rows {
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let list = |name: &str| row["vector"][name].as_array().unwrap().clone();
        let ids = list("indices").into_iter().map(|id| id.as_u64().unwrap() as u32);
        let weights = list("values").into_iter().map(|weight| weight.as_f64().unwrap() as f32);
        (row["id"].as_str().unwrap().to_string(), ids.zip(weights).collect())
    };
    text.lines().map(row).collect()
}

fn read(matrix: &Path) -> Rows {
    let matrix = matrix.to_str().unwrap();
    let args = ["convert", "--quiet", "--input", matrix, "--input-format", "csr-npz", "--format", "milvus"];
    rows(&neural_sparse(&args).run().ok())
}

fn lsr(name: &str) -> std::path::PathBuf {
    fixture("lsr-benchmark").join(name)
}

#[test]
fn its_matrices_are_read_with_their_ids_whatever_their_type() {
    let expected = rows(&fs::read_to_string(lsr("first-documents.jsonl")).unwrap());
    for name in ["vectors", "half"] {
        let found = read(&lsr(name).join("doc/doc-embeddings.npz"));
        assert_eq!(found.len(), 40, "{name}");
        for (id, vector) in &expected {
            assert_eq!(&found[id], vector, "{name}: {id}");
        }
    }
}

#[test]
fn what_is_written_is_read_again_with_ids_beside_it() {
    let place = folder();
    let output = place.path().join("doc/doc-embeddings.npz");
    fs::create_dir(place.path().join("doc")).unwrap();
    let input = lsr("vectors/doc/doc-embeddings.npz");
    let (input_name, output_name) = (input.to_str().unwrap(), output.to_str().unwrap());
    let args = [
        "convert",
        "--quiet",
        "--input-format",
        "csr-npz",
        "--format",
        "lsr-benchmark",
        "--input",
        input_name,
    ];
    neural_sparse(&[&args[..], &["--output", output_name]].concat()).run().ok();
    assert_eq!(read(&output), read(&input));
    let ids = fs::read_to_string(place.path().join("doc/doc-ids.txt")).unwrap();
    assert_eq!(ids.trim_end(), fs::read_to_string(lsr("vectors/doc/doc-ids.txt")).unwrap());
    let mut names: Vec<String> = fs::read_dir(place.path().join("doc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["doc-embeddings.npz", "doc-ids.txt"]);
}

#[test]
fn encoded_texts_are_the_matrix_that_scipy_reads() {
    let place = folder();
    fs::write(
        place.path().join("docs.jsonl"),
        "{\"id\":\"a\",\"text\":\"apple pie\"}\n{\"id\":2,\"text\":\"\"}\n",
    )
    .unwrap();
    let encode = |format: &str, output: &str| {
        let args = [
            "encode",
            "--quiet",
            "--model",
            "tiny",
            "--input",
            "docs.jsonl",
            "--format",
            format,
            "--output",
            output,
        ];
        neural_sparse(&args).in_folder(place.path()).run().ok();
        fs::read(place.path().join(output)).unwrap()
    };
    assert_eq!(encode("lsr-benchmark", "query-embeddings.npz"), encode("csr-npz", "scipy.npz"));
    assert_eq!(fs::read_to_string(place.path().join("query-ids.txt")).unwrap(), "a\n2\n");
}

#[test]
fn ids_that_do_not_fit_are_refused() {
    let place = folder();
    let copy = place.path().join("doc-embeddings.npz");
    fs::copy(lsr("vectors/doc/doc-embeddings.npz"), &copy).unwrap();
    let ids = fs::read_to_string(lsr("vectors/doc/doc-ids.txt")).unwrap();
    let ids_path = place.path().join("doc-ids.txt");
    let convert = |output: &str| {
        let output = place.path().join(output);
        let (input, output) = (copy.to_str().unwrap(), output.to_str().unwrap());
        let args = ["convert", "--quiet", "--input-format", "csr-npz", "--input", input, "--output", output];
        neural_sparse(&[&args[..], &["--format", "milvus"]].concat()).run()
    };
    fs::write(&ids_path, format!("{ids}\n\n")).unwrap();
    convert("blank lines at the end").ok();
    fs::write(&ids_path, format!("{ids}\nd40\n")).unwrap();
    assert!(convert("more").fails(1).contains("more ids than the 40 rows"));
    fs::write(&ids_path, ids.trim_end_matches("d39")).unwrap();
    assert!(convert("less").fails(1).contains("no id for row 39"));

    fs::write(place.path().join("docs.jsonl"), "{\"id\":\"a \",\"vector\":{\"new\":1}}\n").unwrap();
    let args =
        ["convert", "--quiet", "--input", "docs.jsonl", "--format", "lsr-benchmark", "--output", "out.npz"];
    let stderr = neural_sparse(&args).in_folder(place.path()).run().fails(1);
    assert!(stderr.contains("docs.jsonl` line 1: an id with white space at an end"), "{stderr}");
}

const EVAL: [&str; 5] = ["eval", "--quiet", "--cache", "cache", "--json"];

/// The figures are ir_measures' of an exhaustive search by numpy.
#[test]
fn vectors_of_a_folder_are_judged_without_a_model() {
    let place = folder();
    let expected: Value = serde_json::from_str(&fs::read_to_string(lsr("figures.json")).unwrap()).unwrap();
    let qrels = lsr("qrels.txt");
    for name in ["vectors", "half"] {
        let data = lsr(name);
        let args = ["--data", data.to_str().unwrap(), "--qrels", qrels.to_str().unwrap()];
        let measures = ["--measures", "nDCG@10,RR@10,AP,R@1000"];
        let found = neural_sparse(&[&EVAL[..], &args, &measures].concat()).in_folder(place.path()).run().ok();
        let found: Value = serde_json::from_str(&found).unwrap();
        for (measure, value) in expected.as_object().unwrap() {
            let (found, expected) = (found[measure].as_f64().unwrap(), value.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{name}: {measure} {found}, expected {expected}");
        }
        assert_eq!(
            (&found["queries"], &found["answered"], &found["documents"]),
            (&8.into(), &7.into(), &40.into())
        );
        assert_eq!(found["query_sparsity_ratio"], Value::Null);
    }
    // What is written gives the same figures, and judgements may lie beside it.
    for (part, name) in [("doc", "doc-embeddings.npz"), ("query", "query-embeddings.npz")] {
        fs::create_dir_all(place.path().join("copy").join(part)).unwrap();
        let (input, output) =
            (lsr("vectors").join(part).join(name), place.path().join("copy").join(part).join(name));
        let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
        let args = [
            "convert",
            "--quiet",
            "--input",
            input,
            "--input-format",
            "csr-npz",
            "--format",
            "lsr-benchmark",
        ];
        let all: Vec<&str> = [&args[..], &["--model", "tiny", "--output", output]].concat();
        neural_sparse(&all).run().ok();
    }
    fs::copy(&qrels, place.path().join("copy/qrels.txt")).unwrap();
    let found = neural_sparse(&[&EVAL[..], &["--data", "copy", "--measures", "AP"]].concat());
    let found: Value = serde_json::from_str(&found.in_folder(place.path()).run().ok()).unwrap();
    assert!((found["AP"].as_f64().unwrap() - expected["AP"].as_f64().unwrap()).abs() < 1e-12);
    // And can be pruned.
    let sweep =
        ["eval", "sweep", "--quiet", "--cache", "cache", "--json", "--data", "copy", "--top-k", "3,20"];
    let swept = neural_sparse(&sweep).in_folder(place.path()).run().ok();
    let points: Vec<Value> = swept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let baseline = points.iter().find(|point| point["baseline"] == true).unwrap();
    let gain = baseline["ndcg@10"].as_f64().unwrap();
    assert!((gain - expected["nDCG@10"].as_f64().unwrap()).abs() < 1e-12, "{swept}");
    assert_eq!(points.len(), 3);
    let stderr =
        neural_sparse(&[&sweep[..], &["--max-length", "8"]].concat()).in_folder(place.path()).run().fails(2);
    assert!(stderr.contains("--max-length has no effect"), "{stderr}");
}

#[test]
fn folders_of_vectors_that_cannot_be_judged_are_refused() {
    let place = folder();
    let data = lsr("vectors");
    let data = data.to_str().unwrap();
    let qrels = lsr("qrels.txt");
    let qrels = qrels.to_str().unwrap();
    let eval = |args: &[&str]| neural_sparse(&[&EVAL[..], args].concat()).in_folder(place.path()).run();
    let stderr = eval(&["--data", data]).fails(1);
    assert!(stderr.contains("has no judgements") && stderr.contains("`--qrels FILE`"), "{stderr}");
    for flags in
        [&["--model", "tiny"][..], &["--max-length", "8"], &["--on-long", "chunk"], &["--split", "test"]]
    {
        let stderr = eval(&[&["--data", data, "--qrels", qrels], flags].concat()).fails(2);
        assert!(stderr.contains(flags[0]) && stderr.contains("no effect"), "{stderr}");
    }
    let collection = lsr("collection");
    let stderr = eval(&["--data", collection.to_str().unwrap(), "--qrels", qrels]).fails(2);
    assert!(stderr.contains("--qrels has no effect: a collection has its own judgements"), "{stderr}");
    let stderr = eval(&["--data", data, "--data", data, "--qrels", qrels]).fails(2);
    assert!(stderr.contains("judgements are of one folder"), "{stderr}");
    // Without ids, or with those of others.
    for part in ["doc", "query"] {
        fs::create_dir_all(place.path().join("v").join(part)).unwrap();
        for end in ["embeddings.npz", "ids.txt"] {
            let name = format!("{part}/{part}-{end}");
            fs::copy(lsr("vectors").join(&name), place.path().join("v").join(&name)).unwrap();
        }
    }
    let ids = place.path().join("v/query/query-ids.txt");
    let text = fs::read_to_string(&ids).unwrap();
    for (text, says) in [
        (text.replace("q7", ""), "no id for row 7"),
        (text.clone() + "\nq8\n", "more ids than the 8 rows"),
        (text.replace("q7", "q1"), "line 8: the query `q1` is there a second time"),
        ("a\nb\nc\nd\ne\nf\ng\nh".into(), "is judged"),
    ] {
        fs::write(&ids, text).unwrap();
        let stderr = eval(&["--data", "v", "--qrels", qrels]).fails(1);
        assert!(stderr.contains(says), "{says}: {stderr}");
    }
    fs::remove_file(&ids).unwrap();
    let stderr = eval(&["--data", "v", "--qrels", qrels]).fails(1);
    assert!(stderr.contains("`v` has no ids of queries: expected query/query-ids.txt"), "{stderr}");
}
