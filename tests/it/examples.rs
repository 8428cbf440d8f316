//! The help of every subcommand, its examples, and the files that those read.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::program::neural_sparse;

/// The help of a subcommand.
pub fn help(path: &[String]) -> String {
    neural_sparse(&[path, &["--help".to_string()]].concat()).run().ok()
}

/// The lines under a title of a page of help, up to the next one.
pub fn below<'a>(page: &'a str, title: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != title).skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(str::trim_start).collect()
}

/// The names that call each subcommand, and its help; depth first, in the order of the help.
pub fn pages() -> Vec<(Vec<String>, String)> {
    let mut pages = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let page = help(&path);
        let names: Vec<&str> = below(&page, "Commands:")
            .into_iter()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help" && page.contains(&format!("\n  {name} ")))
            .collect();
        waiting.extend(names.iter().rev().map(|name| [&path[..], &[name.to_string()]].concat()));
        pages.push((path, page));
    }
    pages
}

/// Everything that the examples read.
pub fn inputs(folder: &Path) {
    let documents = [("d1", "Rain in New York"), ("d2", "Cats sleep"), ("d3", "The weather in Paris")];
    let rows = |field: &str| -> String {
        documents.iter().map(|(id, text)| format!("{}\n", json!({"_id": id, field: text}))).collect()
    };
    fs::write(folder.join("docs.jsonl"), rows("text")).unwrap();
    let pairs: String = documents
        .iter()
        .map(|(_, text)| format!("{}\n", json!({"query": "weather in ny", "document": text})))
        .collect();
    fs::write(folder.join("pairs.jsonl"), pairs).unwrap();
    fs::write(folder.join("queries.tsv"), "q1\tweather in ny\nq2\tcats\n").unwrap();
    fs::write(folder.join("qrels.tsv"), "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n").unwrap();
    let collection = folder.join("collection");
    fs::create_dir_all(collection.join("qrels")).unwrap();
    fs::copy(folder.join("docs.jsonl"), collection.join("corpus.jsonl")).unwrap();
    fs::write(
        collection.join("queries.jsonl"),
        "{\"_id\":\"q1\",\"text\":\"weather\"}\n{\"_id\":\"q2\",\"text\":\"cats\"}\n",
    )
    .unwrap();
    fs::copy(folder.join("qrels.tsv"), collection.join("qrels/test.tsv")).unwrap();
}

/// The words of a line, as a shell would split it.
pub fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in line.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            character => words.last_mut().unwrap().push(character),
        }
    }
    words
}
