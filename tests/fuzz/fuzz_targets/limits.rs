//! What every target holds the library to: messages that a terminal can show, and little memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most bytes that may be in use at once.
const MAX_BYTES: usize = 200 << 20;

/// The most characters of a message: what a person can read.
const MAX_MESSAGE: usize = 2000;

/// A message is one line that a terminal can show, and not a long one.
#[allow(dead_code, reason = "the messages of some targets are lists")]
pub fn check_message(message: &impl Display) {
    check_length(message, MAX_MESSAGE);
}

/// A message that lists several things is one line that a terminal can show.
#[allow(dead_code, reason = "few messages are lists")]
pub fn check_list(message: &impl Display) {
    check_length(message, MAX_LIST);
}

fn check_length(message: &impl Display, most: usize) {
    let message = message.to_string();
    assert!(message.chars().count() <= most, "{} characters: {message:.200}", message.chars().count());
    assert!(!message.contains(char::is_control), "{message:?}");
}

/// The most characters of a message that lists several things, each of which may be long.
const MAX_LIST: usize = 20_000;

/// The system's allocator, with a limit: `-malloc_limit_mb` needs a sanitizer, which this does without.
struct Limited;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

impl Limited {
    fn take(size: usize) {
        if IN_USE.fetch_add(size, Ordering::Relaxed) + size > MAX_BYTES {
            IN_USE.store(0, Ordering::Relaxed);
            eprintln!("more than {MAX_BYTES} bytes are in use");
            std::process::abort();
        }
    }

    fn give_back(size: usize) {
        IN_USE.fetch_sub(size, Ordering::Relaxed);
    }
}

// SAFETY: every request goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Limited::take(layout.size());
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Limited::take(layout.size());
        System.alloc_zeroed(layout)
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Limited::take(size);
        Limited::give_back(layout.size());
        System.realloc(pointer, layout, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Limited::give_back(layout.size());
        System.dealloc(pointer, layout)
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;
