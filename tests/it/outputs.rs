//! Files that a command writes in one go: no input and no other output is one of them, nothing that is there is replaced,
//! and what a killed command has left is in nobody's way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{folder, neural_sparse, Finished};

const DOCS: &str =
    "{\"id\":1,\"text\":\"a cold house by the river\"}\n{\"id\":2,\"text\":\"a warm summer\"}\n";

/// A folder with an index, queries, runs and judgements.
fn place() -> TempDir {
    let place = folder();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("docs.jsonl", DOCS);
    write("queries.tsv", "q1\tcold river\nq2\tsummer\n");
    write("judgements", "q1\t1\t1\nq2\t2\t1\n");
    write("a.run", "q1 Q0 1 1 2.5 x\nq2 Q0 2 1 1.5 x\n");
    write("b.run", "q1 Q0 2 1 2.5 x\nq2 Q0 2 1 1.5 x\n");
    fs::create_dir(place.path().join("sub")).unwrap();
    in_place(&place, "index build --model tiny --quiet --input docs.jsonl --output index").ok();
    place
}

fn in_place(place: &TempDir, args: &str) -> Finished {
    let args: Vec<&str> = args.split_whitespace().collect();
    neural_sparse(&args).in_folder(place.path()).run()
}

/// Every file below a folder, and what it holds.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            // A pipe would never end.
            false if path.is_file() => {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
            false => drop(found.insert(path.display().to_string(), Vec::new())),
        }
    }
    found
}

/// Each command that writes a file in one go, with `OUT` for the file, and what it reads.
const COMMANDS: [(&str, &[&str]); 11] = [
    ("search --index index --queries queries.tsv --run OUT", &["queries.tsv", "index/index.nsi"]),
    ("eval judge --run a.run --qrels judgements --per-query OUT", &["a.run", "judgements"]),
    ("eval --run a.run --qrels judgements --per-query OUT", &["a.run", "judgements"]),
    ("eval compare a.run b.run --qrels judgements --per-query OUT", &["a.run", "b.run", "judgements"]),
    ("eval --model tiny --data nowhere --save-run OUT", &[]),
    ("eval --model tiny --data nowhere --per-query OUT", &[]),
    ("eval sweep --model tiny --data nowhere --csv OUT", &[]),
    ("eval sweep --model tiny --data nowhere --html OUT", &[]),
    ("explain --model tiny --html OUT river", &[]),
    ("score --model tiny --html OUT river house", &[]),
    ("encode --model tiny --output OUT river", &[]),
];

fn refused(place: &TempDir, args: &str, code: i32, said: &str) {
    let before = contents(place.path());
    let stderr = in_place(place, args).fails(code);
    assert!(stderr.contains(said), "{args}: {stderr}");
    assert!(contents(place.path()) == before, "{args}: something has changed");
}

#[test]
#[cfg(unix)]
fn no_output_is_an_input_by_whatever_name() {
    for (command, inputs) in COMMANDS {
        for input in inputs {
            let place = place();
            let at = |name: &str| place.path().join(name);
            fs::hard_link(at(input), at("hard")).unwrap();
            std::os::unix::fs::symlink(at(input), at("soft")).unwrap();
            let spelled = format!("sub/../{input}");
            for output in [*input, &spelled, "hard", "soft"] {
                refused(&place, &command.replace("OUT", output), 2, "are the same file");
            }
            for suffix in [".partial", ".journal"] {
                // A file beside the output has the name of the input.
                let output = "sub/out";
                fs::rename(at(input), at(&format!("{output}{suffix}"))).unwrap();
                std::os::unix::fs::symlink(at(&format!("{output}{suffix}")), at(input)).unwrap();
                refused(&place, &command.replace("OUT", output), 2, "are the same file");
                fs::remove_file(at(input)).unwrap();
                fs::rename(at(&format!("{output}{suffix}")), at(input)).unwrap();
            }
        }
    }
}

#[test]
fn no_output_is_another_output() {
    let place = place();
    for command in [
        "eval --model tiny --data nowhere --save-run OUT --per-query OUT",
        "eval sweep --model tiny --data nowhere --csv OUT --html OUT",
    ] {
        let (first, second) = command.split_once("OUT").unwrap();
        for (one, other) in [("x", "x"), ("x", "sub/../x"), ("x", "x.partial"), ("x.journal", "x")] {
            let args = format!("{first}{one}{}", second.replace("OUT", other));
            refused(&place, &args, 2, "are the same file");
        }
        refused(&place, &command.replace("OUT", "-"), 2, "cannot both be written to standard output");
    }
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    for (command, _) in COMMANDS {
        let args = command.replace("OUT", "out");
        for (name, said) in [
            ("out", "`out` exists already"),
            ("out.partial", "`out.partial` exists already"),
            ("out.journal", "`out.journal` is in the way"),
        ] {
            fs::write(at(name), "precious").unwrap();
            refused(&place, &args, 1, said);
            fs::remove_file(at(name)).unwrap();
        }
    }
    // What a run can go on with, or was told to keep.
    fs::write(at("bad.jsonl"), format!("{DOCS}not a row\n")).unwrap();
    for input in ["--input bad.jsonl", "--input -"] {
        let args = format!("encode --model tiny {input} --output out").replace("  ", " ");
        let args: Vec<&str> = args.split(' ').collect();
        let stopped =
            neural_sparse(&args).in_folder(place.path()).stdin(fs::read(at("bad.jsonl")).unwrap()).run();
        assert!(stopped.stderr.contains("kept in `out.partial`"), "{}", stopped.stderr);
        refused(&place, "search --index index --queries queries.tsv --run out", 1, "`out.partial`");
        fs::remove_file(at("out.partial")).unwrap();
        let _ = fs::remove_file(at("out.journal"));
    }
}

/// A call by a shell that does something else first.
#[cfg(unix)]
fn by_shell(place: &TempDir, first: &str, args: &str) -> std::process::Command {
    let program = env!("CARGO_BIN_EXE_neural-sparse");
    let mut command = neural_sparse::<&str>(&[]).in_folder(place.path()).into_command();
    let environment: Vec<_> = command
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(|value| value.to_owned())))
        .collect();
    command = std::process::Command::new("sh");
    command.current_dir(place.path()).arg("-c").arg(format!("{first}; exec '{program}' {args}"));
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
#[cfg(unix)]
fn what_a_killed_command_has_left_is_in_nobodys_way() {
    use std::os::unix::process::ExitStatusExt;

    let place = place();
    let at = |name: &str| place.path().join(name);
    let queries: String = (0..200).map(|number| format!("q{number}\tcold river\n")).collect();
    fs::write(at("queries.tsv"), queries).unwrap();
    let args = "search --quiet --index index --queries queries.tsv --run out";
    // The system kills a process that makes a file larger than it may be.
    let killed = by_shell(&place, "ulimit -f 4", args).output().unwrap();
    assert!(killed.status.signal().is_some(), "{killed:?}");
    assert!(at("out.partial").exists() && !at("out").exists());
    in_place(&place, args).ok();
    assert_eq!(fs::read_to_string(at("out")).unwrap().lines().count(), 400);
    assert!(!at("out.partial").exists() && !at("out.journal").exists());
}

#[test]
#[cfg(unix)]
fn an_output_that_is_being_written_is_refused() {
    use std::process::Stdio;

    let place = place();
    let at = |name: &str| place.path().join(name);
    assert!(by_shell(&place, "mkfifo pipe; exit", "").status().unwrap().success());
    let args = [
        "search",
        "--quiet",
        "--index",
        "index",
        "--queries",
        "pipe",
        "--input-format",
        "tsv",
        "--run",
        "out",
    ];
    let mut first = neural_sparse(&args).in_folder(place.path()).into_command();
    let mut first = first.stdin(Stdio::null()).spawn().unwrap();
    while !at("out.journal").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let second = "search --index index --queries queries.tsv --run out";
    refused(&place, second, 1, "another run is writing `out`");
    fs::write(at("pipe"), "q1\tcold river\n").unwrap();
    assert!(first.wait().unwrap().success());
    assert!(fs::read_to_string(at("out")).unwrap().starts_with("q1 Q0 1 1 "));
    assert!(!at("out.journal").exists());
    refused(&place, second, 1, "`out` exists already");
}

#[test]
#[cfg(unix)]
fn answered_lines_are_kept_whatever_ends_the_run() {
    use std::io::{Read, Write};
    use std::process::Stdio;

    let place = place();
    let at = |name: &str| place.path().join(name);
    let vectors = in_place(&place, "encode --model tiny cold warm").ok();
    let first_line = vectors.lines().next().unwrap().to_string() + "\n";

    // A write that fails.
    let mut child = by_shell(&place, "trap '' XFSZ; ulimit -f 16", "encode --model tiny --output out");
    let mut child = child.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all("cold\n".repeat(200).as_bytes());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(stderr.contains("`out.partial` holds what could be written"), "{stderr}");
    assert!(fs::read_to_string(at("out.partial")).unwrap().starts_with(&first_line));
    assert!(!at("out.journal").exists());
    refused(&place, "encode --model tiny --output out river", 1, "`out.partial` exists already");

    // A kill.
    let args = ["encode", "--model", "tiny", "--output", "other"];
    let mut child = neural_sparse(&args).in_folder(place.path()).into_command();
    let mut child = child.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"cold\n").unwrap();
    while !fs::read_to_string(at("other.partial")).is_ok_and(|text| text == first_line) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(at("other.partial")).unwrap(), first_line);
    refused(&place, "encode --model tiny --output other river", 1, "`other.partial`");

    // And where nothing goes wrong.
    let done = neural_sparse(&["encode", "--model", "tiny", "--output", "third.gz"]).in_folder(place.path());
    done.stdin("cold\nwarm\n").run().ok();
    let names: Vec<String> =
        contents(place.path()).into_keys().filter(|name| name.contains("third")).collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_model_is_not_taken_for_the_folder_that_is_made_in_its_name() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    in_place(&place, "encode --model tiny --quiet --input docs.jsonl --output vectors.jsonl").ok();
    for input in ["docs.jsonl", "vectors.jsonl"] {
        in_place(&place, &format!("index build --model tiny --quiet --input {input} --output tiny")).ok();
        let found = in_place(&place, "search --model tiny --index tiny cold").ok();
        assert_eq!(found, in_place(&place, "search --index index cold").ok());
        assert_eq!(found, in_place(&place, "search --index tiny cold").ok());
        assert_eq!(fs::read(at("tiny/index.nsi")).unwrap().len(), {
            let other = format!("index build --model tiny --quiet --input {input} --output other --force");
            in_place(&place, &other).ok();
            fs::read(at("other/index.nsi")).unwrap().len()
        });
        in_place(&place, &format!("index build --model tiny --quiet --input {input} --output tiny --force"))
            .ok();
        fs::remove_dir_all(at("tiny")).unwrap();
    }
    for args in [
        "index build --model tiny --input docs.jsonl --output tiny/index",
        "eval --model tiny --cache tiny --data data",
    ] {
        for (name, text) in [("corpus.jsonl", DOCS), ("queries.jsonl", "{\"_id\":\"q\",\"text\":\"cold\"}\n")]
        {
            fs::create_dir_all(at("data/qrels")).unwrap();
            fs::write(at("data").join(name), text).unwrap();
        }
        fs::write(at("data/qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq\t1\t1\n").unwrap();
        let refusal = in_place(&place, args).fails(2);
        assert!(refusal.contains("would be taken for the model of that name"), "{refusal}");
        assert!(!at("tiny").exists());
    }
    // A model that is not there leaves no folder.
    in_place(&place, "index build --model nosuch --input docs.jsonl --output made").fails(1);
    assert!(!at("made").exists());
}

/// A file that cannot grow is what a full disk is to a command, and needs no disk.
#[test]
#[cfg(unix)]
fn a_file_that_cannot_grow_leaves_no_more_than_can_be_gone_on_with() {
    let place = place();
    let rows: String =
        (0..180).map(|row| format!("{{\"id\":{row},\"vector\":{{\"cold\":1.5,\"t{row}\":2}}}}\n")).collect();
    fs::write(place.path().join("rows.jsonl"), rows).unwrap();
    let queries: String = (0..900).map(|query| format!("q{query}\tcold river\n")).collect();
    fs::write(place.path().join("many.tsv"), queries).unwrap();
    let before: Vec<String> = contents(place.path()).into_keys().collect();
    let limited = |command: &str| {
        let output = by_shell(&place, "trap '' XFSZ; ulimit -f 24", command).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let new = || -> Vec<String> {
        contents(place.path()).into_keys().filter(|name| !before.contains(name)).collect()
    };

    // What can be computed again is removed.
    let (code, stderr) = limited("search --quiet --index index --queries many.tsv --run run.trec");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("cannot write `run.trec.partial`"), "{stderr}");
    assert_eq!(new(), [""; 0], "{stderr}");

    // Rows are kept, and a file that is made of them is not kept by halves.
    let index = "index build --quiet --input rows.jsonl --output made";
    let (code, stderr) = limited(index);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("cannot make `made/index.nsi` of `made/index.nsi.partial`"), "{stderr}");
    assert!(stderr.contains("--resume"), "{stderr}");
    let left: Vec<String> = contents(&place.path().join("made")).into_keys().collect();
    assert!(
        matches!(&left[..], [journal, rows] if journal.ends_with(".journal") && rows.ends_with(".partial")),
        "{left:?}"
    );
    in_place(&place, &format!("{index} --resume")).ok();
    in_place(&place, "index info made --verify").ok();
}
