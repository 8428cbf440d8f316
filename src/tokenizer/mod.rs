//! Text to token ids, and term ids to terms.
//!
//! The only module that knows the `tokenizers` crate; `read.rs` reads its files. Ids equal those of the
//! model's Python "fast" tokenizer, cut to the model's length.

mod read;

use std::ops::Range;

use serde_json::{Map, Value};
use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::Provenance;
pub(crate) use read::transformer_settings;
use read::{lowercase, read_tokenizer, special_tokens};

const TOKENIZER_JSON: &str = "tokenizer.json";
const VOCAB_TXT: &str = "vocab.txt";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

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
    /// Whether a tokenizer can be read from these files.
    pub(crate) fn is_in(files: &ModelFiles) -> bool {
        files.contains(TOKENIZER_JSON) || files.contains(VOCAB_TXT)
    }

    /// Reads tokenizer.json, else vocab.txt with the options of tokenizer_config.json.
    ///
    /// Padding and truncation that tokenizer.json switches on are switched off: texts are never
    /// padded, and cut to `max_length` here. Without one, the length is the smallest of
    /// `max_positions`, tokenizer_config.json's `model_max_length` (when below 10⁶) and
    /// sentence_bert_config.json's `max_seq_length`.
    ///
    /// * `max_positions`: those of the model that the tokens are for; `None` where no model limits them.
    /// * `max_length`: what the caller wants instead.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`] without either file, [`Error::Invalid`] naming the file and key at fault,
    /// [`Error::Option`] for a `max_length` beyond `max_positions` or too small for the special tokens.
    pub fn load(
        files: &ModelFiles,
        max_positions: Option<usize>,
        max_length: Option<usize>,
    ) -> Result<(Self, Vec<Provenance>), Error> {
        let config = files.read_json(TOKENIZER_CONFIG)?.unwrap_or_default();
        let (mut inner, source) = read_tokenizer(files, &config)?;
        let fault = |error: tokenizers::Error| Error::invalid(files.describe(source), error.to_string());
        inner.with_padding(None);
        inner.with_truncation(None).map_err(fault)?;
        let (sentence_bert, sentence_bert_file) = transformer_settings(files)?;
        if sentence_bert.get("do_lower_case") == Some(&Value::Bool(true)) {
            lowercase(&mut inner).map_err(fault)?;
        }
        let (prefix, suffix) = surrounding_tokens(&inner).map_err(fault)?;
        let terms = Terms::of(&inner);
        if let Some(id) = prefix.iter().chain(&suffix).find(|id| terms.get(**id as usize).is_none()) {
            let reason =
                format!("its post-processor puts token {id} around a text, which the vocabulary lacks");
            return Err(Error::invalid(files.describe(source), reason));
        }
        let (special_tokens, special_source) = special_tokens(files, &config, &inner)?;
        let mut special_ids: Vec<u32> =
            special_tokens.iter().filter_map(|token| inner.token_to_id(token)).collect();
        special_ids.sort_unstable();
        special_ids.dedup();

        let (max_length, length_source) = match max_length {
            Some(length) => {
                (checked_length(length, max_positions, prefix.len() + suffix.len())?, "--max-length".into())
            }
            None => default_length(files, &config, (&sentence_bert, sentence_bert_file), max_positions)?,
        };
        let num_surrounding = prefix.len() + suffix.len();
        if max_length < num_surrounding.max(1) {
            let reason = format!("the special tokens around every text are {num_surrounding}");
            return Err(Error::invalid(
                length_source,
                format!("{max_length} tokens leave no room: {reason}"),
            ));
        }
        let named: Vec<String> =
            special_ids.iter().map(|&id| format!("{} {id}", terms.get(id as usize).unwrap_or("?"))).collect();
        let decisions = vec![
            Provenance::new("tokenizer", format!("{} tokens", terms.ends.len()), files.describe(source)),
            Provenance::new("special tokens", named.join(", "), special_source),
            Provenance::new("maximum length", described_length(max_length), length_source),
        ];
        let piece_bytes = if splits_at_spaces(&inner) { PIECE_BYTES } else { usize::MAX };
        Ok((Tokenizer { inner, prefix, suffix, special_ids, terms, max_length, piece_bytes }, decisions))
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
        let spans = encoding.get_offsets()[..kept.len()].iter().map(|&(start, end)| Some(start..end));
        let added = |tokens: &[u32]| vec![None; tokens.len()];
        Ok(added(&self.prefix).into_iter().chain(spans).chain(added(&self.suffix)).collect())
    }

    fn cut<'a>(&self, ids: &'a [u32]) -> (&'a [u32], usize) {
        let kept = &ids[..ids.len().min(self.room())];
        (kept, ids.len() - kept.len())
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

fn checked_length(length: usize, max_positions: Option<usize>, num_special: usize) -> Result<usize, Error> {
    if let Some(max_positions) = max_positions.filter(|max_positions| length > *max_positions) {
        return Err(Error::Option(format!(
            "--max-length {length} is more than the {max_positions} positions that this model has"
        )));
    }
    if length < num_special.max(1) {
        return Err(Error::Option(format!(
            "--max-length {length} leaves no room: the special tokens around every text are {num_special}"
        )));
    }
    Ok(length)
}

/// The smallest length that the model's files name, and the file and key that named it.
fn default_length(
    files: &ModelFiles,
    config: &Map<String, Value>,
    (sentence_bert, sentence_bert_file): (&Map<String, Value>, &'static str),
    max_positions: Option<usize>,
) -> Result<(usize, String), Error> {
    let mut smallest = match max_positions {
        Some(max_positions) => (max_positions, "config.json: max_position_embeddings".to_string()),
        None => (usize::MAX, "no file names one".to_string()),
    };
    let named = [
        (TOKENIZER_CONFIG, "model_max_length", config.get("model_max_length")),
        (sentence_bert_file, "max_seq_length", sentence_bert.get("max_seq_length")),
    ];
    for (file, key, value) in named {
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let Some(length) = value.as_f64().filter(|length| *length >= 1.0) else {
            return Err(Error::invalid(
                files.describe(file),
                format!("`{key}` is {value}, not a number of tokens"),
            ));
        };
        // "No limit" is written as a very large number, in floating point too.
        if length >= 1e6 {
            continue;
        }
        if (length as usize) < smallest.0 {
            smallest = (length as usize, format!("{file}: {key}"));
        }
    }
    Ok(smallest)
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

    #[test]
    fn a_text_has_the_tokens_of_its_pieces() {
        let (mut tokenizer, _) = Tokenizer::load(&ModelFiles::tiny(), Some(512), None).expect("built in");
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
