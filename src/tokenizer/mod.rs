//! Text to token ids, and term ids to terms.
//!
//! The only module that knows the `tokenizers` crate; `read.rs` reads its files. Ids equal those of the
//! model's Python "fast" tokenizer, cut to the model's length.

mod added;
mod chars;
mod guard;
mod normalized_size;
mod pieces;
mod read;
mod rules;
mod splitter;
mod terms;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use tokenizers::{PostProcessor, PostProcessorWrapper};

use crate::conventions::TruncationSide;
use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::{ModelSpec, Provenance, TokenizerSpec};
use guard::{catch, catch_error};
use normalized_size::GrowingSteps;
use pieces::{Piece, Pieces, TextEnd};
use splitter::Splitter;
use terms::Terms;

/// The most bytes of a term: every token of a text carries its own.
const MAX_TERM_BYTES: usize = 1 << 12;

/// The first piece of a text holds so many bytes for each token that is wanted of it, which is enough for most languages.
const BYTES_PER_TOKEN: usize = 8;

/// Splits texts into the tokens of one model.
///
/// A long text is split piece by piece, so memory does not grow with it, and no further than its limit asks for.
#[derive(Clone)]
pub struct Tokenizer {
    /// Without a post-processor.
    inner: tokenizers::Tokenizer,
    /// What corrects the spans of tokens: those of the piece with the text's first token, and those of the others.
    span_steps: [Option<PostProcessorWrapper>; 2],
    /// Special tokens that every text begins and ends with.
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    /// Ids whose weight is always 0, ascending.
    special_ids: Vec<u32>,
    terms: Terms,
    max_length: usize,
    truncation: TruncationSide,
    splitter: Splitter,
    growing: Option<GrowingSteps>,
}

/// The token ids of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenIds {
    /// Special tokens included; at most the tokenizer's `max_length`. None of a text without words where no special tokens
    /// are added.
    pub ids: Vec<u32>,
    /// Whether the text has more tokens, which were cut off. [`Tokenizer::num_tokens`] counts them.
    pub is_cut: bool,
}

/// Without its vocabulary, which has tens of thousands of terms.
impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("special_ids", &self.special_ids)
            .field("max_length", &self.max_length)
            .field("truncation", &self.truncation)
            .finish_non_exhaustive()
    }
}

/// The piece of a text that was tokenized last. A text that goes on with one character has the same one many times.
#[derive(Default)]
struct LastPiece<'t> {
    text: Option<&'t str>,
    ids: Vec<u32>,
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
        let fault = |reason: String| Error::invalid(&file, reason);
        let mut inner = catch(|| read::build(files, spec)).map_err(fault)??;
        let terms = Terms::of(&inner).map_err(fault)?;
        let longest = terms.longest();
        if longest.len() > MAX_TERM_BYTES {
            let start: String = longest.chars().take(20).collect();
            let reason =
                format!("the token `{start}…` has {} bytes, more than {MAX_TERM_BYTES}", longest.len());
            return Err(fault(reason));
        }
        let span_step = inner.get_post_processor().cloned();
        inner.with_post_processor(None::<PostProcessorWrapper>);
        let (prefix, suffix) =
            catch_error(|| surrounding_tokens(&inner, span_step.as_ref())).map_err(fault)?;
        if spec.has_token_types {
            catch_error(|| insist_on_type_0(&inner, span_step.as_ref())).map_err(fault)?;
        }
        if let Some(id) = prefix.iter().chain(&suffix).find(|id| terms.get(**id as usize).is_none()) {
            let reason =
                format!("its post-processor puts token {id} around a text, which the vocabulary lacks");
            return Err(fault(reason));
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
            Provenance::new("tokenizer", format!("{} tokens", terms.num_ids()), &file),
            Provenance::new("special tokens", named.join(", "), &spec.special_tokens_source),
            Provenance::new("maximum length", described_length(max_length), length_source),
        ];
        let growing = catch_error(|| GrowingSteps::of(inner.get_normalizer())).map_err(fault)?;
        let growth = growing.as_ref().map_or(1, GrowingSteps::growth);
        let splitter = catch_error(|| Splitter::of(&inner, growth, longest.len())).map_err(fault)?;
        let span_steps = [span_step.clone(), span_step.map(without_prefix_space)];
        let truncation = spec.truncation_side;
        let tokenizer = Tokenizer {
            inner,
            span_steps,
            prefix,
            suffix,
            special_ids,
            terms,
            max_length,
            truncation,
            splitter,
            growing,
        };
        Ok((tokenizer, provenance))
    }

    /// The same with this limit, but no less than what stands around every text.
    pub(crate) fn with_limit(&self, max_length: usize) -> Self {
        let least = (self.prefix.len() + self.suffix.len()).max(1);
        Tokenizer { max_length: max_length.max(least), ..self.clone() }
    }

    /// The same with no special tokens around a text, and no limit either unless `is_limited`.
    pub(crate) fn bare(self, is_limited: bool) -> Self {
        let max_length = if is_limited { self.max_length } else { usize::MAX };
        Tokenizer { prefix: Vec::new(), suffix: Vec::new(), max_length, ..self }
    }

    /// The same, with tokens beyond the limit cut off at this end of a text.
    #[cfg(test)]
    fn truncated_at(self, truncation: TruncationSide) -> Self {
        Tokenizer { truncation, ..self }
    }

    /// The token ids of `text`, special tokens added, cut to `max_length` at the end of the text or at its start.
    ///
    /// Of a text that is longer, no more is read than the limit asks for.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] when the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<TokenIds, Error> {
        let mut last = LastPiece::default();
        let (ids, is_cut) =
            self.kept(text, self.kept_end(), |tokenizer, piece, _| tokenizer.ids(piece, &mut last))?;
        Ok(TokenIds { ids: self.surrounded(&ids), is_cut })
    }

    /// How many tokens all of `text` has, special tokens included.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn num_tokens(&self, text: &str) -> Result<usize, Error> {
        let mut num_tokens = self.prefix.len() + self.suffix.len();
        let mut last = LastPiece::default();
        for piece in self.pieces(text, TextEnd::First, usize::MAX) {
            num_tokens += self.ids(&piece?, &mut last)?.len();
        }
        Ok(num_tokens)
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
        let mut windows = Vec::new();
        let mut window = |ids: &[u32]| windows.push(TokenIds { ids: self.surrounded(ids), is_cut: false });
        let mut ids = Vec::new();
        let mut last = LastPiece::default();
        for piece in self.pieces(text, TextEnd::First, usize::MAX) {
            ids.extend(self.ids(&piece?, &mut last)?);
            // A window that ends where the text does is the last one, so the last tokens wait for more.
            let mut start = 0;
            while ids.len() - start > room {
                window(&ids[start..start + room]);
                start += room - overlap;
            }
            ids.drain(..start);
        }
        window(&ids);
        Ok(windows)
    }

    /// For each token of [`Tokenizer::encode`], the bytes of `text` that it stands for; `None` for added special tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`] when the tokenizer refuses the text.
    pub fn spans(&self, text: &str) -> Result<Vec<Option<Range<usize>>>, Error> {
        let (mut spans, is_cut) = self.kept(text, self.kept_end(), Self::piece_spans)?;
        if self.kept_end() == TextEnd::Last && !is_cut {
            // Only now is it known which token is the first.
            spans = self.kept(text, TextEnd::First, Self::piece_spans)?.0;
        }
        let added = |tokens: &[u32]| vec![None; tokens.len()];
        let spans = spans.into_iter().map(Some);
        Ok(added(&self.prefix).into_iter().chain(spans).chain(added(&self.suffix)).collect())
    }

    /// The end of a text whose tokens are kept.
    fn kept_end(&self) -> TextEnd {
        match self.truncation {
            TruncationSide::Right => TextEnd::First,
            TruncationSide::Left => TextEnd::Last,
        }
    }

    /// What `read` makes of each token of a text, of as many tokens from one end as there is room for, and whether there
    /// are more. It is told whether the first token of a piece is the first one of the text.
    fn kept<'t, T: Clone>(
        &'t self,
        text: &'t str,
        from: TextEnd,
        mut read: impl FnMut(&Self, &Piece<'t>, bool) -> Result<Vec<T>, Error>,
    ) -> Result<(Vec<T>, bool), Error> {
        let room = self.room();
        let mut parts = VecDeque::new();
        let mut num_read = 0;
        for piece in self.pieces(text, from, room) {
            let piece = piece?;
            let is_first = piece.range.start == 0 || from == TextEnd::First && num_read == 0;
            let tokens = read(self, &piece, is_first)?;
            num_read += tokens.len();
            match from {
                TextEnd::First => parts.push_back(tokens),
                TextEnd::Last => parts.push_front(tokens),
            }
            if num_read > room {
                break;
            }
        }
        let mut tokens = Vec::from(parts).concat();
        match from {
            TextEnd::First => tokens.truncate(room),
            TextEnd::Last => drop(tokens.drain(..num_read.saturating_sub(room))),
        }
        Ok((tokens, num_read > room))
    }

    /// The pieces of a text, the first large enough for most texts to give so many tokens.
    fn pieces<'t>(
        &'t self,
        text: &'t str,
        from: TextEnd,
        num_tokens: usize,
    ) -> impl Iterator<Item = Result<Piece<'t>, Error>> {
        let first_bytes = num_tokens.saturating_mul(BYTES_PER_TOKEN).max(1 << 10);
        let mut pieces = Pieces::of(text, (&self.splitter, &self.inner), from, first_bytes);
        std::iter::from_fn(move || {
            let piece = catch(|| pieces.next()).and_then(Option::transpose).transpose()?;
            Some(piece.map_err(Error::Tokenize))
        })
    }

    /// The tokens of a piece of a text. Those of the same bytes again are the same.
    fn ids<'t>(&self, piece: &Piece<'t>, last: &mut LastPiece<'t>) -> Result<Vec<u32>, Error> {
        if last.text != Some(&piece.text) {
            let encoding = catch_error(|| {
                self.growing.as_ref().map_or(Ok(()), |steps| steps.check(&piece.text))?;
                self.inner.encode_fast(&*piece.text, false)
            });
            last.ids = encoding.map_err(Error::Tokenize)?.get_ids().to_vec();
            last.text = match piece.text {
                Cow::Borrowed(text) => Some(text),
                Cow::Owned(_) => None,
            };
        }
        Ok(last.ids.clone())
    }

    /// The bytes of the text that each token of a piece stands for.
    fn piece_spans(&self, piece: &Piece, is_first: bool) -> Result<Vec<Range<usize>>, Error> {
        let encoding = catch_error(|| {
            self.growing.as_ref().map_or(Ok(()), |steps| steps.check(&piece.text))?;
            let encoding = self.inner.encode(&*piece.text, false)?;
            match &self.span_steps[usize::from(!is_first)] {
                Some(steps) => steps.process(encoding, None, false),
                None => Ok(encoding),
            }
        });
        let encoding = encoding.map_err(Error::Tokenize)?;
        Ok(encoding.get_offsets().iter().map(|&(start, end)| piece.span(start..end)).collect())
    }

    fn surrounded(&self, ids: &[u32]) -> Vec<u32> {
        [&self.prefix, ids, &self.suffix].concat()
    }

    /// How many tokens of its own a text may have.
    fn room(&self) -> usize {
        self.max_length - self.prefix.len() - self.suffix.len()
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
        self.terms.num_ids()
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

/// What the post-processor puts before and after a text.
fn surrounding_tokens(
    tokenizer: &tokenizers::Tokenizer,
    post_processor: Option<&PostProcessorWrapper>,
) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let Some(post_processor) = post_processor else { return Ok(Default::default()) };
    // Any text will do as the thing in the middle.
    let text = tokenizer.encode("a", false)?;
    let bare = post_processor.process(text.clone(), None, false)?;
    if bare.get_ids() != text.get_ids() {
        return Err("its post-processor changes the tokens of a text".into());
    }
    let full = post_processor.process(text, None, true)?;
    let added = full.len().checked_sub(bare.len()).ok_or("its post-processor drops tokens of a text")?;
    let before = (0..=added)
        .find(|&start| &full.get_ids()[start..start + bare.len()] == bare.get_ids())
        .ok_or("its post-processor changes the tokens of a text")?;
    Ok((full.get_ids()[..before].to_vec(), full.get_ids()[before + bare.len()..].to_vec()))
}

/// Refuses a post-processor that gives tokens of a text another type than 0, which every token has here.
fn insist_on_type_0(
    tokenizer: &tokenizers::Tokenizer,
    post_processor: Option<&PostProcessorWrapper>,
) -> tokenizers::Result<()> {
    let Some(post_processor) = post_processor else { return Ok(()) };
    let encoding = post_processor.process(tokenizer.encode("a", false)?, None, true)?;
    match encoding.get_type_ids().iter().find(|type_id| **type_id != 0) {
        None => Ok(()),
        Some(type_id) => {
            Err(format!("its post-processor gives tokens of a text the type_id {type_id}, not 0").into())
        }
    }
}

/// The same steps for the spans of a piece that is not the first one of a text.
///
/// Where the pre-tokenizer puts a space before a text, the span of the first token does not begin with a space of the
/// text's own. A later piece begins with its own space.
fn without_prefix_space(steps: PostProcessorWrapper) -> PostProcessorWrapper {
    match steps {
        PostProcessorWrapper::Roberta(roberta) => roberta.add_prefix_space(false).into(),
        PostProcessorWrapper::ByteLevel(byte_level) => byte_level.add_prefix_space(false).into(),
        PostProcessorWrapper::Sequence(mut sequence) => {
            for index in 0.. {
                let Some(step) = sequence.get(index).cloned() else { break };
                sequence.set_mut(index, without_prefix_space(step));
            }
            PostProcessorWrapper::Sequence(sequence)
        }
        other => other,
    }
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
mod tests;
