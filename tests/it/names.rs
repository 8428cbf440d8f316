//! What a name stands for, and which known model that makes of its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use neural_sparse::hub;
use neural_sparse::known;

use crate::hub_server::{HubServer, COMMIT};
use crate::program::{copied, fixture, folder, json_lines, neural_sparse, Finished, Program};

const V1: &str = "opensearch-project/opensearch-neural-sparse-encoding-v1";

/// The first text of the golden files.
const TEXT: &str = "What's the weather in ny now?";

/// A model whose files leave open which matrix projects on the vocabulary. The authors of v1 mean the embeddings; where
/// nobody is known to have said, it is the stored one.
const OPEN: &str = "bert-decoder-differs-absent";

const NOTE: &str = "stores a decoder that differs from its embeddings: the stored one is used";

fn encode(model: &str, more: &[&str]) -> Program {
    neural_sparse(&[&["encode", "--model", model], more, &[TEXT]].concat())
}

/// Whether a line of the program holds the weights of a golden file, within what PyTorch's sums may differ by.
#[track_caller]
fn assert_golden(line: &str, golden: &str) {
    let rows = json_lines(&fixture(OPEN).join(golden));
    let row = rows.iter().find(|row| row["id"] == "card-query").expect("the text's row");
    let weights = |value: &serde_json::Value| -> BTreeMap<String, f64> {
        let object = value.as_object().expect("a vector");
        object.iter().map(|(term, weight)| (term.clone(), weight.as_f64().expect("a weight"))).collect()
    };
    let (ours, theirs) = (weights(&serde_json::from_str(line).expect("JSON")), weights(&row["vector"]));
    assert!(theirs.len() > 10);
    for term in ours.keys().chain(theirs.keys()) {
        let weight = |of: &BTreeMap<String, f64>| of.get(term).copied().unwrap_or(0.0);
        let (a, b) = (weight(&ours), weight(&theirs));
        assert!((a - b).abs() <= 1e-4, "`{term}` is {a}, {golden} says {b}");
    }
}

/// A cache of the hub that holds [`OPEN`] as v1: the folder for `HF_HOME`, and the snapshot.
fn cached_v1() -> (tempfile::TempDir, PathBuf) {
    let mut files = Vec::new();
    for name in ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"] {
        files.push((name.to_string(), fs::read(fixture(OPEN).join(name)).unwrap()));
    }
    let server = HubServer::start(V1, files);
    let home = folder();
    neural_sparse(&["model", "pull", "v1", "--quiet"])
        .env("HF_ENDPOINT", server.endpoint())
        .env("HF_HOME", home.path())
        .env("HF_HUB_OFFLINE", "0")
        .run()
        .ok();
    let snapshot = home.path().join("hub").join(format!("models--{}", V1.replace('/', "--")));
    let snapshot = snapshot.join("snapshots").join(COMMIT);
    assert!(snapshot.join("model.safetensors").exists());
    (home, snapshot)
}

#[cfg(unix)]
#[test]
fn a_snapshot_of_the_hub_is_the_same_model_by_its_path() {
    let (home, snapshot) = cached_v1();
    let by_id = encode(V1, &[]).env("HF_HOME", home.path()).run().ok();
    assert_golden(&by_id, "tied.jsonl");
    assert_eq!(encode("v1", &[]).env("HF_HOME", home.path()).run().ok(), by_id);

    let link = home.path().join("a-link");
    std::os::unix::fs::symlink(&snapshot, &link).unwrap();
    for path in [snapshot.as_path(), &snapshot.join("."), &link, &snapshot.join("../").join(COMMIT)] {
        let path = path.to_str().unwrap();
        assert_eq!(encode(path, &[]).run().ok(), by_id, "{path}");
        assert_eq!(hub::known_model(path).map(|known| known.name), Some("v1"), "{path}");
    }
    for path in [".", "./", &format!("../{COMMIT}")] {
        assert_eq!(encode(path, &[]).in_folder(&snapshot).run().ok(), by_id, "{path}");
    }

    // Any other folder with the same files, whatever it is called, is nobody's copy: the files leave it open.
    for name in ["copy", "v1", "snapshots", &format!("models--{}", V1.replace('/', "--"))] {
        let copy = home.path().join("copies").join(name);
        fs::create_dir_all(&copy).unwrap();
        for entry in fs::read_dir(&snapshot).unwrap() {
            let path = entry.unwrap().path();
            fs::write(copy.join(path.file_name().unwrap()), fs::read(&path).unwrap()).unwrap();
        }
        let path = copy.to_str().unwrap();
        let finished = encode(path, &[]).run();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stderr.contains(NOTE), "{}", finished.stderr);
        assert!(finished.stderr.contains("`--decoder stored|embeddings`"), "{}", finished.stderr);
        assert_golden(&finished.stdout, "stored.jsonl");
        assert_ne!(finished.stdout, by_id);
        assert!(hub::known_model(path).is_none());
        assert_eq!(encode(path, &["--quiet"]).run().ok(), finished.stdout);
    }
}

#[test]
fn only_the_cache_s_own_layout_makes_a_folder_a_known_model() {
    let home = folder();
    let repo = format!("models--{}", V1.replace('/', "--"));
    for (path, is_known) in [
        (format!("{repo}/snapshots/{COMMIT}"), true),
        (format!("{repo}/snapshots/main"), true),
        (format!("{repo}/snapshots"), false),
        (format!("{repo}/blobs/{COMMIT}"), false),
        (format!("{repo}/snapshots/{COMMIT}/1_SpladePooling"), false),
        (format!("datasets--{repo}/snapshots/{COMMIT}"), false),
        (format!("models--me--mine/snapshots/{COMMIT}"), false),
        ("v1".to_string(), false),
    ] {
        let path = home.path().join(path);
        fs::create_dir_all(&path).unwrap();
        let known = hub::known_model(path.to_str().unwrap());
        assert_eq!(known.map(|known| known.hub_id), is_known.then_some(V1), "{}", path.display());
    }
    assert_eq!(hub::known_model("v1").map(|known| known.hub_id), Some(V1));
}

/// A folder with a model of its own, called like a known one.
fn place_model(working: &Path, name: &str) {
    let model = working.join(name);
    fs::create_dir_all(&model).unwrap();
    for entry in fs::read_dir(fixture("bert-tied")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_folder_comes_before_whatever_else_its_name_means() {
    let expected = encode(fixture("bert-tied").to_str().unwrap(), &[]).run().ok();
    for (name, other) in [
        ("v1", V1),
        (V1, V1),
        ("tiny", "the built-in model"),
        // Its texts need no side: it is not the model that encodes queries differently.
        ("doc-v2-distill", "opensearch-project/opensearch-neural-sparse-encoding-doc-v2-distill"),
    ] {
        let working = folder();
        place_model(working.path(), name);
        let run = |program: Program| -> Finished { program.in_folder(working.path()).run() };
        let note = format!("note: `{name}` is a folder or file here, and that is used; it is not {other}\n");

        let by_name = run(encode(name, &[]));
        assert_eq!((by_name.code, by_name.stderr.as_str()), (Some(0), note.as_str()));
        assert_eq!(by_name.stdout, expected, "{name}");
        assert_eq!(run(encode(name, &["--quiet"])).ok(), expected);
        for path in [format!("./{name}"), working.path().join(name).to_str().unwrap().to_string()] {
            assert_eq!(run(encode(&path, &[])).ok(), expected, "{path}");
        }

        // However often a command opens it.
        let shown = run(neural_sparse(&["model", "show", name]));
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), note.as_str()));
        let verified = run(neural_sparse(&["model", "verify", name]));
        assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), note.as_str()));
        assert!(verified.stdout.contains("none: not a model that is known by name"), "{}", verified.stdout);
        let pulled = run(neural_sparse(&["model", "pull", name]));
        assert_eq!((pulled.code, pulled.stderr.as_str()), (Some(0), note.as_str()));
        assert_eq!(pulled.stdout, format!("`{name}` is in {name}\n"));
        let golden = working.path().join("golden.jsonl");
        fs::write(&golden, format!("{{\"text\": \"{TEXT}\", \"vector\": {}}}\n", expected.trim())).unwrap();
        let golden = golden.to_str().unwrap();
        let verified = run(neural_sparse(&["model", "verify", name, "--golden", golden]));
        assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), note.as_str()));
    }
}

#[test]
fn a_folder_that_holds_no_model_still_comes_first() {
    let working = folder();
    fs::create_dir(working.path().join("tiny")).unwrap();
    let stderr = encode("tiny", &[]).in_folder(working.path()).run().fails(1);
    assert!(stderr.contains("`tiny` is a folder or file here") && stderr.contains("config.json"), "{stderr}");
    assert!(encode("tiny", &[]).run().code == Some(0));
}

#[test]
fn the_decoder_of_a_checkpoint_that_stores_two_can_be_stated() {
    let path = fixture(OPEN);
    let path = path.to_str().unwrap();
    let reading = |model: &str, reading: &str| encode(model, &["--decoder", reading]);
    // Who states it needs no note.
    let (stored, embeddings) = (reading(path, "stored").run().ok(), reading(path, "embeddings").run().ok());
    assert_golden(&stored, "stored.jsonl");
    assert_golden(&embeddings, "tied.jsonl");
    let shown = neural_sparse(&["model", "show", path, "--decoder", "embeddings"]).run().ok();
    assert!(shown.contains("tied to the embeddings, as transformers 4 read it"), "{shown}");

    // It wins over what is known of a model.
    let (home, _) = cached_v1();
    assert_eq!(reading("v1", "stored").env("HF_HOME", home.path()).run().ok(), stored);
    assert_eq!(reading("v1", "embeddings").env("HF_HOME", home.path()).run().ok(), embeddings);

    // Where config.json says it, there is no choice.
    let said = fixture("bert-decoder-differs-false");
    let said = said.to_str().unwrap();
    assert_eq!(reading(said, "embeddings").run().ok(), reading(said, "stored").run().ok());

    let stderr = reading(path, "tied").run().fails(2);
    assert!(stderr.contains("stored") && stderr.contains("embeddings"), "{stderr}");
}

#[test]
fn keys_that_nobody_knows_are_listed() {
    let run =
        |command: &str, model: &Path| neural_sparse(&["model", command, model.to_str().unwrap()]).run().ok();
    let plain = fixture("bert-tied");
    assert!(!run("show", &plain).contains("unknown key"));
    let verified = run("verify", &plain);
    assert!(!verified.contains("the key `") && verified.ends_with("PASS\n"), "{verified}");

    let model = copied("bert-tied");
    let config = model.path().join("config.json");
    crate::bad_models::set(&config, "my_new_key", 1.into());
    let config = config.to_str().unwrap();
    let shown = run("show", model.path());
    let line = shown.lines().find(|line| line.starts_with("unknown key")).expect("a line");
    assert!(line.contains("`my_new_key`") && line.ends_with(config), "{line}");
    let verified = run("verify", model.path());
    let line = verified.lines().find(|line| line.contains("`my_new_key`")).expect("a line");
    assert!(line.starts_with("- ") && line.contains(config), "{line}");
    assert!(verified.ends_with("PASS\n"), "{verified}");
    // It changes no vector.
    let path = model.path().to_str().unwrap();
    assert_eq!(encode(path, &[]).run().ok(), encode(plain.to_str().unwrap(), &[]).run().ok());
}

#[test]
fn a_known_model_is_none_by_the_name_that_messages_use() {
    for name in known::KNOWN_MODELS.iter().flat_map(|known| [known.name, known.hub_id]) {
        let files = neural_sparse::ModelFiles::folder(name, fixture("bert-tied"));
        let options = neural_sparse::EncoderOptions::default();
        let encoder = neural_sparse::SparseEncoder::load(&files, &options).expect(name);
        assert!(!encoder.sides_differ(), "{name}");
    }
}
