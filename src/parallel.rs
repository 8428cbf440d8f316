//! The encoder's threads: how they take work, and how they wait for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use crate::error::Error;
use crate::kernel;

/// Which threads work on one batch. The bits do not depend on it.
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

/// What `work` makes of 0 to `count` - 1, in order, on every thread of the pool that this is called on: each takes the next
/// number as soon as it is free. Rayon's own splitting would hand out ranges of them, and one thread would be left with
/// a range while the others have nothing.
///
/// # Errors
///
/// An error of `work`; the thread that it happened on takes no further number.
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

/// How long a thread stays awake without work: longer than any step of a query's forward pass that is not shared out.
const AWAKE: Duration = Duration::from_millis(1);

/// Runs `work` on the calling thread of a pool while the pool's others stay awake for the pieces that it shares out.
///
/// A thread without work falls asleep within ten microseconds, as long as a step lasts that is not shared; waking it
/// takes five times as long, thirty times in a forward pass: a query of 7 ms took 12.
pub(crate) fn all_awake<T>(work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    let caller = rayon::current_thread_index();
    rayon::in_place_scope(|scope| {
        // A copy for each thread, which no other takes: the caller must not wait for itself. Nor must two callers for each
        // other, each in a copy of the other's, so nobody waits for long.
        scope.spawn_broadcast(|_, context| {
            let mut last_work = Instant::now();
            while Some(context.index()) != caller
                && !is_done.load(Ordering::Acquire)
                && last_work.elapsed() < AWAKE
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

/// A pool of so many threads; as many as there are processors when `None`.
///
/// # Errors
///
/// [`Error::Threads`] when the system refuses them.
pub(crate) fn start(num_threads: Option<usize>) -> Result<ThreadPool, Error> {
    // Without RAYON_NUM_THREADS in mind: that variable is for candle's products.
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
    fn threads_that_stay_awake_share_the_work_and_fall_asleep_after_it() {
        use rayon::prelude::*;
        let pool = start(Some(3)).expect("threads");
        for _ in 0..200 {
            let sum: usize = pool.install(|| all_awake(|| (0..50usize).into_par_iter().map(|x| x + 1).sum()));
            assert_eq!(sum, 1275);
        }
        let panics = || pool.install(|| all_awake(|| panic!("a test")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(pool.install(|| all_awake(|| 7)), 7, "nobody waits for the work that panicked");
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
                        assert_eq!(pool.install(|| all_awake(work)), 2016);
                    }
                });
            }
        });
    }
}
