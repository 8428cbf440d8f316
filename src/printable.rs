//! Text out of files and from other hosts, for a terminal: control characters, and those that turn the direction of
//! writing, are shown, not followed.

use std::borrow::Cow;
use std::io::{self, Write};

/// `text` with its control characters escaped, as in `\u{1b}`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, |_, _| false)
}

/// `text` with its control characters escaped, those aside that `stays` lets through by place and kind.
pub fn escaped_but(text: &str, stays: impl Fn(usize, char) -> bool) -> Cow<'_, str> {
    let is_unsafe = |(at, character): &(usize, char)| is_command(*character) && !stays(*at, *character);
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

/// Whether a terminal does something at a character but show it. Those that turn the direction of writing make the rest of
/// a line read as another; scripts that are written from right to left need none of them.
fn is_command(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text on its way to a terminal. Its control characters are escaped, line feeds and tabs aside: those are part of the
/// formats. So are bytes that are not UTF-8, which some terminals take for control characters of 8 bits.
#[derive(Debug)]
pub struct Printable<W: Write> {
    out: W,
    /// The first bytes of a character whose other bytes are to come.
    partial: Vec<u8>,
}

impl<W: Write> Printable<W> {
    /// Writes to `out`, with what is unsafe escaped.
    pub fn new(out: W) -> Self {
        Printable { out, partial: Vec::new() }
    }
}

impl<W: Write> Write for Printable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = std::mem::take(&mut self.partial);
        text.extend_from_slice(bytes);
        let mut safe = String::with_capacity(text.len());
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            safe.push_str(&escaped_but(chunk.valid(), |_, character| matches!(character, '\n' | '\t')));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// ESC, the bell, a carriage return, DEL, CSI as one character, and two that turn the direction of writing.
    const HOSTILE: &str = "\u{1b}[2J\u{7}\r\u{7f}\u{9b}2J\u{202e}\u{2067}";
    const SHOWN: &str = "\\u{1b}[2J\\u{7}\\r\\u{7f}\\u{9b}2J\\u{202e}\\u{2067}";

    #[test]
    fn every_control_character_of_a_name_is_escaped() {
        assert_eq!(escaped("a\n b"), "a\\n b");
        assert!(matches!(escaped("an ordinary name"), Cow::Borrowed(_)));
    }

    fn shown(parts: &[&[u8]]) -> String {
        let mut printable = Printable::new(Vec::new());
        for part in parts {
            printable.write_all(part).expect("memory");
        }
        printable.flush().expect("memory");
        String::from_utf8(printable.out).expect("UTF-8")
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
