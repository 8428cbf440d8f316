//! `encode` as its users call it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::hub_server::HubServer;
use crate::program::{fixture, folder, neural_sparse};

const TINY: [&str; 3] = ["encode", "--model", "tiny"];

fn encode(args: &[&str]) -> crate::program::Program {
    neural_sparse(&[&TINY, args].concat())
}

fn vector_line(text: &str) -> String {
    encode(&["--", text]).run().ok()
}

#[test]
fn a_query_is_one_json_object_heaviest_first() {
    let line = vector_line("What's the weather in ny now?");
    let vector: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(vector.as_object().unwrap().len(), 22);
    let weights: Vec<f64> = line
        .trim_matches(['{', '}', '\n'])
        .split(',')
        .map(|entry| entry.rsplit_once(':').unwrap().1.parse().unwrap())
        .collect();
    assert!(weights.is_sorted_by(|a, b| a >= b), "{line}");
    // From PyTorch.
    assert!(line.starts_with("{\"haven\":2.3142"), "{line}");
}

#[test]
fn several_texts_give_a_line_each_in_their_order() {
    let both = encode(&["Currently New York is rainy.", ""]).run().ok();
    assert_eq!(both, vector_line("Currently New York is rainy.") + &vector_line(""));
}

#[test]
fn an_empty_text_is_not_an_empty_vector() {
    let vector: Value = serde_json::from_str(&vector_line("")).unwrap();
    assert_eq!(vector.as_object().unwrap().len(), 6);
    assert!((vector["is"].as_f64().unwrap() - 1.5253).abs() < 1e-3);
}

#[test]
fn every_line_of_standard_input_is_answered() {
    let out = encode(&[]).stdin("Currently New York is rainy.\n\nlast line\r\n without end").run().ok();
    let expected =
        ["Currently New York is rainy.", "", "last line", " without end"].map(vector_line).concat();
    assert_eq!(out, expected);
    assert_eq!(encode(&[]).run().ok(), "", "no line, no answer");
}

#[test]
fn a_co_process_gets_each_answer_before_it_writes_on() {
    let mut command = encode(&[]).into_command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, answers) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().for_each(|line| sender.send(line.unwrap()).unwrap()));
    for text in ["one", "two", ""] {
        writeln!(stdin, "{text}").unwrap();
        let answer =
            answers.recv_timeout(Duration::from_secs(60)).expect("an answer while the input stays open");
        assert_eq!(answer + "\n", vector_line(text));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_that_is_not_utf8_is_answered_and_told() {
    let finished = encode(&[]).stdin(b"good\n\xff\xfe\nalso good\n").run();
    assert_eq!(finished.code, Some(3));
    assert_eq!(finished.stdout, vector_line("good") + "{}\n" + &vector_line("also good"));
    assert!(finished.stderr.contains("standard input line 2: not UTF-8"), "{}", finished.stderr);
}

#[test]
fn many_lines_and_one_of_a_megabyte() {
    let many: String = (0..700).map(|number| format!("line number {number}\n")).collect();
    let long = "word ".repeat(210_000);
    let finished = encode(&[]).stdin(many + &long).run();
    assert_eq!(finished.code, Some(0));
    assert_eq!(finished.stdout.lines().count(), 701);
    assert_eq!(finished.stderr, "note: 1 of 701 texts cut to 512 tokens\n");
}

#[test]
fn truncation_is_counted_and_quiet_keeps_silent() {
    let long = "the old house by the river ".repeat(100);
    let finished = encode(&["short", &long]).run();
    assert_eq!(finished.stderr, "note: 1 of 2 texts cut to 512 tokens\n");
    assert_eq!(encode(&["--quiet", "short", &long]).run().ok(), finished.stdout);
    let cut = encode(&["--max-length", "8", "the old house by the river was cold"]).run();
    assert_eq!(cut.stdout, vector_line("the old house by the river"));
    assert_eq!(cut.stderr, "note: 1 of 1 text cut to 8 tokens\n");
}

#[test]
fn rows_keep_their_ids_and_their_order() {
    let place = folder();
    let (input, output) = (place.path().join("docs.jsonl"), place.path().join("vectors.jsonl"));
    let rows = "\u{feff}{\"id\":\"01\",\"text\":\"one\"}\r\n\n{\"_id\":7,\"id\":1,\"text\":\"two\"}\n{\"text\":\"three\"}";
    fs::write(&input, rows).unwrap();
    let run = encode(&["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()]).run();
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    let vector = |text: &str| vector_line(text).trim_end().to_string();
    let expected: String = [("\"01\"", "one"), ("7", "two"), ("4", "three")]
        .map(|(id, text)| format!("{{\"id\":{id},\"vector\":{}}}\n", vector(text)))
        .concat();
    assert_eq!(fs::read_to_string(&output).unwrap(), expected);
    assert!(!place.path().join("vectors.jsonl.partial").exists());
}

#[test]
fn field_flags_choose_join_and_name() {
    let row = r#"{"n":5,"title":"Currently New York","body":"is rainy."}"#;
    let flags = [
        "--quiet",
        "--input",
        "-",
        "--id-field",
        "n",
        "--text-field",
        "title",
        "--text-field",
        "body",
        "--vector-field",
        "v",
    ];
    let out = encode(&flags).stdin(row).run().ok();
    assert_eq!(
        out,
        format!("{{\"id\":5,\"v\":{}}}\n", vector_line("Currently New York is rainy.").trim_end())
    );
}

#[test]
fn several_inputs_are_read_in_the_order_given() {
    let place = folder();
    let paths = ["b", "a"].map(|name| place.path().join(name));
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        fs::write(path, format!("{{\"id\":\"{name}\",\"text\":\"{name}\"}}\n")).unwrap();
    }
    let args = ["--quiet", "--input", paths[0].to_str().unwrap(), "--input", paths[1].to_str().unwrap()];
    let ids: Vec<String> = encode(&args).run().ok().lines().map(|line| line[..9].to_string()).collect();
    assert_eq!(ids, ["{\"id\":\"b\"", "{\"id\":\"a\""]);
}

#[test]
fn a_bad_row_stops_the_run_and_what_was_written_stays() {
    let place = folder();
    let (input, output) = (place.path().join("docs.jsonl"), place.path().join("vectors.jsonl"));
    fs::write(&input, "{\"id\":1,\"text\":\"one\"}\n{\"id\":2,\"text\":5}\n").unwrap();
    let args = ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let stderr = encode(&args).run().fails(1);
    let partial = place.path().join("vectors.jsonl.partial");
    assert!(stderr.contains(&format!("stopped after 1 row, kept in `{}`", partial.display())), "{stderr}");
    assert!(stderr.contains("docs.jsonl` line 2: the field `text` is a number, not a string"), "{stderr}");
    assert!(!output.exists());
    assert_eq!(fs::read_to_string(&partial).unwrap().lines().count(), 1);

    let stderr = encode(&args).run().fails(1);
    assert!(
        stderr.contains("vectors.jsonl.partial` exists already")
            && stderr.contains("hint: `--resume` goes on")
            && stderr.contains("`--force` starts"),
        "{stderr}"
    );
}

#[test]
fn a_run_that_fails_before_its_first_row_leaves_nothing() {
    let place = folder();
    let output = place.path().join("vectors.jsonl");
    for (model, row) in [("tiny", "{\"id\":1}"), ("./nothing-here", "{\"id\":1,\"text\":\"\"}")] {
        let args = ["encode", "--model", model, "--input", "-", "--output", output.to_str().unwrap()];
        neural_sparse(&args).stdin(row).run().fails(1);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{model}");
    }
}

#[test]
fn an_output_that_exists_is_not_overwritten() {
    let place = folder();
    let output = place.path().join("vectors.jsonl");
    fs::write(&output, "precious").unwrap();
    let stderr = encode(&["--output", output.to_str().unwrap(), "text"]).run().fails(1);
    assert!(stderr.contains("exists already"), "{stderr}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "precious");
}

#[test]
fn a_missing_input_is_named() {
    let stderr = encode(&["--input", "/nonexistent/docs.jsonl"]).run().fails(1);
    assert!(stderr.contains("cannot open `/nonexistent/docs.jsonl`"), "{stderr}");
}

#[test]
fn pruning_and_top_k_keep_the_heaviest() {
    let text = "What's the weather in ny now?";
    let first_two = vector_line(text).splitn(3, ',').take(2).collect::<Vec<_>>().join(",") + "}\n";
    assert_eq!(encode(&["--top-k", "2", text]).run().ok(), first_two);
    let kept: Value = serde_json::from_str(&encode(&["--prune", "abs_value=2", text]).run().ok()).unwrap();
    assert_eq!(kept.as_object().unwrap().len(), 5, "weights of at least 2 in PyTorch's vector");
    let kept: Value = serde_json::from_str(&encode(&["--prune", "max_ratio=0.5", text]).run().ok()).unwrap();
    assert_eq!(kept.as_object().unwrap().len(), 8, "weights of at least half of 2.3142");
}

#[test]
fn usage_errors_say_what_to_do() {
    for (args, says) in [
        (&["--top-k", "0", "x"][..], "0 would leave every vector empty"),
        (&["--prune", "max_ratio=1", "x"], "1 is not a ratio of at least 0 and below 1"),
        (&["--prune", "ratio=0.1", "x"], "the rules are max_ratio=R, alpha_mass=R and abs_value=W"),
        (&["--prune", "abs_value=NaN", "x"], "not a weight"),
        (&["--modle", "tiny", "x"], "--model"),
        (&["-x"], "-- -x"),
        (&["--threads", "0", "x"], "--threads"),
        (&["--input", "a", "x"], "cannot be used with"),
        (&["--input", "-", "--vector-field", "id"], "--vector-field id"),
        (&["--on-long", "chunk", "x"], "cannot be used with"),
        (&["--on-long", "chunk"], "--input"),
        (&["--keep", "a", "x"], "cannot be used with"),
        (&["--as", "passage", "x"], "query, document"),
    ] {
        let stderr = encode(args).run().fails(2);
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
    let stderr = neural_sparse(&["encod", "x"]).run().fails(2);
    assert!(stderr.contains("'encode'"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn a_text_that_is_not_utf8_is_a_usage_error() {
    use std::os::unix::ffi::OsStrExt;
    let args = ["encode", "--model", "tiny"].map(std::ffi::OsStr::new);
    let bad = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let stderr = neural_sparse(&[&args[..], &[bad]].concat()).run().fails(2);
    assert!(stderr.contains("UTF-8"), "{stderr}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut command = encode(&[]).into_command();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // The program may be gone before everything is written.
    let _ = stdin.write_all("some words\n".repeat(1000).as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_130() {
    let mut command = encode(&[]).into_command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "text").unwrap();
    let mut answer = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    crate::program::interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_environment_names_a_model_and_the_flag_goes_before_it() {
    let from_environment = neural_sparse(&["encode", "x"]).env("NEURAL_SPARSE_MODEL", "tiny").run().ok();
    assert_eq!(from_environment, vector_line("x"));
    let flag = encode(&["x"]).env("NEURAL_SPARSE_MODEL", "/nonexistent").run().ok();
    assert_eq!(flag, vector_line("x"));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let texts = ["one", "two words", "and three words", ""];
    let with = |threads: &str| encode(&[&["--quiet", "--threads", threads][..], &texts].concat()).run().ok();
    assert_eq!(with("1"), with("3"));
}

#[test]
fn a_model_whose_sides_differ_insists_on_one() {
    let model = fixture("idf-query");
    let args = |side: &'static [&'static str]| {
        [&["encode", "--model", model.to_str().unwrap()], side, &["the old house"]].concat()
    };
    let stderr = neural_sparse(&args(&[])).run().fails(2);
    assert!(stderr.contains("--as query"), "{stderr}");
    let query = neural_sparse(&args(&["--as", "query"])).run().ok();
    let document = neural_sparse(&args(&["--as", "document"])).run().ok();
    assert_ne!(query, document);
    // A model with one side takes either.
    assert_eq!(encode(&["--as", "query", "x"]).run().ok(), encode(&["--as", "document", "x"]).run().ok());
}

#[test]
fn the_gpu_needs_a_build_that_has_it() {
    if cfg!(any(feature = "cuda", feature = "metal")) {
        return;
    }
    for device in ["cuda", "metal"] {
        let stderr = encode(&["--device", device, "x"]).run().fails(1);
        assert!(
            stderr.contains(&format!("hint: build with `cargo build --release --features {device}`")),
            "{stderr}"
        );
    }
}

#[test]
fn a_model_that_is_not_there_has_a_hint() {
    let missing = neural_sparse(&["encode", "--model", "./nothing-here", "x"]).run().fails(1);
    assert!(missing.contains("./nothing-here"), "{missing}");
    let offline = neural_sparse(&["encode", "x"]).run().fails(1);
    assert!(offline.contains("--model tiny") && offline.contains("model pull"), "{offline}");
    let empty = folder();
    let stderr = neural_sparse(&["encode", "--model", empty.path().to_str().unwrap(), "x"]).run().fails(1);
    assert!(stderr.contains("config.json") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn a_hub_id_is_downloaded_once_and_then_found_offline() {
    let files = ["config.json", "model.safetensors", "tokenizer.json", "special_tokens_map.json"]
        .map(|name| (name.to_string(), fs::read(fixture("bert-tied").join(name)).unwrap()));
    let server = HubServer::start("org/model", files.to_vec());
    let home = folder();
    let encode = |offline: &str| {
        neural_sparse(&["encode", "--quiet", "--model", "org/model", "the old house"])
            .env("HF_ENDPOINT", server.endpoint())
            .env("HF_HOME", home.path())
            .env("HF_TOKEN", "secret")
            .env("HF_HUB_OFFLINE", offline)
            .run()
            .ok()
    };
    let downloaded = encode("0");
    assert!(server
        .requests()
        .iter()
        .any(|request| request.authorization.as_deref() == Some("Bearer secret")));
    assert_eq!(encode("1"), downloaded);
    assert!(server.requests().is_empty());
    let folder = fixture("bert-tied");
    assert_eq!(
        neural_sparse(&["encode", "--model", folder.to_str().unwrap(), "the old house"]).run().ok(),
        downloaded
    );
}
