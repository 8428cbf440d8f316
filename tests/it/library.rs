//! The library below the command line: its texts know no flag, no command and no environment variable.

use std::fs;
use std::path::{Path, PathBuf};

/// Sources that may name what others may not.
const EXCEPTIONS: [(&str, &str); 4] = [
    // The options of Anserini, in a comment that says how its files are read.
    ("src/format/anserini.rs", "--impact"),
    // A variable of a style sheet.
    ("src/report", "style=--part"),
    // The variables that everything which reads the hub's cache follows.
    ("src/hub", "HF_"),
    ("src/hub.rs", "HF_"),
];

/// The parts of a Rust source that a user of the library can read: string literals and doc comments.
fn readable_parts(source: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (part, length) = match first {
            '/' if rest.starts_with("//") => {
                let end = rest.find('\n').unwrap_or(rest.len());
                let is_doc = rest.starts_with("///") || rest.starts_with("//!");
                (is_doc.then(|| rest[..end].to_string()), end)
            }
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => {
                let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
                let close = format!("\"{}", "#".repeat(hashes));
                match rest[1 + hashes..].strip_prefix('"').and_then(|text| text.find(&close)) {
                    Some(end) => {
                        let start = hashes + 2;
                        (Some(rest[start..start + end].to_string()), start + end + close.len())
                    }
                    // A raw identifier.
                    None => (None, 1),
                }
            }
            '"' => {
                let mut end = 1;
                while !rest[end..].starts_with('"') {
                    end += if rest[end..].starts_with('\\') { 2 } else { 1 };
                    while !rest.is_char_boundary(end) {
                        end += 1;
                    }
                }
                (Some(rest[1..end].to_string()), end + 1)
            }
            '\'' if rest.starts_with("'\"'") => (None, 3),
            '\'' if rest.starts_with("'\\\"'") => (None, 4),
            other => (None, other.len_utf8()),
        };
        parts.extend(part);
        rest = &rest[length..];
    }
    parts
}

/// What of a text only the command line may say.
fn names_of_the_command_line(text: &str) -> Option<&'static str> {
    let has_flag = text.match_indices("--").any(|(place, _)| {
        let before = text[..place].chars().next_back();
        let after = text[place + 2..].chars().next();
        after.is_some_and(|c| c.is_ascii_lowercase())
            && !before.is_some_and(|c| c.is_alphanumeric() || c == '-')
    });
    let names = [
        "neural-sparse encode",
        "neural-sparse model",
        "neural-sparse index",
        "NEURAL_SPARSE_",
        "HF_",
        "hint:",
    ];
    if has_flag {
        return Some("a flag");
    }
    names.into_iter().find(|name| text.contains(name))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn no_text_below_the_command_line_names_a_flag_a_command_or_a_variable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    let is_library =
        |path: &&PathBuf| !path.starts_with(root.join("src/cli")) && !path.ends_with("src/main.rs");
    let library: Vec<&PathBuf> = found.iter().filter(is_library).collect();
    assert!(library.len() > 60 && library.len() < found.len(), "{} of {}", library.len(), found.len());
    let mut faults = Vec::new();
    let mut num_parts = 0;
    for path in library {
        for part in readable_parts(&fs::read_to_string(path).unwrap()) {
            num_parts += 1;
            let is_excepted = EXCEPTIONS
                .iter()
                .any(|(place, says)| path.starts_with(root.join(place)) && part.contains(says));
            if let Some(name) = names_of_the_command_line(&part).filter(|_| !is_excepted) {
                faults.push(format!("{}: {name}: {part}", path.display()));
            }
        }
    }
    assert!(num_parts > 3000, "{num_parts}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_text_that_names_a_flag_is_found() {
    let source = r##"
        /// See `--model`.
        // --not-said
        const A: &str = "use --top-k \" here";
        const B: char = '"';
        const C: &str = r#"run "neural-sparse model pull""#;
        const D: &str = "a -- b, x--y, |---|";
    "##;
    let named: Vec<Option<&str>> =
        readable_parts(source).iter().map(|part| names_of_the_command_line(part)).collect();
    assert_eq!(named, [Some("a flag"), Some("a flag"), Some("neural-sparse model"), None]);
}
