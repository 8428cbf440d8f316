//! Many queries, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use super::best::Hit;
use super::open::InvertedIndex;
use super::search::Searcher;
use super::IndexError;
use crate::sparse::SparseVector;

/// The best `k` documents for each query, in the queries' order, found on so many threads.
///
/// # Errors
///
/// Those of [`Searcher::search`].
pub fn search_all(
    index: &InvertedIndex,
    queries: &[&SparseVector],
    k: usize,
    num_threads: usize,
) -> Result<Vec<Vec<Hit>>, IndexError> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(vec![Vec::new(); queries.len()]);
    let work = || {
        let mut searcher = Searcher::new(index);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(query) = queries.get(number) else { return Ok(()) };
            let hits = searcher.search(query, k)?;
            answers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[number] = hits;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..num_threads.min(queries.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.fold(own, Result::and)
    })?;
    Ok(answers.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}
