//! SparseEncoder: texts to sparse vectors.
//!
//! Tokenizer, model and pooling in one, on threads of its own. What it asks of
//! a model is packed token ids in, one pooled row per text out.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;
use rayon::ThreadPool;

use crate::batch::{runs_for_threads, runs_within, PackedBatch};
use crate::error::Error;
use crate::files::{Decision, ModelFiles};
use crate::kernel::Kernel;
use crate::known;
use crate::model::cpu::Sharing;
use crate::model::{DecoderReading, DeviceName, MaskedLm, ModelConfig};
use crate::pooling::{Activation, PooledRow, SpladePooling};
use crate::query::QueryTable;
use crate::screening::{ScreenCount, Screening};
use crate::sparse::SparseVector;
use crate::threads;
use crate::tokenizer::{TokenIds, Tokenizer};

/// The most tokens that a thread packs into one batch: enough to read the weights seldom, few enough to hold what is
/// computed of them.
const BATCH_TOKENS: usize = 512;

/// Texts that are pooled at once: each has V floats until its vector is made of them.
const POOLED_TEXTS: usize = 32;

/// A smaller batch costs more for reading the weights than it gains by keeping every thread busy.
const MIN_BATCH_TOKENS: usize = 64;

/// A call with so few tokens is a query: reading and packing the weights takes it a good part of its time.
const FEW_TOKENS: usize = 64;

/// Which side of a search a text stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is searched for.
    Query,
    /// What is searched in.
    Document,
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
    /// What computes it on the CPU; the fastest that this processor has when `None`.
    pub kernel: Option<Kernel>,
    /// Whether to compute every logit in f32. Otherwise those that cannot matter are screened out on the CPU, by a
    /// proven bound: the vectors are the same, bit for bit.
    pub without_screen: bool,
    /// What to make of a stored decoder that differs from the embeddings; as the model's authors did
    /// when `None` and the model is a known one.
    pub decoder: Option<DecoderReading>,
}

/// One encoded text.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// Its vector.
    pub vector: SparseVector,
    /// Tokens that were encoded, special tokens included.
    pub num_tokens: usize,
    /// Tokens that were cut off because the text is longer than the limit.
    pub num_cut: usize,
}

impl From<(SparseVector, TokenIds)> for Encoded {
    fn from((vector, tokens): (SparseVector, TokenIds)) -> Self {
        Encoded { vector, num_tokens: tokens.ids.len(), num_cut: tokens.num_cut }
    }
}

/// Which token of a text gave which term.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The text as it was encoded.
    pub encoded: Encoded,
    /// For each term of the vector, by ascending id: the position of the token whose logit was the largest.
    pub positions: Vec<usize>,
    /// The tokens of the text in order, special tokens included.
    pub tokens: Vec<Token>,
}

/// One token of an explained text.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its vocabulary id.
    pub id: u32,
    /// The bytes of the text that it stands for; `None` for a special token that was added.
    pub span: Option<Range<usize>>,
}

/// The query side of a model.
enum QueryEncoder {
    /// The same forward pass as for documents.
    Model,
    /// A table of token weights.
    Table(QueryTable),
}

/// Encodes texts with one model.
///
/// The same text gives the same vector, bit for bit, alone or among others, in any order and with any number of
/// threads; on another kernel it gives the same weights to within 1e-5. On a GPU each text is computed by itself.
pub struct SparseEncoder {
    tokenizer: Tokenizer,
    model: MaskedLm,
    pooling: SpladePooling,
    activation: Activation,
    query: QueryEncoder,
    threads: ThreadPool,
    batch_tokens: usize,
    decisions: Vec<Decision>,
}

impl SparseEncoder {
    /// Loads a model.
    ///
    /// # Errors
    ///
    /// An [`Error`] that names the file, tensor or option at fault.
    pub fn load(files: &ModelFiles, options: &EncoderOptions) -> Result<Self, Error> {
        let config = ModelConfig::load(files)?;
        let mut decisions = config.decisions(files);
        let as_known = || known::find(files.name()).map(|known| known.decoder).unwrap_or_default();
        let reading = options.decoder.unwrap_or_else(as_known);
        let kernel = options.kernel.unwrap_or_else(Kernel::best);
        let threads = threads::start(options.num_threads)?;
        let (tokenizer, model) = threads.install(|| {
            rayon::join(
                || Tokenizer::load(files, config.max_tokens(), options.max_length),
                || MaskedLm::load(files, config.clone(), options.device, reading, kernel),
            )
        });
        let ((tokenizer, tokenizer_decisions), (model, model_decisions)) = (tokenizer?, model?);
        if tokenizer.vocab_size() > config.vocab_size {
            let (rows, tokens) = (config.vocab_size, tokenizer.vocab_size());
            let reason = format!("vocab_size is {rows}, but the tokenizer has {tokens} tokens");
            return Err(Error::invalid(files.describe("config.json"), reason));
        }
        decisions.extend(model_decisions);
        decisions.extend(tokenizer_decisions);
        let (activation, activation_decision) = Activation::load(files)?;
        decisions.push(activation_decision);
        let query = match QueryTable::load(files, &tokenizer)? {
            Some((table, decision)) => {
                decisions.push(decision);
                QueryEncoder::Table(table)
            }
            None => {
                refuse_unread_router(files)?;
                decisions.push(Decision::new(
                    "query side",
                    "the model, as for documents",
                    "no table of token weights",
                ));
                QueryEncoder::Model
            }
        };
        let pooling = SpladePooling::new(
            &model.parameters().decoder,
            model.decoder_on_device(),
            &model.parameters().decoder_bias,
            activation,
            zeroed_ids(&tokenizer, model.config().vocab_size),
            if options.without_screen { Screening::off() } else { Screening::default() },
        );
        let batch_tokens = options.batch_tokens.unwrap_or(BATCH_TOKENS).min(BATCH_TOKENS);
        if options.device == DeviceName::Cpu {
            decisions.push(Decision::new("arithmetic", kernel.name(), "this processor"));
            let (logits, source) = match Screening::instructions(kernel) {
                _ if options.without_screen => ("all in f32", "the caller's wish".to_string()),
                None => ("all in f32", "this processor".to_string()),
                Some(codes) => {
                    ("screened by codes of 8 bits, the rest in f32", format!("{codes} of this processor"))
                }
            };
            decisions.push(Decision::new("logits", logits, source));
        }
        Ok(SparseEncoder { tokenizer, model, pooling, activation, query, threads, batch_tokens, decisions })
    }

    /// The tokenizer: terms of a vector, special tokens, the length limit.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Everything that was read from the model's files, and what decided it.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Whether queries and documents are encoded differently: a text's side then has to be known.
    pub fn sides_differ(&self) -> bool {
        matches!(self.query, QueryEncoder::Table(_))
    }

    /// What computes the forward pass on the CPU.
    pub fn kernel(&self) -> Kernel {
        self.model.kernel()
    }

    /// How many logits were screened so far, and how many of them computed in f32; zeros where nothing is screened.
    pub fn screen_count(&self) -> ScreenCount {
        self.pooling.screen_count()
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
        self.threads = threads::start(num_threads)?;
        Ok(())
    }

    /// Encodes texts of one side; one result per text, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenize`], [`Error::NotFinite`] or [`Error::Compute`].
    pub fn encode<S: AsRef<str> + Sync>(&self, texts: &[S], side: Side) -> Result<Vec<Encoded>, Error> {
        let tokens = self.on_threads(texts, |text| self.tokenizer.encode(text))?;
        let vectors = self.encode_tokens(&tokens, side)?;
        Ok(vectors.into_iter().zip(tokens).map(Encoded::from).collect())
    }

    /// Encodes the whole of each text in windows that overlap by so many tokens: for each text, its windows in
    /// order, each what it gives when it is encoded alone. See [`Tokenizer::encode_windows`].
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
        let windows = self.on_threads(texts, |text| self.tokenizer.encode_windows(text, overlap))?;
        let counts: Vec<usize> = windows.iter().map(Vec::len).collect();
        let windows: Vec<TokenIds> = windows.into_iter().flatten().collect();
        let vectors = self.encode_tokens(&windows, side)?;
        let mut encoded = vectors.into_iter().zip(windows).map(Encoded::from);
        Ok(counts.into_iter().map(|count| encoded.by_ref().take(count).collect()).collect())
    }

    /// Tokenizes on every thread.
    fn on_threads<S: AsRef<str> + Sync, T: Send>(
        &self,
        texts: &[S],
        tokenize: impl Fn(&str) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        self.threads.install(|| texts.par_iter().map(|text| tokenize(text.as_ref())).collect())
    }

    /// The vectors of tokenized texts, in their order.
    fn encode_tokens(&self, tokens: &[TokenIds], side: Side) -> Result<Vec<SparseVector>, Error> {
        match (&self.query, side) {
            (QueryEncoder::Table(table), Side::Query) => {
                Ok(tokens.iter().map(|text| table.encode(&text.ids)).collect())
            }
            _ => self.forward_all(tokens),
        }
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
        let mut places = HashMap::new();
        let mut distinct = Vec::new();
        for text in texts {
            places.entry(text.as_ref()).or_insert_with(|| {
                distinct.push(text.as_ref());
                distinct.len() - 1
            });
        }
        let explained = self.on_threads(&distinct, |text| self.explain(text, side))?;
        Ok(texts.iter().map(|text| explained[places[text.as_ref()]].clone()).collect())
    }

    /// Encodes one text and keeps which token won each term. Queries of a table have no forward pass:
    /// each of their terms comes from its own token.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn explain(&self, text: &str, side: Side) -> Result<Explanation, Error> {
        let TokenIds { ids, num_cut } = self.tokenizer.encode(text)?;
        let spans = self.tokenizer.spans(text)?;
        let (vector, positions) = match (&self.query, side) {
            (QueryEncoder::Table(table), Side::Query) => {
                let vector = table.encode(&ids);
                let first = |term: &u32| ids.iter().position(|id| id == term).unwrap_or_default();
                let positions = vector.indices().iter().map(first).collect();
                (vector, positions)
            }
            _ => {
                let explain = |row: PooledRow| {
                    let vector = SparseVector::from_dense(&row.weights);
                    let winner = |term: &u32| row.positions[*term as usize] as usize;
                    let positions = vector.indices().iter().map(winner).collect();
                    (vector, positions)
                };
                let batch = PackedBatch::pack([ids.as_slice()]);
                let mut rows = self.threads.install(|| {
                    threads::all_awake(|| self.pooled(&batch, self.among_all(), true, explain))
                })?;
                rows.remove(0)
            }
        };
        let encoded = Encoded { vector, num_tokens: ids.len(), num_cut };
        let tokens = ids.into_iter().zip(spans).map(|(id, span)| Token { id, span }).collect();
        Ok(Explanation { encoded, positions, tokens })
    }

    /// The vectors of tokenized texts, in their order: longest first, in batches, each distinct text once.
    fn forward_all(&self, tokens: &[TokenIds]) -> Result<Vec<SparseVector>, Error> {
        let ids = |index: &usize| tokens[*index].ids.as_slice();
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by(|a, b| ids(b).len().cmp(&ids(a).len()).then_with(|| ids(a).cmp(ids(b))));
        let (mut distinct, mut places): (Vec<&[u32]>, Vec<usize>) = Default::default();
        for index in &order {
            if distinct.last().is_none_or(|last| *last != ids(index)) {
                distinct.push(ids(index));
            }
            places.push(distinct.len() - 1);
        }
        let computed = self.threads.install(|| self.forward_distinct(&distinct))?;
        let mut vectors = vec![SparseVector::default(); tokens.len()];
        for (index, place) in order.into_iter().zip(places) {
            vectors[index] = computed[place].clone();
        }
        Ok(vectors)
    }

    /// The vectors of texts, longest first: a batch for each thread at a time, or, where there are too few to keep them
    /// all busy, one batch among them all.
    fn forward_distinct(&self, texts: &[&[u32]]) -> Result<Vec<SparseVector>, Error> {
        let num_threads = self.num_threads();
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let num_tokens: usize = lengths.iter().sum();
        if num_tokens <= FEW_TOKENS {
            self.model.expect_short();
        }
        let vectors = |batch: Range<usize>, sharing: Sharing| {
            let batch = PackedBatch::pack(texts[batch].iter().copied());
            self.pooled(&batch, sharing, false, |row| SparseVector::from_dense(&row.weights))
        };
        let longest = lengths.iter().copied().max().unwrap_or_default().max(MIN_BATCH_TOKENS);
        if num_threads > 1 && num_tokens < 4 * num_threads * longest {
            let batches = runs_within(&lengths, self.batch_tokens).into_iter();
            let computed = threads::all_awake(|| {
                batches.map(|batch| vectors(batch, self.among_all())).collect::<Result<Vec<_>, _>>()
            })?;
            return Ok(computed.into_iter().flatten().collect());
        }
        let least = MIN_BATCH_TOKENS.min(self.batch_tokens);
        let batches = runs_for_threads(&lengths, least..=self.batch_tokens, num_threads);
        let computed =
            threads::in_order(batches.len(), |index| vectors(batches[index].clone(), Sharing::Alone))?;
        Ok(computed.into_iter().flatten().collect())
    }

    fn among_all(&self) -> Sharing {
        match self.num_threads() {
            1 => Sharing::Alone,
            threads => Sharing::Among(threads),
        }
    }

    /// What `finish` makes of each pooled text of a batch. To be called on the encoder's threads.
    fn pooled<T: Send>(
        &self,
        batch: &PackedBatch,
        sharing: Sharing,
        with_positions: bool,
        finish: impl Fn(PooledRow) -> T + Sync,
    ) -> Result<Vec<T>, Error> {
        if let Some(reference) = self.model.on_device() {
            let pool = |ids| Ok(finish(self.pooling.pool(&reference.hidden_states(ids)?, with_positions)?));
            return batch.texts().map(pool).collect();
        }
        let forward = self.model.on_cpu(sharing);
        let hidden = forward.hidden_states(batch);
        let texts: Vec<Range<usize>> = batch.ranges().collect();
        let mut finished = Vec::with_capacity(texts.len());
        for texts in texts.chunks(POOLED_TEXTS) {
            let rows =
                self.pooling.pool_on_cpu(forward.kernel, hidden.rows(), texts, sharing, with_positions)?;
            finished.extend(rows.into_iter().map(&finish));
        }
        Ok(finished)
    }

    pub(crate) fn model(&self) -> &MaskedLm {
        &self.model
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    pub(crate) fn zeroed_ids(&self) -> Vec<u32> {
        zeroed_ids(&self.tokenizer, self.model.config().vocab_size)
    }
}

/// Ids that never carry a weight: special tokens, and rows of the decoder that no token names.
fn zeroed_ids(tokenizer: &Tokenizer, vocab_size: usize) -> Vec<u32> {
    (0..vocab_size as u32)
        .filter(|&id| tokenizer.special_ids().contains(&id) || tokenizer.term(id).is_none())
        .collect()
}

/// A router whose query side we have not read: encoding its queries with the document model would be wrong in silence.
fn refuse_unread_router(files: &ModelFiles) -> Result<(), Error> {
    if files.contains("router_config.json") {
        let reason = "routes queries and documents to different modules, and there is neither idf.json nor \
                      query_token_weights.txt beside it: such models cannot be run yet";
        return Err(Error::invalid(files.describe("router_config.json"), reason));
    }
    Ok(())
}
