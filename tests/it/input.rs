//! What is read: formats, compression, and files that are not what they seem.

use std::fs;
use std::io::Write;
use std::path::Path;

use neural_sparse::input::json::Keys;
use neural_sparse::input::MatrixRows;
use zip::write::SimpleFileOptions;

use crate::program::{folder, neural_sparse, Program};

fn encode(args: &[&str]) -> Program {
    neural_sparse(&[&["encode", "--quiet", "--model", "tiny", "--input"], args].concat())
}

fn convert(args: &[&str]) -> Program {
    neural_sparse(&[&["convert", "--quiet", "--input"], args].concat())
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn comma_separated_values_are_rows_with_the_fields_of_the_first_line() {
    let csv = "\u{feff}id,text,note\r\n7,\"one, \"\"two\"\"\r\nthree\",\"x, y\"\r\n\r\na,four,\r\n";
    let jsonl = concat!(
        "{\"id\":\"7\",\"text\":\"one, \\\"two\\\"\\r\\nthree\",\"note\":\"x, y\"}\n",
        "{\"id\":\"a\",\"text\":\"four\",\"note\":\"\"}\n",
    );
    let expected = encode(&["-", "--keep", "note"]).stdin(jsonl).run().ok();
    let args = ["-", "--input-format", "csv", "--keep", "note"];
    assert_eq!(encode(&args).stdin(csv).run().ok(), expected);
    assert_eq!(encode(&args).stdin(gzip(csv.as_bytes())).run().ok(), expected);
    // Rows without an id are called by the lines that they begin in.
    let args = ["-", "--input-format", "csv"];
    let rows = encode(&args).stdin("text\n\"a\nb\"\n\nc\n").run().ok();
    let ids: Vec<&str> = rows.lines().map(|row| &row[..7]).collect();
    assert_eq!(ids, ["{\"id\":2", "{\"id\":5"]);
}

#[test]
fn records_that_cannot_be_read_are_rejected_with_their_lines() {
    let place = folder();
    let rejects = place.path().join("rejects");
    let args = ["-", "--input-format", "csv", "--on-error", "skip", "--rejects", rejects.to_str().unwrap()];
    let csv = "id,text\n1,\"a\nb\"\n2\n3,c,d\n4,e\n5,\"open\n";
    let finished = encode(&args).stdin(csv).run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().count(), 2);
    let rejects = fs::read_to_string(rejects).unwrap();
    for (report, (line, reason, raw)) in rejects.lines().zip([
        (4, "1 fields, and the first line names 2 columns", "2\\n"),
        (5, "3 fields, and the first line names 2 columns", "3,c,d\\n"),
        (7, "a quote is opened and not closed before the end of the file", "5,\\\"open\\n"),
    ]) {
        let expected =
            format!("{{\"file\":\"-\",\"line\":{line},\"reason\":\"{reason}\",\"raw\":\"{raw}\"}}");
        assert_eq!(report, expected);
    }
    assert_eq!(rejects.lines().count(), 3);
    let stderr = encode(&["-", "--input-format", "csv"]).stdin("id,id\n1,2\n").run().fails(1);
    assert!(stderr.contains("two columns are called \"id\""), "{stderr}");
    let input = place.path().join("in.csv");
    fs::write(&input, csv).unwrap();
    let args = [input.to_str().unwrap(), "--input-format", "csv", "--shard", "1/2"];
    assert!(encode(&args).run().fails(2).contains("hint: `--shard` reads a part of plain files of lines"));
}

#[test]
fn json_that_does_not_stand_an_object_a_line_is_refused_with_what_helps() {
    for text in [
        "[{\"text\":\"a\"}]\n",
        "[\n  {\n    \"text\": \"a\"\n  }\n]\n",
        "[{\"text\":\"a\"},\n {\"text\":\"b\"}]\n",
        "{\n  \"text\": \"a\"\n}\n",
    ] {
        for program in [encode(&["-"]), convert(&["-", "--format", "opensearch"])] {
            let stderr = program.stdin(text).run().fails(1);
            assert!(stderr.contains("standard input line 1"), "{stderr}");
            assert!(stderr.contains("expected one object per line: `jq -c '.[]'`"), "{stderr}");
        }
    }
}

#[test]
fn a_null_text_is_a_missing_one() {
    let args = ["-", "--text-field", "title", "--text-field", "text"];
    let expected = encode(&args).stdin("{\"id\":1,\"text\":\"a\"}\n").run().ok();
    assert_eq!(encode(&args).stdin("{\"id\":1,\"title\":null,\"text\":\"a\"}\n").run().ok(), expected);
    let stderr = encode(&args).stdin("{\"id\":1,\"title\":null,\"text\":null}\n").run().fails(1);
    assert!(stderr.contains("no field `title` or `text`"), "{stderr}");
}

#[test]
fn keys_can_be_declared_to_be_ids() {
    // 2003 is the id of `the` less 7, and a term of its own.
    let ids = "{\"id\":\"a\",\"vector\":{\"2003\":1.5,\"1996\":0.5}}\n";
    let lists = "{\"id\":\"a\",\"indices\":[2003,1996],\"values\":[1.5,0.5]}\n";
    let args = ["-", "--format", "opensearch", "--vector-keys", "ids"];
    let expected = convert(&["-", "--format", "opensearch"]).stdin(lists).run().ok();
    assert_eq!(convert(&args).stdin(ids).run().ok(), expected);
    assert!(expected.contains("\"the\":0.5"), "{expected}");
    let terms = convert(&["-", "--format", "opensearch"]).stdin(ids).run().ok();
    assert!(terms.contains("\"2003\":1.5"), "{terms}");
    let stderr = convert(&args).stdin("{\"id\":\"a\",\"vector\":{\"the\":1}}\n").run().fails(1);
    assert!(stderr.contains("has the index the, expected a whole number"), "{stderr}");

    let place = folder();
    let (vectors, index) = (place.path().join("vectors.jsonl"), place.path().join("index"));
    fs::write(&vectors, ids).unwrap();
    let (vectors, index) = (vectors.to_str().unwrap(), index.to_str().unwrap());
    let keys = ["--vector-keys", "ids"];
    let build = ["index", "build", "--quiet", "--model", "tiny", "--input", vectors, "--output", index];
    neural_sparse(&[&build[..], &keys].concat()).run().ok();
    for (queries, keys) in [
        ("{\"id\":\"q\",\"vector\":{\"the\":2}}\n", "terms"),
        ("{\"id\":\"q\",\"vector\":{\"1996\":2}}\n", "ids"),
        ("{\"id\":\"q\",\"vector\":{\"indices\":[1996],\"values\":[2]}}\n", "terms"),
        ("{\"id\":\"q\",\"indices\":[1996],\"values\":[2]}\n", "terms"),
    ] {
        let args = ["search", "--index", index, "--queries", "-", "--vector-keys", keys];
        let hits = neural_sparse(&args).stdin(queries).run().ok();
        assert_eq!(hits.split_whitespace().collect::<Vec<_>>()[1..3], ["1", "1.0"], "{queries}: {hits}");
    }
    let stats = ["stats", "--quiet", "--model", "tiny", "-", "--json"];
    let read = neural_sparse(&[&stats[..], &keys].concat()).stdin(ids).run().ok();
    assert!(read.contains("\"the\""), "{read}");
}

#[test]
fn keys_that_look_like_ids_are_not_taken_for_terms_in_silence() {
    let place = folder();
    let (numbers, words) = (place.path().join("numbers"), place.path().join("words"));
    fs::write(&numbers, "{\"id\":\"a\",\"text\":\"1984\",\"vector\":{\"2003\":1.5,\"1996\":0.5}}\n{\"id\":\"b\",\"text\":\"7\",\"vector\":{}}\n{\"id\":\"c\",\"text\":\"8\",\"vector\":{\"2000\":1}}\n").unwrap();
    // A number among words is a term.
    fs::write(&words, "{\"id\":\"a\",\"vector\":{\"2003\":1}}\n{\"id\":\"b\",\"vector\":{\"new\":1}}\n{\"id\":\"c\",\"vector\":{\"2003\":1,\"new\":2}}\n").unwrap();
    let index = place.path().join("index");
    let index = index.to_str().unwrap();
    let note = "`--vector-keys ids` takes them for ids";
    for (file, is_noted) in [(&numbers, true), (&words, false)] {
        let file = file.to_str().unwrap();
        for args in [
            &["convert", "--format", "opensearch", "--input", file][..],
            &["index", "build", "--force", "--model", "tiny", "--output", index, "--input", file],
            &["search", "--index", index, "--queries", file],
            &["stats", "--model", "tiny", file],
        ] {
            let finished = neural_sparse(args).run();
            assert_eq!(finished.code, Some(0), "{args:?}: {}", finished.stderr);
            assert_eq!(finished.stderr.contains(note), is_noted, "{args:?}: {}", finished.stderr);
            let quiet = neural_sparse(&[args, &["--quiet"]].concat()).run();
            assert_eq!(quiet.stderr, "", "{args:?}");
        }
    }
    let golden = place.path().join("golden");
    fs::write(&golden, "{\"text\":\"a\",\"vector\":{\"1037\":1.5}}\n").unwrap();
    let verify = ["model", "verify", "tiny", "--golden", golden.to_str().unwrap(), "--quiet"];
    let report = |keys: &str| neural_sparse(&[&verify[..], &["--vector-keys", keys]].concat()).run().stdout;
    assert_ne!(report("ids"), report("terms"));
}

#[test]
fn lists_of_ids_need_no_vocabulary_where_the_store_takes_ids() {
    let row = "{\"id\":1,\"indices\":[40000,4000000000],\"values\":[1,2]}\n";
    for format in ["qdrant", "milvus", "pinecone"] {
        let rows = convert(&["-", "--format", format]).stdin(row).run().ok();
        assert!(rows.contains("40000") && rows.contains("4000000000"), "{format}: {rows}");
    }
    let stderr = convert(&["-", "--format", "pgvector"]).stdin(row).run().fails(1);
    assert!(stderr.contains("`40000` is not in the vocabulary"), "{stderr}");
    // A model that is named is asked.
    let args = ["-", "--format", "qdrant", "--model", "tiny"];
    assert!(convert(&args).stdin(row).run().fails(1).contains("`40000` is not in the vocabulary"));
}

#[test]
fn queries_are_read_by_the_name_of_their_file() {
    let place = folder();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_string();
    fs::write(path("docs"), "{\"id\":\"d\",\"text\":\"sunny weather\"}\n").unwrap();
    let args = [
        "index",
        "build",
        "--quiet",
        "--model",
        "tiny",
        "--input",
        &path("docs"),
        "--output",
        &path("index"),
    ];
    neural_sparse(&args).run().ok();
    let search = |file: &str| {
        let args = ["search", "--quiet", "--index", &path("index"), "--queries", &path(file)];
        neural_sparse(&args).run().ok()
    };
    fs::write(path("q.jsonl"), "{\"id\":\"q\",\"text\":\"weather, now\"}\n").unwrap();
    let expected = search("q.jsonl");
    assert!(expected.contains('d'));
    fs::write(path("q.tsv.gz"), gzip(b"q\tweather, now\n")).unwrap();
    fs::write(path("q.csv"), "id,text\nq,\"weather, now\"\n").unwrap();
    fs::write(path("q.csv.zst"), zstd::encode_all(&b"id,text\nq,\"weather, now\"\n"[..], 1).unwrap())
        .unwrap();
    for file in ["q.tsv.gz", "q.csv", "q.csv.zst"] {
        assert_eq!(search(file), expected, "{file}");
    }
}

#[test]
fn vectors_to_compare_with_may_be_compressed() {
    let rows = (0..50).map(|number| format!("{{\"text\":\"rain {number}\",\"vector\":{{\"rain\":1.5}}}}\n"));
    let plain = rows.collect::<String>().into_bytes();
    let place = folder();
    let compressed = place.path().join("reference");
    for bytes in [gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
        fs::write(&compressed, bytes).unwrap();
        assert_eq!(neural_sparse::check::golden::read(&compressed, Keys::Terms).unwrap().len(), 50);
    }
    fs::write(&compressed, &gzip(&plain)[..100]).unwrap();
    neural_sparse::check::golden::read(&compressed, Keys::Terms).expect_err("cut off");
}

/// An array as numpy writes it.
fn npy(kind: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), elements].concat()
}

fn integers(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A matrix of 2 rows and 9 columns, with some of its arrays in another form.
fn matrix(others: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let own = [
        ("format", npy("|S3", "()", b"csr")),
        ("shape", npy("<i8", "(2,)", &integers(&[2, 9]))),
        ("indptr", npy("<i8", "(3,)", &integers(&[0, 2, 3]))),
        ("indices", npy("<i8", "(3,)", &integers(&[1, 4, 2]))),
        ("data", npy("<f4", "(3,)", &[1_f32, 0.5, 2.0].map(f32::to_le_bytes).concat())),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, array) in own {
        let other = others.iter().find(|(other, _)| *other == name).map(|(_, array)| array);
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(other.unwrap_or(&array)).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn rows_of(path: &Path) -> Result<Vec<String>, String> {
    let rows = MatrixRows::open(path).map_err(|error| error.to_string())?;
    rows.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[test]
fn a_matrix_that_is_not_what_it_says_is_refused() {
    let place = folder();
    let path = place.path().join("m.npz");
    let read = |others: &[(&str, Vec<u8>)]| {
        fs::write(&path, matrix(others)).unwrap();
        rows_of(&path)
    };
    let rows = [r#"{"indices":[1,4],"values":[1.0,0.5]}"#, r#"{"indices":[2],"values":[2.0]}"#];
    assert_eq!(read(&[]).unwrap(), rows);
    // numpy.array([1, 0.5, 2], numpy.float16).tobytes()
    let halves = b"\x00\x3c\x00\x38\x00\x40";
    assert_eq!(read(&[("data", npy("<f2", "(3,)", halves))]).unwrap(), rows);
    // Columns in any order, as scipy has them unless it is asked to sort.
    let unsorted = npy("<i8", "(3,)", &integers(&[4, 1, 2]));
    assert_eq!(read(&[("indices", unsorted)]).unwrap()[0], r#"{"indices":[4,1],"values":[1.0,0.5]}"#);
    for (name, array, says) in [
        (
            "indices",
            npy("<i8", "(3,)", &integers(&[1, 9, 2])),
            "row 0 has the column 9, and the matrix has 9",
        ),
        ("indices", npy("<i8", "(3,)", &integers(&[1, -1, 2])), "row 0 has the column -1"),
        ("indices", npy("<f4", "(3,)", &[0; 12]), "`indices` is no array of whole numbers"),
        ("indptr", npy("<i8", "(3,)", &integers(&[0, 1, 2])), "`indptr` ends with 2, and the matrix has 3"),
        ("indptr", npy("<i8", "(3,)", &integers(&[0, 2, 1])), "`indptr` has 1 after 2"),
        ("indptr", npy("<i8", "(3,)", &integers(&[0, 2, 4])), "`indptr` has 4 after 2"),
        ("indptr", npy("<i8", "(3,)", &integers(&[0, i64::MIN, 3])), "`indptr` has -9223372036854775808"),
        ("shape", npy("<i8", "(2,)", &integers(&[-2, 9])), "a negative shape"),
        ("shape", npy("<i8", "(2,)", &integers(&[i64::MAX, 9])), "lengths do not go together"),
        ("shape", npy("<i8", "(2,)", &integers(&[2, i64::MAX])), "columns, more than 32 bits"),
        ("shape", npy("<i8", "(1,)", &integers(&[2])), "a shape of 1 numbers"),
        ("indptr", npy("<i8", "(1000000000000000001,)", &[]), "its header says 1000000000000000001 elements"),
        ("indptr", npy("<i8", "(18446744073709551615,)", &[]), "its header says 18446744073709551615"),
        ("data", npy("<f4", "(3, 1)", &[0; 12]), "not one dimension"),
        ("data", npy("<c8", "(3,)", &[0; 24]), "elements of the type `<c8`"),
        ("data", npy(">f4", "(3,)", &[0; 12]), "big-endian"),
        ("data", npy("<f4", "(3,)", &[0; 13]), "its header says 3 elements, and it has 13 bytes of them"),
        ("data", b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "a header of 4294967295 bytes"),
        ("format", npy("|S3", "()", b"csc"), "`csc`, expected `csr`"),
        ("format", npy("|S1000000000", "()", b"csr"), "`format`"),
    ] {
        let error = read(&[(name, array)]).expect_err(says);
        assert!(error.contains(says), "{says}: {error}");
    }
    // A column that stands twice in a row is for whoever reads the row.
    read(&[("indices", npy("<i8", "(3,)", &integers(&[4, 4, 2])))]).unwrap();
    let stderr =
        convert(&[path.to_str().unwrap(), "--format", "qdrant", "--input-format", "csr-npz"]).run().fails(1);
    assert!(stderr.contains("`4` twice"), "{stderr}");
}

#[test]
fn a_damaged_matrix_is_not_read_as_another() {
    let place = folder();
    let (path, ids) = (place.path().join("m.npz"), place.path().join("m.npz.ids"));
    let whole = matrix(&[]);
    // Half of 1.5 instead of 1: one bit of a weight.
    let at = whole.windows(4).position(|bytes| *bytes == 0.5_f32.to_le_bytes()).unwrap();
    let mut damaged = whole.clone();
    damaged[at + 2] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = rows_of(&path).unwrap_err();
    assert!(error.contains("`data` is damaged: its CRC-32 is "), "{error}");
    let args = [path.to_str().unwrap(), "--format", "qdrant", "--input-format", "csr-npz"];
    assert!(convert(&args).run().fails(1).contains("m.npz"));

    fs::write(&path, &whole).unwrap();
    fs::write(&ids, gzip("\u{feff}a\r\nb\n".as_bytes())).unwrap();
    assert_eq!(rows_of(&path).unwrap()[0], r#"{"id":"a","indices":[1,4],"values":[1.0,0.5]}"#);
    fs::write(&ids, "a\nb\nc\n").unwrap();
    assert_eq!(rows_of(&path).unwrap_err(), "the file of ids has more ids than the 2 rows");
    fs::write(&ids, "a\n").unwrap();
    assert_eq!(rows_of(&path).unwrap_err(), "the file of ids has no id for row 1");
}
