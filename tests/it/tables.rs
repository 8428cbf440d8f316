//! Tables fit the terminal: no line is wider, whatever is in the cells, and none of it is lost.

use std::fs;

use unicode_width::UnicodeWidthStr;

use crate::examples::inputs;
use crate::program::{fixture, folder, neural_sparse};
use crate::terminal;

/// Calls that print tables.
const CALLS: [&str; 14] = [
    "model list",
    "model show tiny",
    "model verify {model}",
    "index info index",
    "explain {text}",
    "score --explain {text} {text}",
    "stats vectors.jsonl",
    "stats vectors.jsonl --queries vectors.jsonl",
    "eval --data collection",
    "eval --run run.trec --qrels qrels.tsv",
    "eval --compare run.trec run.trec --qrels qrels.tsv",
    "eval sweep --data collection --prune max_ratio=0.1,0.2",
    "eval --run run.trec --qrels qrels.tsv --measures nDCG@10,R@1000,RR@10,P@20,AP,Success@5,Judged@10",
    "eval cache list",
];

/// Characters of two columns, of none, and a word that is longer than a line.
const TEXT: &str = "東京 naïve 42 Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft 👍🏽 e\u{301}";

#[test]
fn no_line_of_a_table_is_wider_than_the_terminal() {
    let place = folder();
    inputs(place.path());
    fs::write(place.path().join("texts.jsonl"), format!("{{\"_id\":\"{TEXT}\",\"text\":\"{TEXT}\"}}\n"))
        .unwrap();
    let called = |line: &str| {
        let model = fixture("bert-tied");
        let word = |word: &str| word.replace("{text}", TEXT).replace("{model}", model.to_str().unwrap());
        let words: Vec<String> = line.split(' ').map(word).collect();
        neural_sparse(&words)
            .env("NEURAL_SPARSE_MODEL", "tiny")
            .env("XDG_CACHE_HOME", place.path().join("cache"))
            .in_folder(place.path())
    };
    for line in [
        "encode -i docs.jsonl -o vectors.jsonl --keep text",
        "index build -i texts.jsonl -o index",
        "index build -i docs.jsonl -o docs-index",
        "search --index docs-index --queries queries.tsv --run run.trec",
    ] {
        let finished = called(line).run();
        assert_eq!(finished.code, Some(0), "{line}: {}", finished.stderr);
    }
    let mut faults = Vec::new();
    for line in CALLS {
        for columns in [40, 80, 120] {
            let shown = terminal::run_for_results(called(line).into_command(), columns);
            let text = shown.text();
            assert_eq!(shown.code, Some(0), "{line}: {text}");
            assert!(text.lines().count() > 1 || line.contains("cache"), "{line}: {text}");
            // A sentence below a table has no columns, and the terminal breaks it.
            let rows = text.lines().filter(|line| line.trim_start().contains("  "));
            let too_wide = rows.filter(|line| line.width() > columns.into());
            faults
                .extend(too_wide.map(|wide| format!("{line}, {columns} columns, {}: {wide}", wide.width())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
