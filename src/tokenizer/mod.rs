//! Text to token ids, and term ids to terms.
//!
//! The only module that knows the `tokenizers` crate; `read.rs` reads its files. Ids equal those of the
//! model's Python "fast" tokenizer, cut to the model's length.

mod read;

use std::ops::Range;

use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use crate::conventions::TruncationSide;
use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::{ModelSpec, Provenance, TokenizerSpec};

/// Splits texts into the tokens of one model.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Special tokens that every text begins and ends with.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    /// Ids whose weight is always 0, ascending.
    special_ids: Vec<u32>,
    terms: Terms,
    max_length: usize,
    truncation: TruncationSide,
    /// Bytes after which a text is split before the next space, where that changes no token; see [`splits_at_spaces`].
    piece_bytes: usize,
}

/// The term of each id, one after the other: a vocabulary has tens of thousands.
#[derive(Clone, Default)]
struct Terms {
    text: String,
    /// The end of each id's term in `text`; `None` for an id that no token has.
    ends: Vec<Option<usize>>,
}

impl Terms {
    fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        /// Ids that may be missing in a row: a broken vocabulary has tokens of the same id, and fewer ids than tokens.
        const MAX_GAP: usize = 1 << 20;
        let mut terms = Terms::default();
        let (mut left, mut gap) = (tokenizer.get_vocab_size(true), 0);
        for id in 0.. {
            if left == 0 || gap > MAX_GAP {
                break;
            }
            let term = tokenizer.id_to_token(id);
            (left, gap) = if term.is_some() { (left - 1, 0) } else { (left, gap + 1) };
            terms.ends.push(term.map(|term| {
                terms.text += &term;
                terms.text.len()
            }));
        }
        terms.ends.truncate(terms.ends.len() - gap);
        terms
    }

    fn get(&self, id: usize) -> Option<&str> {
        let end = (*self.ends.get(id)?)?;
        let start = self.ends[..id].iter().rev().find_map(|end| *end).unwrap_or_default();
        Some(&self.text[start..end])
    }
}

/// Splitting a text into tokens takes about a hundred times its bytes: what is held of a long one at a time.
const PIECE_BYTES: usize = 1 << 16;

/// The token ids of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenIds {
    /// Special tokens included; at most the tokenizer's `max_length`. None of a text without words where no special tokens
    /// are added.
    pub ids: Vec<u32>,
    /// How many tokens of the text were cut off at its end.
    pub num_cut: usize,
}

impl Tokenizer {
    /// Opens the vocabulary of a model, as its files describe it.
    ///
    /// # Errors
    ///
    /// Those of [`ModelSpec::read`], and [`Error::Invalid`] for a file that cannot be used.
    pub fn load(files: &ModelFiles, spec: &ModelSpec) -> Result<Self, Error> {
        let missing = || Error::invalid(files.describe(""), "holds no tokenizer");
        Ok(Tokenizer::open(files, spec.any_tokenizer().ok_or_else(missing)?, None)?.0)
    }

    /// Opens the tokenizer that `spec` describes.
    ///
    /// Texts are never padded, and cut to `max_length` here, whatever tokenizer.json switches on.
    ///
    /// * `max_length`: the most tokens of a text instead of the spec's limit.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming the file at fault, [`Error::Option`] for a `max_length` too small for the special
    /// tokens.
    pub(crate) fn open(
        files: &ModelFiles,
        spec: &TokenizerSpec,
        max_length: Option<usize>,
    ) -> Result<(Self, Vec<Provenance>), Error> {
        let file = files.within(&spec.folder).describe(spec.vocabulary.names()[0]);
        let fault = |error: tokenizers::Error| Error::invalid(&file, error.to_string());
        let inner = read::build(files, spec)?;
        let (prefix, suffix) = surrounding_tokens(&inner).map_err(fault)?;
        let terms = Terms::of(&inner);
        if let Some(id) = prefix.iter().chain(&suffix).find(|id| terms.get(**id as usize).is_none()) {
            let reason =
                format!("its post-processor puts token {id} around a text, which the vocabulary lacks");
            return Err(Error::invalid(file, reason));
        }
        let mut special_ids: Vec<u32> =
            spec.special_tokens.iter().filter_map(|token| inner.token_to_id(token)).collect();
        special_ids.sort_unstable();
        special_ids.dedup();
        let num_surrounding = prefix.len() + suffix.len();
        let (max_length, length_source) = match max_length {
            Some(length) => (checked_length(length, num_surrounding)?, "the caller's limit".to_string()),
            None => (spec.max_length, spec.max_length_source.clone()),
        };
        if max_length < num_surrounding.max(1) {
            let reason = format!("the special tokens around every text are {num_surrounding}");
            return Err(Error::invalid(
                length_source,
                format!("{max_length} tokens leave no room: {reason}"),
            ));
        }
        let named: Vec<String> =
            special_ids.iter().map(|&id| format!("{} {id}", terms.get(id as usize).unwrap_or("?"))).collect();
        let provenance = vec![
            Provenance::new("tokenizer", format!("{} tokens", terms.ends.len()), file),
            Provenance::new("special tokens", named.join(", "), &spec.special_tokens_source),
            Provenance::new("maximum length", described_length(max_length), length_source),
        ];
        let piece_bytes = if splits_at_spaces(&inner) { PIECE_BYTES } else { usize::MAX };
        let truncation = spec.truncation_side;
        let tokenizer =
            Tokenizer { inner, prefix, suffix, special_ids, terms, max_length, truncation, piece_bytes };
        Ok((tokenizer, provenance))
    }

    /// The same with this limit, if it is lower.
    pub(crate) fn limited_to(&self, max_length: usize) -> Self {
        // No less than what stands around every text.
        let least = (self.prefix.len() + self.suffix.len()).max(1);
        Tokenizer { max_length: max_length.max(least).min(self.max_length), ..self.clone() }
    }

    /// The same with no special tokens around a text, and no limit either unless `is_limited`.
    pub(crate) fn bare(self, is_limited: bool) -> Self {
        let max_length = if is_limited { self.max_length } else { usize::MAX };
        Tokenizer { prefix: Vec::new(), suffix: Vec::new(), max_length, ..self }
    }

    /// The token ids of `text`, special tokens added, cut at the end to `max_length`.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] when the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<TokenIds, Error> {
        let ids = self.bare_ids(text)?;
        let (kept, num_cut) = self.cut(&ids);
        Ok(TokenIds { ids: self.surrounded(kept), num_cut })
    }

    /// The token ids of the whole of `text` in windows of at most `max_length`, each with its special tokens.
    ///
    /// A window begins `overlap` tokens before the end of the one before it; a text that fits is one window. The text is
    /// split into tokens once, so a window may begin in the middle of a word.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] when the tokenizer refuses the text, [`Error::Option`] when the overlap leaves a window
    /// nothing of its own.
    pub fn encode_windows(&self, text: &str, overlap: usize) -> Result<Vec<TokenIds>, Error> {
        let room = self.room();
        if overlap >= room {
            let length = self.max_length;
            return Err(Error::Option(format!(
                "windows of {length} tokens have room for {room} of the text: an overlap of {overlap} leaves nothing new"
            )));
        }
        let ids = self.bare_ids(text)?;
        let mut windows = Vec::new();
        for start in (0usize..).step_by(room - overlap) {
            let end = ids.len().min(start.saturating_add(room));
            windows.push(TokenIds { ids: self.surrounded(&ids[start..end]), num_cut: 0 });
            if end == ids.len() {
                break;
            }
        }
        Ok(windows)
    }

    /// The tokens of `text` without special tokens around it.
    fn bare_ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        for piece in pieces(text, self.piece_bytes) {
            let encoding =
                self.inner.encode_fast(piece, false).map_err(|error| Error::Tokenize(error.to_string()))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        Ok(ids)
    }

    fn surrounded(&self, ids: &[u32]) -> Vec<u32> {
        [&self.prefix, ids, &self.suffix].concat()
    }

    /// How many tokens of its own a text may have.
    fn room(&self) -> usize {
        self.max_length - self.prefix.len() - self.suffix.len()
    }

    /// For each token of [`Tokenizer::encode`], the bytes of `text` that it stands for; `None` for added special tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] when the tokenizer refuses the text.
    pub fn spans(&self, text: &str) -> Result<Vec<Option<Range<usize>>>, Error> {
        let encoding = self.inner.encode(text, false).map_err(|error| Error::Tokenize(error.to_string()))?;
        let (kept, _) = self.cut(encoding.get_ids());
        let first = match self.truncation {
            TruncationSide::Right => 0,
            TruncationSide::Left => encoding.len() - kept.len(),
        };
        let spans =
            encoding.get_offsets()[first..][..kept.len()].iter().map(|&(start, end)| Some(start..end));
        let added = |tokens: &[u32]| vec![None; tokens.len()];
        Ok(added(&self.prefix).into_iter().chain(spans).chain(added(&self.suffix)).collect())
    }

    fn cut<'a>(&self, ids: &'a [u32]) -> (&'a [u32], usize) {
        let count = ids.len().min(self.room());
        let kept = match self.truncation {
            TruncationSide::Right => &ids[..count],
            TruncationSide::Left => &ids[ids.len() - count..],
        };
        (kept, ids.len() - count)
    }

    /// The vocabulary's own string for `id`: `weather`, `##s`.
    pub fn term(&self, id: u32) -> Option<&str> {
        self.terms.get(id as usize)
    }

    /// The id of a term.
    pub fn id(&self, term: &str) -> Option<u32> {
        self.inner.token_to_id(term)
    }

    /// One more than the largest token id.
    pub fn vocab_size(&self) -> usize {
        self.terms.ends.len()
    }

    /// The special tokens of the model's special-token map, by ascending id.
    pub fn special_ids(&self) -> &[u32] {
        &self.special_ids
    }

    /// The most tokens of a text, special tokens included; `usize::MAX` where nothing limits them.
    pub fn max_length(&self) -> usize {
        self.max_length
    }
}

/// The text in pieces of at least `piece_bytes`, each but the first beginning with a space, a line end or a tab; one
/// piece where there is none.
fn pieces(text: &str, piece_bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        // Each is one byte and part of no other character.
        let space = text.as_bytes().iter().skip(piece_bytes).position(|byte| b" \n\t".contains(byte));
        let (piece, after) = match space {
            Some(place) => (&text[..piece_bytes + place], Some(&text[piece_bytes + place..])),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

/// Whether a text has the tokens of its pieces, wherever it is split before a space.
///
/// True of BERT's own steps: its normalizer looks at a character at a time, its pre-tokenizer ends a word at each
/// space, line end and tab, and WordPiece sees words. Tokens that are found before them must then hold no space.
fn splits_at_spaces(tokenizer: &tokenizers::Tokenizer) -> bool {
    matches!(tokenizer.get_normalizer(), None | Some(NormalizerWrapper::BertNormalizer(_)))
        && matches!(tokenizer.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
        && matches!(tokenizer.get_model(), ModelWrapper::WordPiece(_))
        && tokenizer
            .get_added_tokens_decoder()
            .values()
            .all(|token| !token.content.contains([' ', '\n', '\t']))
}

/// What the post-processor puts before and after a text.
fn surrounding_tokens(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    // Any text will do as the thing in the middle.
    let bare = tokenizer.encode("a", false)?;
    let full = tokenizer.encode("a", true)?;
    let added = full.len().checked_sub(bare.len()).ok_or("its post-processor drops tokens of a text")?;
    let before = (0..=added)
        .find(|&start| &full.get_ids()[start..start + bare.len()] == bare.get_ids())
        .ok_or("its post-processor changes the tokens of a text")?;
    Ok((full.get_ids()[..before].to_vec(), full.get_ids()[before + bare.len()..].to_vec()))
}

fn checked_length(length: usize, num_special: usize) -> Result<usize, Error> {
    if length < num_special.max(1) {
        return Err(Error::Option(format!(
            "a maximum length of {length} leaves no room: the special tokens around every text are {num_special}"
        )));
    }
    Ok(length)
}

fn described_length(length: usize) -> String {
    match length {
        usize::MAX => "no limit".into(),
        length => format!("{length} tokens, special tokens included"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny_spec() -> ModelSpec {
        ModelSpec::read(&ModelFiles::tiny(), None).expect("built in")
    }

    #[test]
    fn a_text_has_the_tokens_of_its_pieces() {
        let (mut tokenizer, _) =
            Tokenizer::open(&ModelFiles::tiny(), tiny_spec().any_tokenizer().expect("one"), None)
                .expect("built in");
        assert_eq!(tokenizer.piece_bytes, PIECE_BYTES);
        let awkward = [
            "a [MASK] b[MASK] c [SEP]d  [CLS] ",
            "e\u{301} \u{301}x \u{65}\u{301}\u{302} \u{df}\u{130} \u{3a3}\u{3a3} \u{1d12c}",
            "\u{4e2d}\u{6587} \u{4e2d} \u{a0}\u{2003}\u{3000}x \u{200b}y\u{ad}z \u{0}\u{7}\u{fffd} \u{feff}",
            "tab\tline\r\n\r\nend \t \n don't-stop ... a.b,c",
            "  two  spaces at both ends  ",
            "",
        ];
        let long = "x".repeat(300);
        let text = awkward.join(" ") + &long + " " + &long;
        for text in awkward.iter().copied().chain([text.as_str()]) {
            tokenizer.piece_bytes = usize::MAX;
            let whole = tokenizer.bare_ids(text).expect("tokens");
            for piece_bytes in [1, 2, 3, 7, 50] {
                assert_eq!(pieces(text, piece_bytes).collect::<String>(), text);
                tokenizer.piece_bytes = piece_bytes;
                assert_eq!(tokenizer.bare_ids(text).expect("tokens"), whole, "{text:?} in {piece_bytes}");
            }
        }
    }
}
