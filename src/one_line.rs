//! Text out of a file, as a message can show it.

use std::borrow::Cow;

/// The most characters that a message shows of one text, with those of the escapes.
const MAX_CHARS: usize = 600;

/// How many of them are its end, which tells what is wrong with a long value before it.
const END_CHARS: usize = 200;

/// `text` on one line of bounded length: control characters are escaped, and the middle of a long text is left out.
///
/// What a hostile file holds can neither start a line of its own in a message, nor fill a terminal or command it. The
/// result has at most [`MAX_CHARS`] characters and the one that stands for what was left out.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let is_long = length_up_to(text.chars(), MAX_CHARS) < text.len();
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
        let start = length_up_to(text.chars(), MAX_CHARS - END_CHARS);
        let end = text.len() - length_up_to(text.chars().rev(), END_CHARS);
        push(&text[..start]);
        push("…");
        push(&text[end..]);
    } else {
        push(text);
    }
    Cow::Owned(line)
}

/// Bytes of the first characters, as many as are shown with `room` characters.
fn length_up_to(characters: impl Iterator<Item = char>, mut room: usize) -> usize {
    let mut length = 0;
    for character in characters {
        let shown = if character.is_control() { character.escape_default().len() } else { 1 };
        let Some(rest) = room.checked_sub(shown) else { break };
        room = rest;
        length += character.len_utf8();
    }
    length
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
    }

    #[test]
    fn escapes_count_as_what_is_shown() {
        for control in ["\u{0}", "\n", "\u{9b}", "é\r", "\u{7f}x"] {
            for length in [1, 99, 100, 101, 299, 300, 301, 599, 600, 601, 1_000_000] {
                let text = control.repeat(length);
                let line = one_line(&text);
                let escaped: String = text
                    .chars()
                    .flat_map(|c| match c.is_control() {
                        true => c.escape_default().to_string().chars().collect::<Vec<_>>(),
                        false => vec![c],
                    })
                    .collect();
                match escaped.chars().count() {
                    ..=MAX_CHARS => assert_eq!(line, escaped),
                    _ => {
                        let (start, end) = line.split_once('…').expect("something is left out");
                        assert!(escaped.starts_with(start) && escaped.ends_with(end), "{line}");
                        // No more is left out than a whole escape at either end.
                        assert!((MAX_CHARS - 10..=MAX_CHARS + 1).contains(&line.chars().count()), "{line}");
                    }
                }
            }
        }
    }
}
