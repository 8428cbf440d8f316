//! How long exact retrieval takes, beside passing over every posting of the same lists.
//!
//! ```text
//! cargo bench --bench search -- INDEX_DIR QUERY_VECTORS.jsonl
//! ```
//!
//! `QUERY_VECTORS.jsonl` has rows with a vector of terms, as `encode --as query` writes them. One thread; each query is
//! first searched both ways and the hits compared, which also brings the index into memory. Figures are microseconds a
//! query, medians over rounds with their spread.
//!
//! With `--on-demand` nothing is timed: for each `k` on a line of standard input all queries are searched once, and an
//! empty line says so. `search_peers.py` takes the time of that, in turn with other engines.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::time::Instant;

use neural_sparse::index::{InvertedIndex, Searcher};
use neural_sparse::input::json::{parse_vector, Entries, Keys};
use neural_sparse::input::Fields;
use neural_sparse::SparseVector;

const ROUNDS: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let [folder, queries] = &args[..] else {
        println!("cargo bench --bench search -- INDEX_DIR QUERY_VECTORS.jsonl");
        return;
    };
    let index = InvertedIndex::open(&Path::new(folder).join("index.nsi")).unwrap();
    let queries = read_queries(&index, queries);
    let terms: usize = queries.iter().map(SparseVector::len).sum();
    println!(
        "{} documents, {} postings, {}; {} queries of {:.1} terms",
        index.num_documents(),
        index.info().postings,
        index.codec().name(),
        queries.len(),
        terms as f64 / queries.len() as f64
    );
    let mut searcher = Searcher::new(&index);
    if std::env::args().any(|argument| argument == "--on-demand") {
        for k in std::io::stdin().lines().map(|line| line.unwrap().parse().unwrap()) {
            queries.iter().for_each(|query| drop(searcher.search(query, k).unwrap()));
            println!();
        }
        return;
    }
    for k in [10, 1000] {
        for query in &queries {
            assert!(
                searcher.search(query, k).unwrap() == searcher.scan(query, k).unwrap(),
                "not what brute force finds"
            );
        }
        let mut pruned = Vec::new();
        let mut scanned = Vec::new();
        for _ in 0..ROUNDS {
            pruned.push(microseconds(&queries, |query| drop(searcher.search(query, k).unwrap())));
            scanned.push(microseconds(&queries, |query| drop(searcher.scan(query, k).unwrap())));
        }
        println!("k = {k}: {}; brute force {}", spread(pruned), spread(scanned));
    }
}

fn read_queries(index: &InvertedIndex, path: &str) -> Vec<SparseVector> {
    let text = std::fs::read_to_string(path).unwrap();
    let query = |line: &str| {
        let row = parse_vector(line.as_bytes(), &Fields::default(), "vector", Keys::Terms).unwrap();
        let Entries::Terms(terms) = row.entries else { panic!("terms are expected") };
        index.vector(terms.iter().map(|(term, weight)| (term.as_str(), weight.value))).unwrap()
    };
    text.lines().map(query).collect()
}

/// The mean time of a query.
fn microseconds(queries: &[SparseVector], mut run: impl FnMut(&SparseVector)) -> f64 {
    let start = Instant::now();
    queries.iter().for_each(&mut run);
    start.elapsed().as_secs_f64() * 1e6 / queries.len() as f64
}

fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    format!("{:.0} us a query ({:.0} ... {:.0})", times[times.len() / 2], times[0], times[times.len() - 1])
}
