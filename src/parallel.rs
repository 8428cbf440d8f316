//! The encoder's threads: how they take work, and how they wait for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use crate::error::Error;
use crate::kernel;

/// Which threads work on one batch. The results have the same bits either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parallelism {
    /// The calling thread alone; the others have batches of their own.
    Single,
    /// All of so many threads: each computes some columns of every product.
    Threads(usize),
}

impl Parallelism {
    /// How many of `count` columns each thread takes at a time: whole panels of the kernels.
    pub fn share(self, count: usize) -> usize {
        match self {
            Parallelism::Single => count,
            Parallelism::Threads(threads) => count.div_ceil(threads).next_multiple_of(kernel::PANEL_COLUMNS),
        }
    }
}

/// Applies `work` to 0 to `count` - 1 on every thread of the current pool; the results are in order. Each thread takes the
/// next number as soon as it is free. Rayon's own splitting would hand out ranges, and one thread could still have a whole
/// range to do when the others are idle.
///
/// # Errors
///
/// An error of `work`. The thread that meets it takes no further number.
pub(crate) fn in_order<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count);
    let shares = rayon::broadcast(|_| {
        std::iter::from_fn(take).map(|index| Ok((index, work(index)?))).collect::<Result<Vec<_>, Error>>()
    });
    let mut results = Vec::with_capacity(count);
    for share in shares {
        results.extend(share?);
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// How long a thread spins without work: longer than any unshared step of a query's forward pass.
const SPIN_TIMEOUT: Duration = Duration::from_millis(1);

/// Runs `work` on the calling thread of a pool, while the pool's other threads spin, ready for the pieces that it shares.
///
/// Otherwise a thread without work falls asleep within ten microseconds, which is how long an unshared step takes. Waking
/// it takes five times as long, and a forward pass would do so thirty times: a query of 7 ms took 12.
pub(crate) fn with_spinning_workers<T>(work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    let caller = rayon::current_thread_index();
    rayon::in_place_scope(|scope| {
        // Every thread gets its own copy of this closure, which no other thread may take. The caller's copy returns at
        // once: it must not wait for itself. Two callers could run each other's copies and wait for each other, so every
        // wait has a limit.
        scope.spawn_broadcast(|_, context| {
            let mut last_work = Instant::now();
            while Some(context.index()) != caller
                && !is_done.load(Ordering::Acquire)
                && last_work.elapsed() < SPIN_TIMEOUT
            {
                match rayon::yield_now() {
                    Some(rayon::Yield::Executed) => last_work = Instant::now(),
                    _ => std::thread::yield_now(),
                }
            }
        });
        let result = work();
        is_done.store(true, Ordering::Release);
        result
    })
}

/// A pool of `num_threads` threads; as many as there are processors when `None`.
///
/// # Errors
///
/// [`Error::Threads`] when the system refuses them.
pub(crate) fn start(num_threads: Option<usize>) -> Result<ThreadPool, Error> {
    // The count is always given, because rayon would otherwise take it from the environment.
    let processors = || std::thread::available_parallelism().map_or(1, |count| count.get());
    let threads = rayon::ThreadPoolBuilder::new().thread_name(|index| format!("encoder-{index}"));
    Ok(threads.num_threads(num_threads.unwrap_or_else(processors)).build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whichever_thread_made_them() {
        for num_threads in [1, 3] {
            let pool = start(Some(num_threads)).expect("threads");
            let squares = pool.install(|| in_order(100, |index| Ok(index * index))).expect("no error");
            assert_eq!(squares, (0..100).map(|index| index * index).collect::<Vec<_>>());
            let failed = |index| if index == 40 { Err(Error::NotFinite("a test")) } else { Ok(index) };
            assert!(pool.install(|| in_order(100, failed)).is_err());
        }
    }

    #[test]
    fn spinning_threads_share_the_work_and_fall_asleep_after_it() {
        use rayon::prelude::*;
        let pool = start(Some(3)).expect("threads");
        for _ in 0..200 {
            let sum: usize =
                pool.install(|| with_spinning_workers(|| (0..50usize).into_par_iter().map(|x| x + 1).sum()));
            assert_eq!(sum, 1275);
        }
        let panics = || pool.install(|| with_spinning_workers(|| panic!("a test")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(
            pool.install(|| with_spinning_workers(|| 7)),
            7,
            "nobody waits for the work that panicked"
        );
    }

    #[test]
    fn two_callers_of_one_pool_do_not_wait_for_each_other_for_ever() {
        use rayon::prelude::*;
        let pool = start(Some(2)).expect("threads");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let work = || (0..64usize).into_par_iter().with_max_len(1).sum::<usize>();
                        assert_eq!(pool.install(|| with_spinning_workers(work)), 2016);
                    }
                });
            }
        });
    }
}
