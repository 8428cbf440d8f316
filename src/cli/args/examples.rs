//! The examples at the end of each subcommand's help. The tests run all of them, in this order, in one folder.

/// The lines of each subcommand.
const EXAMPLES: [(&str, &[&str]); 26] = [
    (
        "neural-sparse",
        &[
            "neural-sparse encode --model tiny \"What's the weather in ny now?\"",
            "neural-sparse encode --input docs.jsonl --output vectors.jsonl",
        ],
    ),
    (
        "neural-sparse encode",
        &[
            "neural-sparse encode \"What's the weather in ny now?\"",
            "neural-sparse encode -i docs.jsonl -o docs-vectors.jsonl --prune max_ratio=0.1",
            "neural-sparse encode -i docs.jsonl -o docs-bulk.jsonl --format opensearch --index-name docs",
        ],
    ),
    (
        "neural-sparse score",
        &[
            "neural-sparse score \"weather in ny\" \"Rain in New York\" \"Cats sleep\"",
            "neural-sparse score --explain \"weather in ny\" \"Rain in New York\"",
            "neural-sparse score -i pairs.jsonl -o scored.jsonl",
        ],
    ),
    (
        "neural-sparse explain",
        &[
            "neural-sparse explain \"weather in ny\"",
            "neural-sparse explain --html page.html \"weather in ny\"",
        ],
    ),
    (
        "neural-sparse convert",
        &[
            "neural-sparse convert -i vectors.jsonl -o points.jsonl --format qdrant",
            "neural-sparse convert -i vectors.jsonl -o vectors.npz --format csr-npz",
        ],
    ),
    ("neural-sparse target", &["neural-sparse target mapping opensearch"]),
    (
        "neural-sparse target mapping",
        &[
            "neural-sparse target mapping opensearch",
            "neural-sparse target mapping vespa --index-name doc --vector-field vector",
        ],
    ),
    (
        "neural-sparse target query",
        &[
            "neural-sparse target query opensearch -k 5 \"weather in ny\"",
            "neural-sparse target query qdrant -i queries.tsv --input-format tsv",
        ],
    ),
    (
        "neural-sparse target pipeline",
        &[
            "neural-sparse target pipeline opensearch --model-id ID",
            "neural-sparse target pipeline opensearch --two-phase",
        ],
    ),
    ("neural-sparse index", &["neural-sparse index build -i docs.jsonl -o docs-index"]),
    (
        "neural-sparse index build",
        &[
            "neural-sparse index build -i docs.jsonl -o index",
            "neural-sparse index build -i vectors.jsonl -o vectors-index --codec u8",
        ],
    ),
    ("neural-sparse index info", &["neural-sparse index info index --verify"]),
    (
        "neural-sparse search",
        &[
            "neural-sparse search --index index \"weather in ny\"",
            "neural-sparse search --index index --queries queries.tsv --run run.trec",
        ],
    ),
    (
        "neural-sparse eval",
        &["neural-sparse eval --data collection", "neural-sparse eval --run run.trec --qrels qrels.tsv"],
    ),
    ("neural-sparse eval judge", &["neural-sparse eval judge --run run.trec --qrels qrels.tsv"]),
    ("neural-sparse eval compare", &["neural-sparse eval compare run.trec run.trec --qrels qrels.tsv"]),
    ("neural-sparse eval cache", &["neural-sparse eval cache list"]),
    ("neural-sparse eval cache list", &["neural-sparse eval cache list"]),
    ("neural-sparse eval cache clear", &["neural-sparse eval cache clear"]),
    (
        "neural-sparse eval sweep",
        &["neural-sparse eval sweep --data collection --prune max_ratio=0.1,0.2 --keep-quality 0.99"],
    ),
    ("neural-sparse stats", &["neural-sparse stats vectors.jsonl --top 5"]),
    ("neural-sparse model", &["neural-sparse model list"]),
    ("neural-sparse model list", &["neural-sparse model list"]),
    ("neural-sparse model show", &["neural-sparse model show tiny"]),
    ("neural-sparse model pull", &["neural-sparse model pull tiny"]),
    ("neural-sparse model verify", &["neural-sparse model verify tiny"]),
];

/// The examples of the subcommand at `path`, the names from the program's on.
pub(super) fn of(path: &str) -> Option<&'static [&'static str]> {
    EXAMPLES.iter().find(|(known, _)| *known == path).map(|(_, lines)| *lines)
}

/// The last part of the help of the subcommand at `path`.
pub(super) fn text(path: &str, lines: &[&str]) -> String {
    let mut text = "Examples:".to_string();
    for line in lines {
        text += &format!("\n  {line}");
    }
    if path == "neural-sparse" {
        text += "\n\nExit codes: 0 done, 1 failed, 2 usage, 3 finished but some input was rejected, 130 interrupted.";
    }
    text
}
