//! One set of rules for every reader of rows: odd files, plain and compressed, through each of them.

use std::fs;
use std::io::Write;
use std::path::Path;

use neural_sparse::check::golden;
use neural_sparse::eval::{read_qrels, read_run, Collection, Qrels, Run};
use neural_sparse::input::json::Keys;
use serde_json::json;
use tempfile::TempDir;

use crate::program::{folder, neural_sparse};

/// Plain, gzip, zstd: told apart by the first bytes, whatever the file is called.
fn packed(bytes: &[u8], way: usize) -> Vec<u8> {
    match way % 3 {
        0 => bytes.to_vec(),
        1 => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        }
        _ => zstd::encode_all(bytes, 1).unwrap(),
    }
}

/// What rows are read as, by id and text; or what the error says.
type Expected = Result<&'static [(&'static str, &'static str)], &'static str>;

/// The name of a format, a file, what it is read as.
const FILES: [(&str, &[u8], Expected); 26] = [
    ("tsv", b"7\train\n", Ok(&[("7", "rain")])),
    ("tsv", b"7\train", Ok(&[("7", "rain")])),
    ("tsv", b"\xef\xbb\xbf7\train\r\n\r\n8\tsun\r\n", Ok(&[("7", "rain"), ("8", "sun")])),
    ("tsv", b"a b\t\"rain\" in\tnew york\n", Ok(&[("a b", "\"rain\" in\tnew york")])),
    ("tsv", b"  \n7\train\n\n\n", Ok(&[("7", "rain")])),
    ("tsv", b"7\t\n8\tsun\n", Ok(&[("7", ""), ("8", "sun")])),
    ("tsv", b"\train\n", Err("the id before the tab is empty")),
    ("tsv", b"rain\n", Err("no tab between an id and a text")),
    ("tsv", b"7\t\xff\n", Err("not UTF-8")),
    ("csv", b"id,text\n7,rain\n", Ok(&[("7", "rain")])),
    ("csv", b"\xef\xbb\xbf\"id\",text\r\n7,\"a \"\"b\"\", c\"\r\n", Ok(&[("7", "a \"b\", c")])),
    ("csv", b"text,note,_id\n\n\"rain\nsun\",x,7\n\n", Ok(&[("7", "rain\nsun")])),
    ("csv", b"id,text\n7,rain", Ok(&[("7", "rain")])),
    ("csv", b"id,text\n7\n", Err("1 fields, and the first line names 2 columns")),
    ("csv", b"id,text\n7,a,b\n", Err("3 fields, and the first line names 2 columns")),
    ("csv", b"id,text\n7,\"a\n", Err("a quote is opened and not closed")),
    ("csv", b"id,body\n7,a\n", Err("no field `text`")),
    ("jsonl", b"{\"id\":\"7\",\"text\":\"rain\"}", Ok(&[("7", "rain")])),
    ("jsonl", b"\xef\xbb\xbf \r\n{\"_id\":\"7\",\"text\":\"rain\"} \r\n", Ok(&[("7", "rain")])),
    ("jsonl", b"{\"id\":\"\\u0037\",\"x\":[1],\"text\":\"a\\tb\"}\n", Ok(&[("7", "a\tb")])),
    ("jsonl", b"{\"_id\":\"7\",\"id\":\"8\",\"text\":\"a\"}\n", Ok(&[("7", "a")])),
    ("jsonl", b"{\"id\":\"\",\"text\":\"a\"}\n", Err("the id is an empty string")),
    ("jsonl", b"{\"id\":\"7\",\"text\":null}\n", Err("no field `text`")),
    ("jsonl", b"{\"id\":\"7\",\"text\":\"a\",\"text\":\"b\"}\n", Err("the field `text` is given twice")),
    ("jsonl", b"[{\"id\":\"7\",\"text\":\"a\"}]\n", Err("expected one object per line")),
    ("jsonl", b"{\"id\":\"7\",\n\"text\":\"a\"}\n", Err("not JSON")),
];

fn path(place: &TempDir, name: &str) -> String {
    place.path().join(name).to_str().unwrap().to_string()
}

/// The rows as JSONL that nobody reads in two ways.
fn plain(rows: &[(&str, &str)]) -> String {
    rows.iter().map(|(id, text)| format!("{}\n", json!({"id": id, "text": text}))).collect()
}

#[test]
fn texts_are_read_alike_by_encode_and_search() {
    let place = folder();
    fs::write(path(&place, "docs"), plain(&[("d", "rain, sun, new york"), ("e", "a b c")])).unwrap();
    let (docs, index) = (path(&place, "docs"), path(&place, "index"));
    neural_sparse(&["index", "build", "-q", "-m", "tiny", "-i", &docs, "-o", &index]).run().ok();
    let encode = |file: &str, format: &str| {
        let file = path(&place, file);
        neural_sparse(&["encode", "-q", "-m", "tiny", "-i", &file, "--input-format", format]).run()
    };
    let search = |file: &str, format: &str| {
        let file = path(&place, file);
        let args =
            ["search", "-q", "--json", "--index", &index, "--queries", &file, "--input-format", format];
        neural_sparse(&args).run()
    };
    type Reader<'a> = (&'a str, &'a dyn Fn(&str, &str) -> crate::program::Finished);
    let readers: [Reader; 2] = [("encode", &encode), ("search", &search)];
    for (number, (format, bytes, expected)) in FILES.into_iter().enumerate() {
        for (place_of_reader, (reader, read)) in readers.into_iter().enumerate() {
            let what = format!("{reader} {format} {:?}", String::from_utf8_lossy(bytes));
            fs::write(path(&place, "rows"), packed(bytes, number + place_of_reader)).unwrap();
            let found = read("rows", format);
            match expected {
                Ok(rows) => {
                    fs::write(path(&place, "plain"), plain(rows)).unwrap();
                    // An escaped id stays as it was written.
                    let found = found.ok().replace("\\u0037", "7");
                    assert_eq!(found, read("plain", "jsonl").ok(), "{what}");
                }
                Err(says) => {
                    let stderr = found.fails(1);
                    assert!(stderr.contains(says), "{what}: {stderr}");
                    assert!(stderr.contains(" line "), "{what}: {stderr}");
                }
            }
        }
    }
}

#[test]
fn texts_are_read_alike_as_parts_of_a_collection() {
    for (number, (format, bytes, expected)) in FILES.into_iter().enumerate() {
        for part in ["queries", "topics", "corpus"] {
            let place = folder();
            let name = format!("{part}.{format}");
            let what = format!("{name} {:?}", String::from_utf8_lossy(bytes));
            if part != "corpus" {
                fs::write(path(&place, "corpus.jsonl"), plain(&[("d", "rain")])).unwrap();
            } else {
                fs::write(path(&place, "queries.jsonl"), plain(&[("7", "rain")])).unwrap();
            }
            // Not by the name: it says nothing of the compression.
            fs::write(path(&place, &name), packed(bytes, number)).unwrap();
            let ids: Vec<&str> = match expected {
                Ok(rows) if part != "corpus" => rows.iter().map(|(id, _)| *id).collect(),
                _ => vec!["7"],
            };
            let qrels: String = ids.iter().map(|id| format!("{id}\td\t1\n")).collect();
            fs::write(path(&place, "qrels.tsv"), qrels).unwrap();
            let opened = Collection::open(place.path(), None);
            if part == "corpus" {
                // Read when it is encoded, by the reader that `encode` has.
                assert!(opened.is_ok() || expected.is_err(), "{what}");
                continue;
            }
            match (opened, expected) {
                (Ok(found), Ok(rows)) => {
                    let found: Vec<(&str, &str)> =
                        found.queries.iter().map(|query| (query.id.as_str(), query.text.as_str())).collect();
                    assert_eq!(found, rows, "{what}");
                }
                (Err(error), Err(says)) => {
                    let error = error.to_string();
                    assert!(error.contains(says) && error.contains(" line "), "{what}: {error}");
                }
                (found, _) => panic!("{what}: {found:?}"),
            }
        }
    }
}

#[test]
fn runs_and_judgements_are_read_alike() {
    let place = folder();
    let file = place.path().join("any name");
    let mut qrels = Qrels::default();
    qrels.insert("q", "d", 2);
    qrels.insert("q", "e", 0);
    for (number, text) in [
        "q\td\t2\nq\te\t0\n",
        "\u{feff}query-id\tcorpus-id\tscore\r\nq\td\t2\r\n\r\nq\te\t0",
        "\u{feff}q 0 d 2\n\n  \nq 0 e 0\n",
        "q\t0\td\t2\r\nq\t0\te\t0\r\n",
        "  q  Q0  d  2  \nq 0 e 0 ",
    ]
    .into_iter()
    .enumerate()
    {
        for way in 0..3 {
            fs::write(&file, packed(text.as_bytes(), way)).unwrap();
            assert_eq!(read_qrels(&file).unwrap(), qrels, "{number}: {text:?}");
        }
    }
    let mut run = Run::default();
    let hit = |document: &str, score| neural_sparse::eval::RunHit { document: document.into(), score };
    run.insert("q", vec![hit("d", 1.5), hit("e", -1e-3)]);
    for (number, text) in [
        "q Q0 d 1 1.5 t\nq Q0 e 2 -1e-3 t\n",
        "\u{feff}q\tQ0\td\t1\t1.5\tt\r\n\r\nq\tQ0\te\t2\t-0.001\tt",
        "\n  q   Q0 e 7 -.001 t  \n q 0 d x 15e-1 t\n",
    ]
    .into_iter()
    .enumerate()
    {
        for way in 0..3 {
            fs::write(&file, packed(text.as_bytes(), way)).unwrap();
            assert_eq!(read_run(&file).unwrap(), run, "{number}: {text:?}");
        }
    }
}

#[test]
fn vectors_are_read_alike() {
    let place = folder();
    let file = path(&place, "any name");
    let row = "{\"id\":\"a\",\"text\":\"rain\",\"vector\":{\"rain\":1.5,\"##s\":0.25}}";
    let convert = ["convert", "-q", "-i", &file];
    let stats = ["stats", "-q", "--json", &file];
    let readers: [&[&str]; 2] = [&convert, &stats];
    for (number, text) in
        [format!("{row}\n"), row.into(), format!("\u{feff}\r\n {row} \r\n\r\n"), format!("\n\n{row}\n  ")]
            .into_iter()
            .enumerate()
    {
        for way in 0..3 {
            for args in readers {
                fs::write(&file, format!("{row}\n")).unwrap();
                let expected = neural_sparse(args).run().ok();
                fs::write(&file, packed(text.as_bytes(), way)).unwrap();
                assert_eq!(neural_sparse(args).run().ok(), expected, "{}: {number}, {way}", args[0]);
            }
            assert_eq!(golden::read(Path::new(&file), Keys::Terms).unwrap().len(), 1, "{number}, {way}");
        }
    }
}
