//! Where a text can be cut so that the tokens of its parts are those of the whole.
//!
//! A cut is a place between two characters where each step of the tokenizer does the same with the halves as with the
//! whole. [`Splitter::is_cut`] knows the steps for which the two characters alone decide that.

use tokenizers::tokenizer::{OffsetReferential, OffsetType, PreTokenizedString};
use tokenizers::{ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, PreTokenizer};

use super::added::AddedTokens;
use super::chars::{kind, Kind};
use super::rules::{ends_gpt2_word, reach, rule, Reach, Rule};

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
    pub max_word_chars: Option<usize>,
    /// Bytes of most pieces, of those that nothing splits, and of what is worth being left out. Tests set them.
    pub piece_bytes: usize,
    pub max_unsplit_bytes: usize,
    pub min_removed_bytes: usize,
}

/// What becomes of a character that is between others.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    /// The first and the last character of its normal form; none if the normalizer drops it.
    pub first: Option<char>,
    pub last: Option<char>,
    /// Whether a word ends in its normal form, before it, and after it.
    pub is_break: bool,
    pub begins_with_break: bool,
    pub ends_with_break: bool,
    /// Whether it is its own normal form, white space around it aside.
    pub is_unchanged: bool,
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

    /// Whether a text can be cut between these two characters, whatever stands around them: whether its tokens are
    /// those of the part that ends with `left`, then those of the part that begins with `right`.
    pub fn is_cut(&self, (left, of_left): (char, Seen), (right, of_right): (char, Seen)) -> bool {
        let (Some(last), Some(first)) = (of_left.last, of_right.first) else { return false };
        // The normal form of what follows must begin with `first`, not with a mark that is moved there or with something
        // that is joined to what comes before.
        let is_left_certain = self.is_certain(left, of_left, last);
        if !self.is_certain(right, of_right, first)
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

    /// Whether the normal form of a text has `edge`, which a character's own begins or ends with, at its place.
    pub fn is_certain(&self, character: char, seen: Seen, edge: char) -> bool {
        let is_local = !(self.reach.composes || self.reach.graphemes);
        let is_known = kind(character) != Kind::Unknown && kind(edge) != Kind::Unknown;
        is_known || is_local && seen.is_break && seen.is_unchanged
    }

    /// Whether words may be shortened that are too long for the model to look at, and runs of characters that the
    /// normalizer drops: no added token may be found, lost or moved by it.
    pub fn can_shorten(&self, mut look: impl FnMut(char) -> Seen) -> bool {
        let Some(max_word_chars) = self.max_word_chars else { return false };
        self.raw.contents.iter().chain(&self.normalized.contents).all(|content| {
            let mut looks = content.chars().map(&mut look);
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

    /// What the steps of the tokenizer make of a character.
    pub fn look_at(&self, character: char, tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<Seen> {
        let normalizer = tokenizer.get_normalizer();
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
        let Rule::Breaks { steps, .. } = &self.rule else { return Ok(false) };
        let mut words = PreTokenizedString::from(format!("a{between}a"));
        for step in steps {
            step.pre_tokenize(&mut words)?;
        }
        Ok(words.get_splits(OffsetReferential::Normalized, OffsetType::None).len() > 1)
    }
}

fn normalized_text(normalizer: Option<&NormalizerWrapper>, text: &str) -> tokenizers::Result<String> {
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = normalizer {
        normalizer.normalize(&mut normalized)?;
    }
    Ok(normalized.get().to_string())
}
