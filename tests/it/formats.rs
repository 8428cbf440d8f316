//! `encode --format` and `convert`: what each store is given, byte for byte, and what it is not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{fixture, folder, neural_sparse, Finished, Program};

fn expected(name: &str) -> Vec<u8> {
    fs::read(fixture("formats").join(name)).unwrap()
}

fn convert(input: &Path, format: &str, args: &[&str]) -> Program {
    let files = ["convert", "--input", input.to_str().unwrap(), "--format", format];
    neural_sparse(&[&files[..], args].concat())
}

/// Converts rows that are given as text.
fn converted(rows: &str, format: &str, args: &[&str]) -> Finished {
    convert(Path::new("-"), format, args).stdin(rows).run()
}

/// A row of so many ids, each of weight 1.
fn row_of_ids(count: usize) -> String {
    let indices: Vec<String> = (0..count).map(|index| index.to_string()).collect();
    let values = vec!["1"; count].join(",");
    format!("{{\"id\":\"a\",\"indices\":[{}],\"values\":[{values}]}}\n", indices.join(","))
}

#[test]
fn every_format_of_lines_is_what_another_program_writes() {
    let input = fixture("formats/vectors.jsonl");
    for format in [
        "opensearch",
        "opensearch-sparse-vector",
        "elasticsearch",
        "qdrant",
        "milvus",
        "vespa",
        "pgvector",
        "anserini",
    ] {
        let finished = convert(&input, format, &["--quiet", "--keep", "title,year"]).run();
        assert_eq!(
            finished.ok(),
            String::from_utf8(expected(&format!("expected.{format}"))).unwrap(),
            "{format}"
        );
    }
    for (format, refused) in [("pinecone", "no terms"), ("seismic", "not an integer")] {
        let args = ["--quiet", "--keep", "title,year", "--on-error", "skip"];
        let finished = convert(&input, format, &args).run();
        assert_eq!(finished.code, Some(3), "{format}: {}", finished.stderr);
        let stopped = convert(&input, format, &["--quiet", "--keep", "title,year"]).run();
        assert!(stopped.stderr.contains(refused), "{format}: {}", stopped.stderr);
        assert_eq!(finished.stdout.as_bytes(), expected(&format!("expected.{format}")), "{format}");
    }
}

#[test]
fn jsonl_comes_back_as_it_was() {
    let input = fixture("formats/vectors.jsonl");
    let rows = convert(&input, "jsonl", &["--quiet", "--keep-all"]).run().ok();
    assert_eq!(rows.as_bytes(), expected("vectors.jsonl"));
}

#[test]
fn bulk_requests_name_an_index_and_an_action_where_they_are_asked_to() {
    let input = fixture("formats/vectors.jsonl");
    let args = ["--quiet", "--keep", "title,year", "--bulk-action", "update", "--index-name", "docs"];
    let rows = convert(&input, "opensearch", &args).run().ok();
    assert_eq!(rows.as_bytes(), expected("expected.opensearch.update"));
}

/// Converts the fixture into a file.
fn made(place: &Path, name: &str, format: &str) -> PathBuf {
    let output = place.join(name);
    let input = fixture("formats/vectors.jsonl");
    let finished = convert(&input, format, &["--quiet", "--output", output.to_str().unwrap()]).run();
    finished.ok();
    output
}

#[test]
fn a_matrix_and_an_index_are_the_bytes_of_the_libraries_that_read_them() {
    let place = folder();
    for format in ["csr", "ciff"] {
        let output = made(place.path(), &format!("vectors.{format}"), format);
        assert!(fs::read(output).unwrap() == expected(&format!("expected.{format}")), "{format}");
    }
    assert_eq!(fs::read(place.path().join("vectors.csr.ids")).unwrap(), expected("expected.ids"));
    let mut names: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["vectors.ciff", "vectors.csr", "vectors.csr.ids"], "nothing else is left");
}

/// The arrays of an .npz file by name.
fn arrays(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let mut arrays: Vec<(String, Vec<u8>)> = (0..zip.len())
        .map(|place| {
            let mut entry = zip.by_index(place).unwrap();
            let mut bytes = Vec::new();
            std::io::copy(&mut entry, &mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect();
    arrays.sort();
    arrays
}

#[test]
fn scipys_matrix_has_the_arrays_that_scipy_writes() {
    let place = folder();
    let output = made(place.path(), "vectors.npz", "csr-npz");
    assert_eq!(arrays(&output), arrays(&fixture("formats/expected.npz")));
    assert_eq!(fs::read(place.path().join("vectors.npz.ids")).unwrap(), expected("expected.ids"));
}

#[test]
fn a_matrix_is_read_whatever_its_types_and_compression() {
    let rows = convert(&fixture("formats/vectors.jsonl"), "jsonl", &["--quiet"]).run().ok();
    let place = folder();
    for name in ["expected.npz", "wide.npz"] {
        let input = place.path().join(name);
        fs::copy(fixture("formats").join(name), &input).unwrap();
        let args = ["--quiet", "--input-format", "csr-npz"];
        let numbered: String = rows
            .lines()
            .enumerate()
            .map(|(place, row)| {
                format!("{{\"id\":{},{}\n", place + 1, &row[row.find("\"vector\"").unwrap()..])
            })
            .collect();
        assert_eq!(convert(&input, "jsonl", &args).run().ok(), numbered, "{name} without ids");
        fs::write(place.path().join(format!("{name}.ids")), expected("expected.ids")).unwrap();
        assert_eq!(convert(&input, "jsonl", &args).run().ok(), rows, "{name} with ids");
    }
}

#[test]
fn damaged_matrices_are_refused() {
    let place = folder();
    let input = place.path().join("damaged.npz");
    let whole = expected("expected.npz");
    for length in [0, 3, whole.len() / 2, whole.len() - 1] {
        fs::write(&input, &whole[..length]).unwrap();
        let stderr = convert(&input, "jsonl", &["--quiet", "--input-format", "csr-npz"]).run().fails(1);
        assert!(stderr.contains("damaged.npz"), "{length}: {stderr}");
    }
    fs::copy(fixture("formats/expected.npz"), &input).unwrap();
    fs::write(place.path().join("damaged.npz.ids"), "only one\n").unwrap();
    let finished = convert(&input, "jsonl", &["--quiet", "--input-format", "csr-npz"]).run();
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("no id for row 1"), "{}", finished.stderr);
}

#[test]
fn anserinis_integers_are_divided_by_their_scale() {
    let input = fixture("formats/expected.anserini");
    let rows = convert(&input, "jsonl", &["--quiet", "--input-format", "anserini"]).run().ok();
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!(first["vector"], serde_json::json!({"weather": 2.5, "##s": 1.13, "new": 1.13, ".": 0.01}));
    let again = convert(
        &input,
        "anserini",
        &[
            "--quiet",
            "--keep",
            "title,year",
            "--input-format",
            "anserini",
            "--input-quantize",
            "20",
            "--quantize",
            "20",
        ],
    );
    assert_eq!(again.run().ok().as_bytes(), expected("expected.anserini"));
}

#[test]
fn a_weight_that_a_division_makes_infinite_is_refused_with_its_line() {
    let rows = "{\"id\":\"a\",\"contents\":\"\",\"vector\":{\"x\":300}}\n";
    let args = ["--input-format", "anserini", "--input-quantize", "1e-37"];
    let stderr = converted(rows, "jsonl", &args).fails(1);
    assert!(stderr.contains("line 1: a weight divided by") && stderr.contains("3.4e38"), "{stderr}");
}

#[test]
fn encoding_into_a_format_is_converting_what_was_encoded() {
    let place = folder();
    let texts = fixture("texts.jsonl");
    let input = ["--input", texts.to_str().unwrap()];
    let rows = place.path().join("rows.jsonl");
    let encode = ["encode", "--model", "tiny", "--quiet", "--as", "document"];
    let finished =
        neural_sparse(&[&encode[..], &input, &["--output", rows.to_str().unwrap()]].concat()).run();
    finished.ok();
    for format in ["opensearch", "qdrant", "pgvector", "anserini", "ciff", "csr"] {
        let (direct, converted) =
            (place.path().join(format!("a.{format}")), place.path().join(format!("b.{format}")));
        let named = ["--format", format, "--output", direct.to_str().unwrap()];
        neural_sparse(&[&encode[..], &input, &named].concat()).run().ok();
        convert(&rows, format, &["--quiet", "--output", converted.to_str().unwrap()]).run().ok();
        assert!(fs::read(direct).unwrap() == fs::read(converted).unwrap(), "{format}");
    }
}

#[test]
fn pruning_and_top_k_apply_to_what_is_converted() {
    let rows = "{\"id\":1,\"vector\":{\"a\":4,\"b\":2,\"c\":1,\"d\":1}}\n";
    for (args, kept) in [
        (&["--prune", "max_ratio=0.5"][..], "{\"a\":4.0,\"b\":2.0}"),
        (&["--prune", "alpha_mass=0.5"], "{\"a\":4.0}"),
        (&["--prune", "abs_value=2"], "{\"a\":4.0,\"b\":2.0}"),
        (&["--top-k", "3"], "{\"a\":4.0,\"b\":2.0,\"c\":1.0}"),
    ] {
        let rows = converted(rows, "jsonl", &[args, &["--quiet"]].concat()).ok();
        assert_eq!(rows, format!("{{\"id\":1,\"vector\":{kept}}}\n"), "{args:?}");
    }
}

#[test]
fn limits_of_the_stores_are_errors_that_say_what_to_do() {
    let id = |id: &str| format!("{{\"id\":{id},\"vector\":{{\"new\":1}}}}\n");
    let field = |field: &str| format!("{{\"id\":1,{field},\"vector\":{{\"new\":1}}}}\n");
    let long = format!("\"{}\"", "x".repeat(3000));
    for (format, rows, message) in [
        ("pinecone", row_of_ids(1001), "1001 terms, and Pinecone takes 1000: `--top-k 1000`"),
        ("pinecone", id("\"é\""), "ASCII"),
        ("pinecone", field("\"m\":{\"a\":1}"), "`m` is an object"),
        ("pinecone", field("\"$a\":1"), "`$a`"),
        ("pgvector", row_of_ids(16_001), "16001 terms, and a sparsevec takes 16000"),
        ("pgvector", field("\"m\":\"\\u0000\""), "NUL"),
        ("pgvector", field("\"m\":[\"\\u0000\"]"), "NUL"),
        ("pgvector", id(&long), "2692 bytes"),
        ("seismic", id("\"MED-1\""), "`MED-1` is not an integer"),
        ("seismic", id("-1"), "`-1` is not an integer"),
        ("opensearch", id(&long), "512 bytes"),
        ("opensearch", field("\"a..b\":1"), "`a..b` cannot be kept"),
        ("opensearch", field("\"_source\":1"), "`_source` cannot be kept"),
        ("elasticsearch", field("\"vector.x\":1"), "`vector.x` cannot be kept"),
        ("milvus", id(&long), "512 bytes"),
        ("milvus", field("\"$meta\":1"), "`$meta`"),
        ("qdrant", "{\"a\":1,\"_id\":2,\"vector\":{\"new\":1}}\n".into(), "`_id` cannot be kept"),
        ("vespa", id("\"a\\u0001\""), "control character"),
        ("vespa", field("\"a-b\":1"), "`a-b` cannot be kept"),
        ("vespa", field("\"a\":\"\\u0001\""), "control character"),
    ] {
        let args = if rows.contains("\"a\":1,\"_id\"") {
            &["--quiet", "--keep-all", "--id-field", "a"][..]
        } else {
            &["--quiet", "--keep-all"]
        };
        let stderr = converted(&rows, format, args).fails(1);
        assert!(stderr.contains("standard input line 1"), "{format}: {stderr}");
        assert!(stderr.contains(message), "{format}, {message}: {stderr}");
    }
    let place = folder();
    let output = place.path().join("out");
    let rows = "{\"id\":\"a\\nb\",\"vector\":{\"new\":1}}\n";
    for format in ["csr", "csr-npz", "ciff"] {
        let stderr = converted(rows, format, &["--quiet", "--output", output.to_str().unwrap()]).fails(1);
        assert!(stderr.contains("line break"), "{format}: {stderr}");
    }
}

#[test]
fn what_a_store_holds_only_roughly_is_counted() {
    for (format, rows, message) in [
        (
            "opensearch",
            "{\"id\":1,\"vector\":{\"a\":1.1,\"b\":1e-40,\"c\":2}}\n".to_string(),
            "note: 1 terms left out",
        ),
        (
            "opensearch",
            "{\"id\":1,\"vector\":{\"a\":1.1,\"b\":1.2,\"c\":2}}\n".into(),
            "note: 2 weights that the index keeps with 9 significant bits",
        ),
        (
            "opensearch-sparse-vector",
            "{\"id\":1,\"indices\":[1,2],\"values\":[3.5,3]}\n".into(),
            "note: 1 weights above 3",
        ),
        (
            "elasticsearch",
            "{\"id\":1,\"vector\":{\".\":1,\"u.s\":1,\"c\":2}}\n".into(),
            "note: 2 terms with a dot",
        ),
        ("pgvector", row_of_ids(1001), "note: 1 vectors of more than 1,000 terms"),
        ("anserini", "{\"id\":1,\"vector\":{\"a b\":1}}\n".into(), "note: 1 terms with white space"),
        ("milvus", "{\"id\":1,\"vector\":{}}\n".into(), "note: 1 vectors without a term"),
        (
            "jsonl",
            "{\"id\":1,\"title\":\"x\",\"vector\":{}}\n".into(),
            "note: 1 rows whose other fields were left out",
        ),
    ] {
        let finished = converted(&rows, format, &[]);
        assert_eq!(finished.code, Some(0), "{format}: {}", finished.stderr);
        assert!(finished.stderr.contains(message), "{format}, {message}: {}", finished.stderr);
    }
    let place = folder();
    let output = place.path().join("out.ciff");
    let finished = converted(
        "{\"id\":1,\"vector\":{\"a\":5.2,\"b\":5.1}}\n",
        "ciff",
        &["--output", output.to_str().unwrap()],
    );
    assert!(finished.stderr.contains("note: 1 weights above 255"), "{}", finished.stderr);
    // Ids of a larger vocabulary than the default model's.
    let place = folder();
    let matrix = place.path().join("m.npz");
    fs::copy(fixture("formats/expected.npz"), &matrix).unwrap();
    let finished = converted(
        "{\"id\":1,\"indices\":[40000],\"values\":[1]}\n",
        "opensearch-sparse-vector",
        &["--model", "multilingual-v1"],
    );
    assert!(finished.stderr.contains("note: 1 terms with an id above 32,767"), "{}", finished.stderr);
}

#[test]
fn terms_and_ids_are_told_apart_by_the_vocabulary_of_the_model() {
    let stderr = converted("{\"id\":1,\"vector\":{\"nosuchterm\":1}}\n", "qdrant", &["--quiet"]).fails(1);
    assert!(stderr.contains("`nosuchterm` is not in the vocabulary of `v2-distill`"), "{stderr}");
    let stderr =
        converted("{\"id\":1,\"indices\":[30522],\"values\":[1]}\n", "pgvector", &["--quiet"]).fails(1);
    assert!(stderr.contains("`30522` is not in the vocabulary"), "{stderr}");
    // Names need no vocabulary.
    let rows = converted("{\"id\":1,\"vector\":{\"nosuchterm\":1}}\n", "opensearch", &["--quiet"]).ok();
    assert!(rows.contains("{\"nosuchterm\":1.0}"), "{rows}");
    let model = fixture("bert-tied");
    let args = ["--quiet", "--model", model.to_str().unwrap()];
    let rows = converted("{\"id\":1,\"indices\":[494],\"values\":[1]}\n", "pgvector", &args).ok();
    assert_eq!(rows, "1\t{495:1.0}/495\n");
}

#[test]
fn windows_are_nested_where_the_store_nests_and_rows_elsewhere() {
    let text = ["weather in new york"; 6].join(" ");
    let row = format!("{{\"id\":\"a\",\"text\":\"{text}\",\"t\":1}}\n");
    let encode = |format: &str| {
        let args =
            ["encode", "--model", "tiny", "--quiet", "--input", "-", "--max-length", "14", "--keep", "t"];
        let windows = [
            "--on-long",
            "chunk",
            "--chunk-overlap",
            "2",
            "--chunk-rows",
            "--top-k",
            "2",
            "--format",
            format,
        ];
        neural_sparse(&[&args[..], &windows].concat()).stdin(&row).run()
    };
    let rows: Vec<Value> =
        encode("jsonl").ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    let vectors: Vec<&Value> = rows.iter().map(|row| &row["vector"]).collect();
    let source = |format: &str| -> Value {
        let printed = encode(format).ok();
        assert_eq!(printed.lines().count(), 2, "{format}: {printed}");
        serde_json::from_str(printed.lines().nth(1).unwrap()).unwrap()
    };
    let nested: Vec<Value> =
        vectors.iter().map(|vector| serde_json::json!({ "sparse_encoding": vector })).collect();
    assert_eq!(source("opensearch"), serde_json::json!({"t": 1, "vector": nested}));
    assert_eq!(source("elasticsearch"), serde_json::json!({"t": 1, "vector": vectors}));
    for (format, field) in [("milvus", "id"), ("anserini", "id"), ("pinecone", "id"), ("vespa", "put")] {
        let printed = encode(format).ok();
        let ids: Vec<String> = printed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()[field].as_str().unwrap().to_string())
            .collect();
        let ids: Vec<&str> = ids.iter().map(|id| id.trim_start_matches("id:doc:doc::")).collect();
        assert_eq!(ids, ["a#0", "a#1", "a#2"], "{format}");
    }
    let point: Value = serde_json::from_str(encode("qdrant").ok().lines().nth(1).unwrap()).unwrap();
    assert_eq!(point["payload"], serde_json::json!({"_id": "a", "chunk": 1, "t": 1}));
    assert!(encode("seismic").fails(2).contains("--chunk-rows"));
    assert!(encode("opensearch-sparse-vector").fails(2).contains("--chunk-rows"));

    // Rows of windows are converted as what they are.
    let rows = encode("jsonl").ok();
    let printed = converted(&rows, "milvus", &["--quiet", "--keep", "t"]).ok();
    assert_eq!(printed, encode("milvus").ok());
    for format in ["opensearch", "elasticsearch"] {
        assert_eq!(
            converted(&rows, format, &["--quiet", "--keep", "t"]).ok(),
            encode(format).ok(),
            "{format}"
        );
    }
    let stderr = converted(&rows, "opensearch-sparse-vector", &["--quiet"]).fails(1);
    assert!(stderr.contains("a window of a text"), "{stderr}");
}

#[test]
fn windows_of_a_document_stay_together_wherever_the_input_is_cut() {
    // More rows than are read at once; the last documents' windows are known by ids.
    let windows: String = (0..700)
        .flat_map(|document| (0..3).map(move |window| (document, window)))
        .map(|(document, window)| {
            format!("{{\"id\":{document},\"chunk\":{window},\"vector\":{{\"t{window}\":{}}}}}\n", window + 1)
        })
        .collect();
    let bad = "{\"id\":1000,\"chunk\":0,\"vector\":{\"new\":1}}\n{\"id\":1000,\"chunk\":1,\"indices\":[99999],\"values\":[1]}\n";
    let finished = converted(&format!("{windows}{bad}"), "opensearch", &["--on-error", "skip", "--quiet"]);
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let mut expected: String = (0..700)
        .map(|document| {
            let windows = "[{\"sparse_encoding\":{\"t0\":1.0}},{\"sparse_encoding\":{\"t1\":2.0}},{\"sparse_encoding\":{\"t2\":3.0}}]";
            format!("{{\"index\":{{\"_id\":\"{document}\"}}}}\n{{\"vector\":{windows}}}\n")
        })
        .collect();
    expected += "{\"index\":{\"_id\":\"1000\"}}\n{\"vector\":[{\"sparse_encoding\":{\"new\":1.0}}]}\n";
    assert!(finished.stdout == expected);
}

#[test]
fn requests_are_files_that_begin_and_end_between_two_documents() {
    let place = folder();
    let rows: String = (0..5)
        .map(|number| {
            format!("{{\"id\":{number},\"t\":\"{}\",\"vector\":{{\"new\":1}}}}\n", "x".repeat(400_000))
        })
        .collect();
    let whole = converted(&rows, "opensearch", &["--quiet", "--keep", "t"]).ok();
    let names = |suffix: &str| {
        let mut names: Vec<String> = fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name.ends_with(suffix));
        names.sort();
        names
    };
    let output = place.path().join("bulk.ndjson");
    let args = ["--quiet", "--keep", "t", "--bulk-mb", "1", "--output", output.to_str().unwrap()];
    converted(&rows, "opensearch", &args).ok();
    assert_eq!(names("ndjson"), ["bulk-00001.ndjson", "bulk-00002.ndjson", "bulk-00003.ndjson"]);
    let parts: Vec<String> =
        names("ndjson").iter().map(|name| fs::read_to_string(place.path().join(name)).unwrap()).collect();
    assert_eq!(parts.concat(), whole);
    for part in &parts {
        assert!(part.len() <= 1_000_000 && part.lines().count() % 2 == 0 && part.ends_with('\n'));
    }
    // What is there is not overwritten unasked, and what is left over goes.
    let stderr = converted(&rows, "opensearch", &args).fails(1);
    assert!(stderr.contains("bulk-00001.ndjson` and"), "{stderr}");
    let first = rows.lines().next().unwrap();
    converted(first, "opensearch", &[&args[..], &["--force"]].concat()).ok();
    assert_eq!(names("ndjson"), ["bulk-00001.ndjson"]);
    assert_eq!(names("").len(), 1, "{:?}", names(""));

    let output = place.path().join("bulk.ndjson.gz");
    let args = ["--quiet", "--keep", "t", "--bulk-mb", "2", "--output", output.to_str().unwrap()];
    converted(&rows, "opensearch", &args).ok();
    let mut unpacked = String::new();
    for name in names("gz") {
        let file = fs::File::open(place.path().join(name)).unwrap();
        // One member: servers read no more.
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut unpacked).unwrap();
    }
    assert_eq!(unpacked, whole);
}

#[test]
fn a_file_made_of_all_rows_is_the_same_after_a_stop() {
    let place = folder();
    let row = |number: u32| match number {
        30 => "{\n".to_string(),
        _ => format!("{{\"id\":{number},\"vector\":{{\"new\":{}}}}}\n", number + 1),
    };
    let input = place.path().join("rows.jsonl");
    fs::write(&input, (0..40).map(row).collect::<String>()).unwrap();
    for format in ["csr", "csr-npz", "ciff", "opensearch"] {
        let (whole, stopped) =
            (place.path().join(format!("whole.{format}")), place.path().join(format!("stopped.{format}")));
        let split: &[&str] = if format == "opensearch" { &["--bulk-mb", "1"] } else { &[] };
        let run = |output: &Path, more: &[&str]| {
            let args = [&["--quiet", "--output", output.to_str().unwrap()], split, more].concat();
            convert(&input, format, &args).run()
        };
        assert_eq!(run(&whole, &["--on-error", "skip"]).code, Some(3));
        let stderr = run(&stopped, &[]).fails(1);
        assert!(stderr.contains("--resume"), "{format}: {stderr}");
        assert_eq!(run(&stopped, &["--resume", "--on-error", "skip"]).code, Some(3));
        run(&stopped, &["--resume"]).ok();
        let bytes = |output: &Path| {
            let first = output.with_extension("").with_file_name(format!(
                "{}-00001.opensearch",
                output.file_stem().unwrap().to_str().unwrap()
            ));
            fs::read(if format == "opensearch" { &first } else { output }).unwrap()
        };
        assert!(bytes(&whole) == bytes(&stopped), "{format}");
        assert!(!place.path().join(format!("stopped.{format}.journal")).exists());
        assert!(!place.path().join(format!("stopped.{format}.partial")).exists());
    }
}

#[test]
fn options_that_a_store_has_no_use_for_are_usage_errors() {
    let rows = "{\"id\":1,\"vector\":{}}\n";
    for (format, args, message) in [
        ("qdrant", &["--quantize", "3"][..], "--quantize: qdrant has no use for it"),
        ("qdrant", &["--index-name", "a"], "--index-name: qdrant has no use for it"),
        ("jsonl", &["--bulk-mb", "3"], "--bulk-mb: jsonl has no use for it"),
        ("vespa", &["--bulk-action", "create"], "--bulk-action: vespa has no use for it"),
        ("anserini", &["--vector-field", "v"], "--vector-field"),
        ("csr", &["--keep", "a"], "--keep"),
        ("csr", &["--output", "x.gz"], "does not read .gz"),
        ("opensearch", &["--bulk-mb", "1", "--output", "x.zst"], "does not read .zst"),
        ("csr", &[], "made of all rows"),
        ("opensearch", &["--bulk-mb", "1"], "made of all rows"),
        ("milvus", &["--index-name", "a-b"], "--index-name a-b"),
        ("pinecone", &["--index-name", "A_b"], "--index-name A_b"),
        ("opensearch", &["--keep", "_id"], "--keep _id"),
        ("opensearch", &["--quantize", "0"], "not a number above 0"),
    ] {
        let stderr = converted(rows, format, args).fails(2);
        assert!(stderr.contains(message), "{format} {args:?}: {stderr}");
    }
    let stderr = neural_sparse(&["convert"]).run().fails(2);
    assert!(stderr.contains("--input FILE"), "{stderr}");
    let stderr = neural_sparse(&["encode", "--model", "tiny", "--format", "qdrant", "text"]).run().fails(2);
    assert!(stderr.contains("--format"), "{stderr}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_is_said_to_be_a_matter_of_the_build() {
    let stderr = converted("", "parquet", &[]).fails(2);
    assert!(stderr.contains("--features parquet"), "{stderr}");
    let input = fixture("formats/vectors.parquet");
    let stderr = convert(&input, "jsonl", &["--input-format", "parquet"]).run().fails(1);
    assert!(stderr.contains("--features parquet"), "{stderr}");
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    #[test]
    fn pyarrows_file_is_read() {
        let rows = convert(
            &fixture("formats/vectors.parquet"),
            "opensearch",
            &["--quiet", "--keep", "title,year", "--input-format", "parquet"],
        );
        // A column that is null is a field that is not there.
        let expected =
            String::from_utf8(expected("expected.opensearch")).unwrap().replace(",\"year\":null", "");
        assert_eq!(rows.run().ok(), expected);
    }

    #[test]
    fn rows_come_back_with_the_types_of_their_fields() {
        let place = folder();
        let output = place.path().join("vectors.parquet");
        let rows = "{\"id\":\"a\",\"s\":\"x\",\"i\":-3,\"f\":1.5,\"b\":true,\"m\":[1,\"x\"],\"n\":1,\"vector\":{\"new\":1.5}}\n{\"id\":\"b\",\"n\":2.5,\"vector\":{}}\n{\"id\":\"c\",\"m\":\"y\",\"i\":9007199254740993,\"vector\":{\"york\":0.1,\"new\":0.2}}\n";
        converted(rows, "parquet", &["--quiet", "--keep-all", "--output", output.to_str().unwrap()]).ok();
        let args = ["--quiet", "--keep-all", "--input-format", "parquet"];
        let printed = convert(&output, "jsonl", &args).run().ok();
        let expected = "{\"id\":\"a\",\"s\":\"x\",\"i\":-3,\"f\":1.5,\"b\":true,\"m\":\"[1,\\\"x\\\"]\",\"n\":1.0,\"vector\":{\"new\":1.5}}\n{\"id\":\"b\",\"n\":2.5,\"vector\":{}}\n{\"id\":\"c\",\"i\":9007199254740993,\"m\":\"\\\"y\\\"\",\"vector\":{\"new\":0.2,\"york\":0.1}}\n";
        assert_eq!(printed, expected);
    }

    #[test]
    fn texts_of_a_parquet_file_are_encoded_and_gone_on_with() {
        let place = folder();
        let table = place.path().join("texts.parquet");
        let rows: String = (0..30)
            .map(|number| format!("{{\"id\":\"{number}\",\"text\":\"river {number}\",\"vector\":{{}}}}\n"))
            .collect();
        converted(&rows, "parquet", &["--quiet", "--keep", "text", "--output", table.to_str().unwrap()]).ok();
        let input = place.path().join("texts.jsonl");
        fs::write(&input, &rows).unwrap();
        let encode = |path: &Path, more: &[&str]| {
            let args =
                ["encode", "--model", "tiny", "--quiet", "--keep", "text", "--input", path.to_str().unwrap()];
            neural_sparse(&[&args[..], more].concat()).run()
        };
        let expected = encode(&input, &[]).ok();
        assert_eq!(encode(&table, &["--input-format", "parquet"]).ok(), expected);
        let stderr = encode(&table, &["--input-format", "parquet", "--shard", "1/2"]).fails(2);
        assert!(stderr.contains("--shard"), "{stderr}");
        fs::write(&table, "not parquet").unwrap();
        assert!(encode(&table, &["--input-format", "parquet"]).fails(1).contains("texts.parquet"));
    }
}
