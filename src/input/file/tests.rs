//! Files as lines: parts of them, and going on within them.

use std::path::Path;

use super::*;

/// Every line of the sources, with its number in its file.
fn numbered(sources: &[Arc<Source>]) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut file = InputFile::open(source, index).expect("a file");
        let mut line = Vec::new();
        while file.read_line(100, &mut line).expect("a line") == ReadLine::Whole {
            let number = source.lines_before().expect("a file") + file.position().line;
            lines.push((number, String::from_utf8(std::mem::take(&mut line)).expect("text")));
        }
    }
    lines
}

#[test]
fn shards_are_the_whole_cut_between_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    std::fs::write(&first, "\u{feff}one\ntwo\r\n\nfour, which is long\nlast without an end")
        .expect("written");
    std::fs::write(&second, "x\n\ny\n").expect("written");
    let paths = [first, second];
    let whole = numbered(&Source::whole(&paths, Container::Lines).expect("files"));
    assert_eq!(whole.len(), 8);
    for count in 1..=60 {
        let shard = |index| numbered(&Source::shard(&paths, Container::Lines, index, count).expect("files"));
        assert_eq!((1..=count).flat_map(shard).collect::<Vec<_>>(), whole, "{count} shards");
    }
}

#[test]
fn a_part_that_begins_as_a_compressed_file_does_is_plain() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows");
    std::fs::write(&path, b"one\n\x1f\x8b two\n\x28\xb5\x2f\xfd three\n").expect("written");
    let paths = [path];
    for count in 1..=30 {
        let mut lines = 0;
        for index in 1..=count {
            let source = &Source::shard(&paths, Container::Lines, index, count).expect("a file")[0];
            let mut file = InputFile::open(source, 0).expect("a file");
            while file.read_line(100, &mut Vec::new()).expect("a line") == ReadLine::Whole {
                lines += 1;
            }
        }
        assert_eq!(lines, 3, "{count} shards");
    }
}

#[test]
fn reading_goes_on_at_any_line_of_plain_and_compressed_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain: String = (0..50).map(|number| format!("{}{number}\n", "x".repeat(number))).collect();
    for (name, bytes) in [
        ("plain", plain.clone().into_bytes()),
        ("zstd", zstd::encode_all(plain.as_bytes(), 3).expect("memory")),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let source = &Source::whole(&[path], Container::Lines).expect("a file")[0];
        let mut whole = InputFile::open(source, 0).expect("a file");
        for _ in 0..50 {
            let mut resumed = InputFile::open_at(source, whole.position()).expect("the place");
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            whole.read_line(100, &mut expected).expect("a line");
            resumed.read_line(100, &mut found).expect("a line");
            assert_eq!((found, resumed.position().line), (expected, whole.position().line), "{name}");
        }
    }
}

#[test]
fn reading_goes_on_at_any_record_of_comma_separated_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let records: String = (0..30).map(|number| format!("{number},\"a \"\"{number}\"\"\r\nb\"\r\n")).collect();
    let plain = format!("\u{feff}id,text\r\n\r\n{records}");
    for (name, bytes) in [
        ("plain", plain.clone().into_bytes()),
        ("zstd", zstd::encode_all(plain.as_bytes(), 3).expect("memory")),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let source = &Source::whole(&[path], Container::Csv).expect("a file")[0];
        let mut whole = InputFile::open(source, 0).expect("a file");
        for number in 0..30 {
            let mut resumed = InputFile::open_at(source, whole.position()).expect("the place");
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            whole.read_line(100, &mut expected).expect("a record");
            resumed.read_line(100, &mut found).expect("a record");
            assert_eq!(whole.line_number(), 3 + 2 * number, "{name}");
            let line_numbers = (resumed.line_number(), whole.line_number());
            assert_eq!((found, line_numbers.0), (expected.clone(), line_numbers.1), "{name}");
            let text = format!("{{\"id\":\"{number}\",\"text\":\"a \\\"{number}\\\"\\r\\nb\"}}");
            assert_eq!(String::from_utf8_lossy(&expected), text);
        }
        assert_eq!(whole.read_line(100, &mut Vec::new()).expect("the end"), ReadLine::End);
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows");
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("cut", |path| std::fs::write(path, "one\n").expect("written")),
        ("longer", |path| std::fs::write(path, "one\ntwo\nthree\n").expect("written")),
        ("gone", |path| std::fs::remove_file(path).expect("removed")),
        ("other bytes", |path| {
            std::fs::write(path, "one\nTWO\n").expect("written");
            let file = File::options().append(true).open(path).expect("there");
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
            file.set_modified(later).expect("a time");
        }),
    ];
    for (what, change) in changes {
        std::fs::write(&path, "one\ntwo\n").expect("written");
        let source = &Source::whole(std::slice::from_ref(&path), Container::Lines).expect("a file")[0];
        let mut file = InputFile::open(source, 0).expect("a file");
        assert_eq!(file.read_line(100, &mut Vec::new()).expect("a line"), ReadLine::Whole);
        source.check_unchanged().expect("as it was");
        change(&path);
        let error = loop {
            match file.read_line(100, &mut Vec::new()) {
                Ok(ReadLine::End) => panic!("{what}: nothing was noticed"),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.ends_with("has changed while it was read"), "{what}: {error}");
    }
}
