//! What of a message or a result a terminal is given.
//!
//! Ids, terms, texts, names and paths come from files and from other hosts. On a terminal their control characters would be
//! commands: they could clear the screen, rewrite what was said or set the title. So none reaches a terminal as it is.
//! Both standard streams are written through here. Output that goes to a file or a pipe keeps every byte.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use neural_sparse::printable::{escaped_but, Printable};

use super::print::message::coloured;

/// Writes a message to standard error; see [`one_message`].
///
/// A standard error that is closed or full changes nothing else of a run.
pub(super) fn say(message: &str) {
    let stderr = io::stderr();
    let has_colour = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
    let line = coloured(&one_message(message), has_colour);
    // Nobody is there to be told.
    let _ = stderr.lock().write_all(line.as_bytes());
}

/// A message with its control characters escaped, as in `\u{1b}`.
///
/// Line feeds stay where they begin the message or are followed by a space: those are ours. Any other would let a text
/// from outside begin a line of its own, which could look like another message.
pub(super) fn one_message(message: &str) -> Cow<'_, str> {
    let is_ours = |at: usize| {
        let before = &message[..at];
        before.chars().all(|character| character == '\n') || message[at + 1..].starts_with(' ')
    };
    escaped_but(message, |at, character| character == '\n' && is_ours(at))
}

/// Standard output, locked.
pub(super) fn stdout() -> Box<dyn Write> {
    results(io::stdout().lock())
}

/// Standard output, or a device that was named: made safe where it is a terminal, else every byte as it comes.
pub(super) fn results<W: Write + IsTerminal + 'static>(out: W) -> Box<dyn Write> {
    match out.is_terminal() {
        true => Box::new(Printable::new(out)),
        false => Box::new(out),
    }
}

/// Writes a panic as a message is written: it may hold text from outside, and standard error may be full.
pub(super) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        say(&format!("error: {}; this is a bug", panic.to_string().replace('\n', " ")));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            // Its lines are ours.
            trace.to_string().lines().for_each(say);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ESC, the bell, a carriage return, DEL, and CSI as one character.
    const HOSTILE: &str = "\u{1b}[2J\u{7}\r\u{7f}\u{9b}2J";
    const SHOWN: &str = "\\u{1b}[2J\\u{7}\\r\\u{7f}\\u{9b}2J";

    #[test]
    fn a_message_holds_no_command_and_begins_no_other_message() {
        assert_eq!(one_message(&format!("error: `{HOSTILE}é`")), format!("error: `{SHOWN}é`"));
        assert_eq!(one_message("\nhint: a\nerror: b\n  --c"), "\nhint: a\\nerror: b\n  --c");
        assert!(matches!(one_message("\nerror: an ordinary one"), Cow::Borrowed(_)));
    }
}
