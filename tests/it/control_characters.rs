//! What comes from outside never commands a terminal: neither in data, ids and names, nor in arguments, paths and
//! variables, on neither stream.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::examples::{inputs, pages};
use crate::program::{copied, folder, neural_sparse};
use crate::terminal;

/// Sets the title, rings, clears the screen, returns to the beginning of the line, the same as one character of 8 bits, and
/// turns the direction of writing. A file can have this name.
const HOSTILE: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2J\rok\u{9b}2J\u{7f}\u{8}\u{202e}\u{2066}x";

/// Characters that must not be shown. Marks that turn the direction of what follows are none of control, and make a line
/// read as another.
fn is_command(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Runs a call on a terminal that has no colours, where the program has no reason to command it.
fn check(command: Command, told: &str) -> String {
    let mut command = command;
    command.env("TERM", "dumb").env("NO_COLOR", "1");
    let shown = terminal::run(command, 80);
    let text = shown.text();
    assert!([0, 1, 2, 3].map(Some).contains(&shown.code), "{told}: {text}");
    let found: Vec<char> = text
        .chars()
        .filter(|&character| is_command(character) && !matches!(character, '\n' | '\t'))
        .collect();
    assert!(found.is_empty(), "{told}: {found:?} in {text:?}");
    assert!(!text.contains("this is a bug"), "{told}: {text}");
    text
}

fn called(place: &Path, words: &[&str]) -> Command {
    neural_sparse(words)
        .env("NEURAL_SPARSE_MODEL", "tiny")
        .env("XDG_CACHE_HOME", place.join("cache"))
        .in_folder(place)
        .into_command()
}

/// Files with hostile names that hold hostile ids, texts, terms, fields and settings.
fn hostile(place: &Path) {
    inputs(place);
    let id = |number: u8| format!("{HOSTILE}{number}");
    let rows = |rows: &[serde_json::Value]| -> String { rows.iter().map(|row| format!("{row}\n")).collect() };
    let text = format!("rain {HOSTILE} in New York");
    let documents: Vec<_> = (0..3)
        .map(|number| json!({"_id": id(number), "text": text, "title": HOSTILE, HOSTILE: HOSTILE}))
        .collect();
    fs::write(place.join(HOSTILE), rows(&documents)).unwrap();
    let vectors: Vec<_> = (0..3)
        .map(|number| json!({"id": id(number), "vector": {HOSTILE: 1.5, "rain": 0.5}, "text": text, HOSTILE: HOSTILE}))
        .collect();
    fs::write(place.join("vectors"), rows(&vectors)).unwrap();
    let bad = [
        json!({HOSTILE: HOSTILE}),
        json!({"_id": HOSTILE, "text": 5}),
        json!({"_id": {HOSTILE: 1}, "text": "x"}),
    ];
    fs::write(place.join("bad"), rows(&bad) + &format!("{{\"{HOSTILE}\n{HOSTILE}\n")).unwrap();
    fs::write(place.join("bad-vectors"), rows(&[json!({"id": HOSTILE, "vector": {HOSTILE: HOSTILE}})]))
        .unwrap();
    let pairs = [json!({"query": text, "document": text, "id": HOSTILE}), json!({"query": HOSTILE})];
    fs::write(place.join("pairs"), rows(&pairs)).unwrap();
    // An id of a run has no white space.
    let word: String = HOSTILE.chars().filter(|character| !character.is_whitespace()).collect();
    fs::write(place.join("queries"), format!("{word}\train {word}\n")).unwrap();
    fs::write(place.join("qrels"), format!("{word} 0 d1 1\nq2 0 d1 1\n")).unwrap();
    fs::write(place.join("run"), format!("{word} Q0 d1 1 2.5 {word}\nq3 Q0 d1 1 2.5 x\n")).unwrap();
    fs::write(place.join("bad-run"), format!("{word} Q0 d1 1 {word} x\n")).unwrap();
    let collection = place.join(format!("collection{HOSTILE}"));
    fs::create_dir_all(collection.join("qrels")).unwrap();
    fs::write(collection.join("corpus.jsonl"), rows(&documents)).unwrap();
    fs::write(collection.join("queries.jsonl"), rows(&[json!({"_id": "q1", "text": text})])).unwrap();
    fs::write(collection.join("qrels/test.tsv"), format!("query-id\tcorpus-id\tscore\nq1\t{word}0\t1\n"))
        .unwrap();
}

/// Calls that show all of these.
fn calls() -> Vec<Vec<String>> {
    let lines = [
        "encode {H}",
        "encode -i {H}",
        "encode -i {H} --keep-all",
        "encode -i bad",
        "encode -i bad --on-error skip",
        "encode -i no{H}",
        "encode --model {H} x",
        "encode --{H} x",
        "encode --as {H} x",
        "encode --on-long {H} x",
        "encode -i {H} --text-field {H}",
        "encode -i {H} --text-field no{H}",
        "encode -i {H} --id-field no{H}",
        "encode -i {H} --output out{H}",
        "encode -i {H} --output out{H}",
        "encode -i {H} --output out{H} --resume",
        "encode -i {H} -o no/{H}",
        "encode -i {H} -o o2 --summary {H}",
        "encode -i {H} -o o3 --format {H}",
        "encode -i {H} --format opensearch -o o4 --index-name {H}",
        "encode -i bad --on-error skip --rejects rejects{H} -o o5{H}",
        "encode -i {H} --prune {H}",
        "encode -i {H} --shard {H}",
        "encode -i vectors --revision {H} --model a/b",
        "score {H} {H}",
        "score --explain {H} {H}",
        "score -i pairs",
        "score -i pairs --query-field {H}",
        "explain {H}",
        "explain -i {H}",
        "explain --html page{H} {H}",
        "explain --html page{H} {H}",
        "explain -i bad",
        "convert -i vectors",
        "convert -i vectors --format qdrant",
        "convert -i bad-vectors",
        "convert -i bad",
        "convert -i vectors --keep {H}",
        "convert -i vectors --vector-field {H}",
        "convert -i {H} --input-vector-field {H}",
        "index build -i {H} -o index{H} --keep-all",
        "index build -i {H} -o index{H}",
        "index build -i bad -o index2{H}",
        "index build -i vectors -o index3 --keep-all",
        "index info index{H}",
        "index info index3 --json",
        "index info index3",
        "index info no{H}",
        "index info {H}",
        "index info index3 --verify",
        "search --index index{H} rain",
        "search --index index{H} --explain --fields rain {H}",
        "search --index index3 --explain rain",
        "search --index index{H} --json --fields rain",
        "search --index index{H} --queries queries --input-format tsv",
        "search --index index{H} --queries bad",
        "search --index no{H} x",
        "search --index index{H} --model {H} x",
        "search --index index{H} --queries queries --input-format tsv --run run{H}",
        "search --index index{H} --queries queries --input-format tsv --run run{H}",
        "eval --run run --qrels qrels",
        "eval --run bad-run --qrels qrels",
        "eval --run run --qrels {H}",
        "eval --run no{H} --qrels qrels",
        "eval --compare run run --qrels qrels",
        "eval --run run --qrels qrels --per-query per{H}",
        "eval --run run --qrels qrels --measures {H}",
        "eval --data collection{H}",
        "eval --data no{H}",
        "eval --data collection{H} --split {H}",
        "eval cache list",
        "eval cache clear",
        "eval sweep --data collection{H} --prune max_ratio=0.1",
        "eval sweep --data collection{H} --prune {H}",
        "eval sweep --data collection{H} --prune max_ratio=0.1 --baseline {H}",
        "stats vectors",
        "stats vectors --queries vectors --top 9",
        "stats bad-vectors",
        "stats no{H}",
        "stats vectors --text-field {H}",
        "target mapping {H}",
        "target mapping opensearch --vector-field {H}",
        "target mapping vespa --index-name {H}",
        "target mapping milvus --index-name {H} --keep {H}",
        "target query opensearch {H}",
        "target query qdrant -i {H}",
        "target query opensearch -i bad",
        "target pipeline opensearch --model-id {H}",
        "target pipeline {H}",
        "model show {H}",
        "model show no/{H}",
        "model pull {H}",
        "model pull a/{H}",
        "model verify {H}",
        "model list {H}",
        "model verify tiny --golden {H}",
        "{H}",
        "encode --help",
        "model show model",
        "model show model --json",
        "model verify model",
        "model show odd{H}",
        "encode --model odd{H} x",
        "model show tokens{H}",
        "encode --model tokens{H} x",
        "explain --model tokens{H} rain",
    ];
    let word = |word: &str| word.replace("{H}", HOSTILE);
    lines.iter().map(|line| line.split(' ').map(word).collect()).collect()
}

#[test]
fn nothing_from_outside_commands_a_terminal() {
    let place = folder();
    hostile(place.path());
    models(place.path());
    let mut num_escaped = 0;
    let calls = calls();
    for call in &calls {
        let words: Vec<&str> = call.iter().map(String::as_str).collect();
        let text = check(called(place.path(), &words), &format!("{words:?}"));
        num_escaped += usize::from(text.contains("\\u{1b}") || text.contains("\\u001b"));
    }
    // Else the test shows nothing.
    assert!(num_escaped * 2 > calls.len(), "{num_escaped} of {} calls showed anything hostile", calls.len());
}

/// Models whose settings and vocabulary are hostile.
fn models(place: &Path) {
    let odd = copied("bert-tied");
    for name in ["config.json", "tokenizer_config.json"] {
        let path = odd.path().join(name);
        if let Ok(text) = fs::read_to_string(&path) {
            let mut settings: serde_json::Value = serde_json::from_str(&text).unwrap();
            settings[HOSTILE] = HOSTILE.into();
            settings["model_type"] = HOSTILE.into();
            fs::write(&path, settings.to_string()).unwrap();
        }
    }
    fs::rename(odd.keep(), place.join(format!("odd{HOSTILE}"))).unwrap();
    let tokens = copied("bert-tied");
    let path = tokens.path().join("config.json");
    let mut settings: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    settings[HOSTILE] = HOSTILE.into();
    fs::write(&path, settings.to_string()).unwrap();
    fs::rename(tokens.keep(), place.join(format!("tokens{HOSTILE}"))).unwrap();
}

/// No page of help shows a variable's value, and no message shows it raw.
#[test]
fn variables_do_not_command_a_terminal_either() {
    let place = folder();
    inputs(place.path());
    for (mut words, _) in pages() {
        words.push("--help".into());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = format!("{words:?}");
        let text = check(with_hostile_variables(called(place.path(), &words)), &told);
        assert!(!text.contains("pwned"), "{told}: {text}");
    }
    for words in [
        &["encode", "x"][..],
        &["model", "show"],
        &["model", "pull"],
        &["model", "verify"],
        &["score", "a", "b"],
        &["convert", "-i", "docs.jsonl"],
        &["eval", "cache", "list"],
        &["eval", "--data", "collection", "--model", "tiny"],
        &["encode", "--model", "a/b", "x"],
        &["model", "pull", "a/b"],
    ] {
        check(with_hostile_variables(called(place.path(), words)), &format!("{words:?}"));
    }
}

fn with_hostile_variables(mut command: Command) -> Command {
    for name in [
        "NEURAL_SPARSE_MODEL",
        "HF_HOME",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "HF_HUB_CACHE",
        "XDG_CACHE_HOME",
        "HF_HUB_OFFLINE",
    ] {
        command.env(name, HOSTILE);
    }
    command
}
