//! `model list`, `show`, `pull` and `verify` as their users call them.

use std::fs;

use serde_json::Value;

use neural_sparse::known::{find, KNOWN_MODELS};

use crate::hub_server::HubServer;
use crate::program::{copied, fixture, folder, json_lines, neural_sparse};

const V2_DISTILL: &str = "opensearch-project/opensearch-neural-sparse-encoding-v2-distill";

fn model(command: &str, folder: &str) -> crate::program::Program {
    let path = fixture(folder);
    neural_sparse(&["model", command, path.to_str().unwrap()])
}

#[test]
fn list_knows_the_family() {
    let out = neural_sparse(&["model", "list"]).run().ok();
    for name in [
        "tiny",
        "v1",
        "v2-distill",
        "doc-v1",
        "doc-v2-distill",
        "doc-v2-mini",
        "doc-v3-distill",
        "doc-v3-gte",
    ] {
        assert!(out.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
    }
    let line = out.lines().find(|line| line.starts_with("v2-distill ")).unwrap();
    for figure in ["67.0 M", "0.528", "8.3", "Apache-2.0", V2_DISTILL] {
        assert!(line.contains(figure), "{line}");
    }
}

#[test]
fn list_says_what_may_be_done_with_a_model() {
    let out = neural_sparse(&["model", "list"]).run().ok();
    for (name, parts) in [
        ("tiny", &["MIT", "0.309"][..]),
        ("naver/splade-v3", &["CC-BY-NC-SA-4.0", "non-commercial, gated", "0.517", "0.402"]),
        ("naver/efficient-splade-VI-BT-large-doc", &["another model", "non-commercial"]),
        ("naver/splade-v3-lexical", &["its own words"]),
        ("doc-v3-gte", &["Apache-2.0", "unconfirmed", "0.546"]),
        ("ibm-granite/granite-embedding-30m-sparse", &["RoBERTa", "Apache-2.0"]),
    ] {
        let line = out.lines().find(|line| line.split_whitespace().next() == Some(name)).expect(name);
        for part in parts {
            assert!(line.contains(part), "{line}");
        }
    }
}

#[test]
fn every_known_model_is_found_by_its_names() {
    for known in &KNOWN_MODELS {
        for name in [known.name, known.hub_id] {
            assert!(
                find(name).is_some_and(|found| std::ptr::eq(found, known)),
                "{name} stands for two models"
            );
        }
        assert!(!known.architecture.is_empty() && known.million_parameters > 0.0, "{}", known.name);
        // A name with a slash could be taken for another repository.
        assert!(!known.name.contains('/') || known.name == known.hub_id, "{}", known.name);
        let published = known.goldens.iter().filter(|golden| golden.source.contains("sentence-transformers"));
        assert!(published.clone().all(|golden| golden.kept_special_tokens), "{}", known.name);
    }
}

#[test]
fn show_names_each_decision_and_the_file_that_made_it() {
    let out = model("show", "bert-tied").run().ok();
    for (what, value, file) in [
        ("architecture", "BERT", "config.json"),
        ("decoder ", "tied", "no tensor"),
        ("special tokens", "[MASK] 4", "special_tokens_map.json"),
        ("maximum length", "64 tokens", "max_position_embeddings"),
        ("checkpoint", "bert.pooler.dense.bias", "model.safetensors"),
    ] {
        let line = out.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {out}"));
        assert!(line.contains(value) && line.contains(file), "{line}");
    }
    let out = model("show", "bert-log1p-relu").run().ok();
    assert!(out.contains("ln(1 + ln(1 + max(0, x)))") && out.contains("1_SpladePooling"), "{out}");
    assert!(out.contains("48 tokens") && out.contains("max_seq_length"), "{out}");
    let out = model("show", "bert-decoder-differs-true").run().ok();
    assert!(out.contains("its own matrix, as transformers 5 reads it"), "{out}");
}

#[test]
fn verify_passes_the_built_in_model() {
    let out = neural_sparse(&["model", "verify", "tiny"]).run().ok();
    assert!(out.ends_with("PASS\n") && !out.contains("FAIL"), "{out}");
    assert_eq!(out.lines().filter(|line| line.starts_with("pass")).count(), 5 + 1 + 1, "{out}");
}

#[test]
fn verify_has_a_second_opinion_on_every_layout() {
    for folder in
        ["bert-untied-sharded", "distilbert-f16", "distilbert-untied-noprefix", "bert-bin", "bert-log1p-relu"]
    {
        let out = model("verify", folder).run().ok();
        assert!(out.contains("candle-transformers' BERT") && out.ends_with("PASS\n"), "{folder}: {out}");
        assert!(out.contains("none: not a model that is known by name"), "{out}");
    }
}

/// What candle-transformers has no model for is compared with our own forward pass in candle's tensors.
#[test]
fn verify_has_another_forward_where_nobody_else_has_the_model() {
    for folder in ["modernbert", "modernbert-biased", "gte-new", "st6-symmetric-sum"] {
        let out = model("verify", folder).run().ok();
        let other =
            if folder.starts_with("st6") { "candle-transformers' BERT" } else { "in candle's tensors" };
        assert!(out.contains(other) && out.ends_with("PASS\n"), "{folder}: {out}");
    }
    let model = copied("bert-tied");
    let config = model.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"gelu\"", "\"silu\"")).unwrap();
    let out = neural_sparse(&["model", "verify", model.path().to_str().unwrap()]).run().ok();
    assert!(out.contains("in candle's tensors") && out.ends_with("PASS\n"), "{out}");
}

/// Rows of a golden file: texts of the fixtures with what PyTorch or sentence-transformers gives for them.
fn golden_file(folder: &std::path::Path, golden: &str, change: impl Fn(&mut Value)) -> String {
    let texts = json_lines(&fixture("texts.jsonl"));
    let text = |id: &Value| texts.iter().find(|row| row["id"] == *id).unwrap()["text"].clone();
    let mut lines = String::new();
    for mut row in json_lines(&fixture(golden)).into_iter().filter(|row| row["id"] != "tokens-600") {
        row["text"] = text(&row["id"]);
        change(&mut row);
        lines += &format!("{row}\n");
    }
    let path = folder.join("golden.jsonl");
    fs::write(&path, lines).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn verify_says_under_which_dialect_golden_vectors_come_out() {
    let home = folder();
    let verify = |model: &str, golden: &str, more: &[&str]| {
        let model = fixture(model);
        let all = [&["model", "verify", model.to_str().unwrap(), "--golden", golden], more].concat();
        neural_sparse(&all).run()
    };
    // PyTorch's, special tokens set to 0, in our own format.
    let golden = golden_file(home.path(), "bert-tied/reference.jsonl", |_| {});
    let out = verify("bert-tied", &golden, &[]).ok();
    assert!(out.ends_with("PASS: card, ml-commons\n"), "{out}");
    // sentence-transformers' own, in its format.
    let golden = golden_file(home.path(), "st5-router/documents.jsonl", |_| {});
    let out = verify("st5-router", &golden, &["--as", "document"]).ok();
    assert!(out.ends_with("PASS: sentence-transformers\n"), "{out}");
    let card = out.lines().find(|line| line.starts_with("card")).unwrap();
    assert!(card.contains("line 1") && card.contains("`[") && card.contains("ours 0"), "{card}");
    let golden = golden_file(home.path(), "st5-router/queries.jsonl", |row| row["side"] = "query".into());
    let out = verify("st5-router", &golden, &[]).ok();
    assert!(out.ends_with("PASS: sentence-transformers\n"), "{out}");
    // One weight that is off is found.
    let golden = golden_file(home.path(), "bert-tied/reference.jsonl", |row| {
        if row["id"] == "card-document" {
            row["vector"]["rain"] = 9.25.into();
        }
    });
    let finished = verify("bert-tied", &golden, &[]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.ends_with("FAIL: no dialect gives these numbers\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains("theirs 9.25"), "{}", finished.stdout);
}

/// A checkpoint that is not the known model must be found out, loudly.
#[test]
fn verify_fails_a_known_model_whose_numbers_are_others() {
    let files = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(|name| (name.to_string(), fs::read(fixture("bert-tied").join(name)).unwrap()));
    let server = HubServer::start(V2_DISTILL, files.to_vec());
    let home = folder();
    let finished = neural_sparse(&["model", "verify", "v2-distill", "--quiet"])
        .env("HF_ENDPOINT", server.endpoint())
        .env("HF_HOME", home.path())
        .env("HF_HUB_OFFLINE", "0")
        .run();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.ends_with("FAIL\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains("published 38.6112, differs by"), "{}", finished.stdout);
    assert!(finished.stdout.contains("of 49 published"), "{}", finished.stdout);
}

#[test]
fn pull_downloads_once() {
    let files = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(|name| (name.to_string(), fs::read(fixture("bert-tied").join(name)).unwrap()));
    let server = HubServer::start("org/model", files.to_vec());
    let home = folder();
    let pull = || {
        neural_sparse(&["model", "pull", "org/model", "--quiet"])
            .env("HF_ENDPOINT", server.endpoint())
            .env("HF_HOME", home.path())
            .env("HF_HUB_OFFLINE", "0")
            .run()
            .ok()
    };
    let first = pull();
    assert!(
        first.contains("downloaded model.safetensors") && first.contains("`org/model` is in "),
        "{first}"
    );
    let second = pull();
    assert!(second.contains("3 files there already") && !second.contains("downloaded"), "{second}");
    assert!(neural_sparse(&["model", "pull", "tiny"]).run().ok().contains("built in"));
}

/// `neural-sparse` with this hub and this cache.
fn with_hub(server: &HubServer, home: &tempfile::TempDir, arguments: &[&str]) -> crate::program::Program {
    neural_sparse(arguments)
        .env("HF_ENDPOINT", server.endpoint())
        .env("HF_HOME", home.path())
        .env("HF_HUB_OFFLINE", "0")
}

#[test]
fn pull_as_query_leaves_the_checkpoint() {
    let mut files = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(|name| (name.to_string(), fs::read(fixture("bert-tied").join(name)).unwrap()))
        .to_vec();
    files.push(("idf.json".into(), b"{}".to_vec()));
    let server = HubServer::start("org/model", files);
    let home = folder();
    let out =
        with_hub(&server, &home, &["model", "pull", "org/model", "--as", "query", "--quiet"]).run().ok();
    assert!(out.contains("downloaded idf.json") && !out.contains("model.safetensors"), "{out}");
    let stderr =
        with_hub(&server, &home, &["encode", "--model", "org/model", "--offline", "x"]).run().fails(1);
    assert!(stderr.contains("model.safetensors") && stderr.contains("--as query"), "{stderr}");
    let out = with_hub(&server, &home, &["model", "pull", "org/model", "--quiet"]).run().ok();
    assert!(out.contains("downloaded model.safetensors") && out.contains("3 files there already"), "{out}");
}

#[test]
fn a_licence_that_limits_the_use_is_noted_before_a_download() {
    const ID: &str = "naver/splade-v3-distilbert";
    const NOTE: &str =
        "note: `naver/splade-v3-distilbert` is licensed CC-BY-NC-SA-4.0: non-commercial use only\n";
    let files = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(|name| (name.to_string(), fs::read(fixture("bert-tied").join(name)).unwrap()));
    let server = HubServer::start(ID, files.to_vec());
    let home = folder();
    let encode = ["encode", "--model", ID, "--as", "document", "x"];
    let finished = with_hub(&server, &home, &encode).run();
    assert!(finished.stderr.contains(NOTE), "{}", finished.stderr);
    // Once it is there, it is used without a word.
    let finished = with_hub(&server, &home, &encode).run();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    let pulled = with_hub(&server, &home, &["model", "pull", ID]).run();
    assert_eq!((pulled.code, pulled.stderr.as_str()), (Some(0), NOTE));
    let pulled = with_hub(&server, &home, &["model", "pull", ID, "--quiet"]).run();
    assert_eq!((pulled.code, pulled.stderr.as_str()), (Some(0), ""));
}

#[test]
fn pull_refuses_an_architecture_that_cannot_be_run() {
    let config = br#"{"model_type": "t5"}"#.to_vec();
    let server = HubServer::start("org/model", vec![("config.json".into(), config)]);
    let stderr = with_hub(&server, &folder(), &["model", "pull", "org/model"]).run().fails(1);
    assert!(
        stderr.contains("model_type `t5` is not supported") && stderr.contains("hint: supported: `bert`")
    );
}

#[test]
fn a_hub_that_cannot_be_reached_has_a_hint() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let home = folder();
    let stderr = neural_sparse(&["encode", "x"])
        .env("HF_ENDPOINT", &endpoint)
        .env("HF_HOME", home.path())
        .env("HF_HUB_OFFLINE", "0")
        .run()
        .fails(1);
    assert!(
        stderr.contains(&endpoint) && stderr.contains("--model tiny") && stderr.contains("model pull"),
        "{stderr}"
    );
}
