//! What of a message or a result a terminal is given.
//!
//! Ids, terms, texts, names and paths come from files and from other hosts. On a terminal their control characters would be
//! commands: they could clear the screen, rewrite what was said or set the title. So none reaches a terminal as it is.
//! Both standard streams are written through here. Output that goes to a file or a pipe keeps every byte.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

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
    escaped(message, |at, character| character == '\n' && is_ours(at))
}

/// A name out of a file or from another host, for a line that is drawn anew in place.
pub(super) fn one_name(name: &str) -> Cow<'_, str> {
    escaped(name, |_, _| false)
}

/// `text` with its control characters escaped, those aside that `stays` lets through by place and kind.
fn escaped(text: &str, stays: impl Fn(usize, char) -> bool) -> Cow<'_, str> {
    let is_unsafe = |(at, character): &(usize, char)| character.is_control() && !stays(*at, *character);
    if !text.char_indices().any(|place| is_unsafe(&place)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for place in text.char_indices() {
        match is_unsafe(&place) {
            true => safe.extend(place.1.escape_default()),
            false => safe.push(place.1),
        }
    }
    Cow::Owned(safe)
}

/// Standard output, locked.
pub(super) fn stdout() -> Box<dyn Write> {
    results(io::stdout().lock())
}

/// Standard output, or a device that was named: made safe where it is a terminal, else every byte as it comes.
pub(super) fn results<W: Write + IsTerminal + 'static>(out: W) -> Box<dyn Write> {
    match out.is_terminal() {
        true => Box::new(Visible { out, partial: Vec::new() }),
        false => Box::new(out),
    }
}

/// Text on its way to a terminal. Its control characters are escaped, line feeds and tabs aside: those are part of the
/// formats. So are bytes that are not UTF-8, which some terminals take for control characters of 8 bits.
struct Visible<W: Write> {
    out: W,
    /// The first bytes of a character whose other bytes are to come.
    partial: Vec<u8>,
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = std::mem::take(&mut self.partial);
        text.extend_from_slice(bytes);
        let mut safe = String::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            safe.push_str(&escaped(chunk.valid(), |_, character| matches!(character, '\n' | '\t')));
            let rest = chunk.invalid();
            if chunks.peek().is_none() && is_begun(rest) {
                self.partial = rest.to_vec();
            } else {
                safe.push_str(&rest.escape_ascii().to_string());
            }
        }
        self.out.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let partial = std::mem::take(&mut self.partial);
        self.out.write_all(partial.escape_ascii().to_string().as_bytes())?;
        self.out.flush()
    }
}

/// Whether bytes are the first of a character, and not all of it.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
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
        assert_eq!(one_name("a\n b"), "a\\n b");
    }

    fn shown(parts: &[&[u8]]) -> String {
        let mut visible = Visible { out: Vec::new(), partial: Vec::new() };
        for part in parts {
            visible.write_all(part).expect("memory");
        }
        visible.flush().expect("memory");
        String::from_utf8(visible.out).expect("UTF-8")
    }

    #[test]
    fn a_terminal_gets_no_control_character_but_lines_and_tabs() {
        assert_eq!(shown(&[format!("a\tb{HOSTILE}\n").as_bytes()]), format!("a\tb{SHOWN}\n"));
        assert_eq!(shown(&[b"8 bits: \x9b2J\n"]), "8 bits: \\x9b2J\n");
    }

    #[test]
    fn a_character_that_comes_in_parts_is_one() {
        let text = "é€😀\u{9b}\n";
        for middle in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(middle);
            assert_eq!(shown(&[first, second]), "é€😀\\u{9b}\n", "{middle}");
        }
        assert_eq!(shown(&["é".as_bytes(), b"\xc3 \xc3"]), "é\\xc3 \\xc3");
    }
}
