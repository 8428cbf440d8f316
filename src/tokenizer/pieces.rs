//! A long text in pieces whose tokens are those of the whole text.
//!
//! The `tokenizers` crate holds a hundred to five hundred bytes for each byte of the text that it is given, so it is given
//! a long text in pieces. A piece ends between two characters where each step of the tokenizer does the same with the
//! halves as with the whole; [`Splitter::is_cut`] knows the steps for which the two characters alone decide that. Text
//! without such a place is handed over in one, up to a limit.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::tokenizer::{OffsetReferential, OffsetType, PreTokenizedString, SplitDelimiterBehavior};
use tokenizers::{
    AddedToken, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, PreTokenizer,
    PreTokenizerWrapper,
};

use super::chars::{kind, Kind};
use super::normalized_size::leaves;

/// Bytes of most pieces: 30 MB while they are tokenized, at 500 bytes each.
const PIECE_BYTES: usize = 1 << 16;

/// Bytes that are handed over in one where nothing splits them: 150 MB while they are tokenized.
const MAX_UNSPLIT_BYTES: usize = 1 << 20;

/// Every token carries its term: bytes of all those of a piece, at a token a byte.
const MAX_TERM_BYTES: usize = 256 << 20;

/// The most characters of a word that a WordPiece model may look at: it takes time with their cube.
const MAX_WORD_CHARS: usize = 1 << 12;

/// Fewer bytes of a run are not left out.
const MIN_REMOVED_BYTES: usize = 1 << 10;

/// The pattern of GPT-2, which the byte-level pre-tokenizer uses too.
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The patterns of GPT-4, Llama 3 and Qwen 2.
pub(super) const GPT4: [&str; 3] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Where a pre-tokenizer ends a word whatever stands around the two characters.
#[derive(Clone)]
enum Rule {
    /// Before and after each character that is a word of its own or none, as these steps have it one character at a time.
    Breaks { steps: Vec<PreTokenizerWrapper>, only_before_space: bool },
    /// Where one of GPT-2's classes of characters ends and the next begins.
    Gpt2 { only_before_space: bool },
    /// After a letter or a digit that is the last of its kind.
    Gpt4,
    /// Between a word and a space.
    Spaces,
    /// Not known: nowhere.
    Nowhere,
}

/// What a normalizer does beyond one character at a time.
#[derive(Clone, Copy, Default)]
struct Reach {
    /// It joins a character with marks after it.
    composes: bool,
    /// It looks at graphemes.
    graphemes: bool,
    /// It makes one space of several.
    collapses_spaces: bool,
}

/// Finds the places where a text can be cut.
#[derive(Clone)]
pub(super) struct Splitter {
    rule: Rule,
    reach: Reach,
    /// Tokens that are found before the text is normalized, and after.
    raw: AddedTokens,
    normalized: AddedTokens,
    /// Characters of the longest word that a WordPiece model looks at, where no step looks at more than a character
    /// before words are found.
    max_word_chars: Option<usize>,
    /// Bytes of most pieces, of those that nothing splits, and of what is worth being left out. Tests set them.
    pub(super) piece_bytes: usize,
    pub(super) max_unsplit_bytes: usize,
    pub(super) min_removed_bytes: usize,
}

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
    /// Places in the shortened text where bytes are missing, and how many.
    gaps: Vec<(usize, usize)>,
}

impl Splitter {
    /// The rules of a tokenizer whose normalizer makes a text at most `growth` times as long, and whose longest term has
    /// `term_bytes` bytes.
    pub fn of(
        tokenizer: &tokenizers::Tokenizer,
        growth: usize,
        term_bytes: usize,
    ) -> tokenizers::Result<Self> {
        let normalizer = tokenizer.get_normalizer();
        let reach = normalizer.map_or(Some(Reach::default()), reach);
        let (rule, has_more_steps) = match (&reach, tokenizer.get_pre_tokenizer()) {
            (Some(_), Some(pre_tokenizer)) => rule(pre_tokenizer),
            _ => (Rule::Nowhere, false),
        };
        let reach = reach.unwrap_or_default();
        let added = tokenizer.get_added_tokens_decoder();
        let (mut raw, mut normalized) = (AddedTokens::default(), AddedTokens::default());
        for token in added.values() {
            if token.normalized {
                let content = normalized_text(normalizer, &token.content)?;
                normalized.insert(token, &content);
            } else {
                raw.insert(token, &token.content);
            }
        }
        let by_character = matches!(rule, Rule::Breaks { .. })
            && !has_more_steps
            && !(reach.composes || reach.graphemes || reach.collapses_spaces);
        let max_word_chars = match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) if model.max_input_chars_per_word > MAX_WORD_CHARS => {
                let max = model.max_input_chars_per_word;
                return Err(format!("`max_input_chars_per_word` is {max}, more than {MAX_WORD_CHARS}").into());
            }
            ModelWrapper::WordPiece(model) => Some(model.max_input_chars_per_word).filter(|_| by_character),
            _ => None,
        };
        let max_unsplit_bytes = MAX_UNSPLIT_BYTES.min(MAX_TERM_BYTES / term_bytes.max(1)).max(1);
        let piece_bytes = (PIECE_BYTES / growth.max(1)).max(256).min(max_unsplit_bytes);
        Ok(Splitter {
            rule,
            reach,
            raw,
            normalized,
            max_word_chars,
            piece_bytes,
            max_unsplit_bytes,
            min_removed_bytes: MIN_REMOVED_BYTES,
        })
    }

    /// The pieces of a text in their order from one end, the first of about `first_bytes`.
    pub fn pieces<'t>(
        &'t self,
        tokenizer: &'t tokenizers::Tokenizer,
        text: &'t str,
        from: TextEnd,
        first_bytes: usize,
    ) -> Pieces<'t> {
        Pieces {
            splitter: self,
            tokenizer,
            text,
            rest: Some(0..text.len()),
            from,
            bytes: first_bytes.clamp(1, self.piece_bytes),
            seen: HashMap::new(),
            seen_ascii: [None; 128],
        }
    }

    /// Whether a text can be cut between these two characters, whatever stands around them: whether its tokens are
    /// those of the part that ends with `left`, then those of the part that begins with `right`.
    fn is_cut(&self, (left, of_left): (char, Seen), (right, of_right): (char, Seen)) -> bool {
        let (Some(last), Some(first)) = (of_left.last, of_right.first) else { return false };
        // The normal form of what follows must begin with `first`, not with a mark that is moved there or with something
        // that is joined to what comes before.
        let is_left_certain = self.is_certain(left, of_left);
        if !self.is_certain(right, of_right)
            || self.reach.graphemes && (!is_left_certain || left == '\r')
            || self.reach.collapses_spaces && last.is_whitespace() && first.is_whitespace()
        {
            return false;
        }
        let ends_word = match self.rule {
            Rule::Nowhere => false,
            Rule::Breaks { only_before_space, .. } => {
                let is_space = right.is_whitespace() && first.is_whitespace();
                of_right.begins_with_break && (is_space || !only_before_space)
                    || of_left.ends_with_break && !only_before_space
            }
            Rule::Gpt2 { only_before_space } => {
                ends_gpt2_word(last, first) && (first == ' ' || !only_before_space)
            }
            Rule::Gpt4 => {
                matches!(kind(last), Kind::Letter | Kind::Digit)
                    && !matches!(kind(first), Kind::Unknown)
                    && kind(last) != kind(first)
            }
            Rule::Spaces => is_left_certain && !last.is_whitespace() && first == ' ',
        };
        ends_word && self.raw.allow(left, true, right) && self.normalized.allow(last, is_left_certain, first)
    }

    /// Whether the normal form of a text with this character has the character's own at its place.
    fn is_certain(&self, character: char, seen: Seen) -> bool {
        let is_local = !(self.reach.composes || self.reach.graphemes);
        kind(character) != Kind::Unknown || is_local && seen.is_break && seen.is_unchanged
    }

    /// Whether words may be shortened that are too long for the model to look at, and runs of characters that the
    /// normalizer drops: no added token may be found, lost or moved by it.
    fn can_shorten(&self, pieces: &mut Pieces) -> bool {
        let Some(max_word_chars) = self.max_word_chars else { return false };
        self.raw.contents.iter().chain(&self.normalized.contents).all(|content| {
            let mut looks = content.chars().map(|character| pieces.look(character));
            let Some(first) = looks.next() else { return true };
            let (mut last, mut num_chars) = (first, 1);
            let mut are_kept = first.first.is_some();
            for look in looks {
                (last, num_chars) = (look, num_chars + 1);
                are_kept &= look.first.is_some();
            }
            are_kept && first.is_break && last.is_break && num_chars <= max_word_chars
        })
    }
}

/// Whether a match of [`GPT2`]'s pattern ends between the two characters.
///
/// No part of the pattern matches characters of two kinds, but for one leading space and for contractions, which begin
/// with an apostrophe. The part that looks ahead looks from white space.
fn ends_gpt2_word(last: char, first: char) -> bool {
    use Kind::{Apostrophe, Digit, Letter, Punctuation, Space};
    match (kind(last), kind(first)) {
        (_, Space) => !last.is_whitespace(),
        (Letter, Digit | Punctuation | Apostrophe) | (Digit, Letter | Punctuation | Apostrophe) => true,
        (Punctuation, Letter | Digit) => true,
        _ => false,
    }
}

/// How far a normalizer looks; `None` where that is not known.
fn reach(normalizer: &NormalizerWrapper) -> Option<Reach> {
    let mut reach = Reach::default();
    for step in leaves(normalizer) {
        match step {
            NormalizerWrapper::BertNormalizer(_)
            | NormalizerWrapper::Lowercase(_)
            | NormalizerWrapper::StripAccents(_)
            | NormalizerWrapper::NFD(_)
            | NormalizerWrapper::NFKD(_)
            | NormalizerWrapper::Nmt(_) => {}
            NormalizerWrapper::NFC(_) | NormalizerWrapper::NFKC(_) => reach.composes = true,
            NormalizerWrapper::Precompiled(_) => reach.graphemes = true,
            NormalizerWrapper::Replace(replace) => {
                let value = serde_json::to_value(replace).ok()?;
                let pattern: ReplacePattern = serde_json::from_value(value.get("pattern")?.clone()).ok()?;
                match pattern {
                    ReplacePattern::String(text) if text.chars().count() == 1 => {}
                    ReplacePattern::Regex(text) if text == " {2,}" => reach.collapses_spaces = true,
                    ReplacePattern::String(_) | ReplacePattern::Regex(_) => return None,
                }
            }
            _ => return None,
        }
    }
    Some(reach)
}

/// Where a pre-tokenizer ends words, and whether it has more steps than those that say so.
fn rule(pre_tokenizer: &PreTokenizerWrapper) -> (Rule, bool) {
    let steps = pre_tokenizer_steps(pre_tokenizer);
    let num_breaking = steps.iter().take_while(|step| breaks_by_character(step)).count();
    let (breaking, rest) = steps.split_at(num_breaking);
    // Every later step sees one word at a time, except that this one asks which is the first of the text.
    let asks_for_start = |step: &&PreTokenizerWrapper| match step {
        PreTokenizerWrapper::Metaspace(metaspace) => metaspace.prepend_scheme == PrependScheme::First,
        _ => false,
    };
    let only_before_space = rest.iter().any(asks_for_start);
    if !breaking.is_empty() {
        let steps = breaking.iter().map(|step| (*step).clone()).collect();
        return (Rule::Breaks { steps, only_before_space }, !rest.is_empty());
    }
    let Some((first, rest)) = rest.split_first() else { return (Rule::Nowhere, false) };
    let rule = match first {
        PreTokenizerWrapper::ByteLevel(byte_level) if byte_level.use_regex && !only_before_space => {
            Rule::Gpt2 { only_before_space: byte_level.add_prefix_space }
        }
        PreTokenizerWrapper::Split(split)
            if split.behavior == SplitDelimiterBehavior::Isolated && !only_before_space =>
        {
            match &split.pattern {
                SplitPattern::Regex(pattern) if pattern == GPT2 => Rule::Gpt2 { only_before_space: false },
                SplitPattern::Regex(pattern) if GPT4.contains(&pattern.as_str()) => Rule::Gpt4,
                _ => Rule::Nowhere,
            }
        }
        PreTokenizerWrapper::Metaspace(metaspace) if metaspace.split && rest.is_empty() => Rule::Spaces,
        PreTokenizerWrapper::Whitespace(_) if !only_before_space => Rule::Spaces,
        _ => Rule::Nowhere,
    };
    (rule, !rest.is_empty())
}

/// The steps of a pre-tokenizer, those inside sequences too.
fn pre_tokenizer_steps(pre_tokenizer: &PreTokenizerWrapper) -> Vec<&PreTokenizerWrapper> {
    match pre_tokenizer {
        PreTokenizerWrapper::Sequence(sequence) => {
            let inner: &[PreTokenizerWrapper] = sequence.as_ref();
            inner.iter().flat_map(pre_tokenizer_steps).collect()
        }
        other => vec![other],
    }
}

/// Whether a step makes of some characters words of their own, or gaps between words, and looks at nothing else.
fn breaks_by_character(step: &PreTokenizerWrapper) -> bool {
    match step {
        PreTokenizerWrapper::BertPreTokenizer(_)
        | PreTokenizerWrapper::WhitespaceSplit(_)
        | PreTokenizerWrapper::Delimiter(_) => true,
        PreTokenizerWrapper::Digits(digits) => digits.individual_digits,
        PreTokenizerWrapper::Punctuation(punctuation) => {
            matches!(punctuation.behavior, SplitDelimiterBehavior::Isolated | SplitDelimiterBehavior::Removed)
        }
        _ => false,
    }
}

fn normalized_text(normalizer: Option<&NormalizerWrapper>, text: &str) -> tokenizers::Result<String> {
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = normalizer {
        normalizer.normalize(&mut normalized)?;
    }
    Ok(normalized.get().to_string())
}

/// What decides whether a token that is found before words are may stand across a cut, or depend on what is beyond it.
#[derive(Clone, Default)]
struct AddedTokens {
    contents: Vec<String>,
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
    fn insert(&mut self, token: &AddedToken, content: &str) {
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
    fn allow(&self, left: char, is_left_certain: bool, right: char) -> bool {
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

/// What becomes of a character that is between others.
#[derive(Clone, Copy)]
struct Seen {
    /// The first and the last character of its normal form; none if the normalizer drops it.
    first: Option<char>,
    last: Option<char>,
    /// Whether a word ends in its normal form, before it, and after it.
    is_break: bool,
    begins_with_break: bool,
    ends_with_break: bool,
    /// Whether it is its own normal form, white space around it aside.
    is_unchanged: bool,
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
        let seen = self.look_at(character).unwrap_or(Seen {
            first: None,
            last: None,
            is_break: false,
            begins_with_break: false,
            ends_with_break: false,
            is_unchanged: false,
        });
        match self.seen_ascii.get_mut(character as usize) {
            Some(ascii) => *ascii = Some(seen),
            None => drop(self.seen.insert(character, seen)),
        }
        seen
    }

    fn look_at(&self, character: char) -> tokenizers::Result<Seen> {
        let normalizer = self.tokenizer.get_normalizer();
        let alone = normalized_text(normalizer, character.encode_utf8(&mut [0; 4]))?;
        let (first, last) = (alone.chars().next(), alone.chars().next_back());
        let breaks = |between: Option<&str>| between.map_or(Ok(false), |between| self.breaks(between));
        let of_character = |character: Option<char>| breaks(character.map(String::from).as_deref());
        let trimmed = alone.trim();
        Ok(Seen {
            first,
            last,
            is_break: breaks(Some(&alone))?,
            begins_with_break: of_character(first)?,
            ends_with_break: of_character(last)?,
            is_unchanged: trimmed.is_empty() || trimmed.chars().eq([character]),
        })
    }

    /// Whether letters around a normalized text are two words.
    fn breaks(&self, between: &str) -> tokenizers::Result<bool> {
        let Rule::Breaks { steps, .. } = &self.splitter.rule else { return Ok(false) };
        let mut words = PreTokenizedString::from(format!("a{between}a"));
        for step in steps {
            step.pre_tokenize(&mut words)?;
        }
        Ok(words.get_splits(OffsetReferential::Normalized, OffsetType::None).len() > 1)
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
            "the {max} bytes of the text from byte {start} on hold no place where it can be split, and more are not \
             tokenized at once"
        );
        let Some(max_word_chars) = splitter.max_word_chars.filter(|_| splitter.can_shorten(self)) else {
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
            if seen.first.is_none() {
                let first_end = dropped.map_or(index + character.len_utf8(), |run| run.0);
                dropped = Some((first_end, index));
                continue;
            }
            let run = dropped.take().filter(|_| splitter.is_certain(character, seen));
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
        let (mut gaps, mut start) = (Vec::new(), range.start);
        for gap in self.ranges {
            kept.push_str(&text[start..gap.start]);
            gaps.push((kept.len(), gap.len()));
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
            let gaps = self.gaps.iter().take_while(|gap| gap.0 <= place);
            self.range.start + place + gaps.map(|gap| gap.1).sum::<usize>()
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
