//! Turns panics inside the `tokenizers` crate into errors.
//!
//! The crate indexes and unwraps on what a tokenizer.json holds, and on texts: its regex engine gives up on a pattern that
//! backtracks too long by panicking. Every call into it goes through [`catch`].

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`catch`].
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs `call`; a panic in it is returned as its message and not reported.
///
/// The first call wraps the process's panic hook once. The wrapper stays silent for a panic that is caught here, by the
/// thread that is inside this function, and hands any other panic to the hook that was there before. A program that
/// installs a hook of its own later only loses the silence.
///
/// `call` may leave nothing behind that is wrong after a panic. That holds for the crate: a tokenizer that texts are
/// encoded with is only read, its cache of words takes complete entries, and a tokenizer that was being built is dropped.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.try_with(Cell::get).unwrap_or(false) {
                previous(panic);
            }
        }));
    });
    let outer = IS_CAUGHT.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    IS_CAUGHT.set(outer);
    result.map_err(|payload| message(&*payload))
}

/// As [`catch`], for a call that can fail by itself too.
pub(super) fn catch_error<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    catch(call).and_then(|result| result.map_err(|error| error.to_string()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it stopped without a message");
    // A message of several lines would break the one line of an error.
    let line: Vec<&str> = text.split_whitespace().collect();
    format!("panic in the `tokenizers` library: {}", line.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;

    #[test]
    fn a_panic_is_returned_as_its_message() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(
            catch(|| -> u8 { panic!("two\n words") }),
            Err("panic in the `tokenizers` library: two words".into())
        );
        let empty: Vec<u8> = Vec::new();
        let index = empty.len();
        let error = catch(|| empty[index]).expect_err("there is nothing to index");
        assert!(error.contains(": index out of bounds"), "{error}");
        // An inner call ends without ending the outer one.
        assert_eq!(
            catch(|| {
                let inner = catch(|| -> u8 { panic!("inner") });
                assert!(IS_CAUGHT.get());
                inner
            }),
            Ok(Err("panic in the `tokenizers` library: inner".into()))
        );
        assert!(!IS_CAUGHT.get());
    }

    #[test]
    fn only_a_panic_that_is_caught_is_silent() {
        let seen = Arc::new(AtomicUsize::new(0));
        let earlier = panic::take_hook();
        let counter = seen.clone();
        panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() == Some(&"counted by this test") {
                counter.fetch_add(1, Ordering::SeqCst);
            } else {
                earlier(panic);
            }
        }));
        // The wrapper as `catch` installs it, whether or not another test was first.
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_CAUGHT.try_with(Cell::get).unwrap_or(false) {
                previous(panic);
            }
        }));
        let panic = || panic!("counted by this test");
        assert!(catch(panic).is_err());
        assert_eq!(seen.load(Ordering::SeqCst), 0);
        assert!(panic::catch_unwind(panic).is_err());
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    }
}
