//! A flag that changes nothing is refused, with its name: whoever gives it expects something of it.

use std::fs;

use tempfile::TempDir;

use crate::program::{folder, neural_sparse};

fn place() -> TempDir {
    let place = folder();
    let write = |name: &str, content: &str| fs::write(place.path().join(name), content).unwrap();
    write("texts.jsonl", "{\"id\":1,\"text\":\"rain\"}\n");
    write("texts.tsv", "1\train\n");
    write("texts.txt", "rain\n");
    write("vectors.jsonl", "{\"id\":1,\"vector\":{\"rain\":1.5}}\n");
    for line in [
        "convert --model tiny -i vectors.jsonl -o matrix.npz --format csr-npz",
        "index build --model tiny -i vectors.jsonl -o index",
    ] {
        let args: Vec<&str> = line.split(' ').chain(["--quiet"]).collect();
        neural_sparse(&args).in_folder(place.path()).run().ok();
    }
    place
}

/// Each command, which succeeds as it is, and flags that have no effect with it.
const IDLE: [(&str, &[&str]); 16] = [
    (
        "encode --model tiny -i texts.tsv --input-format tsv",
        &[
            "--text-field body",
            "--id-field key",
            "--keep text",
            "--keep-all",
            "--chunk-rows",
            "--chunk-overlap 8",
        ],
    ),
    (
        "encode --model tiny -i texts.txt --input-format lines",
        &["--text-field body", "--id-field key", "--keep text", "--keep-all"],
    ),
    ("encode --model tiny -i texts.jsonl --on-long chunk=32", &["--chunk-overlap 8"]),
    ("encode --model tiny -i texts.jsonl --on-long chunk=50", &["--chunk-overlap 8"]),
    (
        "encode --model tiny -i texts.jsonl",
        &["--bulk-action create", "--bulk-mb 5", "--index-name docs", "--quantize 3", "--chunk-overlap 8"],
    ),
    ("explain --model tiny -i texts.tsv --input-format tsv", &["--text-field body", "--id-field key"]),
    ("explain --model tiny -i texts.jsonl", &["--json"]),
    ("convert --model tiny -i vectors.jsonl --format qdrant", &["--input-quantize 3"]),
    (
        "convert --model tiny -i matrix.npz --input-format csr-npz",
        &[
            "--input-vector-field v",
            "--vector-keys ids",
            "--input-quantize 3",
            "--id-field key",
            "--keep text",
            "--keep-all",
        ],
    ),
    (
        "index build -i vectors.jsonl -o new --force",
        &[
            "--as document",
            "--max-length 9",
            "--threads 2",
            "--device cpu",
            "--dialect card",
            "--decoder stored",
            "--batch-tokens 64",
            "--on-long chunk",
            "--input-quantize 3",
        ],
    ),
    (
        "index build --model tiny -i texts.jsonl -o other --force",
        &["--vector-keys ids", "--input-quantize 3", "--chunk-rows"],
    ),
    (
        "search --index index --queries vectors.jsonl",
        &[
            "--as query",
            "--max-length 9",
            "--dialect card",
            "--decoder stored",
            "--device cpu",
            "--any-model",
        ],
    ),
    (
        "search --model tiny --index index --queries texts.tsv",
        &["--text-field body", "--id-field key", "--vector-field v", "--vector-keys ids"],
    ),
    (
        "target query opensearch --model tiny -i texts.tsv --input-format tsv",
        &["--text-field body", "--id-field key"],
    ),
    ("target mapping elasticsearch", &["--model tiny"]),
    (
        "stats --model tiny matrix.npz --input-format csr-npz",
        &["--input-vector-field v", "--vector-keys ids", "--text-field body"],
    ),
];

#[test]
fn a_flag_without_effect_is_refused() {
    let place = place();
    let run =
        |words: &str| neural_sparse(&words.split(' ').collect::<Vec<_>>()).in_folder(place.path()).run();
    for (command, flags) in IDLE {
        run(&format!("{command} --quiet")).ok();
        for flag in flags {
            let stderr = run(&format!("{command} --quiet {flag}")).fails(2);
            let name = flag.split(' ').next().unwrap();
            assert!(stderr.contains(name), "{command} {flag}: {stderr}");
        }
    }
}
