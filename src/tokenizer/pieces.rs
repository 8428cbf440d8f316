//! A long text in pieces whose tokens are those of the whole text.
//!
//! The `tokenizers` crate holds a hundred to five hundred bytes for each byte of the text that it is given, so it is given
//! a long text in pieces, which end at the cuts of [`Splitter`]. Text without a cut is handed over in one, up to a limit.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::splitter::{Seen, Splitter};

/// Which end of a text its pieces are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextEnd {
    First,
    Last,
}

/// A part of a text that is tokenized by itself.
pub(super) struct Piece<'t> {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What is tokenized: these bytes, less some that change no token.
    pub text: Cow<'t, str>,
    /// Places in the shortened text where bytes are missing, and how many are missing up to there.
    gaps: Vec<(usize, usize)>,
}

/// The pieces of a text, in their order from one of its ends; an error where a run of bytes cannot be split.
pub(super) struct Pieces<'t> {
    splitter: &'t Splitter,
    tokenizer: &'t tokenizers::Tokenizer,
    text: &'t str,
    rest: Option<Range<usize>>,
    from: TextEnd,
    /// Bytes of the next piece.
    bytes: usize,
    seen: HashMap<char, Seen>,
    seen_ascii: [Option<Seen>; 128],
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Result<Piece<'t>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let piece = match self.from {
            _ if rest.len() <= self.bytes => Ok(self.piece(rest.clone())),
            TextEnd::First => self.first_of(rest.clone()),
            TextEnd::Last => self.last_of(rest.clone()),
        };
        if let Ok(piece) = &piece {
            let left = match self.from {
                TextEnd::First => piece.range.end..rest.end,
                TextEnd::Last => rest.start..piece.range.start,
            };
            self.rest = Some(left).filter(|left| !left.is_empty());
        }
        self.bytes = (self.bytes * 2).min(self.splitter.piece_bytes);
        Some(piece)
    }
}

impl<'t> Pieces<'t> {
    /// Those of a text, the first of about `first_bytes`.
    pub fn of(
        text: &'t str,
        (splitter, tokenizer): (&'t Splitter, &'t tokenizers::Tokenizer),
        from: TextEnd,
        first_bytes: usize,
    ) -> Self {
        Pieces {
            splitter,
            tokenizer,
            text,
            rest: Some(0..text.len()),
            from,
            bytes: first_bytes.clamp(1, splitter.piece_bytes),
            seen: HashMap::new(),
            seen_ascii: [None; 128],
        }
    }

    fn piece(&self, range: Range<usize>) -> Piece<'t> {
        Piece { text: Cow::Borrowed(&self.text[range.clone()]), range, gaps: Vec::new() }
    }

    fn first_of(&mut self, rest: Range<usize>) -> Result<Piece<'t>, String> {
        let max = self.splitter.max_unsplit_bytes;
        let target = ceil_char_boundary(self.text, rest.start + self.bytes);
        let limit = rest.start.saturating_add(max).min(rest.end - 1);
        if let Some(place) = self.cut_from(target, limit) {
            return Ok(self.piece(rest.start..place));
        }
        if rest.len() <= max {
            return Ok(self.piece(rest));
        }
        self.shortened(rest.start, target, rest.end)
    }

    fn last_of(&mut self, rest: Range<usize>) -> Result<Piece<'t>, String> {
        let max = self.splitter.max_unsplit_bytes;
        let target = floor_char_boundary(self.text, rest.end - self.bytes);
        let limit = rest.end.saturating_sub(max).max(rest.start + 1);
        if let Some(place) = self.cut_back_from(target, limit) {
            return Ok(self.piece(place..rest.end));
        }
        if rest.len() <= max {
            return Ok(self.piece(rest));
        }
        // What is behind the run is a piece of its own, so that the run ends where this piece does.
        if let Some(place) = self.cut_from(target, rest.end - 1) {
            return Ok(self.piece(place..rest.end));
        }
        let before = floor_char_boundary(self.text, limit);
        let start = self.cut_back_from(before, rest.start + 1).unwrap_or(rest.start);
        self.shortened(start, start, rest.end)
    }

    /// The first cut from `start` to `last`.
    fn cut_from(&mut self, start: usize, last: usize) -> Option<usize> {
        let mut left = self.text[..start].chars().next_back()?;
        for (index, right) in self.text[start..].char_indices() {
            if start + index > last {
                return None;
            }
            if self.is_cut(left, right) {
                return Some(start + index);
            }
            left = right;
        }
        None
    }

    /// The last cut from `start` back to `first`.
    fn cut_back_from(&mut self, start: usize, first: usize) -> Option<usize> {
        let mut right = self.text[start..].chars().next()?;
        for (index, left) in self.text[..start].char_indices().rev() {
            let place = index + left.len_utf8();
            if place < first {
                return None;
            }
            if self.is_cut(left, right) {
                return Some(place);
            }
            right = left;
        }
        None
    }

    fn is_cut(&mut self, left: char, right: char) -> bool {
        let (of_left, of_right) = (self.look(left), self.look(right));
        self.splitter.is_cut((left, of_left), (right, of_right))
    }

    /// What the tokenizer's own steps make of a character.
    fn look(&mut self, character: char) -> Seen {
        /// More are rarely met; each takes a microsecond to look at again.
        const MAX_SEEN: usize = 1 << 14;
        let ascii = self.seen_ascii.get(character as usize).copied();
        if let Some(seen) = ascii.flatten().or_else(|| self.seen.get(&character).copied()) {
            return seen;
        }
        if self.seen.len() == MAX_SEEN {
            self.seen.clear();
        }
        // One that the steps fail on is nowhere cut.
        let seen = self.splitter.look_at(character, self.tokenizer).unwrap_or_default();
        match self.seen_ascii.get_mut(character as usize) {
            Some(ascii) => *ascii = Some(seen),
            None => drop(self.seen.insert(character, seen)),
        }
        seen
    }

    /// The piece from `start` to the first cut after `target`, without most of a run that has no tokens of its own.
    ///
    /// Where every step but the model sees a character at a time, two kinds of bytes change no token. In a word of more
    /// than `max_word_chars` characters, which is one unknown token whatever it holds: those between its first characters
    /// and its last one. And of characters that the normalizer drops: those between the first and the last of a run.
    fn shortened(&mut self, start: usize, target: usize, end: usize) -> Result<Piece<'t>, String> {
        let splitter = self.splitter;
        let max = splitter.max_unsplit_bytes;
        let too_long = format!(
            "from byte {target} on, the text holds no place where it can be split, and no more than {max} bytes are \
             tokenized at once"
        );
        let Some(max_word_chars) =
            splitter.max_word_chars.filter(|_| splitter.can_shorten(|character| self.look(character)))
        else {
            return Err(too_long);
        };
        let mut removed = Removed::of_more_than(splitter.min_removed_bytes);
        // The run of dropped characters that we are in: where its first character ends, and where its last one begins.
        let mut dropped: Option<(usize, usize)> = None;
        let (mut num_chars, mut word_kept, mut last_of_word) = (0, None, None);
        let mut left = self.text[..target].chars().next_back();
        let mut piece_end = end;
        for (index, character) in self.text[target..end].char_indices() {
            let index = target + index;
            if left.is_some_and(|left| index > start && self.is_cut(left, character)) {
                piece_end = index;
                break;
            }
            left = Some(character);
            let seen = self.look(character);
            let Some(first) = seen.first else {
                let first_end = dropped.map_or(index + character.len_utf8(), |run| run.0);
                dropped = Some((first_end, index));
                continue;
            };
            let run = dropped.take().filter(|_| splitter.is_certain(character, seen, first));
            if seen.is_break {
                removed.word(word_kept.take(), last_of_word.take());
                removed.run(run);
                num_chars = 0;
            } else {
                num_chars += 1;
                if word_kept.is_some() {
                    last_of_word = Some(index);
                } else {
                    removed.run(run);
                    if num_chars > max_word_chars {
                        word_kept = Some(index + character.len_utf8());
                    }
                }
            }
            if word_kept.unwrap_or(index) - start - removed.num_bytes > max {
                return Err(too_long);
            }
        }
        removed.word(word_kept, last_of_word);
        removed.run(dropped);
        let piece = removed.piece(self.text, start..piece_end);
        if piece.text.len() > max.saturating_add(self.bytes) {
            return Err(too_long);
        }
        Ok(piece)
    }
}

/// Bytes of a piece that change no token.
struct Removed {
    ranges: Vec<Range<usize>>,
    num_bytes: usize,
    min_bytes: usize,
}

impl Removed {
    fn of_more_than(min_bytes: usize) -> Self {
        Removed { ranges: Vec::new(), num_bytes: 0, min_bytes }
    }

    /// What is between the characters of a word that are kept and its last one.
    fn word(&mut self, kept: Option<usize>, last: Option<usize>) {
        self.run(kept.zip(last));
    }

    fn run(&mut self, run: Option<(usize, usize)>) {
        if let Some((start, end)) = run.filter(|(start, end)| *end > start + self.min_bytes) {
            self.num_bytes += end - start;
            self.ranges.push(start..end);
        }
    }

    fn piece(self, text: &str, range: Range<usize>) -> Piece<'_> {
        let mut kept = String::with_capacity(range.len() - self.num_bytes);
        let (mut gaps, mut start, mut num_missing) = (Vec::new(), range.start, 0);
        for gap in self.ranges {
            kept.push_str(&text[start..gap.start]);
            num_missing += gap.len();
            gaps.push((kept.len(), num_missing));
            start = gap.end;
        }
        kept.push_str(&text[start..range.end]);
        Piece { range, text: Cow::Owned(kept), gaps }
    }
}

impl Piece<'_> {
    /// Bytes of the whole text, of bytes of the text that was tokenized.
    pub fn span(&self, span: Range<usize>) -> Range<usize> {
        // No token begins or ends at a gap: it is inside a word, between characters that are dropped or of one token.
        let place = |place: usize| {
            let num_gaps = self.gaps.partition_point(|gap| gap.0 <= place);
            self.range.start + place + self.gaps[..num_gaps].last().map_or(0, |gap| gap.1)
        };
        place(span.start)..place(span.end)
    }
}

/// The first boundary of characters at `place` or later; the end of the text is one.
fn ceil_char_boundary(text: &str, place: usize) -> usize {
    (place..text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len())
}

/// The last boundary of characters at `place` or earlier.
fn floor_char_boundary(text: &str, place: usize) -> usize {
    (0..=place.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}
