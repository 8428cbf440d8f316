//! The search against brute force over vectors in memory, on collections that are random and on such as are made to
//! catch it out.

use std::collections::HashMap;
use std::path::Path;

use super::*;
use crate::index::{BuildError, DocumentId, IndexBuilder, JsonObject};

/// Numbers that are the same in each run: Knuth's MMIX generator, its upper half.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (((self.0 >> 32) * u64::from(end)) >> 32) as u32
    }

    fn weight(&mut self) -> f32 {
        (self.below(1 << 24) + 1) as f32 / (1 << 22) as f32
    }

    fn vector(&mut self, num_terms: u32, count: u32) -> SparseVector {
        let mut pairs: Vec<(u32, f32)> = (0..count).map(|_| (self.below(num_terms), self.weight())).collect();
        pairs.sort_by_key(|pair| pair.0);
        pairs.dedup_by_key(|pair| pair.0);
        SparseVector::from_pairs(pairs).expect("distinct")
    }
}

fn vector(pairs: &[(u32, f32)]) -> SparseVector {
    SparseVector::from_pairs(pairs.to_vec()).expect("distinct")
}

fn names(num_terms: u32) -> Vec<String> {
    (0..num_terms).map(|term| format!("t{term:06}")).collect()
}

fn built(path: &Path, codec: Codec, num_terms: u32, documents: &[SparseVector]) -> InvertedIndex {
    let names = names(num_terms);
    let vocabulary = (0..).zip(names.iter().map(String::as_str));
    let mut builder = IndexBuilder::new(path, codec, vocabulary).expect("a disk");
    for (number, document) in (0u64..).zip(documents) {
        builder.add(&number.into(), &JsonObject::default(), document).expect("a disk");
    }
    builder.finish(&JsonObject::default()).expect("a disk");
    InvertedIndex::open(path).expect("whole")
}

/// A query over the numbers of the vocabulary as one over those of the index.
fn over(index: &InvertedIndex, query: &SparseVector) -> SparseVector {
    let named: Vec<(String, f32)> =
        query.iter().map(|(number, weight)| (format!("t{number:06}"), weight)).collect();
    index.vector(named.iter().map(|(name, weight)| (name.as_str(), *weight))).expect("whole")
}

/// The documents with the weights that an index of this codec keeps.
fn kept(codec: Codec, documents: &[SparseVector]) -> Vec<SparseVector> {
    let mut largest: HashMap<u32, f32> = HashMap::new();
    for (term, weight) in documents.iter().flat_map(SparseVector::iter) {
        let largest = largest.entry(term).or_default();
        *largest = largest.max(weight);
    }
    let rounded = |document: &SparseVector| {
        let pairs =
            document.iter().map(|(term, weight)| (term, codec.rounded(weight, largest[&term]))).collect();
        SparseVector::from_pairs(pairs).expect("distinct")
    };
    documents.iter().map(rounded).collect()
}

/// All hits by definition, the best first.
fn brute_force(kept: &[SparseVector], query: &SparseVector) -> Vec<Hit> {
    let hits = (0..)
        .zip(kept)
        .map(|(number, document)| Hit { document: number, score: query.dot(document).expect("small") });
    let mut hits: Vec<Hit> = hits.filter(|hit| hit.score > 0.0).collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.document.cmp(&b.document)));
    hits
}

fn check(num_terms: u32, documents: &[SparseVector], queries: &[SparseVector]) {
    let folder = tempfile::tempdir().expect("a folder");
    for codec in Codec::ALL {
        let index = built(&folder.path().join("index"), codec, num_terms, documents);
        index.verify().expect("whole");
        let kept = kept(codec, documents);
        let mut searcher = Searcher::new(&index);
        for (number, query) in queries.iter().enumerate() {
            let hits = brute_force(&kept, query);
            let query = &over(&index, query);
            for k in [0, 1, 10, 1000, documents.len() + 1] {
                let expected = &hits[..k.min(hits.len())];
                let told = format!("{codec:?}, query {number}, k {k}");
                assert!(searcher.search(query, k).expect("whole") == expected, "{told}");
                assert!(searcher.scan(query, k).expect("whole") == expected, "{told}");
            }
        }
    }
}

#[test]
fn random_collections_of_several_windows() {
    let mut random = Random(1);
    for (num_documents, num_terms, count) in [(1, 3, 2), (300, 40, 10), (9000, 500, 20), (13_000, 30, 6)] {
        let documents: Vec<SparseVector> =
            (0..num_documents).map(|_| random.vector(num_terms, count)).collect();
        let queries: Vec<SparseVector> =
            (0..12).map(|number| random.vector(num_terms, 1 + 4 * number)).collect();
        check(num_terms, &documents, &queries);
    }
}

#[test]
fn equal_weights_are_ties_by_document() {
    let documents: Vec<SparseVector> =
        (0..9000).map(|number| vector(&[(0, 1.0), (1 + number % 3, 0.5)])).collect();
    let queries =
        [vector(&[(0, 1.0)]), vector(&[(0, 1.0), (2, 1.0)]), vector(&[(1, 1.0), (2, 1.0), (3, 1.0)])];
    check(4, &documents, &queries);
}

#[test]
fn weights_that_rounding_cannot_tell_apart() {
    // Sums that differ in the last bit of an f32, or only in f64, in any order of the windows.
    let mut random = Random(7);
    let documents: Vec<SparseVector> = (0..10_000)
        .map(|_| {
            let pairs = (0..24).map(|term| (term, 1.0 + random.below(4) as f32 * f32::EPSILON));
            SparseVector::from_pairs(pairs.collect()).expect("distinct")
        })
        .collect();
    let queries: Vec<SparseVector> = (1..4).map(|_| random.vector(24, 60)).collect();
    check(24, &documents, &queries);
}

#[test]
fn one_huge_weight_empty_vectors_and_a_term_in_every_document() {
    let mut random = Random(3);
    let mut documents: Vec<SparseVector> = (0..9000)
        .map(|number| match number % 3 {
            0 => SparseVector::default(),
            _ => vector(&[(0, 1e-3 * (number % 17) as f32 + 1e-6), (1 + random.below(50), random.weight())]),
        })
        .collect();
    documents[8500] = vector(&[(5, 1e30), (6, 1e-30)]);
    documents[17] = vector(&[(5, 1e-38), (0, 1e-44)]);
    documents[18] = vector(&[(61, 1e-23), (62, 1e-23)]);
    documents[19] = vector(&[(5, 2e30)]);
    documents[4099] = vector(&[(61, 9e-24), (62, 9e-24)]);
    let queries = [
        vector(&[(0, 1.0)]),
        vector(&[(5, 1.0), (0, 100.0)]),
        vector(&[(5, 1e-30), (0, 1e-8), (6, 2.0)]),
        vector(&[(5, 1e8), (6, 1.0)]),
        vector(&[(60, 1.0)]),
        // Products that only their sum lifts above the smallest f32.
        vector(&[(61, 6e-23), (62, 6e-23)]),
        vector(&[(61, 6e-23), (62, 6e-23), (5, 1.0)]),
        SparseVector::default(),
    ];
    check(70, &documents, &queries);
}

#[test]
fn terms_that_the_index_lacks_match_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = built(&folder.path().join("index"), Codec::F32, 2, &[vector(&[(0, 1.0)])]);
    let mut searcher = Searcher::new(&index);
    assert_eq!(searcher.search(&vector(&[(1, 1.0), (2, 1.0), (99, 1.0)]), 5).expect("whole"), []);
    let query =
        index.vector([("t000001", 1.0), ("nowhere", 1.0), ("t000000", 2.0), ("", 1.0)]).expect("whole");
    assert_eq!(query, vector(&[(0, 2.0)]), "no document has the other");
    assert_eq!(searcher.search(&query, 5).expect("whole"), [Hit { document: 0, score: 2.0 }]);
    assert_eq!(searcher.explain(&query, 0).expect("whole"), [(0, 2.0, 1.0)]);
}

#[test]
fn ids_of_a_vocabulary_in_any_order_find_their_documents() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    // A model's order is not that of bytes, and its ids need be neither dense nor in order.
    for ids in [[2, 0, 1, 3], [700, 9, u32::MAX, 40]] {
        let vocabulary = ids.into_iter().zip(["z", "##a", "b", "é"]);
        let mut builder = IndexBuilder::new(&path, Codec::F32, vocabulary).expect("a disk");
        let unknown = builder.add(&"x".into(), &JsonObject::default(), &vector(&[(ids[0], 1.0), (5, 1.0)]));
        assert!(matches!(unknown, Err(BuildError::UnknownId { id: 5 })));
        let fields = JsonObject::from_json("{\"a\": 1}").expect("an object");
        builder.add(&"01".into(), &fields, &vector(&[(ids[3], 2.0), (ids[1], 3.0)])).expect("a disk");
        let id = DocumentId::from_json("1.50").expect("an id");
        builder.add(&id, &JsonObject::default(), &vector(&[(ids[0], 4.0), (ids[1], 1.0)])).expect("a disk");
        builder.finish(&fields).expect("a disk");
        let index = InvertedIndex::open(&path).expect("whole");
        index.verify().expect("whole");
        assert_eq!(index.num_terms(), 3, "no document has `b`, the refused one does not count");
        let found = |query: &[(&str, f32)]| {
            let query = index.vector(query.iter().copied()).expect("whole");
            let hits = Searcher::new(&index).search(&query, 9).expect("whole");
            hits.iter().map(|hit| (index.id(hit.document).expect("whole"), hit.score)).collect::<Vec<_>>()
        };
        assert_eq!(found(&[("é", 10.0), ("b", 9.0)]), [("01".into(), 20.0)]);
        assert_eq!(found(&[("z", 1.0), ("##a", 2.0)]), [("01".into(), 6.0), (id, 6.0)]);
        assert_eq!(index.fields(0).expect("whole"), fields);
        assert_eq!(index.metadata().expect("whole"), fields);
    }
}

#[test]
fn a_vocabulary_with_a_term_or_an_id_twice_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let built = |vocabulary: [(u32, &'static str); 3]| IndexBuilder::new(&path, Codec::F32, vocabulary);
    let term = built([(0, "a"), (1, "b"), (2, "a")]).expect_err("a term twice");
    assert!(matches!(&term, BuildError::DuplicateTerm { term } if term == "a"), "{term}");
    let id = built([(7, "a"), (1, "b"), (7, "c")]).expect_err("an id twice");
    assert!(matches!(id, BuildError::DuplicateId { id: 7 }), "{id}");
}

#[test]
fn an_index_without_documents_has_no_hits() {
    let folder = tempfile::tempdir().expect("a folder");
    for num_terms in [0, 3] {
        let index = built(&folder.path().join("index"), Codec::F32, num_terms, &[]);
        assert_eq!(Searcher::new(&index).search(&vector(&[(0, 1.0)]), 5).expect("whole"), []);
        assert_eq!((index.info().postings, index.info().terms), (0, 0));
        index.verify().expect("whole");
    }
}

#[test]
fn a_changed_bit_a_cut_and_a_foreign_file_are_never_a_wrong_hit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let mut random = Random(5);
    let documents: Vec<SparseVector> = (0..200).map(|_| random.vector(20, 8)).collect();
    drop(built(&path, Codec::F32, 20, &documents));
    let whole = std::fs::read(&path).expect("there");
    let damaged = folder.path().join("damaged");
    let query = random.vector(20, 12);
    let expected = brute_force(&documents, &query);
    let expected = &expected[..10];
    let hits = |bytes: &[u8]| {
        std::fs::write(&damaged, bytes).expect("a disk");
        let index = InvertedIndex::open(&damaged)?;
        let hits = Searcher::new(&index).search(&query, 10)?;
        for hit in &hits {
            index.id(hit.document)?;
        }
        index.metadata()?;
        Ok::<_, IndexError>(hits)
    };
    assert_eq!(hits(&whole).expect("whole"), expected);
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        hits(&whole[..length]).expect_err("cut");
    }
    hits(&[&whole[..], b"\0"].concat()).expect_err("longer");
    let mut num_refused = 0;
    for byte in (0..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte % 8);
        match hits(&bytes) {
            Ok(hits) => assert_eq!(hits, expected, "byte {byte}"),
            Err(error) => {
                num_refused += 1;
                assert!(error.to_string().contains("damaged"), "{error}");
            }
        }
        let index = InvertedIndex::open(&damaged);
        assert!(
            index.is_err() || index.is_ok_and(|index| index.verify().is_err()),
            "byte {byte} goes unnoticed"
        );
    }
    assert!(num_refused > whole.len() / 10, "{num_refused}");
    for foreign in [&b""[..], b"NSINDEX\n", &[0; 4096], b"{\"id\":1}\n"] {
        assert!(matches!(hits(foreign), Err(IndexError::Foreign { .. })), "{foreign:?}");
    }
    assert!(matches!(InvertedIndex::open(folder.path()), Err(IndexError::Foreign { .. })));
    assert!(matches!(InvertedIndex::open(&folder.path().join("nowhere")), Err(IndexError::Read { .. })));
}

#[test]
fn a_score_that_no_f32_holds_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut documents: Vec<SparseVector> = (0..5000).map(|_| vector(&[(0, 1.0), (1, 1e38)])).collect();
    documents[4500] = vector(&[(0, 1.0), (1, 3e38), (2, 3e38)]);
    for codec in [Codec::F32, Codec::Lucene9, Codec::U8] {
        let index = built(&folder.path().join("index"), codec, 3, &documents);
        let mut searcher = Searcher::new(&index);
        let mut answers = |query: &[(u32, f32)], k| {
            let query = over(&index, &vector(query));
            [searcher.search(&query, k), searcher.scan(&query, k)]
        };
        for k in [1, 10, 5000] {
            for answer in answers(&[(1, 1.0), (2, 1.0)], k) {
                let error = answer.expect_err("3e38 + 3e38");
                assert!(
                    matches!(&error, IndexError::Score { document, .. } if document == "4500"),
                    "{error}"
                );
            }
            for answer in answers(&[(1, 1.0), (0, 1e38)], k) {
                answer.expect_err("3e38 + 1e38");
            }
            // As large as scores can be.
            let [found, scanned] = answers(&[(1, 1.0), (0, 1e30)], k);
            let (found, scanned) = (found.expect("finite"), scanned.expect("finite"));
            assert!(found == scanned && found[0].document == 4500, "{codec:?}, k {k}");
        }
    }
}

/// Bytes of an index whose checksums are those that it should have.
fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    use crate::index::layout::{Header, BLOCK_BYTES, HEADER_BYTES};
    let crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
    bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    let Ok(mut header) = Header::from_bytes(&bytes) else { return bytes };
    let start = header.checksums_start() as usize;
    if start < HEADER_BYTES || start > bytes.len() {
        return bytes;
    }
    let checksums: Vec<u8> = bytes[HEADER_BYTES..start]
        .chunks(BLOCK_BYTES)
        .flat_map(|block| crc32fast::hash(block).to_le_bytes())
        .collect();
    bytes.truncate(start);
    bytes.extend_from_slice(&checksums);
    header.file_bytes = bytes.len() as u64;
    header.checksums_crc = crc32fast::hash(&checksums);
    bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    bytes
}

#[test]
fn damage_with_the_right_checksums_is_no_wrong_hit_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    let mut random = Random(11);
    let documents: Vec<SparseVector> = (0..60).map(|_| random.vector(9, 6)).collect();
    let query = random.vector(9, 12);
    for codec in Codec::ALL {
        drop(built(&path, codec, 9, &documents));
        let whole = std::fs::read(&path).expect("there");
        assert!(repaired(whole.clone()) == whole);
        let mut num_refused = 0;
        for byte in 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (byte % 8);
            std::fs::write(&path, repaired(bytes)).expect("a disk");
            let Ok(index) = InvertedIndex::open(&path) else { continue };
            let is_verified = index.verify().is_ok();
            let mut searcher = Searcher::new(&index);
            match (searcher.search(&query, 10), searcher.scan(&query, 10)) {
                (Ok(found), Ok(scanned)) => assert!(found == scanned, "{codec:?}, byte {byte}"),
                (Err(found), Err(_)) => {
                    assert!(
                        matches!(found, IndexError::Score { .. }) || !is_verified,
                        "byte {byte}: {found}"
                    );
                    num_refused += 1;
                }
                other => panic!("{codec:?}, byte {byte}: {other:?}"),
            }
        }
        assert!(num_refused > 100, "{codec:?}: {num_refused}");
    }
}
