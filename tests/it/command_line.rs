//! What holds for every subcommand: its help, its examples, and the look of its errors.

use std::fs;

use serde_json::{json, Value};

use crate::examples::{below, help, inputs, pages, words};
use crate::program::{folder, neural_sparse, Finished};

#[test]
fn the_examples_of_every_subcommand_run() {
    let place = folder();
    inputs(place.path());
    let mut done: Vec<String> = Vec::new();
    for (path, page) in pages() {
        let examples = below(&page, "Examples:");
        assert!(!examples.is_empty(), "{path:?} has no examples");
        for example in examples {
            if done.iter().any(|line| line == example) {
                continue;
            }
            let words = words(example);
            assert_eq!(words[0], "neural-sparse", "{example}");
            let finished = neural_sparse(&words[1..])
                .env("NEURAL_SPARSE_MODEL", "tiny")
                .env("XDG_CACHE_HOME", place.path().join("cache"))
                .in_folder(place.path())
                .run();
            assert_eq!(finished.code, Some(0), "{example}: {}", finished.stderr);
            done.push(example.to_string());
        }
    }
    assert!(done.len() > 25, "{done:?}");
}

#[test]
fn options_stand_under_headings() {
    for (arguments, headings) in [
        (
            &["encode"][..],
            &["Arguments:", "Input:", "Output:", "Model:", "Hub:", "Vectors:", "Long texts:", "Options:"][..],
        ),
        (&["search"], &["Input:", "Output:", "Search:", "Model:", "Hub:"]),
        (&["index", "build"], &["Input:", "Output:", "Model:", "Vectors:"]),
    ] {
        let path: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let page = help(&path);
        for heading in headings {
            assert!(page.lines().any(|line| line == *heading), "{arguments:?} {heading}: {page}");
        }
    }
}

fn run(arguments: &[&str]) -> Finished {
    neural_sparse(arguments).run()
}

#[test]
fn every_usage_error_has_the_same_look() {
    for arguments in [
        // What clap finds, and what we do.
        &["encode", "--topk", "3", "x"][..],
        &["encode", "--on-long", "never"],
        &["index", "build"],
        &["nosuch"],
        &["score", "x"],
        &["convert"],
        &["encode", "--input", "x.jsonl", "--chunk-rows"],
        &["model", "show", "tiny", "--max-length", "4,5"],
    ] {
        let stderr = run(arguments).fails(2);
        assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
        let hints = stderr.lines().filter(|line| line.starts_with("hint: ")).count();
        assert!(hints > 0, "{arguments:?}: {stderr}");
        assert!(stderr.contains("\n\nhint: "), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("Usage:") && !stderr.contains("tip:"), "{arguments:?}: {stderr}");
    }
    let stderr = run(&["index", "build"]).fails(2);
    assert!(stderr.contains("`neural-sparse index build --help`"), "{stderr}");
}

#[test]
fn errors_are_coloured_for_who_wants_it() {
    let plain = run(&["encode", "--topk", "3", "x"]).fails(2);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let coloured = |arguments: &[&str]| neural_sparse(arguments).env("CLICOLOR_FORCE", "1").run().fails(2);
    let paint = |label: &str, colour: u8| format!("\u{1b}[1m\u{1b}[{colour}m{label}\u{1b}[0m ");
    for arguments in [&["encode", "--topk", "3", "x"][..], &["score", "x"]] {
        let stderr = coloured(arguments);
        assert!(stderr.starts_with(&paint("error:", 31)), "{stderr:?}");
        assert!(stderr.contains(&format!("\n{}", paint("hint:", 32))), "{stderr:?}");
    }
    let none = neural_sparse(&["score", "x"]).env("NO_COLOR", "1").run().fails(2);
    assert!(!none.contains('\u{1b}'), "{none:?}");
}

#[test]
fn the_models_commands_write_json() {
    let printed = run(&["model", "list", "--json"]).ok();
    let models: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(models.len(), neural_sparse::known::KNOWN_MODELS.len());
    let tiny = models.iter().find(|model| model["name"] == "tiny").unwrap();
    assert_eq!((&tiny["ndcg@10"], &tiny["marks"]), (&json!(0.406), &json!([])));
    let splade = models.iter().find(|model| model["name"] == "naver/splade-v3").unwrap();
    assert_eq!(splade["marks"], json!(["non-commercial", "gated"]));

    let shown: Value = serde_json::from_str(&run(&["model", "show", "tiny", "--json"]).ok()).unwrap();
    let table = run(&["model", "show", "tiny"]).ok();
    let decisions = shown["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), table.lines().count() - 1, "{table}");
    assert_eq!((&shown["model"], &decisions[0]["what"]), (&json!("tiny"), &json!("architecture")));

    let verified: Value = serde_json::from_str(&run(&["model", "verify", "tiny", "--json"]).ok()).unwrap();
    assert_eq!((&verified["pass"], verified["checks"].as_array().unwrap().len()), (&json!(true), 5 + 1 + 1));

    let place = folder();
    let golden = place.path().join("golden.jsonl");
    let vector = run(&["encode", "--model", "tiny", "rain"]).ok();
    fs::write(&golden, format!("{{\"text\": \"rain\", \"vector\": {}}}\n", vector.trim())).unwrap();
    let printed = run(&["model", "verify", "tiny", "--json", "--golden", golden.to_str().unwrap()]).ok();
    let verified: Value = serde_json::from_str(&printed).unwrap();
    assert!(verified["pass"].as_array().unwrap().contains(&json!("card")), "{verified}");
    fs::write(&golden, "{\"text\": \"rain\", \"vector\": {\"rain\": 99}}\n").unwrap();
    let finished = run(&["model", "verify", "tiny", "--json", "--golden", golden.to_str().unwrap()]);
    let verified: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((finished.code, &verified["pass"]), (Some(1), &json!([])));
}

#[test]
fn an_option_that_changes_nothing_is_refused() {
    let place = folder();
    inputs(place.path());
    let golden = place.path().join("docs.jsonl");
    let golden = golden.to_str().unwrap();
    for (arguments, flag) in [
        (&["encode", "--chunk-overlap", "8", "--input", golden][..], "--chunk-overlap"),
        (&["encode", "--chunk-rows", "--input", golden], "--chunk-rows"),
        (&["encode", "--resume", "x"], "--resume"),
        (&["encode", "--text-field", "text", "x"], "--text-field"),
        (&["encode", "--input", golden, "--quantize", "9"], "--quantize"),
        (
            &["encode", "--input", golden, "--output", "m.npz", "--format", "csr-npz", "--vector-field", "v"],
            "--vector-field",
        ),
        (
            &["encode", "--input", golden, "--output", "c", "--format", "ciff", "--vector-field", "v"],
            "--vector-field",
        ),
        (&["score", "--query-field", "q", "a", "b"], "--query-field"),
        (&["target", "query", "opensearch", "--id-field", "q", "a"], "--id-field"),
        (&["target", "query", "qdrant", "--two-phase", "a"], "--two-phase"),
        (&["target", "mapping", "opensearch", "--keep", "a"], "--keep"),
        (&["model", "show", "tiny", "--model", "other"], "--model"),
        (&["model", "show", "tiny", "--threads", "2"], "--threads"),
        (&["model", "verify", "tiny", "--golden", golden, "--dialect", "card"], "--dialect"),
    ] {
        let stderr = neural_sparse(arguments).env("NEURAL_SPARSE_MODEL", "tiny").run().fails(2);
        assert!(stderr.contains(flag) && stderr.contains("hint: "), "{arguments:?}: {stderr}");
    }
    // The variable is no option.
    let shown = neural_sparse(&["model", "show", "tiny"]).env("NEURAL_SPARSE_MODEL", "other").run();
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
}

#[test]
fn long_texts_are_told_in_one_grammar() {
    let text = "{\"id\":1,\"text\":\"the old house by the river was cold and nobody lived in it\"}\n";
    let encode = |more: &[&str]| {
        let arguments = ["encode", "--model", "tiny", "--quiet", "--max-length", "8", "--input", "-"];
        neural_sparse(&[&arguments, more].concat()).stdin(text).run()
    };
    let chunks = encode(&["--on-long", "chunk", "--chunk-overlap", "2"]).ok();
    assert_eq!(encode(&["--on-long", "chunk=2"]).ok(), chunks);
    let rows = encode(&["--on-long", "chunk", "--chunk-overlap", "2", "--chunk-rows"]).ok();
    assert_eq!(encode(&["--on-long", "chunk-rows=2"]).ok(), rows);
    assert!(rows.lines().count() > 1 && chunks.lines().count() == 1);
    assert!(encode(&["--on-long", "error"]).fails(1).contains("8 are the limit"));
    let stderr = encode(&["--on-long", "chunk=2", "--chunk-overlap", "3"]).fails(2);
    assert!(stderr.contains("--chunk-overlap"), "{stderr}");
    assert!(encode(&["--on-long", "chunk=x"]).fails(2).contains("not a number of tokens"));
}
