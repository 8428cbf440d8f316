//! `index` and `search`.

use std::fs;
use std::path::Path;

use serde_json::{json, Value};
use tempfile::TempDir;

use crate::program::{copied, fixture, folder, json_lines, neural_sparse, Finished};

const TEXTS: [&str; 5] = [
    "Currently New York is rainy.",
    "Paris is sunny.",
    "the weather in new york city today",
    "A recipe for apple pie",
    "Currently New York is rainy.",
];

/// A folder with docs.jsonl, its vectors.jsonl, and an index of the texts in `texts`.
fn place() -> TempDir {
    let place = folder();
    let rows: Vec<String> = (0..)
        .zip(TEXTS)
        .map(|(number, text)| json!({"id": format!("d{number}"), "title": number, "text": text}).to_string())
        .collect();
    fs::write(place.path().join("docs.jsonl"), rows.join("\n") + "\n").unwrap();
    run(
        &place,
        &["encode", "--model", "tiny", "--quiet", "--input", "docs.jsonl", "--output", "vectors.jsonl"],
    )
    .ok();
    run(
        &place,
        &[
            "index",
            "build",
            "--model",
            "tiny",
            "--quiet",
            "--input",
            "docs.jsonl",
            "--keep",
            "title",
            "--output",
            "texts",
        ],
    )
    .ok();
    place
}

/// Searches without notes: these collections are so small that they lack most terms of a query.
fn run(place: &TempDir, args: &[&str]) -> Finished {
    match args {
        ["search", args @ ..] => run_aloud(place, &[&["search", "--quiet"], args].concat()),
        args => run_aloud(place, args),
    }
}

fn run_aloud(place: &TempDir, args: &[&str]) -> Finished {
    neural_sparse(args).in_folder(place.path()).run()
}

/// The answers of `search --json`, one a query.
fn search(place: &TempDir, index: &str, args: &[&str]) -> Vec<Value> {
    let args = [&["search", "--index", index, "--json"], args].concat();
    run(place, &args).ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

/// Whether a table has a row of these words.
fn has_line(table: &str, words: &str) -> bool {
    table.lines().any(|line| line.split_whitespace().eq(words.split(' ')))
}

#[test]
fn hits_have_the_scores_of_score_and_ties_stand_in_document_order() {
    let place = place();
    let query = "weather in new york";
    let scores = run(&place, &[&["score", "--model", "tiny", query], &TEXTS[..]].concat()).ok();
    let mut expected: Vec<(f32, String)> = scores
        .lines()
        .zip(0..)
        .map(|(score, number)| (score.parse().unwrap(), format!("d{number}")))
        .collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let expected: Vec<String> = expected
        .iter()
        .filter(|(score, _)| *score > 0.0)
        .zip(1..)
        .map(|((score, id), rank)| format!("{rank}\t{score}\t{id}"))
        .collect();
    // Its model is known to the index.
    assert_eq!(
        run(&place, &["search", "--index", "texts", query]).ok().lines().collect::<Vec<_>>(),
        expected
    );
    let two = run(&place, &["search", "--index", "texts", "--k", "2", query, "sun"]).ok();
    assert!(two.starts_with(&format!("1\t{}\n1\t{}\n2\t1\t", expected[0], expected[1])), "{two}");
    assert_eq!(two.lines().count(), 4);
}

#[test]
fn an_index_of_texts_is_one_of_their_vectors() {
    let place = place();
    run(&place, &["index", "build", "--quiet", "--input", "vectors.jsonl", "--output", "vectors"]).ok();
    let query = ["--model", "tiny", "weather in new york"];
    assert_eq!(search(&place, "vectors", &query), search(&place, "texts", &query));
    let info = |index: &str| -> Value {
        serde_json::from_str(&run(&place, &["index", "info", index, "--json", "--verify"]).ok()).unwrap()
    };
    let (texts, vectors) = (info("texts"), info("vectors"));
    let rows = json_lines(&place.path().join("vectors.jsonl"));
    let postings: usize = rows.iter().map(|row| row["vector"].as_object().unwrap().len()).sum();
    for info in [&texts, &vectors] {
        assert_eq!((&info["documents"], &info["postings"]), (&json!(5), &json!(postings)));
        assert_eq!((&info["codec"], &info["verified"]), (&json!("f32"), &json!(true)));
    }
    let has = |term: &str| rows.iter().filter(|row| row["vector"].get(term).is_some()).count();
    let longest = texts["longest_lists"].as_array().unwrap();
    assert_eq!(longest.len(), 10);
    for list in longest {
        assert_eq!(list["documents"], has(list["term"].as_str().unwrap()), "{list}");
    }
    let bytes = fs::metadata(place.path().join("texts/index.nsi")).unwrap().len();
    assert_eq!(texts["bytes"], bytes);
    assert_eq!(texts["metadata"]["model"], "tiny");
    assert_eq!(vectors["metadata"]["model"], Value::Null);
    let printed = run(&place, &["index", "info", "texts"]).ok();
    assert!(has_line(&printed, "documents 5") && has_line(&printed, "model tiny"), "{printed}");
}

#[test]
fn explained_terms_add_up_to_the_score_and_fields_come_back() {
    let place = place();
    let answer = &search(&place, "texts", &["--explain", "--fields", "new york weather"])[0];
    assert_eq!(answer["query"], "new york weather");
    for hit in answer["hits"].as_array().unwrap() {
        let products = hit["terms"].as_array().unwrap().iter().map(|term| {
            let (query, document) = (term["query"].as_f64().unwrap(), term["document"].as_f64().unwrap());
            assert!((term["product"].as_f64().unwrap() - query * document).abs() < 1e-6);
            query * document
        });
        assert!((products.sum::<f64>() - hit["score"].as_f64().unwrap()).abs() < 1e-5);
        assert_eq!(format!("d{}", hit["fields"]["title"]), hit["id"].as_str().unwrap());
    }
    let printed =
        run(&place, &["search", "--index", "texts", "--explain", "--fields", "--k", "1", "york"]).ok();
    assert!(printed.lines().next().unwrap().ends_with("}"), "{printed}");
    assert!(printed.contains("\n    york  "), "{printed}");
}

#[test]
fn queries_come_from_files_as_texts_and_as_vectors() {
    let place = place();
    let texts = [("a", "weather in new york"), ("7", "apple")];
    let jsonl = "{\"_id\":\"a\",\"text\":\"weather in new york\"}\n\n{\"id\":7,\"text\":\"apple\"}\n";
    fs::write(place.path().join("queries.jsonl"), jsonl).unwrap();
    let tsv: String = texts.iter().map(|(id, text)| format!("{id}\t{text}\n")).collect();
    fs::write(place.path().join("queries.tsv"), tsv).unwrap();
    run(
        &place,
        &["encode", "--model", "tiny", "--quiet", "--input", "queries.jsonl", "--output", "encoded.jsonl"],
    )
    .ok();
    let from = |file: &str| search(&place, "texts", &["--queries", file]);
    let (jsonl, tsv, vectors) = (from("queries.jsonl"), from("queries.tsv"), from("encoded.jsonl"));
    assert_eq!(jsonl.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!("a"), &json!(7)]);
    assert_eq!(tsv.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!("a"), &json!("7")]);
    for number in 0..2 {
        assert!(!ids(&jsonl[number]).is_empty());
        assert_eq!(jsonl[number]["hits"], tsv[number]["hits"]);
        assert_eq!(jsonl[number]["hits"], vectors[number]["hits"]);
    }
    for (file, line, message) in [
        ("bad.jsonl", "{\"id\":1}", "`bad.jsonl` line 1: no field `text`"),
        ("bad.tsv", "weather", "`bad.tsv` line 1: no tab between an id and a text"),
        ("ids.jsonl", "{\"id\":1,\"indices\":[99999],\"values\":[1]}", "`ids.jsonl` line 1:"),
    ] {
        fs::write(place.path().join(file), line).unwrap();
        let stderr = run(&place, &["search", "--index", "texts", "--queries", file]).fails(1);
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn a_run_has_the_hits_in_their_order_for_other_programs() {
    let place = place();
    fs::write(place.path().join("queries.tsv"), "q1\tnew york\nq2\tzzzz\nq3\tapple\n").unwrap();
    let args = ["search", "--index", "texts", "--queries", "queries.tsv", "--run"];
    assert_eq!(run(&place, &[&args[..], &["run.trec"]].concat()).ok(), "");
    let answers = search(&place, "texts", &["--queries", "queries.tsv"]);
    let mut expected = String::new();
    for answer in &answers {
        for (hit, rank) in answer["hits"].as_array().unwrap().iter().zip(1..) {
            let (query, id) = (answer["id"].as_str().unwrap(), hit["id"].as_str().unwrap());
            let score: f32 = hit["score"].to_string().parse().unwrap();
            expected += &format!("{query} Q0 {id} {rank} {score} neural-sparse\n");
        }
    }
    assert_eq!(fs::read_to_string(place.path().join("run.trec")).unwrap(), expected);
    let stderr = run(&place, &[&args[..], &["run.trec"]].concat()).fails(1);
    assert!(stderr.contains("`run.trec` exists already"), "{stderr}");
    run(&place, &[&args[..], &["other.trec", "--json"]].concat()).fails(2);
    fs::write(place.path().join("queries.tsv"), "q1\tnew york\nq1\tapple\n").unwrap();
    let stderr = run(&place, &[&args[..], &["twice.trec"]].concat()).fails(1);
    assert!(stderr.contains("two queries have the id \"q1\""), "{stderr}");
    fs::write(place.path().join("queries.tsv"), "q 1\tnew york\n").unwrap();
    let stderr = run(&place, &[&args[..], &["space.trec"]].concat()).fails(1);
    assert!(stderr.contains("the id `q 1` has white space"), "{stderr}");
    assert!(!place.path().join("space.trec").exists());
}

#[test]
fn threads_and_a_second_build_change_nothing() {
    let place = place();
    let queries: String = (0..40).map(|number| format!("q{number}\t{}\n", TEXTS[number % 5])).collect();
    fs::write(place.path().join("queries.tsv"), queries).unwrap();
    let one = search(&place, "texts", &["--queries", "queries.tsv", "--threads", "1"]);
    assert_eq!(one.len(), 40);
    assert_eq!(one, search(&place, "texts", &["--queries", "queries.tsv", "--threads", "5"]));
    let build = [
        "index",
        "build",
        "--model",
        "tiny",
        "--quiet",
        "--input",
        "docs.jsonl",
        "--keep",
        "title",
        "--output",
        "again",
    ];
    run(&place, &[&build[..], &["--threads", "3"]].concat()).ok();
    let bytes = |index: &str| fs::read(place.path().join(index).join("index.nsi")).unwrap();
    assert!(bytes("texts") == bytes("again"));
    assert_eq!(fs::read_dir(place.path().join("again")).unwrap().count(), 1, "only the index is left");
    let stderr = run(&place, &build).fails(1);
    assert!(stderr.contains("exists already"), "{stderr}");
    run(&place, &[&build[..], &["--resume"]].concat()).ok();
    run(&place, &[&build[..], &["--force"]].concat()).ok();
    assert!(bytes("texts") == bytes("again"));
}

#[test]
fn windows_of_long_texts_are_documents_of_the_index() {
    let place = folder();
    let text = "new york ".repeat(40);
    fs::write(place.path().join("long.jsonl"), json!({"id": "long", "text": text}).to_string()).unwrap();
    let build = [
        "index",
        "build",
        "--model",
        "tiny",
        "--quiet",
        "--input",
        "long.jsonl",
        "--max-length",
        "32",
        "--chunk-overlap",
        "4",
    ];
    run(&place, &[&build[..], &["--on-long", "chunk", "--chunk-rows", "--output", "windows"]].concat()).ok();
    let answer = &search(&place, "windows", &["--fields", "york"])[0];
    assert!(ids(answer).len() > 2);
    for hit in answer["hits"].as_array().unwrap() {
        assert_eq!(hit["id"], format!("long#{}", hit["fields"]["chunk"]));
    }
}

#[test]
fn a_file_of_texts_and_vectors_is_refused_at_the_row_that_differs() {
    let place = place();
    let read = |file: &str| fs::read_to_string(place.path().join(file)).unwrap();
    let (texts, vectors) = (read("docs.jsonl"), read("vectors.jsonl"));
    for (name, content, message) in [
        ("vectors-first.jsonl", vectors.clone() + &texts, "line 6: no field `vector`"),
        (
            "texts-first.jsonl",
            texts + &vectors,
            "line 6: has a vector in `vector`, and the rows before it have texts",
        ),
    ] {
        fs::write(place.path().join(name), content).unwrap();
        let args = ["index", "build", "--model", "tiny", "--quiet", "--input", name, "--output", "mixed"];
        let stderr = run(&place, &args).fails(1);
        assert!(stderr.contains(&format!("`{name}`")) && stderr.contains(message), "{stderr}");
        assert!(!place.path().join("mixed/index.nsi").exists());
        fs::remove_dir_all(place.path().join("mixed")).unwrap();
    }
}

/// The message of a search in a file that is no index, or no longer.
fn refused(place: &TempDir, bytes: &[u8]) -> String {
    fs::create_dir_all(place.path().join("bad")).unwrap();
    fs::write(place.path().join("bad/index.nsi"), bytes).unwrap();
    run(place, &["search", "--index", "bad", "--model", "tiny", "york"]).fails(1)
}

#[test]
fn what_is_no_index_or_has_changed_is_refused() {
    let place = place();
    let stderr = run(&place, &["search", "--index", "nowhere", "york"]).fails(1);
    assert!(
        stderr.contains("nowhere") && stderr.contains("hint: `neural-sparse index build` makes"),
        "{stderr}"
    );
    for foreign in [&b""[..], b"PK\x03\x04", "no index at all, but longer than a header".repeat(9).as_bytes()]
    {
        let stderr = refused(&place, foreign);
        assert!(stderr.contains("`bad/index.nsi`") && stderr.contains("hint: build it again"), "{stderr}");
    }
    let whole = fs::read(place.path().join("texts/index.nsi")).unwrap();
    let stderr = refused(&place, &whole[..whole.len() - 1]);
    assert!(stderr.contains("is damaged"), "{stderr}");
    // Any bit, at places all over the file: an error when it is verified, never another answer.
    let expected = run(&place, &["search", "--index", "texts", "--fields", "york"]).ok();
    for part in 0..24 {
        let mut bytes = whole.clone();
        let place_in_file = part * (bytes.len() - 1) / 23;
        bytes[place_in_file] ^= 1 << (part % 8);
        fs::create_dir_all(place.path().join("bad")).unwrap();
        fs::write(place.path().join("bad/index.nsi"), &bytes).unwrap();
        let verified = run(&place, &["index", "info", "bad", "--verify"]).fails(1);
        assert!(verified.contains("bad/index.nsi"), "byte {place_in_file}: {verified}");
        let found = run(&place, &["search", "--index", "bad", "--fields", "york"]);
        match found.code {
            Some(0) => assert_eq!(found.stdout, expected, "byte {place_in_file}"),
            code => assert_eq!(code, Some(1), "byte {place_in_file}: {}", found.stderr),
        }
    }
}

#[test]
fn lucenes_weights_are_cut_to_nine_bits() {
    let place = place();
    let args =
        ["index", "build", "--quiet", "--input", "vectors.jsonl", "--codec", "lucene9", "--output", "nine"];
    run(&place, &args).ok();
    let rows = json_lines(&place.path().join("vectors.jsonl"));
    let answer = &search(&place, "nine", &["--model", "tiny", "--explain", "weather in new york"])[0];
    for hit in answer["hits"].as_array().unwrap() {
        let row = rows.iter().find(|row| row["id"] == hit["id"]).unwrap();
        for term in hit["terms"].as_array().unwrap() {
            let exact: f32 = row["vector"][term["term"].as_str().unwrap()].to_string().parse().unwrap();
            // FeatureField keeps the sign, the exponent and the 8 leading bits of the fraction.
            let nine = f32::from_bits(exact.to_bits() >> 15 << 15);
            assert_eq!(term["document"].to_string().parse::<f32>().unwrap(), nine, "{term}");
        }
    }
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    let place = folder();
    for args in [
        &["index", "build", "--output", "index"][..],
        &["index", "build", "--input", "docs.jsonl"],
        &["index", "build", "--input", "docs.jsonl", "--output", "index", "--codec", "f8"],
        &["search", "--index", "index"],
        &["search", "york"],
        &["search", "--index", "index", "--k", "0", "york"],
        &["search", "--index", "index", "--queries", "queries.tsv", "york"],
    ] {
        run(&place, args).fails(2);
    }
    assert!(!Path::new(place.path()).join("index").exists());
}

#[test]
fn a_model_that_is_named_is_never_passed_over() {
    let place = place();
    let other = fixture("bert-tied");
    let other = other.to_str().unwrap();
    let stderr = run(&place, &["search", "--index", "texts", "--model", other, "york"]).fails(1);
    assert!(
        stderr.contains("does not fit the index `texts`") && stderr.contains("`--any-model`"),
        "{stderr}"
    );
    let by_environment =
        || neural_sparse(&["search", "--quiet", "--index", "texts", "york"]).in_folder(place.path());
    let stderr = by_environment().env("NEURAL_SPARSE_MODEL", other).run().fails(1);
    assert!(stderr.contains("does not fit the index `texts`"), "{stderr}");
    // The name of the default model is a name too; it cannot be had here.
    for name in ["v2-distill", "opensearch-project/opensearch-neural-sparse-encoding-v2-distill"] {
        let stderr = run(&place, &["search", "--index", "texts", "--model", name, "york"]).fails(1);
        assert!(stderr.contains("v2-distill"), "{stderr}");
        let stderr = by_environment().env("NEURAL_SPARSE_MODEL", name).run().fails(1);
        assert!(stderr.contains("v2-distill"), "{stderr}");
    }
    let any = ["search", "--index", "texts", "--any-model", "--model", other, "york"];
    assert_ne!(run(&place, &any).ok(), run(&place, &["search", "--index", "texts", "york"]).ok());
}

#[test]
fn a_model_is_the_indexs_by_its_bytes_and_not_by_its_place() {
    let place = place();
    let (first, moved) = (copied("bert-tied"), copied("bert-tied"));
    let [first_path, moved_path] = [&first, &moved].map(|folder| folder.path().to_str().unwrap());
    let build =
        ["index", "build", "--quiet", "--input", "docs.jsonl", "--output", "own", "--model", first_path];
    run(&place, &build).ok();
    let expected = run(&place, &["search", "--index", "own", "york"]).ok();
    fs::remove_dir_all(first.path()).unwrap();
    let search = ["search", "--index", "own", "--model", moved_path, "york"];
    assert_eq!(run(&place, &search).ok(), expected);
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let path = moved.path().join(file);
        let bytes = fs::read(&path).unwrap();
        let changed = match file {
            // Half of a weight, at the end.
            "model.safetensors" => [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat(),
            _ => [&bytes[..], b" "].concat(),
        };
        fs::write(&path, changed).unwrap();
        let stderr = run(&place, &search).fails(1);
        assert!(stderr.contains(&format!("its file `{file}` is not the one")), "{stderr}");
        fs::write(&path, bytes).unwrap();
    }
    // Parameters in a file of another name are others.
    let (old, new) = (moved.path().join("model.safetensors"), moved.path().join("pytorch_model.bin"));
    fs::rename(&old, moved.path().join("unused")).unwrap();
    fs::copy(fixture("bert-bin/pytorch_model.bin"), new).unwrap();
    run(&place, &search).fails(1);
}

#[test]
fn a_query_is_encoded_in_the_dialect_of_the_index() {
    let place = place();
    let build = ["index", "build", "--quiet", "--input", "docs.jsonl", "--model", "tiny"];
    let dialect = ["--dialect", "sentence-transformers"];
    run(&place, &[&build[..], &dialect, &["--output", "st"]].concat()).ok();
    let search = |index: &str, more: &[&str]| {
        run(&place, &[&["search", "--index", index, "currently in new york"], more].concat())
    };
    assert_eq!(search("st", &[]).ok(), search("st", &dialect).ok());
    let stderr = search("st", &["--dialect", "card"]).fails(1);
    assert!(stderr.contains("the dialect is card, the index's is sentence-transformers"), "{stderr}");
    let stderr = search("texts", &dialect).fails(1);
    assert!(stderr.contains("the dialect is sentence-transformers, the index's is card"), "{stderr}");
    search("texts", &[&dialect[..], &["--any-model"]].concat()).ok();
}

#[test]
fn an_index_of_vectors_says_whose_they_are_where_that_was_said() {
    let place = place();
    let build = |output: &str, more: &[&str]| {
        let args = ["index", "build", "--quiet", "--input", "vectors.jsonl", "--output", output];
        run(&place, &[&args[..], more].concat()).ok();
        let info = run(&place, &["index", "info", output, "--json"]).ok();
        serde_json::from_str::<Value>(&info).unwrap()["metadata"].clone()
    };
    let search = |index: &str, model: &[&str]| {
        run_aloud(&place, &[&["search", "--index", index, "york"], model].concat())
    };
    // Of any model that is named, and with a word of it.
    assert_eq!(build("unnamed", &[])["model"], Value::Null);
    let other = fixture("bert-tied");
    for model in ["tiny", other.to_str().unwrap()] {
        let found = search("unnamed", &["--model", model]);
        assert_eq!(found.code, Some(0));
        let note = format!("does not say which model its vectors are of; queries are encoded with `{model}`");
        assert!(found.stderr.contains(&note), "{}", found.stderr);
    }
    let of_texts = run(&place, &["search", "--index", "texts", "york"]).ok();
    assert_eq!(search("unnamed", &["--model", "tiny", "--quiet"]).ok(), of_texts);
    // The default model is a model that is named, by a flag or by the environment.
    assert_eq!(build("default", &["--model", "v2-distill"])["model"], "v2-distill");
    let stderr = search("default", &["--model", "tiny"]).fails(1);
    assert!(stderr.contains("the index was made with `v2-distill`"), "{stderr}");
    let args = ["index", "build", "--quiet", "--input", "vectors.jsonl", "--output", "environment"];
    neural_sparse(&args).env("NEURAL_SPARSE_MODEL", "v2-distill").in_folder(place.path()).run().ok();
    search("environment", &["--model", "tiny"]).fails(1);
    build("named", &["--model", "tiny"]);
    assert_eq!(search("named", &["--quiet"]).ok(), search("named", &["--quiet", "--model", "tiny"]).ok());
    search("named", &["--model", other.to_str().unwrap()]).fails(1);
}

#[test]
fn a_query_that_the_index_hardly_knows_is_noted() {
    let place = folder();
    let rows = "{\"id\":1,\"vector\":{\"a\":1,\"b\":2}}\n";
    fs::write(place.path().join("vectors.jsonl"), rows).unwrap();
    run(&place, &["index", "build", "--quiet", "--input", "vectors.jsonl", "--output", "index"]).ok();
    let note = |queries: &str, quiet: &[&str]| {
        fs::write(place.path().join("q.jsonl"), queries).unwrap();
        let found =
            run_aloud(&place, &[&["search", "--index", "index", "--queries", "q.jsonl"], quiet].concat());
        assert_eq!(found.code, Some(0));
        found.stderr
    };
    let half = "{\"id\":\"half\",\"vector\":{\"a\":1,\"x\":1}}\n";
    let less = "{\"id\":\"less\",\"vector\":{\"a\":1,\"x\":1,\"y\":2}}\n";
    assert_eq!(note(half, &[]), "", "half is not more than half");
    assert_eq!(note(less, &[]), "note: no document has 2 of the 3 terms of query \"less\"\n");
    assert_eq!(note(less, &["--quiet"]), "");
    let three = format!("{half}{less}{{\"id\":3,\"vector\":{{\"z\":1}}}}\n");
    let expected =
        "note: no document has more than half of the terms of 2 of 3 queries, the first of them \"less\"\n";
    assert_eq!(note(&three, &[]), expected);
}

#[test]
fn a_score_that_no_f32_holds_is_an_error_and_never_null() {
    let place = folder();
    let rows = "{\"id\":\"a\",\"vector\":{\"x\":3e38,\"y\":1}}\n{\"id\":\"b\",\"vector\":{\"y\":1}}\n";
    fs::write(place.path().join("vectors.jsonl"), rows).unwrap();
    for (query, is_fine) in [("{\"x\":1.1}", true), ("{\"x\":2}", false), ("{\"x\":3e38,\"y\":1}", false)] {
        fs::write(place.path().join("q.jsonl"), format!("{{\"id\":1,\"vector\":{query}}}\n")).unwrap();
        for codec in ["f32", "lucene9", "u8"] {
            let build =
                ["index", "build", "--quiet", "--input", "vectors.jsonl", "--output", "index", "--force"];
            run(&place, &[&build[..], &["--codec", codec]].concat()).ok();
            for more in [&[][..], &["--json"], &["--json", "--explain"], &["--run", "run.trec"]] {
                let found =
                    run(&place, &[&["search", "--index", "index", "--queries", "q.jsonl"], more].concat());
                if is_fine {
                    assert!(!found.ok().contains("null"));
                    let _ = fs::remove_file(place.path().join("run.trec"));
                } else {
                    let stderr = found.fails(1);
                    assert!(stderr.contains("the document \"a\": the score is beyond"), "{stderr}");
                }
            }
        }
    }
    // Of a model: weights of query tokens that are as large.
    let model = copied("idf-query");
    let idf = fs::read_to_string(model.path().join("idf.json")).unwrap();
    let idf: serde_json::Map<String, Value> = serde_json::from_str(&idf).unwrap();
    let large: serde_json::Map<String, Value> =
        idf.into_iter().map(|(token, _)| (token, json!(3e38))).collect();
    fs::write(model.path().join("idf.json"), Value::from(large).to_string()).unwrap();
    let model = model.path().to_str().unwrap();
    let text = "What's the weather in ny now? Currently New York is rainy. Which planet is known as the Red Planet? \
                Venus is often called Earth's twin because of its similar size. Jupiter, the largest planet in our solar \
                system, has a prominent red spot. Saturn is famous for its rings.";
    let score = ["score", "--model", model, "--quiet", text, text];
    for more in [&[][..], &["--json"], &["--explain"], &["--json", "--explain"], &["--html", "page.html"]] {
        let stderr = run(&place, &[&score[..], more].concat()).fails(1);
        assert!(stderr.contains("the score is beyond the largest 32-bit number"), "{more:?}: {stderr}");
    }
    let pairs = json!({"query": text, "document": text}).to_string();
    fs::write(place.path().join("pairs.jsonl"), pairs).unwrap();
    let stderr = run(&place, &["score", "--model", model, "--quiet", "--input", "pairs.jsonl"]).fails(1);
    assert!(stderr.contains("`pairs.jsonl` line 1: the score is beyond"), "{stderr}");
}

#[test]
fn queries_are_read_by_the_fields_and_the_format_that_are_named() {
    let place = place();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("plain.jsonl", "{\"id\":\"a\",\"text\":\"new york\"}\n{\"id\":\"b\",\"text\":\"bread flour\"}\n");
    let found = |args: &[&str]| search(&place, "texts", args);
    let expected = found(&["--queries", "plain.jsonl"]);
    write(
        "named.jsonl",
        "{\"number\":\"a\",\"id\":1,\"q\":{\"title\":\"new\",\"more\":\"york\"}}\n\
         {\"number\":\"b\",\"id\":1,\"q\":{\"title\":\"bread\",\"more\":\"flour\"}}\n",
    );
    let fields = ["--text-field", "q.title", "--text-field", "q.more", "--id-field", "number"];
    assert_eq!(found(&[&["--queries", "named.jsonl"], &fields[..]].concat()), expected);
    // A name that says nothing, and one that says another format.
    write("queries.jsonl", "a\tnew york\nb\tbread flour\n");
    assert_eq!(found(&["--queries", "queries.jsonl", "--input-format", "tsv"]), expected);
    write("queries.tsv", "{\"id\":\"a\",\"text\":\"new york\"}\n{\"id\":\"b\",\"text\":\"bread flour\"}\n");
    assert_eq!(found(&["--queries", "queries.tsv", "--input-format", "jsonl"]), expected);
    write("lines.txt", "new york\nbread flour\n");
    let lines = found(&["--queries", "lines.txt", "--input-format", "lines"]);
    assert_eq!(lines.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!(1), &json!(2)]);
    assert_eq!((&lines[0]["hits"], &lines[1]["hits"]), (&expected[0]["hits"], &expected[1]["hits"]));
    // Compressed, whatever the name says.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, b"a\tnew york\nb\tbread flour\n").unwrap();
    fs::write(place.path().join("queries.tsv.gz"), gzip.finish().unwrap()).unwrap();
    assert_eq!(found(&["--queries", "queries.tsv.gz"]), expected);
    // Vectors in a field of another name.
    let args =
        ["encode", "--model", "tiny", "--quiet", "--input", "plain.jsonl", "--output", "encoded.jsonl"];
    run(&place, &[&args[..], &["--vector-field", "v"]].concat()).ok();
    let vectors = found(&["--queries", "encoded.jsonl", "--vector-field", "v"]);
    assert_eq!(vectors[1]["hits"], expected[1]["hits"]);
    assert_eq!(found(&["-k", "1", "york"])[0]["hits"].as_array().unwrap().len(), 1);
    for flag in ["--text-field", "--id-field", "--vector-field", "--input-format"] {
        run(&place, &["search", "--index", "texts", flag, "tsv", "york"]).fails(2);
    }
}

/// Indexes that version 0.1.0 made before an index held the hashes of its model.
#[test]
fn an_index_of_an_earlier_version_answers_as_it_did() {
    let place = folder();
    let old = fixture("index-0.1.0");
    let docs = old.join("docs.jsonl");
    let (texts, vectors) = (old.join("texts"), old.join("vectors"));
    let [docs, texts, vectors] = [&docs, &texts, &vectors].map(|path| path.to_str().unwrap());
    let build = [
        "index", "build", "--model", "tiny", "--quiet", "--input", docs, "--keep", "title", "--output", "new",
    ];
    run(&place, &build).ok();
    let u8 =
        ["index", "build", "--model", "tiny", "--quiet", "--input", docs, "--codec", "u8", "--output", "u8"];
    run(&place, &u8).ok();
    for (old, new, model) in
        [(texts, "new", &[][..]), (texts, "new", &["--model", "tiny"]), (vectors, "u8", &["--model", "tiny"])]
    {
        for query in ["weather in new york", "how to make bread"] {
            let ask = |index: &str| {
                let args = ["search", "--index", index, "--json", "--explain", query];
                let more: &[&str] = if new == "new" { &["--fields"] } else { &[] };
                run(&place, &[&args[..], more, model].concat()).ok()
            };
            assert_eq!(ask(old), ask(new));
        }
        let info = run(&place, &["index", "info", old, "--verify"]).ok();
        assert!(has_line(&info, "verified every byte") && has_line(&info, "documents 3"), "{info}");
    }
    let other = fixture("bert-tied");
    let args = ["search", "--index", texts, "--model", other.to_str().unwrap(), "york"];
    let stderr = run(&place, &args).fails(1);
    assert!(stderr.contains("the index was made with `tiny`, and hashes do not tell"), "{stderr}");
}

/// What a row is decides what is made of it, also where it cannot be read twice.
#[test]
fn the_first_row_of_a_stream_tells_texts_and_vectors_apart() {
    let place = place();
    let read = |name: &str| fs::read(place.path().join(name)).unwrap();
    let (texts, vectors) = (read("docs.jsonl"), read("vectors.jsonl"));
    let built = |name: &str, input: &str, stdin: &[u8], more: &[&str]| {
        let args = ["index", "build", "--model", "tiny", "--quiet", "--input", input, "--output", name];
        let program = neural_sparse(&[&args[..], more].concat()).in_folder(place.path());
        program.stdin(stdin).run().ok();
        fs::read(place.path().join(name).join("index.nsi")).unwrap()
    };
    let (of_texts, of_vectors) = (built("t", "docs.jsonl", b"", &[]), built("v", "vectors.jsonl", b"", &[]));
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let with_blanks = [&b"\xef\xbb\xbf\n \n"[..], &vectors].concat();
    for (number, (stdin, expected)) in [
        (texts.clone(), &of_texts),
        (zstd(&texts), &of_texts),
        (vectors.clone(), &of_vectors),
        (zstd(&vectors), &of_vectors),
        (with_blanks, &of_vectors),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(built(&format!("stdin{number}"), "-", &stdin, &[]) == *expected, "input {number}");
    }
    let csv = "id,text\n1,\"weather, in new york\"\n";
    fs::write(place.path().join("docs.csv"), csv).unwrap();
    let format = ["--input-format", "csv"];
    let expected = built("c", "docs.csv", b"", &format);
    assert!(built("stdin-csv", "-", csv.as_bytes(), &format) == expected);
}

#[cfg(unix)]
#[test]
fn the_first_row_of_a_pipe_with_a_name_is_not_lost() {
    let place = place();
    let vectors = fs::read(place.path().join("vectors.jsonl")).unwrap();
    let args = ["index", "build", "--model", "tiny", "--quiet", "--input", "vectors.jsonl", "--output", "v"];
    run(&place, &args).ok();
    let made = std::process::Command::new("mkfifo").arg(place.path().join("pipe")).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let pipe = place.path().join("pipe");
    let writer = std::thread::spawn(move || fs::write(pipe, vectors).unwrap());
    run(&place, &["index", "build", "--model", "tiny", "--quiet", "--input", "pipe", "--output", "p"]).ok();
    writer.join().unwrap();
    let index = |name: &str| fs::read(place.path().join(name).join("index.nsi")).unwrap();
    assert!(index("p") == index("v"));
}
