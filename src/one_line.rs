//! Text out of a file, as a message can show it.

use std::borrow::Cow;

/// The most characters that a message shows of one text.
const MAX_CHARS: usize = 600;

/// How many of them are its end, which tells what is wrong with a long value before it.
const END_CHARS: usize = 200;

/// `text` on one line of bounded length: control characters are escaped, and the middle of a long text is left out.
///
/// What a hostile file holds can neither start a line of its own in a message, nor fill a terminal or command it.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let is_long = text.len() > MAX_CHARS && text.chars().nth(MAX_CHARS).is_some();
    if !is_long && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::new();
    let mut push = |part: &str| {
        for character in part.chars() {
            match character.is_control() {
                true => line.extend(character.escape_default()),
                false => line.push(character),
            }
        }
    };
    if is_long {
        let start = text.char_indices().nth(MAX_CHARS - END_CHARS).map_or(text.len(), |(at, _)| at);
        let end = text.char_indices().rev().nth(END_CHARS - 1).map_or(0, |(at, _)| at);
        push(&text[..start]);
        push("…");
        push(&text[end..]);
    } else {
        push(text);
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_text_stays_as_it_is() {
        assert!(matches!(one_line("`a` is \"é\", not a size"), Cow::Borrowed("`a` is \"é\", not a size")));
        let longest = "é".repeat(MAX_CHARS);
        assert_eq!(one_line(&longest), longest);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(one_line("a\nerror: b\u{1b}[2J\u{85}"), "a\\nerror: b\\u{1b}[2J\\u{85}");
    }

    #[test]
    fn the_middle_of_a_long_text_is_left_out() {
        let text = format!("`size` is {}, not a size", "é".repeat(1_000_000));
        let line = one_line(&text);
        assert!(line.starts_with("`size` is éé") && line.contains("é…é") && line.ends_with("é, not a size"));
        assert_eq!(line.chars().count(), MAX_CHARS + 1);
        // Escapes do not lengthen it without bound.
        assert!(one_line(&"\u{0}".repeat(1_000_000)).len() < 10 * MAX_CHARS);
    }
}
