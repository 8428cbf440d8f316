//! What each step of a tokenizer looks at, as far as that is known.

use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use super::chars::{kind, Kind};
use super::normalized_size::leaves;

/// The pattern of GPT-2, which the byte-level pre-tokenizer uses too.
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The patterns of Llama 3 and Qwen 2, which are GPT-4's but for the digits.
pub(super) const GPT4: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Where a pre-tokenizer ends a word whatever stands around the two characters.
#[derive(Clone)]
pub(super) enum Rule {
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
pub(super) struct Reach {
    /// It joins a character with marks after it.
    pub composes: bool,
    /// It looks at graphemes.
    pub graphemes: bool,
    /// It makes one space of several.
    pub collapses_spaces: bool,
}

/// Whether a match of [`GPT2`]'s pattern ends between the two characters.
///
/// No part of the pattern matches characters of two kinds, but for one leading space and for contractions, which begin
/// with an apostrophe. The part that looks ahead looks from white space.
pub(super) fn ends_gpt2_word(last: char, first: char) -> bool {
    use Kind::{Apostrophe, Digit, Letter, Punctuation, Space};
    match (kind(last), kind(first)) {
        (_, Space) => !last.is_whitespace(),
        (Letter, Digit | Punctuation | Apostrophe) | (Digit, Letter | Punctuation | Apostrophe) => true,
        (Punctuation, Letter | Digit) => true,
        _ => false,
    }
}

/// How far a normalizer looks; `None` where that is not known.
pub(super) fn reach(normalizer: &NormalizerWrapper) -> Option<Reach> {
    let mut reach = Reach::default();
    let (mut follows_unicode, mut replaces) = (false, false);
    for step in leaves(normalizer) {
        match step {
            NormalizerWrapper::Lowercase(_) | NormalizerWrapper::Nmt(_) => {}
            NormalizerWrapper::BertNormalizer(_)
            | NormalizerWrapper::StripAccents(_)
            | NormalizerWrapper::NFD(_)
            | NormalizerWrapper::NFKD(_) => follows_unicode = true,
            NormalizerWrapper::NFC(_) | NormalizerWrapper::NFKC(_) => {
                (follows_unicode, reach.composes) = (true, true);
            }
            NormalizerWrapper::Precompiled(_) => reach.graphemes = true,
            NormalizerWrapper::Replace(replace) => {
                let value = serde_json::to_value(replace).ok()?;
                let pattern: ReplacePattern = serde_json::from_value(value.get("pattern")?.clone()).ok()?;
                // What stands for a character may be a mark, which the other steps may move.
                let is_plain = |character| kind(character) != Kind::Unknown || character == '▁';
                match pattern {
                    ReplacePattern::String(text)
                        if text.chars().count() == 1 && replace.content.chars().all(is_plain) =>
                    {
                        replaces = true;
                    }
                    ReplacePattern::Regex(text) if text == " {2,}" => reach.collapses_spaces = true,
                    ReplacePattern::String(_) | ReplacePattern::Regex(_) => return None,
                }
            }
            _ => return None,
        }
    }
    // Known one by one, but not what one makes of what the other one has made.
    let is_known = !(reach.graphemes && follows_unicode || reach.collapses_spaces && replaces);
    Some(reach).filter(|_| is_known)
}

/// Where a pre-tokenizer ends words, and whether it has more steps than those that say so.
pub(super) fn rule(pre_tokenizer: &PreTokenizerWrapper) -> (Rule, bool) {
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
            if split.behavior == SplitDelimiterBehavior::Isolated && !split.invert && !only_before_space =>
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
        PreTokenizerWrapper::BertPreTokenizer(_) | PreTokenizerWrapper::WhitespaceSplit(_) => true,
        // Characters are looked at between two of this letter.
        PreTokenizerWrapper::Delimiter(delimiter) => delimiter.delimiter != 'a',
        PreTokenizerWrapper::Digits(digits) => digits.individual_digits,
        PreTokenizerWrapper::Punctuation(punctuation) => {
            matches!(punctuation.behavior, SplitDelimiterBehavior::Isolated | SplitDelimiterBehavior::Removed)
        }
        _ => false,
    }
}
