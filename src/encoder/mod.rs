//! SparseEncoder: turns texts into sparse vectors.
//!
//! An encoder holds both sides of a model and has threads of its own. `load.rs` opens a model, `side.rs` encodes the texts
//! of one side, `transformer.rs` runs a transformer.

mod load;
mod side;
mod transformer;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use rayon::ThreadPool;

use crate::conventions::UntiedDecoder;
use crate::error::Error;
use crate::forward::DeviceName;
use crate::kernel::InstructionSet;
use crate::known::KnownModel;
use crate::parallel;
use crate::pooling::screening::ScreenCount;
use crate::similarity::Similarity;
use crate::source::ModelFiles;
use crate::sparse::SparseVector;
use crate::spec::Dialect;
use crate::spec::{Note, Provenance, UnknownKey};
use crate::tokenizer::{TokenIds, Tokenizer};
use side::SideEncoder;
pub(crate) use transformer::Transformer;

/// Which side of a search a text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is searched for.
    Query,
    /// What is searched in.
    Document,
}

impl Side {
    /// `query` or `document`.
    pub fn name(self) -> &'static str {
        match self {
            Side::Query => "query",
            Side::Document => "document",
        }
    }
}

/// How a [`SparseEncoder`] is set up.
#[derive(Clone, Debug, Default)]
pub struct EncoderOptions {
    /// The most tokens of a text, special tokens included; the model's own limit when `None`.
    pub max_length: Option<usize>,
    /// Threads to encode with; as many as there are processors when `None`.
    pub num_threads: Option<usize>,
    /// The most tokens that a thread packs into one batch, 512 when `None` or more; the vectors do not depend on it.
    pub batch_tokens: Option<usize>,
    /// Where the forward pass runs.
    pub device: DeviceName,
    /// The instruction set that computes it on the CPU; the fastest of this processor when `None`.
    pub instruction_set: Option<InstructionSet>,
    /// Whether to compute every logit in f32. Otherwise the CPU skips the logits that a proven bound rules out; the vectors
    /// have the same bits.
    pub without_screen: bool,
    /// The only side whose texts will be encoded; both when `None`. Files that only the other side needs are not loaded: the
    /// queries of a model with a table need no transformer.
    pub only: Option<Side>,
    /// Whose reading of the model is followed.
    pub dialect: Dialect,
    /// The model that the files are a copy of, where that is certain: what the hub module's `resolve` says. It decides what
    /// such files leave open.
    pub known: Option<&'static KnownModel>,
    /// What to make of a stored decoder that differs from the embeddings; as the model's authors did
    /// when `None` and the model is a known one.
    pub decoder: Option<UntiedDecoder>,
}

/// One encoded text.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// Its vector.
    pub vector: SparseVector,
    /// Tokens that were encoded, special tokens included.
    pub num_tokens: usize,
    /// Whether the text has more tokens, which were cut off. [`SparseEncoder::num_tokens`] counts them.
    pub is_cut: bool,
}

impl From<(SparseVector, TokenIds)> for Encoded {
    fn from((vector, tokens): (SparseVector, TokenIds)) -> Self {
        Encoded { vector, num_tokens: tokens.ids.len(), is_cut: tokens.is_cut }
    }
}

/// Which token of a text gave which term.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The encoded text.
    pub encoded: Encoded,
    /// For each term of the vector, by ascending id: the position of the token whose logit was the largest.
    pub positions: Vec<usize>,
    /// The tokens of the text in order, special tokens included.
    pub tokens: Vec<Token>,
    /// How many more tokens the text has, which were cut off.
    pub num_cut: usize,
}

impl Explanation {
    /// The position of the token that a term of the vector came from; `None` for any other term.
    pub fn source(&self, term: u32) -> Option<usize> {
        let place = self.encoded.vector.indices().binary_search(&term).ok()?;
        Some(self.positions[place])
    }
}

/// One token of an explained text.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its vocabulary id.
    pub id: u32,
    /// The bytes of the text that it covers; `None` for a special token that was added.
    pub span: Option<Range<usize>>,
}

/// Encodes texts with one model.
///
/// The same text gives the same vector, bit for bit, alone or among others, in any order and with any number of
/// threads; on another kernel it gives the same weights to within 1e-5. On a GPU each text is computed by itself.
pub struct SparseEncoder {
    /// The model's name in messages.
    name: String,
    query: Option<Arc<SideEncoder>>,
    document: Option<Arc<SideEncoder>>,
    /// Why a side is not there.
    absence: &'static str,
    sides_differ: bool,
    dialect: Dialect,
    similarity: Similarity,
    instruction_set: InstructionSet,
    threads: ThreadPool,
    provenance: Vec<Provenance>,
    unknown_keys: Vec<UnknownKey>,
    notes: Vec<Note>,
}

impl fmt::Debug for SparseEncoder {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("SparseEncoder")
            .field("name", &self.name)
            .field("sides_differ", &self.sides_differ)
            .field("dialect", &self.dialect)
            .field("instruction_set", &self.instruction_set)
            .field("num_threads", &self.num_threads())
            .finish_non_exhaustive()
    }
}

impl SparseEncoder {
    /// Loads a model.
    ///
    /// # Errors
    ///
    /// An [`Error`] that names the file, tensor or option at fault.
    pub fn load(files: &ModelFiles, options: &EncoderOptions) -> Result<Self, Error> {
        load::load(files, options)
    }

    /// The vocabulary: terms of a vector, special tokens. Both sides have the same.
    pub fn tokenizer(&self) -> &Tokenizer {
        let side = self.document.as_ref().or(self.query.as_ref());
        &side.expect("one side is loaded, anything else is a bug").tokenizer
    }

    /// The most tokens of a text of one side, special tokens included; `usize::MAX` where nothing limits them.
    ///
    /// # Errors
    ///
    /// [`Error::Side`] when that side is not loaded.
    pub fn max_length(&self, side: Side) -> Result<usize, Error> {
        Ok(self.side(side)?.tokenizer.max_length())
    }

    /// Each setting that was read from the model's files, with the file that decided it.
    pub fn provenance(&self) -> &[Provenance] {
        &self.provenance
    }

    /// Keys of the model's settings that are neither followed nor known to be harmless.
    pub fn unknown_keys(&self) -> &[UnknownKey] {
        &self.unknown_keys
    }

    /// What the user may want to know about the model's files.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Whether queries and documents are encoded differently: a text's side then has to be known.
    pub fn sides_differ(&self) -> bool {
        self.sides_differ
    }

    /// Whose reading of the model is followed.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How the model compares a query and a document.
    pub fn similarity(&self) -> Similarity {
        self.similarity
    }

    /// The instruction set that computes the forward pass on the CPU.
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }

    /// How many logits were screened so far, and how many of them computed in f32; zeros where nothing is screened.
    pub fn screen_count(&self) -> ScreenCount {
        let counts: Vec<ScreenCount> = self.transformers().iter().map(|it| it.screen_count()).collect();
        ScreenCount {
            pairs: counts.iter().map(|count| count.pairs).sum(),
            computed: counts.iter().map(|count| count.computed).sum(),
        }
    }

    /// Each transformer of either side once.
    fn transformers(&self) -> Vec<&Arc<Transformer>> {
        let document = self.document.as_ref().and_then(|side| side.encoding.transformer());
        let query = self.query.as_ref().and_then(|side| side.encoding.transformer());
        let is_another = |query: &&Arc<Transformer>| document.is_none_or(|it| !Arc::ptr_eq(it, query));
        document.into_iter().chain(query.filter(is_another)).collect()
    }

    /// How many threads encode.
    pub fn num_threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// Encodes with this many threads from now on; as many as there are processors when `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Threads`] when the system refuses them.
    pub fn set_threads(&mut self, num_threads: Option<usize>) -> Result<(), Error> {
        self.threads = parallel::start(num_threads)?;
        Ok(())
    }

    fn side(&self, side: Side) -> Result<&SideEncoder, Error> {
        let (encoder, name) = match side {
            Side::Query => (&self.query, "queries"),
            Side::Document => (&self.document, "documents"),
        };
        encoder.as_deref().ok_or_else(|| Error::Side {
            model: self.name.clone(),
            reason: format!("cannot encode {name}: {}", self.absence),
        })
    }

    /// Encodes one query.
    ///
    /// ```
    /// # use neural_sparse::{EncoderOptions, ModelFiles, SparseEncoder};
    /// let encoder = SparseEncoder::load(&ModelFiles::tiny(), &EncoderOptions::default())?;
    /// let query = encoder.encode_query("rain in ny")?;
    /// let (term, weight) = encoder.terms(&query.vector).next().expect("a text with words has terms");
    /// assert_eq!(encoder.tokenizer().id(term).map(|id| query.vector.weight(id)), Some(weight));
    /// # Ok::<(), neural_sparse::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn encode_query(&self, text: &str) -> Result<Encoded, Error> {
        let mut encoded = self.encode_queries(&[text])?;
        Ok(encoded.pop().expect("one result for one text, anything else is a bug"))
    }

    /// Encodes queries; one result per text, in their order.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn encode_queries<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Encoded>, Error> {
        self.encode(texts, Side::Query)
    }

    /// Encodes documents; one result per text, in their order.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn encode_documents<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Encoded>, Error> {
        self.encode(texts, Side::Document)
    }

    /// The terms of a vector with their weights, heaviest first, ties by ascending id. An id that the vocabulary lacks,
    /// which no vector of this encoder has, is left out.
    pub fn terms(&self, vector: &SparseVector) -> impl Iterator<Item = (&str, f32)> {
        let terms = vector.heaviest_first().into_iter();
        terms.filter_map(|(id, weight)| Some((self.tokenizer().term(id)?, weight)))
    }

    /// Each term of the vocabulary with its id, by ascending id.
    pub fn vocabulary(&self) -> impl Iterator<Item = (u32, &str)> {
        let tokenizer = self.tokenizer();
        (0..tokenizer.vocab_size() as u32).filter_map(|id| Some((id, tokenizer.term(id)?)))
    }

    /// Encodes texts of one side; one result per text, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`], [`Error::NotFinite`] or [`Error::Compute`]; [`Error::Side`] when the model has no such side.
    pub fn encode<S: AsRef<str> + Sync>(&self, texts: &[S], side: Side) -> Result<Vec<Encoded>, Error> {
        self.encode_each(texts, side)?.into_iter().collect()
    }

    /// As [`SparseEncoder::encode`], but a text that the tokenizer refuses has an error of its own, and the others are
    /// encoded.
    ///
    /// # Errors
    ///
    /// Those of [`SparseEncoder::encode`] that are not of one text. Each text's own: [`Error::Tokenize`].
    pub fn encode_each<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        side: Side,
    ) -> Result<Vec<Result<Encoded, Error>>, Error> {
        let side = self.side(side)?;
        let tokens = self.on_threads(texts, |text| Ok(vec![side.tokenizer.encode(&side.prompted(text))?]));
        let encoded = self.encode_tokens(side, tokens)?;
        let one = |mut encoded: Vec<Encoded>| {
            encoded.pop().expect("a vector for each token list, anything else is a bug")
        };
        Ok(encoded.into_iter().map(|encoded| encoded.map(one)).collect())
    }

    /// Encodes the whole of each text in windows that overlap by `overlap` tokens. Returns each text's windows in order; a
    /// window's vector is the one it gets alone. See [`Tokenizer::encode_windows`].
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`], or [`Error::Option`] when the overlap is too large.
    pub fn encode_windows<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        overlap: usize,
        side: Side,
    ) -> Result<Vec<Vec<Encoded>>, Error> {
        self.encode_windows_each(texts, overlap, side)?.into_iter().collect()
    }

    /// As [`SparseEncoder::encode_windows`], but a text that the tokenizer refuses has an error of its own, and the others
    /// are encoded.
    ///
    /// # Errors
    ///
    /// Those of [`SparseEncoder::encode_windows`] that are not of one text. Each text's own: [`Error::Tokenize`].
    pub fn encode_windows_each<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        overlap: usize,
        side: Side,
    ) -> Result<Vec<Result<Vec<Encoded>, Error>>, Error> {
        let side = self.side(side)?;
        let windows =
            self.on_threads(texts, |text| side.tokenizer.encode_windows(&side.prompted(text), overlap));
        self.encode_tokens(side, windows)
    }

    /// The vectors of each text's token lists. An error that is not of one text is that of all.
    fn encode_tokens(
        &self,
        side: &SideEncoder,
        tokens: Vec<Result<Vec<TokenIds>, Error>>,
    ) -> Result<Vec<Result<Vec<Encoded>, Error>>, Error> {
        let (mut lists, mut counts) = (Vec::new(), Vec::new());
        for tokens in tokens {
            counts.push(match tokens {
                Ok(tokens) => {
                    let count = tokens.len();
                    lists.extend(tokens);
                    Ok(count)
                }
                Err(error @ Error::Tokenize(_)) => Err(error),
                Err(error) => return Err(error),
            });
        }
        let vectors = self.threads.install(|| side.encode(&lists))?;
        let mut encoded = vectors.into_iter().zip(lists).map(Encoded::from);
        Ok(counts.into_iter().map(|count| Ok(encoded.by_ref().take(count?).collect())).collect())
    }

    /// How many tokens all of a text of one side has, special tokens included, whatever the limit.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`], or [`Error::Side`] when the model has no such side.
    pub fn num_tokens(&self, text: &str, side: Side) -> Result<usize, Error> {
        let side = self.side(side)?;
        side.tokenizer.num_tokens(&side.prompted(text))
    }

    /// Tokenizes on every thread.
    fn on_threads<S: AsRef<str> + Sync, T: Send>(
        &self,
        texts: &[S],
        tokenize: impl Fn(&str) -> Result<T, Error> + Sync,
    ) -> Vec<Result<T, Error>> {
        self.threads.install(|| texts.par_iter().map(|text| tokenize(text.as_ref())).collect())
    }

    /// Explains texts of one side, as [`SparseEncoder::explain`] does each; one result per text, in their order. Each
    /// distinct text is encoded once.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn explain_all<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        side: Side,
    ) -> Result<Vec<Explanation>, Error> {
        self.explain_each(texts, side)?.into_iter().collect()
    }

    /// As [`SparseEncoder::explain_all`], but a text that the tokenizer refuses has an error of its own, and the others
    /// are explained.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode_each`].
    pub fn explain_each<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        side: Side,
    ) -> Result<Vec<Result<Explanation, Error>>, Error> {
        let mut places = HashMap::new();
        let mut distinct = Vec::new();
        for text in texts {
            places.entry(text.as_ref()).or_insert_with(|| {
                distinct.push(text.as_ref());
                distinct.len() - 1
            });
        }
        let explained = self.on_threads(&distinct, |text| self.explain(text, side));
        let own = |explained: Result<Explanation, Error>| match explained {
            Ok(explanation) => Ok(Ok(explanation)),
            Err(Error::Tokenize(reason)) => Ok(Err(reason)),
            Err(error) => Err(error),
        };
        let explained: Vec<_> = explained.into_iter().map(own).collect::<Result<_, Error>>()?;
        let of_text = |text: &S| explained[places[text.as_ref()]].clone().map_err(Error::Tokenize);
        Ok(texts.iter().map(of_text).collect())
    }

    /// Encodes one text and records which token won each term. Queries of a table have no forward pass: each of their terms
    /// comes from its own token.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn explain(&self, text: &str, side: Side) -> Result<Explanation, Error> {
        let side = self.side(side)?;
        let prompted = side.prompted(text);
        let TokenIds { ids, is_cut } = side.tokenizer.encode(&prompted)?;
        let num_cut = if is_cut { side.tokenizer.num_tokens(&prompted)? - ids.len() } else { 0 };
        // A position inside the prompt has none in the text.
        let in_text = |span: Range<usize>| {
            let start = span.start.checked_sub(side.prompt.len())?;
            Some(start..span.end - side.prompt.len())
        };
        let spans = side.tokenizer.spans(&prompted)?.into_iter().map(|span| span.and_then(in_text));
        let (vector, positions) = self.threads.install(|| side.explain(&ids))?;
        let encoded = Encoded { vector, num_tokens: ids.len(), is_cut };
        let tokens = ids.into_iter().zip(spans).map(|(id, span)| Token { id, span }).collect();
        Ok(Explanation { encoded, positions, tokens, num_cut })
    }

    /// The transformer of one side, if it has one.
    pub(crate) fn transformer(&self, side: Side) -> Result<Option<&Transformer>, Error> {
        Ok(self.side(side)?.encoding.transformer().map(|transformer| &**transformer))
    }

    /// The token ids of a text of one side, as they are encoded.
    pub(crate) fn token_ids(&self, text: &str, side: Side) -> Result<Vec<u32>, Error> {
        let side = self.side(side)?;
        Ok(side.tokenizer.encode(&side.prompted(text))?.ids)
    }

    /// What the side makes of the vector that its transformer gives for these tokens.
    pub(crate) fn postprocess(
        &self,
        vector: SparseVector,
        ids: &[u32],
        side: Side,
    ) -> Result<SparseVector, Error> {
        self.side(side)?.postprocess(vector, ids)
    }
}
