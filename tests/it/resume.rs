//! Runs that were stopped: by a bad row, by Ctrl-C, by a change of mind; and how they go on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{folder, neural_sparse, Program};

/// A folder with an input of rows that are wide enough to fill several parts of a compressed file, one of them bad.
struct Place {
    folder: tempfile::TempDir,
    output: String,
}

const NUM_ROWS: usize = 9;

impl Place {
    fn new(output: &str) -> Place {
        let place = Place { folder: folder(), output: output.into() };
        let rows = (1..=NUM_ROWS).map(|number| match number {
            6 => "{\"id\":6}\n".to_string(),
            _ => format!(
                "{{\"id\":{number},\"text\":\"river {number}\",\"wide\":\"{}\"}}\n",
                "x".repeat(400_000)
            ),
        });
        fs::write(place.path("docs.jsonl"), rows.collect::<String>()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn encode(&self, args: &[&str]) -> Program {
        let (input, output) = (self.path("docs.jsonl"), self.path(&self.output));
        let named = ["encode", "--model", "tiny", "--quiet", "--keep", "wide", "--input"];
        let files = [input.to_str().unwrap(), "--output", output.to_str().unwrap()];
        neural_sparse(&[&named[..], &files, args].concat())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The files of an uninterrupted run: output and rejects.
fn whole(output: &str) -> (Vec<u8>, Vec<u8>) {
    let place = Place::new(output);
    let rejects = place.path("rejects");
    let finished = place.encode(&["--on-error", "skip", "--rejects", rejects.to_str().unwrap()]).run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    (place.bytes(output), place.bytes("rejects"))
}

#[test]
fn a_run_that_a_bad_row_stopped_goes_on_past_it() {
    for output in ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"] {
        let (expected, _) = whole(output);
        let place = Place::new(output);
        let stderr = place.encode(&[]).run().fails(1);
        assert!(stderr.contains("line 6: no field `text`"), "{stderr}");
        assert!(stderr.contains("hint: `--resume` goes on"), "{stderr}");
        let partial = format!("{output}.partial");
        let working = ["docs.jsonl".to_string(), format!("{output}.journal"), partial.clone()];
        assert_eq!(place.names(), working);
        let written = place.bytes(&partial);

        let rejects = place.path("rejects");
        let skip = ["--on-error", "skip", "--rejects", rejects.to_str().unwrap()];
        let refusal = place.encode(&skip).run().fails(1);
        assert!(refusal.contains(&format!("{partial}` exists already")), "{refusal}");
        assert!(place.bytes(&partial) == written, "nothing was touched");
        let finished = place.encode(&[&skip[..], &["--resume"]].concat()).run();
        assert_eq!(finished.code, Some(3), "{}", finished.stderr);
        assert!(place.bytes(output) == expected, "{output}");
        assert_eq!(place.names(), ["docs.jsonl", output, "rejects"]);
    }
}

#[test]
fn what_has_changed_since_is_named_and_refused() {
    let place = Place::new("out.jsonl");
    place.encode(&[]).run().fails(1);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert-tied");
    let partial = place.bytes("out.jsonl.partial");
    for (args, says) in [
        (&["--top-k", "5"][..], "--top-k was not set and is 5"),
        (&["--text-field", "id"], "--text-field was `text` and is `id`"),
        (&["--max-length", "9"], "--max-length was 512 and is 9"),
        (&["--input", "docs.jsonl"], "the inputs were 1 and are 2"),
        (&["--as", "query"], "--as was `document` and is `query`"),
    ] {
        // Relative to the crate's own folder, where the program runs: any file will do.
        let args: Vec<&str> =
            args.iter().map(|arg| if *arg == "docs.jsonl" { "Cargo.toml" } else { arg }).collect();
        let refusal = place.encode(&[&args[..], &["--resume"]].concat()).run().fails(1);
        assert!(refusal.contains(says) && refusal.contains("hint: "), "{refusal}");
    }
    let refusal = place.encode(&["--resume"]).env("NEURAL_SPARSE_MODEL", "x").run().fails(1);
    assert!(refusal.contains("line 6"), "the flag names the model: {refusal}");
    let input = place.path("docs.jsonl");
    let args =
        ["encode", "--quiet", "--keep", "wide", "--input", input.to_str().unwrap(), "--resume", "--output"];
    let output = place.path("out.jsonl");
    let other = [&args[..], &[output.to_str().unwrap(), "--model", model.to_str().unwrap()]].concat();
    let refusal = neural_sparse(&other).run().fails(1);
    assert!(refusal.contains("the known model was"), "{refusal}");
    assert!(place.bytes("out.jsonl.partial") == partial, "nothing was touched");

    let mut rows = place.bytes("docs.jsonl");
    let (first, last) = (rows[20], rows.len() - 1);
    rows[20] = b'X';
    fs::write(&input, &rows).unwrap();
    assert!(place.encode(&["--resume"]).run().fails(1).contains("the first MiB of"));
    rows[20] = first;
    let place_in_row_5 = 1_900_000;
    rows[place_in_row_5] = b'X';
    fs::write(&input, &rows).unwrap();
    assert!(place.encode(&["--resume"]).run().fails(1).contains("is not what was read"));
    rows[place_in_row_5] = b'x';
    fs::write(&input, &rows[..last]).unwrap();
    assert!(place.encode(&["--resume"]).run().fails(1).contains("bytes and"));
    fs::write(&input, &rows).unwrap();
    assert!(
        place.encode(&["--resume"]).run().fails(1).contains("line 6: no field"),
        "as it was: the bad row again"
    );
}

#[test]
fn there_may_be_nothing_to_go_on_with() {
    let place = Place::new("out.jsonl");
    let finished = place.encode(&["--on-error", "skip", "--resume"]).run();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(3), ""), "it starts at the beginning");
    let complete = place.bytes("out.jsonl");
    place.encode(&["--on-error", "skip", "--resume"]).run().ok();
    assert!(place.bytes("out.jsonl") == complete);

    place.encode(&["--on-error", "skip", "--force", "--top-k", "1"]).run();
    assert!(place.bytes("out.jsonl").len() < complete.len());
    assert_eq!(place.names(), ["docs.jsonl", "out.jsonl"]);
}

#[test]
fn what_cannot_be_read_twice_cannot_be_gone_on_with() {
    let place = folder();
    let output = place.path().join("out.jsonl");
    let args =
        ["encode", "--model", "tiny", "--input", "-", "--resume", "--output", output.to_str().unwrap()];
    let stderr = neural_sparse(&args).run().fails(2);
    assert!(stderr.contains("standard input cannot be read a second time"), "{stderr}");
    let stderr = neural_sparse(&args[..6]).run().fails(2);
    assert!(stderr.contains("--output"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use crate::program::interrupt;

    let place = folder();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_string();
    let text = "the old house by the river was cold in winter and warm in summer ".repeat(8);
    let rows: String =
        (0..500).map(|number| format!("{{\"id\":{number},\"text\":\"{number} {text}\"}}\n")).collect();
    fs::write(path("docs.jsonl"), rows).unwrap();
    let args = |output: &str| {
        ["encode", "--model", "tiny", "--input", &path("docs.jsonl"), "--output", &path(output)]
            .map(String::from)
    };
    let mut child = neural_sparse(&args("out.jsonl"))
        .into_command()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    while !Path::new(&path("out.jsonl.partial")).exists() {
        assert!(started.elapsed() < Duration::from_secs(300), "no row was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(&child);
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted: stopped after"), "{stderr}");
    assert!(stderr.trim_end().ends_with(" --resume") && stderr.contains("hint: to go on: "), "{stderr}");
    assert!(!Path::new(&path("out.jsonl")).exists());

    let resumed = neural_sparse(&[&args("out.jsonl")[..], &["--resume".into()]].concat()).run();
    assert!(resumed.stderr.starts_with("note: going on after "), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("500 rows in, 500 out, "), "{}", resumed.stderr);
    neural_sparse(&args("whole.jsonl")).run();
    assert!(fs::read(path("out.jsonl")).unwrap() == fs::read(path("whole.jsonl")).unwrap());
}
