//! `encode --input` and `score --input`: formats, kept fields, compressed input, rejected rows.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::Value;

use crate::program::{folder, neural_sparse, Program};

fn encode(args: &[&str]) -> Program {
    neural_sparse(&[&["encode", "--model", "tiny", "--quiet", "--input"], args].concat())
}

/// The vector of a text, as `encode TEXT` prints it.
fn vector(text: &str) -> String {
    neural_sparse(&["encode", "--model", "tiny", "--", text]).run().ok().trim_end().to_string()
}

fn row(id: &str, text: &str) -> String {
    format!("{{\"id\":{id},\"vector\":{}}}\n", vector(text))
}

const ROWS: &str = "{\"id\":1,\"text\":\"one\"}\n{\"id\":2,\"text\":\"two\"}\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn compressed_input_is_known_by_its_first_bytes_in_several_parts_too() {
    let expected = row("1", "one") + &row("2", "two");
    let place = folder();
    // A row goes over the border of the two parts.
    let (first, second) = ROWS.as_bytes().split_at(10);
    for (name, parts) in [("gzip", [gzip(first), gzip(second)]), ("zstd", [zstd(first), zstd(second)])] {
        // The name says nothing.
        let path = place.path().join(name);
        fs::write(&path, parts.concat()).unwrap();
        assert_eq!(encode(&[path.to_str().unwrap()]).run().ok(), expected, "{name}");
        assert_eq!(encode(&["-"]).stdin(parts.concat()).run().ok(), expected, "{name} on standard input");
    }
    for short in ["", "\n", "{"] {
        let finished = encode(&["-"]).stdin(short).run();
        assert_eq!(finished.stdout, "", "{short:?}: {}", finished.stderr);
    }
}

#[test]
fn compressed_input_that_is_damaged_is_an_error_after_the_rows_that_are_whole() {
    let many: String = (0..3000).map(|number| format!("{{\"id\":{number},\"text\":\"\"}}\n")).collect();
    for whole in [gzip(many.as_bytes()), zstd(many.as_bytes())] {
        let finished = encode(&["-"]).stdin(&whole[..whole.len() - 6]).run();
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        assert!(finished.stderr.contains("cannot read standard input after line"), "{}", finished.stderr);
    }
}

#[test]
fn output_is_compressed_by_its_suffix() {
    let place = folder();
    let expected = (row("1", "one") + &row("2", "two")).into_bytes();
    for suffix in ["gz", "zst"] {
        let path = place.path().join(format!("vectors.jsonl.{suffix}"));
        encode(&["-", "--output", path.to_str().unwrap()]).stdin(ROWS).run().ok();
        let bytes = fs::read(&path).unwrap();
        let plain = match suffix {
            "gz" => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
                plain
            }
            _ => zstd::decode_all(&bytes[..]).unwrap(),
        };
        assert_eq!(plain, expected, "{suffix}");
    }
}

#[test]
fn rows_before_a_bad_one_stay_readable_in_a_compressed_file() {
    let place = folder();
    let path = place.path().join("vectors.jsonl.zst");
    let input = ROWS.to_string() + "no json\n";
    encode(&["-", "--output", path.to_str().unwrap()]).stdin(input).run().fails(1);
    let partial = fs::read(place.path().join("vectors.jsonl.zst.partial")).unwrap();
    assert_eq!(zstd::decode_all(&partial[..]).unwrap(), (row("1", "one") + &row("2", "two")).into_bytes());
}

#[test]
fn tsv_has_an_id_a_tab_and_a_text() {
    let out = encode(&["-", "--input-format", "tsv"]).stdin("7\tone\nq\"x\ttwo\twords\n").run().ok();
    assert_eq!(out, row("\"7\"", "one") + &row("\"q\\\"x\"", "two\twords"));
    for (line, says) in [("no tab", "no tab between"), ("\ttext", "the id before the tab is empty")] {
        let stderr = encode(&["-", "--input-format", "tsv"]).stdin(line).run().fails(1);
        assert!(stderr.contains("standard input line 1") && stderr.contains(says), "{stderr}");
    }
}

#[test]
fn lines_are_texts_and_their_numbers_are_ids() {
    let out = encode(&["-", "--input-format", "lines"]).stdin("one\n \n{two}\n").run().ok();
    assert_eq!(out, row("1", "one") + &row("3", "{two}"));
}

#[test]
fn kept_fields_go_through_byte_for_byte() {
    let line = r#"{"id":"a","n": 12345678901234567890123,"text":"one","t\u0061g":[1e400, null]}"#;
    let out = encode(&["-", "--keep", "tag,n", "--keep", "missing"]).stdin(line).run().ok();
    let expected = r#"{"id":"a","n":12345678901234567890123,"t\u0061g":[1e400, null],"vector":"#.to_string();
    assert_eq!(out, expected + &vector("one") + "}\n");
    let all = encode(&["-", "--keep-all"]).stdin(line).run().ok();
    assert!(
        all.starts_with(r#"{"id":"a","n":12345678901234567890123,"text":"one","t\u0061g":[1e400, null],"v"#),
        "{all}"
    );
}

#[test]
fn a_kept_field_cannot_take_the_place_of_another() {
    for args in
        [&["-", "--keep", "vector"][..], &["-", "--keep", "id"], &["-", "--keep", "v", "--vector-field", "v"]]
    {
        assert!(encode(args).run().fails(2).contains("--keep"), "{args:?}");
    }
    let stderr = encode(&["-", "--keep-all"]).stdin("{\"text\":\"a\",\"vector\":1}").run().fails(1);
    assert!(stderr.contains("the field `vector` cannot be kept"), "{stderr}");
}

#[test]
fn dotted_text_fields() {
    let line = r#"{"id":1,"doc":{"title":"Currently New York","body":"is rainy."}}"#;
    let out = encode(&["-", "--text-field", "doc.title", "--text-field", "doc.body"]).stdin(line).run().ok();
    assert_eq!(out, row("1", "Currently New York is rainy."));
}

#[test]
fn decimals_round_to_the_nearest_and_drop_what_becomes_nothing() {
    let text = "What's the weather in ny now?";
    let exact: Value = serde_json::from_str(&vector(text)).unwrap();
    let rounded = |decimals: &str| -> Value {
        let out = neural_sparse(&["encode", "--model", "tiny", "--decimals", decimals, text]).run().ok();
        serde_json::from_str(&out).unwrap()
    };
    let two = rounded("2");
    for (term, weight) in exact.as_object().unwrap() {
        let nearest = (weight.as_f64().unwrap() * 100.0).round() / 100.0;
        assert_eq!(two[term].as_f64(), Some(nearest), "{term}");
    }
    let none = rounded("0");
    assert!(none.as_object().unwrap().values().all(|weight| weight.as_f64().unwrap() >= 1.0));
    assert!(none.as_object().unwrap().len() < exact.as_object().unwrap().len());
}

#[test]
fn bad_rows_are_set_aside_with_a_report_each() {
    let place = folder();
    let rejects = place.path().join("rejects.jsonl");
    let mut input = ROWS.as_bytes().to_vec();
    input.splice(
        22..22,
        b"{\"text\":5}\n{\"text\":\"\xff\"}\n\xef\xbb\xbf{\"text\":\"bom inside\"}\n".iter().copied(),
    );
    let args = ["-", "--on-error", "skip", "--rejects", rejects.to_str().unwrap()];
    let finished = encode(&args).stdin(&input).run();
    assert_eq!(finished.code, Some(3));
    assert_eq!(finished.stdout, row("1", "one") + &row("2", "two"));
    let reports: Vec<Value> = fs::read_to_string(&rejects)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [
        (2, "the field `text` is a number, not a string", "{\"text\":5}", Value::Null),
        (3, "not UTF-8", "eyJ0ZXh0Ijoi/yJ9", "base64".into()),
        (4, "not JSON: expected value", "\u{feff}{\"text\":\"bom inside\"}", Value::Null),
    ];
    assert_eq!(reports.len(), expected.len());
    for (report, (line, reason, raw, encoding)) in reports.iter().zip(expected) {
        assert_eq!((&report["file"], report["line"].as_u64()), (&"-".into(), Some(line)));
        assert_eq!((report["reason"].as_str(), report["raw"].as_str()), (Some(reason), Some(raw)));
        assert_eq!(report["raw_encoding"], encoding);
    }
    assert_eq!(reports[1]["column"], 10);
}

#[test]
fn a_line_that_is_too_long_is_rejected_and_its_report_is_short() {
    let place = folder();
    let rejects = place.path().join("rejects.jsonl");
    let long = format!("{{\"text\":\"{}\"}}\n", "é".repeat(100_000));
    let args =
        ["-", "--max-line-bytes", "70000", "--on-error", "skip", "--rejects", rejects.to_str().unwrap()];
    let finished = encode(&args).stdin(format!("{long}{ROWS}{}", long.trim_end())).run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(finished.stdout, row("1", "one") + &row("2", "two"));
    let report: Value =
        serde_json::from_str(fs::read_to_string(&rejects).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(report["reason"], "a line of 200012 bytes, and 70000 are the limit");
    let raw = report["raw"].as_str().unwrap();
    assert!(
        raw.starts_with("{\"text\":\"éé") && raw.len() <= 65536 && raw.len() > 65530,
        "{} bytes",
        raw.len()
    );
    let stderr = encode(&["-", "--max-line-bytes", "70000"]).stdin(&long).run().fails(1);
    assert!(stderr.contains("standard input line 1: a line of 200012 bytes"), "{stderr}");
}

#[test]
fn rejects_that_make_no_sense_are_usage_errors() {
    let skip = ["-", "--on-error", "skip", "--rejects"];
    for (args, says) in [
        (&["-", "--rejects", "r.jsonl"][..], "--on-error skip"),
        (&[&skip[..], &["r.jsonl.gz"]].concat(), "without .gz or .zst"),
        (&[&skip[..], &["r.jsonl", "--output", "r.jsonl"]].concat(), "the same file"),
    ] {
        let stderr = encode(args).run().fails(2);
        assert!(stderr.contains(says), "{stderr}");
        assert!(!Path::new("r.jsonl.partial").exists());
    }
}

#[test]
fn scoring_rows_sets_bad_ones_aside_too() {
    let pairs =
        "{\"query\":\"a\",\"document\":\"b\"}\n{\"query\":\"a\"}\n{\"query\":\"b\",\"document\":\"a\"}\n";
    let args = ["score", "--model", "tiny", "--input", "-", "--on-error", "skip"];
    let finished = neural_sparse(&args).stdin(gzip(pairs.as_bytes())).run();
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(3), 2), "{}", finished.stderr);
}

/// Words that are one token each, so that a limit of 8 tokens leaves room for 6 of them.
const WORDS: &str = "river house winter summer table market letter garden window story paper";

fn words(range: std::ops::Range<usize>) -> String {
    WORDS.split(' ').collect::<Vec<_>>()[range].join(" ")
}

fn chunked(args: &[&str]) -> String {
    let input = format!("{{\"id\":1,\"text\":\"{WORDS}\",\"k\":true}}\n{{\"id\":2,\"text\":\"river\"}}\n");
    let chunk = ["-", "--max-length", "8", "--on-long", "chunk", "--chunk-overlap", "2"];
    encode(&[&chunk, args].concat()).stdin(input).run().ok()
}

#[test]
fn chunks_are_what_their_windows_give_alone() {
    let out = chunked(&["--chunk-rows", "--keep", "k"]);
    let rows = [(0..6, 0, "\"k\":true,"), (4..10, 1, "\"k\":true,"), (8..11, 2, "\"k\":true,")];
    let mut expected: String = rows
        .into_iter()
        .map(|(range, chunk, kept)| {
            format!("{{\"id\":1,\"chunk\":{chunk},{kept}\"vector\":{}}}\n", vector(&words(range)))
        })
        .collect();
    expected += &format!("{{\"id\":2,\"chunk\":0,\"vector\":{}}}\n", vector("river"));
    assert_eq!(out, expected);
}

#[test]
fn the_vector_of_a_chunked_text_is_the_maximum_of_its_windows() {
    let mut largest = std::collections::HashMap::new();
    for range in [0..6, 4..10, 8..11] {
        let window: serde_json::Map<String, Value> = serde_json::from_str(&vector(&words(range))).unwrap();
        for (term, weight) in window {
            let weight = weight.as_f64().unwrap();
            let entry = largest.entry(term).or_insert(weight);
            *entry = weight.max(*entry);
        }
    }
    let row: Value = serde_json::from_str(chunked(&[]).lines().next().unwrap()).unwrap();
    let whole = row["vector"].as_object().unwrap();
    assert_eq!(whole.len(), largest.len());
    for (term, weight) in whole {
        assert_eq!(weight.as_f64(), Some(largest[term]), "{term}");
    }
}

#[test]
fn a_long_text_can_be_an_error() {
    let input = format!("{{\"id\":1,\"text\":\"{WORDS}\"}}\n{{\"id\":2,\"text\":\"river\"}}\n");
    let args = ["-", "--max-length", "8", "--on-long", "error"];
    let stderr = encode(&args).stdin(&input).run().fails(1);
    assert!(stderr.contains("standard input line 1: a text of 13 tokens, 8 are the limit"), "{stderr}");
    let finished = encode(&[&args[..], &["--on-error", "skip"]].concat()).stdin(&input).run();
    assert_eq!((finished.code, finished.stdout), (Some(3), row("2", "river")));
}

#[test]
fn flags_about_long_texts_that_do_not_go_together() {
    let stderr = encode(&["-", "--chunk-rows"]).run().fails(2);
    assert!(stderr.contains("--on-long chunk"), "{stderr}");
    let overlap = ["-", "--max-length", "8", "--on-long", "chunk", "--chunk-overlap", "6"];
    let stderr = encode(&overlap).stdin(ROWS).run().fails(1);
    assert!(stderr.contains("an overlap of 6 leaves nothing new"), "{stderr}");
}

#[test]
fn the_size_of_a_batch_changes_nothing() {
    let input: String =
        (0..40).map(|number| format!("{{\"text\":\"{}\"}}\n", words(0..number % 12))).collect();
    let with = |tokens: &str| encode(&["-", "--batch-tokens", tokens]).stdin(&input).run().ok();
    let all = with("8192");
    assert_eq!(all.lines().count(), 40);
    assert_eq!((with("1"), with("64")), (all.clone(), all));
}

/// Whether this processor has what a screen is computed with.
fn can_screen() -> bool {
    neural_sparse::InstructionSet::best() != neural_sparse::InstructionSet::Portable
}

#[test]
fn the_screen_can_be_switched_off() {
    let place = folder();
    let summary = place.path().join("summary.json");
    let args =
        ["encode", "--model", "tiny", "--input", "-", "--quiet", "--summary", summary.to_str().unwrap()];
    let input = "{\"text\":\"river house\"}\n";
    let whole = neural_sparse(&args).env("NEURAL_SPARSE_SCREEN", "0").stdin(input).run().ok();
    let figures: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    assert_eq!(figures["logits_screened"], 0);
    let refusal = neural_sparse(&args).stdin(input).run().fails(1);
    assert!(refusal.contains("summary.json` exists already"), "{refusal}");
    let again = [&args[..], &["--force"]].concat();
    assert_eq!(neural_sparse(&again).stdin(input).run().ok(), whole);
}

#[test]
fn a_run_ends_with_its_figures() {
    let place = folder();
    let summary = place.path().join("summary.json");
    let input = "{\"id\":1,\"text\":\"river house\"}\n\n{\"id\":1,\"text\":\"river\"}\n{\"id\":\"1\"}\n{\"text\":\"river house winter\"}\n";
    let args = ["encode", "--model", "tiny", "--input", "-", "--on-error", "skip", "--max-length", "4"];
    let args = [&args[..], &["--summary", summary.to_str().unwrap()]].concat();
    let finished = neural_sparse(&args).stdin(input).run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    let says =
        "4 rows in, 3 out, 1 rejected, 1 cut to 4 tokens, 1 blank line skipped, 1 duplicate id\n11 tokens, ";
    assert!(finished.stderr.starts_with(says), "{}", finished.stderr);
    assert!(finished.stderr.contains("\nmodel tiny (sha256 "), "{}", finished.stderr);

    let lengths: Vec<usize> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["vector"].as_object().unwrap().len())
        .collect();
    let figures: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
    for (name, value) in [
        ("rows_in", 4),
        ("rows_out", 3),
        ("rejected", 1),
        ("truncated", 1),
        ("blank_lines", 1),
        ("duplicate_ids", 1),
        ("ids_compared", 3),
        ("tokens", 4 + 3 + 4),
        ("vectors", 3),
        ("terms", lengths.iter().sum::<usize>() as u64),
        ("max_terms", *lengths.iter().max().unwrap() as u64),
    ] {
        assert_eq!(figures[name].as_u64(), Some(value), "{name}");
    }
    assert_eq!(figures["mean_terms"].as_f64(), Some(lengths.iter().sum::<usize>() as f64 / 3.0));
    let screened = figures["logits_screened"].as_u64().unwrap();
    // Two rows are the same after the cut: encoded once, unless they were read in different windows.
    assert!([7 * 30_522, 11 * 30_522].contains(&screened) || !can_screen(), "{screened}");
    assert!(figures["logits_left"].as_u64().unwrap() * 50 < screened || !can_screen());
    assert!(
        figures["seconds"].as_f64().unwrap() > 0.0 && figures["tokens_per_second"].as_f64().unwrap() > 0.0
    );
    assert_eq!(figures["model"], "tiny");
    assert_eq!(figures["model_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn shards_one_after_the_other_are_the_whole() {
    let place = folder();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    fs::write(&first, "{\"text\":\"one\"}\n\n{\"id\":\"x\",\"text\":\"two\"}\r\n{\"text\":\"three\"}")
        .unwrap();
    fs::write(&second, "{\"text\":\"four\"}\n{\"text\":\"five\"}\n").unwrap();
    let args = [first.to_str().unwrap(), "--input", second.to_str().unwrap()];
    let whole = encode(&args).run().ok();
    assert_eq!(whole.lines().count(), 5);
    for count in [1, 2, 3, 7] {
        let shard =
            |index| encode(&[&args[..], &["--shard", &format!("{index}/{count}")]].concat()).run().ok();
        assert_eq!((1..=count).map(shard).collect::<String>(), whole, "{count} shards");
    }
    // A rejected row is named by its line in the file, whichever part it is in.
    fs::write(&first, "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":3}\n").unwrap();
    let stderr = encode(&[first.to_str().unwrap(), "--shard", "3/3"]).run().fails(1);
    assert!(stderr.contains("line 3: the field `text` is a number"), "{stderr}");
}

#[test]
fn shards_that_cannot_be() {
    let place = folder();
    let compressed = place.path().join("docs.gz");
    fs::write(&compressed, gzip(ROWS.as_bytes())).unwrap();
    for (args, says) in [
        (&["-", "--shard", "0/2"][..], "counts from 1"),
        (&["-", "--shard", "3/2"], "at most N"),
        (&["-", "--shard", "half"], "I/N"),
        (&["-", "--shard", "1/2"], "standard input is not a plain file"),
        (&[compressed.to_str().unwrap(), "--shard", "1/2"], "is not a plain file"),
    ] {
        let stderr = encode(args).run().fails(2);
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
}

/// The `_id` of a request is a string, and an escape is the character that it stands for.
#[test]
fn ids_that_are_one_to_the_store_are_duplicates() {
    let duplicates = |ids: [&str; 4], format: &str| {
        let input: String = ids.iter().map(|id| format!("{{\"id\":{id},\"text\":\"river\"}}\n")).collect();
        let args = ["encode", "--model", "tiny", "--input", "-", "--format", format];
        let finished = neural_sparse(&args).stdin(input).run();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stderr.lines().next().unwrap_or_default().rsplit(", ").next().unwrap_or_default().to_string()
    };
    assert_eq!(duplicates(["7", "\"7\"", "\"a\"", "\"\\u0061\""], "opensearch"), "2 duplicate ids");
    assert_eq!(duplicates(["7", "\"07\"", "\"7.0\"", "\"a\""], "opensearch"), "0 duplicate ids");
    let uuids = [
        "\"0a0cb5a9-8d3f-5f7b-9d0e-000000000000\"",
        "\"0A0CB5A9-8D3F-5F7B-9D0E-000000000000\"",
        "\"0a0cb5a98d3f5f7b9d0e000000000000\"",
        "\"urn:uuid:0a0cb5a9-8d3f-5f7b-9d0e-000000000000\"",
    ];
    assert_eq!(duplicates(uuids, "opensearch"), "0 duplicate ids");
    assert_eq!(duplicates(uuids, "qdrant"), "3 duplicate ids");
}

/// Each would have destroyed the run's own input or output, with exit code 0.
#[test]
fn no_output_is_the_input_or_another_output() {
    let place = folder();
    let input = place.path().join("docs.jsonl");
    fs::write(&input, "{\"id\":1,\"text\":\"river\"}\n{\"id\":2}\n").unwrap();
    fs::hard_link(&input, place.path().join("hard.jsonl")).unwrap();
    fs::create_dir(place.path().join("sub")).unwrap();
    let before = fs::read(&input).unwrap();
    let refused = |output: &str, more: &[(&str, &str)]| {
        let at = |name: &str| place.path().join(name).to_str().unwrap().to_string();
        let mut args: Vec<String> = ["encode", "--model", "tiny", "--on-error", "skip", "--force", "--input"]
            .map(String::from)
            .to_vec();
        args.extend([at("docs.jsonl"), "--output".into(), at(output)]);
        more.iter().for_each(|(flag, name)| args.extend([flag.to_string(), at(name)]));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let refusal = neural_sparse(&args).run().fails(2);
        assert!(refusal.contains("are the same file"), "{refusal}");
        assert_eq!(fs::read(&input).unwrap(), before);
        let names = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(names, 3, "nothing was created");
    };
    refused("docs.jsonl", &[]);
    refused("hard.jsonl", &[]);
    refused("sub/../docs.jsonl", &[]);
    for flag in ["--summary", "--rejects"] {
        for name in ["docs.jsonl", "hard.jsonl", "out", "sub/../out", "out.partial", "out.journal"] {
            refused("out", &[(flag, name)]);
        }
    }
    refused("out", &[("--summary", "rows"), ("--rejects", "rows")]);
}

#[test]
fn a_second_run_on_an_output_is_refused_and_changes_nothing() {
    let place = folder();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_string();
    let (input, output) = (at("docs.jsonl"), at("out.jsonl"));
    let rows: String = (0..2000).map(|id| format!("{{\"id\":{id},\"text\":\"river {id}\"}}\n")).collect();
    fs::write(&input, rows).unwrap();
    let args =
        ["encode", "--model", "tiny", "--threads", "1", "--quiet", "--input", &input, "--output", &output];
    let mut first = neural_sparse(&args).into_command().spawn().unwrap();
    while !place.path().join("out.jsonl.journal").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    for flag in [&["--force"][..], &["--resume"]] {
        let refusal = neural_sparse(&[&args[..], flag].concat()).run().fails(1);
        assert!(refusal.contains("another run is writing"), "{refusal}");
    }
    assert!(first.wait().unwrap().success());
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 2000);
    assert!(!place.path().join("out.jsonl.journal").exists());
}

#[test]
fn a_file_that_is_no_journal_is_left_alone() {
    let place = folder();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_string();
    fs::write(at("docs.jsonl"), "{\"id\":1,\"text\":\"river\"}\n").unwrap();
    fs::write(at("out.journal"), "Dear diary\n").unwrap();
    let (input, output) = (at("docs.jsonl"), at("out"));
    for flag in [&[][..], &["--force"], &["--resume"]] {
        let args =
            [&["encode", "--model", "tiny", "--input", &input, "--output", &output][..], flag].concat();
        let refusal = neural_sparse(&args).run().fails(1);
        assert!(refusal.contains("not the journal of a run") && refusal.contains("hint: "), "{refusal}");
    }
    assert_eq!(fs::read_to_string(at("out.journal")).unwrap(), "Dear diary\n");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}
