//! Characters that Unicode's normal forms and graphemes leave where they are.

/// What GPT-2's patterns see in a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `\p{L}`.
    Letter,
    /// `\p{N}`.
    Digit,
    /// Neither of these and no white space, nor the apostrophe, which can begin a contraction.
    Punctuation,
    /// `'`.
    Apostrophe,
    /// ` `, `\t`, `\n` or `\r`.
    Space,
    /// Not in these tables.
    Unknown,
}

/// All of them letters.
const LETTERS: &[(char, char)] = &[
    ('A', 'Z'),
    ('a', 'z'),
    // Latin, Greek, Cyrillic, Armenian.
    ('\u{c0}', '\u{d6}'),
    ('\u{d8}', '\u{f6}'),
    ('\u{f8}', '\u{24f}'),
    ('\u{388}', '\u{38a}'),
    ('\u{38e}', '\u{3a1}'),
    ('\u{3a3}', '\u{3ce}'),
    ('\u{400}', '\u{481}'),
    ('\u{48a}', '\u{52f}'),
    ('\u{531}', '\u{556}'),
    ('\u{561}', '\u{587}'),
    // Hebrew, Arabic, Devanagari, Thai, Georgian.
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{64a}'),
    ('\u{904}', '\u{939}'),
    ('\u{e01}', '\u{e30}'),
    ('\u{10d0}', '\u{10fa}'),
    ('\u{1e00}', '\u{1eff}'),
    // Kana, Han, Hangul.
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30fa}'),
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
];

/// All of them punctuation or symbols.
const PUNCTUATION: &[(char, char)] = &[
    ('!', '/'),
    (':', '@'),
    ('[', '`'),
    ('{', '~'),
    ('\u{2010}', '\u{2016}'),
    ('\u{2018}', '\u{2027}'),
    ('\u{2030}', '\u{203d}'),
    ('\u{203f}', '\u{2046}'),
    ('\u{3001}', '\u{3003}'),
    ('\u{3008}', '\u{3011}'),
    ('\u{3014}', '\u{301f}'),
    ('\u{ff01}', '\u{ff0f}'),
    ('\u{ff1a}', '\u{ff20}'),
];

/// The kind of a character, where these tables have it.
///
/// Every character that they have begins its own normal forms: its combining class is 0, in NFC, NFD, NFKC and NFKD it
/// begins with such a character of the same kind, and it is the second part of no composition. So a text normalizes to
/// its parts' normal forms wherever it is cut before one. Between two of them a grapheme ends. The tables were checked
/// against Unicode 14's data, character by character.
pub(super) fn kind(character: char) -> Kind {
    let is_in =
        |ranges: &[(char, char)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&character));
    match character {
        ' ' | '\t' | '\n' | '\r' => Kind::Space,
        '\'' => Kind::Apostrophe,
        '0'..='9' => Kind::Digit,
        _ if is_in(LETTERS) => Kind::Letter,
        _ if is_in(PUNCTUATION) => Kind::Punctuation,
        _ => Kind::Unknown,
    }
}
