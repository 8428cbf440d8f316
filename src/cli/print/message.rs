//! The look of a message.

use clap::builder::styling::{AnsiColor, Style};

/// The words that messages begin with, and how they look on a terminal.
const LABELS: [(&str, Style); 4] = [
    ("error:", AnsiColor::Red.on_default().bold()),
    ("warning:", AnsiColor::Yellow.on_default().bold()),
    ("note:", AnsiColor::Cyan.on_default().bold()),
    ("hint:", AnsiColor::Green.on_default().bold()),
];

/// A message and a newline, with its first word in its colour.
pub(in crate::cli) fn coloured(message: &str, has_colour: bool) -> String {
    let text = message.trim_start_matches('\n');
    let gap = &message[..message.len() - text.len()];
    match LABELS.iter().find(|(label, _)| has_colour && text.starts_with(label)) {
        Some((label, style)) => format!("{gap}{style}{label}{style:#}{}\n", &text[label.len()..]),
        None => format!("{message}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_message_has_its_colour() {
        assert_eq!(coloured("error: x", true), "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x\n");
        assert_eq!(coloured("\nhint: x", true), "\n\u{1b}[1m\u{1b}[32mhint:\u{1b}[0m x\n");
        assert_eq!(coloured("3 texts", true), "3 texts\n");
        assert_eq!(coloured("error: x", false), "error: x\n");
    }
}
