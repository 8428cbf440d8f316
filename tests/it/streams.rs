//! Standard error and standard output that are closed, full, or nobody reads: nothing else of a run changes, and no run
//! panics.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::examples::{below, inputs, pages, words};
use crate::program::{folder, neural_sparse};

/// Command lines beside the examples of the help: notes, bad rows, summaries, errors.
const OTHERS: [&str; 12] = [
    "encode --input bad.jsonl --on-error skip --rejects rejects.jsonl --output skipped.jsonl --summary summary.json",
    "encode --input bad.jsonl --output stopped.jsonl",
    "encode --input bad.jsonl --output stopped.jsonl --resume",
    "encode --input docs.jsonl --threads 4096",
    "encode --input docs.jsonl --output vectors.jsonl",
    "encode --input nosuch.jsonl",
    "encode --topk 5 x",
    "encode --model nosuch x",
    "score x",
    "index info nosuch",
    "eval --run bad.jsonl --qrels qrels.tsv",
    "convert -i docs.jsonl",
];

/// Every command line, in an order in which each finds its input.
fn lines() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (_, page) in pages() {
        for example in below(&page, "Examples:") {
            if !lines.iter().any(|line| line == example) {
                lines.push(example.to_string());
            }
        }
    }
    lines.extend(OTHERS.iter().map(|line| format!("neural-sparse {line}")));
    lines
}

/// Where the streams of a call go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Streams {
    Read,
    ErrorClosed,
    ErrorFull,
    OutputClosed,
    OutputFull,
    OutputUnread,
}

/// What a call came to.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
}

fn run(place: &Path, line: &str, streams: Streams) -> (Ended, String) {
    let words = words(line);
    let mut command = neural_sparse(&words[1..])
        .env("NEURAL_SPARSE_MODEL", "tiny")
        .env("XDG_CACHE_HOME", place.join("cache"))
        .in_folder(place)
        .into_command();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match streams {
        Streams::Read => {}
        Streams::ErrorClosed => command = through_a_shell(&command, "2>&-"),
        Streams::OutputClosed => command = through_a_shell(&command, ">&-"),
        Streams::ErrorFull => drop(command.stderr(full())),
        Streams::OutputFull => drop(command.stdout(full())),
        Streams::OutputUnread => drop(command.stdout(std::io::pipe().unwrap().1)),
    }
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (Ended { code: output.status.code(), stdout: text(output.stdout) }, text(output.stderr))
}

/// The same call from a shell that redirects a stream: only a shell can close one.
fn through_a_shell(command: &Command, redirection: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

/// The folder that every command line is called in.
fn place() -> tempfile::TempDir {
    let place = folder();
    inputs(place.path());
    let rows = "{\"id\":1,\"text\":\"rain\"}\n{\"id\":2}\n{\"id\":2,\"text\":\"sun\"}\n";
    fs::write(place.path().join("bad.jsonl"), rows).unwrap();
    place
}

/// Whether the standard output of a call holds no times, and no paths of its folder.
fn is_repeatable(line: &str) -> bool {
    !["--data", "cache"].iter().any(|word| line.contains(word))
}

/// Every file below a folder with its bytes, but for those that hold times, and for the cache, whose names are of paths.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(path) = waiting.pop() {
        if path.ends_with("cache") {
            continue;
        }
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let holds_times =
                path.extension().is_some_and(|suffix| suffix == "journal") || path.ends_with("summary.json");
            let bytes = if holds_times { Vec::new() } else { fs::read(&path).unwrap() };
            files.insert(path.strip_prefix(folder).unwrap().to_path_buf(), bytes);
        }
    }
    files
}

#[test]
fn a_standard_error_that_is_closed_or_full_changes_nothing_else() {
    let [read, closed, full] = [place(), place(), place()];
    let mut num_said = 0;
    for line in lines() {
        let (expected, stderr) = run(read.path(), &line, Streams::Read);
        assert!([0, 1, 2, 3].map(Some).contains(&expected.code), "{line}: {stderr}");
        num_said += usize::from(!stderr.is_empty());
        for (place, streams) in [(&closed, Streams::ErrorClosed), (&full, Streams::ErrorFull)] {
            let (ended, _) = run(place.path(), &line, streams);
            assert_eq!(ended.code, expected.code, "{line}, {streams:?}");
            assert!(
                !is_repeatable(&line) || ended.stdout == expected.stdout,
                "{line}, {streams:?}: {ended:?}"
            );
        }
    }
    assert!(num_said > 15, "{num_said} calls said something");
    let expected = files(read.path());
    for place in [&closed, &full] {
        let found = files(place.path());
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (path, bytes) in &expected {
            assert!(found[path] == *bytes, "{}", path.display());
        }
    }
}

#[test]
fn a_standard_output_that_is_closed_full_or_unread_is_an_error_or_a_quiet_end() {
    let [read, closed, full, unread] = [place(), place(), place(), place()];
    for line in lines() {
        let (expected, stderr) = run(read.path(), &line, Streams::Read);
        let (ended, _) = run(closed.path(), &line, Streams::OutputClosed);
        assert_eq!(ended.code, expected.code, "{line}, closed");
        let (ended, said) = run(unread.path(), &line, Streams::OutputUnread);
        assert_eq!(ended.code, expected.code, "{line}, unread: {said}");
        let (ended, said) = run(full.path(), &line, Streams::OutputFull);
        if expected.stdout.is_empty() {
            assert_eq!(ended.code, expected.code, "{line}, full: {said}");
        } else {
            assert_eq!(ended.code, Some(1), "{line}, full: {said}");
            assert!(
                said.contains("No space left on device") && !said.contains("this is a bug"),
                "{line}: {said}"
            );
        }
        assert!(!stderr.contains("panicked"), "{line}: {stderr}");
    }
}
