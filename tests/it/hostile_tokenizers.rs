//! Tokenizers that break the library which reads them, and texts that would fill memory: an error of one line, of the
//! model or of the row.

use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::program::{copied, folder, neural_sparse, Finished};

/// The model of a fixture with another tokenizer.
fn changed(change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let model = copied("bert-tied");
    let path = model.path().join("tokenizer.json");
    let mut tokenizer = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut tokenizer);
    fs::write(path, tokenizer.to_string()).unwrap();
    // BERT's own class would take nothing but the vocabulary from the file.
    let class = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
    fs::write(model.path().join("tokenizer_config.json"), class.to_string()).unwrap();
    model
}

fn encode(model: &Path, text: &str) -> Finished {
    neural_sparse(&["encode", "--model", model.to_str().unwrap(), "--", text]).run()
}

/// Asserts that a model fails to load or to encode `text` with one line that says so.
#[track_caller]
fn assert_refused(model: &Path, text: &str, says: &str) {
    let run = encode(model, text);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains(says), "{run:?}");
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{run:?}");
}

/// BPE with this vocabulary and merges, in place of the model.
fn bpe(vocab: Value, merges: Value, prefix: &str) -> Value {
    json!({"type": "BPE", "unk_token": "[UNK]", "continuing_subword_prefix": prefix, "vocab": vocab, "merges": merges})
}

#[test]
fn a_panic_while_a_tokenizer_is_loaded_is_an_error_of_its_file() {
    let special =
        json!({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5, "b": 6, "ab": 7});
    let cases: [(&str, Value); 4] = [
        ("model", bpe(special, json!([["a", "b"]]), "a prefix longer than the tokens")),
        ("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})),
        ("pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
        (
            "post_processor",
            json!({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}], "pair": [],
                   "special_tokens": {}}),
        ),
    ];
    for (part, value) in cases {
        let model = changed(|tokenizer| tokenizer[part] = value);
        assert_refused(model.path(), "a text", "tokenizer.json`: ");
    }
}

#[test]
fn a_token_id_that_is_far_away_is_refused() {
    for id in [u32::MAX, 5_000_000] {
        let model = changed(|tokenizer| tokenizer["model"]["vocab"]["hello"] = id.into());
        assert_refused(model.path(), "hello", &format!("the id of `hello` is {id}"));
    }
    // One that is near is compared with the rows of the model.
    let model = changed(|tokenizer| tokenizer["model"]["vocab"]["hello"] = 1_000_000.into());
    assert_refused(model.path(), "hello", "the tokenizer has 1000001 tokens");
}

#[test]
fn a_normalizer_that_makes_a_text_endless_is_refused() {
    let replace =
        |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let steps = |steps: Vec<Value>| json!({"type": "Sequence", "normalizers": steps});
    let model = changed(|tokenizer| {
        tokenizer["normalizer"] = steps(vec![replace("a", &"a".repeat(1000)); 4]);
    });
    assert_refused(model.path(), "a text", "can make a text 1000000000000 times as long");
    let model = changed(|tokenizer| tokenizer["normalizer"] = steps(vec![json!({"type": "NFC"}); 1000]));
    assert_refused(model.path(), "a text", "its normalizer has 1000 steps");
    // What a text becomes is bounded too, and a short text is none the worse for it.
    let model = changed(|tokenizer| tokenizer["normalizer"] = replace("a", &"a".repeat(1000)));
    assert_eq!(encode(model.path(), "a text").code, Some(0));
    assert_refused(model.path(), &"a".repeat(100_000), "when they are normalized");
}

#[test]
fn deep_nesting_is_refused() {
    let mut normalizer = "{\"type\": \"NFC\"}".to_string();
    for _ in 0..10_000 {
        normalizer = format!("{{\"type\": \"Sequence\", \"normalizers\": [{normalizer}]}}");
    }
    let model = changed(|tokenizer| tokenizer["normalizer"] = "the nested one".into());
    let path = model.path().join("tokenizer.json");
    let json = fs::read_to_string(&path).unwrap().replace("\"the nested one\"", &normalizer);
    fs::write(path, json).unwrap();
    assert_refused(model.path(), "a text", "recursion limit");
    let pattern = format!("{}a{}", "(".repeat(50_000), ")".repeat(50_000));
    let model = changed(|tokenizer| {
        tokenizer["pre_tokenizer"] =
            json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    });
    assert_refused(model.path(), "a text", "tokenizer.json`: ");
}

#[test]
fn a_text_that_breaks_the_tokenizer_is_an_error_of_its_row() {
    let model = changed(|tokenizer| {
        tokenizer["pre_tokenizer"] = json!({"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": false});
    });
    let bad = "x".repeat(40);
    assert_refused(model.path(), &bad, "the tokenizer failed: ");

    let place = folder();
    let rows = [json!({"text": "the first"}), json!({"text": bad}), json!({"text": "the last"})];
    fs::write(place.path().join("rows.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    for command in [&["encode"][..], &["encode", "--on-long", "chunk"], &["explain"]] {
        let model = model.path().to_str().unwrap();
        let args = [
            command,
            &["--model", model, "--input", "rows.jsonl", "--on-error", "skip", "--rejects", "rejects.jsonl"],
        ];
        let run = neural_sparse(&args.concat()).in_folder(place.path()).run();
        assert_eq!((run.code, run.stdout.lines().count()), (Some(3), 2), "{run:?}");
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        let rejects = fs::read_to_string(place.path().join("rejects.jsonl")).unwrap();
        assert_eq!(rejects.lines().count(), 1, "{rejects}");
        assert!(rejects.contains("\"line\":2") && rejects.contains("the tokenizer failed: "), "{rejects}");
        fs::remove_file(place.path().join("rejects.jsonl")).unwrap();
    }
    let pairs = [json!({"query": "the", "document": "the first"}), json!({"query": "the", "document": bad})];
    fs::write(place.path().join("pairs.jsonl"), pairs.map(|row| row.to_string()).join("\n")).unwrap();
    let args =
        ["score", "--model", model.path().to_str().unwrap(), "--input", "pairs.jsonl", "--on-error", "skip"];
    let run = neural_sparse(&args).in_folder(place.path()).run();
    assert_eq!((run.code, run.stdout.lines().count()), (Some(3), 1), "{run:?}");

    // Plain lines are each answered.
    let lines = format!("the first\n{bad}\nthe last\n");
    let run = neural_sparse(&["encode", "--model", model.path().to_str().unwrap()]).stdin(lines).run();
    let answers: Vec<&str> = run.stdout.lines().collect();
    assert_eq!((run.code, answers.len(), answers[1]), (Some(3), 3, "{}"), "{run:?}");
    assert!(run.stderr.contains("line 2: the tokenizer failed: "), "{run:?}");
}

/// The most memory that a run held, in kilobytes.
#[cfg(target_os = "linux")]
fn peak_kilobytes(args: &[&str], place: &Path) -> u64 {
    let mut child = neural_sparse(args).in_folder(place).into_command().spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = kilobytes.unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn memory_follows_the_limit_and_not_the_text() {
    let place = folder();
    let path = place.path().join("row.jsonl");
    let args = ["encode", "--quiet", "--input", "row.jsonl", "--output", "out.jsonl", "--force"];
    for unit in ["!", "a", " ", "e\u{301}", "中", "😀", "\u{301}", "a word and "] {
        fs::write(&path, json!({"text": unit.repeat((16 << 20) / unit.len())}).to_string()).unwrap();
        let peak = peak_kilobytes(&[&args[..], &["--model", "tiny"]].concat(), place.path());
        // The program itself, the line and its text are three quarters of it.
        assert!(peak < 160_000, "{peak} kB for {unit:?}");
    }
}
