//! Any bytes, opened as an index: an error of one line, or answers that are the same whichever way they are found.
//! README.md beside it says how to run it.

#![no_main]

mod limits;

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use limits::check_message;
use neural_sparse::index::{Hit, IndexError, InvertedIndex, Searcher};
use neural_sparse::SparseVector;

/// Bytes of the header, of what a checksum is of, and where sections begin; see `src/index/layout.rs`.
const HEADER_BYTES: usize = 256;
const BLOCK_BYTES: usize = 1 << 16;
const ALIGNMENT: u64 = 64;

/// Where the first byte and the length of the last section stand in the header.
const LAST_SECTION: usize = 64 + 16 * 10;

/// The most bytes of a file whose checksums are repaired.
const MAX_FILE: u64 = 1 << 20;

/// Terms of the longest query, documents that are asked for beside hits, and hits of a search.
const MAX_TERMS: u32 = 40;
const MAX_DOCUMENTS: u32 = 20;
const K: usize = 10;

fuzz_target!(|input: &[u8]| {
    let Some((&mode, bytes)) = input.split_first() else { return };
    let repaired = (mode % 2 == 1).then(|| repair(bytes)).flatten();
    let path = written(repaired.as_deref().unwrap_or(bytes));
    if let Err(error) = read_all(path, mode) {
        check_message(&error);
    }
});

/// The bytes with the checksums that they should have, where the header says at which place those belong.
fn repair(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |place: usize| {
        let bytes = bytes.get(place..place + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
    };
    let end = number(LAST_SECTION)?.checked_add(number(LAST_SECTION + 8)?)?;
    let start = end.checked_next_multiple_of(ALIGNMENT)?;
    if start < HEADER_BYTES as u64 || start > MAX_FILE {
        return None;
    }
    let mut repaired = bytes.to_vec();
    repaired.resize(start as usize, 0);
    let checksums: Vec<u8> = repaired[HEADER_BYTES..]
        .chunks(BLOCK_BYTES)
        .flat_map(|block| crc32fast::hash(block).to_le_bytes())
        .collect();
    repaired.extend_from_slice(&checksums);
    let length = repaired.len() as u64;
    repaired[48..56].copy_from_slice(&length.to_le_bytes());
    repaired[56..60].copy_from_slice(&crc32fast::hash(&checksums).to_le_bytes());
    let header = crc32fast::hash(&repaired[..HEADER_BYTES - 4]);
    repaired[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&header.to_le_bytes());
    Some(repaired)
}

/// A file that holds these bytes. It has no name that is left behind: the path is that of the open file.
fn written(bytes: &[u8]) -> &'static PathBuf {
    static FILE: OnceLock<(File, PathBuf)> = OnceLock::new();
    let (file, path) = FILE.get_or_init(|| {
        let file = tempfile::tempfile_in("/dev/shm").expect("memory");
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        (file, path)
    });
    let mut file = file;
    file.set_len(0).expect("memory");
    file.rewind().expect("a file");
    file.write_all(bytes).expect("memory");
    path
}

/// Everything that an index can be asked.
fn read_all(path: &PathBuf, mode: u8) -> Result<(), IndexError> {
    let index = InvertedIndex::open(path)?;
    let verified = index.verify();
    index.info();
    if let Ok(metadata) = index.metadata() {
        metadata.to_map();
    }
    for document in 0..index.num_documents().min(MAX_DOCUMENTS) {
        let _ = (index.id(document).map(|id| id.to_string()), index.fields(document));
    }
    for past in [index.num_documents(), u32::MAX] {
        assert!(index.id(past).is_err() && index.fields(past).is_err());
    }
    let num_terms = index.num_terms().min(MAX_TERMS);
    let terms = (0..num_terms).filter_map(|number| index.term(number).ok());
    let _ = index.vector(terms.zip([1.0, 0.5, 3e38, 1e-45].into_iter().cycle()));
    for term in 0..num_terms {
        let _ = index.document_frequency(term);
    }
    // Weights that are equal, that differ, and that make sums overflow.
    let weight = |term: u32| match mode / 2 % 3 {
        0 => 1.0,
        1 => 1.0 / (term + 1) as f32,
        _ => f32::MAX / (term * term + 1) as f32,
    };
    let mut searcher = Searcher::new(&index);
    for length in [1, num_terms / 2, num_terms] {
        let pairs = (0..length.max(1)).map(|term| (term, weight(term))).collect();
        let query = SparseVector::from_pairs(pairs).expect("distinct and finite");
        let (found, scanned) = (searcher.search(&query, K), searcher.scan(&query, K));
        let hits = match (found, scanned) {
            (Ok(found), Ok(scanned)) => {
                assert_eq!(found, scanned, "{length} terms");
                found
            }
            (Err(found), Err(_)) => {
                check_message(&found);
                let is_score = matches!(found, IndexError::Score { .. });
                assert!(is_score || verified.is_err(), "verified, and then {found}");
                continue;
            }
            (found, scanned) => panic!("{length} terms: {found:?} {scanned:?}"),
        };
        check_hits(&index, &searcher, &query, &hits)?;
    }
    verified
}

/// Each hit is a document with an id, and has the score that its shared terms add up to.
fn check_hits(
    index: &InvertedIndex,
    searcher: &Searcher,
    query: &SparseVector,
    hits: &[Hit],
) -> Result<(), IndexError> {
    for hit in hits {
        assert!(hit.score.is_finite() && hit.score > 0.0, "{hit:?}");
        assert!(hit.document < index.num_documents(), "{hit:?}");
        let shared = searcher.explain(query, hit.document)?;
        let product = |&(_, query, document): &(u32, f32, f32)| f64::from(query) * f64::from(document);
        let score = shared.iter().map(product).sum::<f64>() as f32;
        assert_eq!(score, hit.score, "{hit:?} {shared:?}");
        index.id(hit.document)?;
        index.fields(hit.document)?;
    }
    Ok(())
}
