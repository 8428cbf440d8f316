//! Options that take numbers, at the ends of their ranges and beyond: an answer or an error, never a panic, never a wait
//! without end, never memory by that number.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use crate::examples::{inputs, pages};
use crate::program::{fixture, folder, neural_sparse, Finished};

/// Names of values in the help that are numbers, and how a number is written there; see [`written`].
const NUMBERS: [(&str, &[&str]); 7] = [
    ("NUM", &["{}"]),
    ("TOKENS", &["{}"]),
    ("SCALE", &["{}"]),
    ("SHARE", &["{}"]),
    ("I/N", &["1/{}", "{}/2"]),
    ("LIST", &["nDCG@{}", "RR@{},P@{}", "Judged@{}"]),
    ("SETTING", &["max_ratio={}"]),
];

/// The same of rules, by their option.
const RULES: [(&str, &[&str]); 2] = [
    ("--prune", &["max_ratio={}", "alpha_mass={}", "abs_value={}"]),
    ("--on-long", &["chunk={}", "chunk-rows={}"]),
];

/// Names of values that are not numbers. Choices are written in lower case.
const OTHERS: [&str; 8] = ["DIR", "FILE", "FORMAT", "ID", "NAME", "NAME|HUB_ID|DIR", "REVISION", "RUN"];

/// Numbers that are more than anything has, and that are none.
const VALUES: [&str; 7] =
    ["0", "4294967296", "18446744073709551615", "18446744073709551616", "-1", "nan", "inf"];

/// An option of a subcommand, with one way to write its value.
#[derive(Clone, Debug)]
struct Case {
    command: Vec<String>,
    option: String,
    form: &'static str,
}

/// Every option that takes a number. Fails where the help names a value that is in no list.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (command, page) in pages() {
        for line in page.lines() {
            let line = line.trim_start();
            let Some((names, rest)) = line.split_once(" <").filter(|_| line.starts_with('-')) else {
                continue;
            };
            let option = names.split(", ").last().unwrap();
            let value = rest.split('>').next().unwrap();
            let forms = match value {
                "RULE" => RULES.iter().find(|rule| rule.0 == option).expect(option).1,
                value => match NUMBERS.iter().find(|number| number.0 == value) {
                    Some((_, forms)) => forms,
                    None => {
                        let is_choice = value.contains('|') && value.chars().all(|c| !c.is_uppercase());
                        assert!(
                            is_choice || OTHERS.contains(&value),
                            "is <{value}> a number? {command:?} {option}"
                        );
                        continue;
                    }
                },
            };
            let case = |form: &&'static str| Case { command: command.clone(), option: option.into(), form };
            cases.extend(forms.iter().map(case));
        }
    }
    cases
}

/// A value that makes sense.
fn usual(case: &Case) -> &'static str {
    match case.option.as_str() {
        "--prune" | "--keep-quality" | "--baseline" => "0.1",
        "--quantize" | "--input-quantize" => "100",
        "--max-line-bytes" => "1000",
        "--max-length" => "8",
        _ => "2",
    }
}

/// A call in which the option matters. `number` makes names of files that are written.
fn call(case: &Case, number: usize) -> Vec<String> {
    let command = case.command.join(" ");
    let mut call = match command.as_str() {
        "encode" => "encode -i docs.jsonl".to_string(),
        "score" => "score -i pairs.jsonl".into(),
        "explain" => "explain -i docs.jsonl".into(),
        "convert" | "index build" if case.option == "--input-quantize" => {
            format!("{command} -i vectors.anserini --input-format anserini")
        }
        "convert" => "convert -i vectors.jsonl".into(),
        "index build" => "index build -i docs.jsonl".into(),
        "search" => "search --index index weather".into(),
        "eval" if case.option == "--measures" => "eval --run run.trec --qrels qrels.tsv".into(),
        "eval judge" => "eval judge --run run.trec --qrels qrels.tsv".into(),
        "eval compare" => "eval compare run.trec run.trec --qrels qrels.tsv".into(),
        "eval" => "eval --data collection --cache cache".into(),
        "eval sweep" => "eval sweep --data collection --cache cache".into(),
        "stats" => "stats vectors.jsonl".into(),
        "target query" => "target query opensearch weather".into(),
        "target pipeline" => "target pipeline opensearch --model-id ID".into(),
        "model show" => "model show tiny".into(),
        // Smaller than the one that is built in.
        "model verify" => format!("model verify {}", fixture("bert-tied").display()),
        other => panic!("no call of `{other}` for {}", case.option),
    };
    if command == "index build" {
        call += &format!(" --output index-{number}");
    }
    match (command.as_str(), case.option.as_str()) {
        (_, "--chunk-overlap") => call += " --on-long chunk",
        (_, "--bulk-mb") => call += &format!(" --format opensearch --output bulk-{number}"),
        ("target query", "--quantize") => call = "target query anserini weather".into(),
        (_, "--quantize") => call += " --format anserini",
        ("eval sweep", option) if option != "--prune" => call += " --prune max_ratio=0.1",
        _ => {}
    }
    call.split(' ').map(String::from).collect()
}

/// Runs a call with a limit of address space and of time. 124 is the exit code of one that takes too long.
fn run(place: &Path, case: &Case, call: &[String], value: &str) -> Finished {
    let written = format!("{}={}", case.option, case.form.replace("{}", value));
    let program = neural_sparse(&[""]).into_command();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 4000000; exec timeout 60 \"$0\" \"$@\""]).arg(program.get_program());
    shell
        .args(call)
        .arg(written)
        .current_dir(place)
        .env("NEURAL_SPARSE_MODEL", "tiny")
        .env("HF_HUB_OFFLINE", "1");
    let output = shell.stdin(Stdio::null()).output().expect("a shell");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What is wrong with the answers to all values.
fn faults(place: &Path, case: &Case, number: usize) -> Vec<String> {
    let mut faults = Vec::new();
    // Of no use there.
    let is_refused = (case.command.join(" ").as_str(), case.option.as_str()) == ("model show", "--threads");
    for (index, value) in [usual(case)].iter().chain(&VALUES).enumerate() {
        let Finished { code, stderr, .. } =
            run(place, case, &call(case, number * (VALUES.len() + 1) + index), value);
        let is_done = code == Some(0);
        let largest = "18446744073709551615";
        let expected = match (case.option.as_str(), *value) {
            _ if index == 0 && !is_refused => is_done,
            ("--threads", "4294967296") if is_done => stderr.contains("threads were asked for"),
            ("--max-line-bytes", value) if value == largest => is_done,
            _ => [0, 1, 2].map(Some).contains(&code),
        };
        if !expected || is_done == stderr.contains("error: ") || stderr.contains("this is a bug") {
            let (command, written) = (case.command.join(" "), case.form.replace("{}", value));
            faults.push(format!("{command} {}={written}: {code:?}: {stderr}", case.option));
        }
    }
    faults
}

#[test]
fn no_number_is_a_panic_a_hang_or_memory_without_end() {
    let place = folder();
    inputs(place.path());
    for line in [
        "encode -i docs.jsonl -o vectors.jsonl",
        "encode -i docs.jsonl -o vectors.anserini --format anserini",
        "index build -i docs.jsonl -o index",
        "search --index index --queries queries.tsv --run run.trec",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let finished = neural_sparse(&words).env("NEURAL_SPARSE_MODEL", "tiny").in_folder(place.path()).run();
        assert_eq!(finished.code, Some(0), "{line}: {}", finished.stderr);
    }
    let cases = cases();
    assert!(cases.len() > 80, "only {} options with numbers", cases.len());
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(number) else { return };
                all.lock().unwrap().extend(faults(place.path(), case, number));
            });
        }
    });
    let all = all.into_inner().unwrap();
    assert!(all.is_empty(), "{}", all.join("\n"));
}
