//! Tokens that are found before words are.

use std::collections::HashSet;

use tokenizers::AddedToken;

/// What decides whether a token that is found before words are may stand across a cut, or depend on what is beyond it.
#[derive(Clone, Default)]
pub(super) struct AddedTokens {
    pub contents: Vec<String>,
    /// Characters that are neighbours in one.
    pairs: HashSet<(char, char)>,
    /// Of tokens that take white space before them with them: the first characters.
    takes_before: HashSet<char>,
    /// Of tokens that take white space after them with them: the last characters.
    takes_after: HashSet<char>,
    /// Of tokens that must be whole words: the first and the last characters.
    word_starts: HashSet<char>,
    word_ends: HashSet<char>,
}

impl AddedTokens {
    /// Adds a token that is found as `content`.
    pub fn insert(&mut self, token: &AddedToken, content: &str) {
        self.pairs.extend(content.chars().zip(content.chars().skip(1)));
        let (first, last) = (content.chars().next(), content.chars().next_back());
        if token.lstrip {
            self.takes_before.extend(first);
        }
        if token.rstrip {
            self.takes_after.extend(last);
        }
        if token.single_word {
            self.word_starts.extend(first);
            self.word_ends.extend(last);
        }
        self.contents.push(content.to_string());
    }

    /// Whether a text can be cut between two characters. The left one may be another one beyond ASCII unless
    /// `is_left_certain`.
    pub fn allow(&self, left: char, is_left_certain: bool, right: char) -> bool {
        let or_other = |character: char| character == left || !is_left_certain && !character.is_ascii();
        let ends = |characters: &HashSet<char>| characters.iter().any(|c| or_other(*c));
        let crosses = match is_left_certain {
            true => self.pairs.contains(&(left, right)),
            false => self.pairs.iter().any(|pair| or_other(pair.0) && pair.1 == right),
        };
        let (space_before, space_after) = (left.is_whitespace(), right.is_whitespace());
        let takes_before = space_before
            && !self.takes_before.is_empty()
            && (space_after || self.takes_before.contains(&right));
        let takes_after =
            space_after && !self.takes_after.is_empty() && (space_before || ends(&self.takes_after));
        let starts_word = may_be_word(left) && self.word_starts.contains(&right);
        let ends_word = may_be_word(right) && ends(&self.word_ends);
        !(crosses || takes_before || takes_after || starts_word || ends_word)
    }
}

/// Whether a character may be part of a word for [`AddedToken::single_word`].
fn may_be_word(character: char) -> bool {
    !character.is_ascii() || character.is_ascii_alphanumeric() || character == '_'
}
