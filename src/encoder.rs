//! SparseEncoder: texts to sparse vectors.
//!
//! Tokenizer, model and pooling in one, on threads of its own. What it asks of
//! a model is packed token ids in, one pooled row per text out.

use std::ops::Range;

use rayon::prelude::*;
use rayon::ThreadPool;

use crate::batch::{runs_within, PackedBatch};
use crate::error::Error;
use crate::files::{Decision, ModelFiles};
use crate::known;
use crate::model::{DecoderReading, DeviceName, MaskedLm, ModelConfig};
use crate::pooling::{Activation, PooledRow, SpladePooling};
use crate::query::QueryTable;
use crate::sparse::SparseVector;
use crate::tokenizer::{TokenIds, Tokenizer};

/// Tokens that are packed into one batch by default: enough texts to keep every thread busy.
const BATCH_TOKENS: usize = 8192;

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
    /// Tokens that are packed into one batch, 8192 when `None`; the vectors do not depend on it.
    pub batch_tokens: Option<usize>,
    /// Where the forward pass runs.
    pub device: DeviceName,
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
/// The same text gives the same vector, bit for bit, alone or among others, in
/// any order and with any number of threads: every product has the rows of one
/// text, and its columns are cut the same way always. One thing is left to the
/// caller: the matrix products run on one thread each when the environment
/// variable `RAYON_NUM_THREADS` is 1 (the program sets it at its start);
/// otherwise they start threads of their own beside the encoder's.
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
        let threads = start_threads(options.num_threads)?;
        let (tokenizer, model) = threads.install(|| {
            rayon::join(
                || Tokenizer::load(files, config.max_positions, options.max_length),
                || MaskedLm::load(files, config.clone(), options.device, reading),
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
            &model.parameters().decoder_bias,
            activation,
            zeroed_ids(&tokenizer, model.config().vocab_size),
        )?;
        let batch_tokens = options.batch_tokens.unwrap_or(BATCH_TOKENS);
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

    /// Tokens that are packed into one batch.
    pub fn batch_tokens(&self) -> usize {
        self.batch_tokens
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
        self.threads = start_threads(num_threads)?;
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

    /// Explains texts of one side, as [`SparseEncoder::explain`] does each; one result per text, in their order.
    ///
    /// # Errors
    ///
    /// As [`SparseEncoder::encode`].
    pub fn explain_all<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        side: Side,
    ) -> Result<Vec<Explanation>, Error> {
        self.on_threads(texts, |text| self.explain(text, side))
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
                let row = self.threads.install(|| self.forward(&ids, true))?;
                let vector = SparseVector::from_dense(&row.weights);
                let winner = |term: &u32| row.positions[*term as usize] as usize;
                let positions = vector.indices().iter().map(winner).collect();
                (vector, positions)
            }
        };
        let encoded = Encoded { vector, num_tokens: ids.len(), num_cut };
        let tokens = ids.into_iter().zip(spans).map(|(id, span)| Token { id, span }).collect();
        Ok(Explanation { encoded, positions, tokens })
    }

    /// The vectors of tokenized texts, in their order: longest first, a batch at a time, each distinct text once.
    ///
    /// Texts of a batch are of nearly one length, so that no thread waits long for the last of them.
    fn forward_all(&self, tokens: &[TokenIds]) -> Result<Vec<SparseVector>, Error> {
        let ids = |index: &usize| tokens[*index].ids.as_slice();
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by(|a, b| ids(b).len().cmp(&ids(a).len()).then_with(|| ids(a).cmp(ids(b))));
        let (mut distinct, mut places): (Vec<usize>, Vec<usize>) = Default::default();
        for index in &order {
            if distinct.last().is_none_or(|last| ids(last) != ids(index)) {
                distinct.push(*index);
            }
            places.push(distinct.len() - 1);
        }
        let lengths: Vec<usize> = distinct.iter().map(|index| ids(index).len()).collect();
        let mut computed = Vec::with_capacity(distinct.len());
        for run in runs_within(&lengths, self.batch_tokens) {
            computed.extend(self.encode_batch(&PackedBatch::pack(distinct[run].iter().map(ids)))?);
        }
        let mut vectors = vec![SparseVector::default(); tokens.len()];
        for (index, place) in order.into_iter().zip(places) {
            vectors[index] = computed[place].clone();
        }
        Ok(vectors)
    }

    /// One vector per text of a packed batch, the texts side by side on the encoder's threads.
    fn encode_batch(&self, batch: &PackedBatch) -> Result<Vec<SparseVector>, Error> {
        let encode = |index| {
            let row = self.forward(batch.text(index), false)?;
            Ok(SparseVector::from_dense(&row.weights))
        };
        self.threads.install(|| (0..batch.num_texts()).into_par_iter().map(encode).collect())
    }

    fn forward(&self, ids: &[u32], with_positions: bool) -> Result<PooledRow, Error> {
        self.pooling.pool(&self.model.hidden_states(ids)?, with_positions)
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

fn start_threads(num_threads: Option<usize>) -> Result<ThreadPool, Error> {
    // Without RAYON_NUM_THREADS in mind: that variable is for candle's products.
    let processors = || std::thread::available_parallelism().map_or(1, |count| count.get());
    let threads = rayon::ThreadPoolBuilder::new().thread_name(|index| format!("encoder-{index}"));
    Ok(threads.num_threads(num_threads.unwrap_or_else(processors)).build()?)
}

/// The instructions of this processor that decide how a vector is computed, and so its last bits.
///
/// The same text gives the same bits on every machine with the same instructions; on others it gives the same weights
/// to within the tolerance.
pub fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "x86-64 with AVX-512";
        }
        if std::arch::is_x86_feature_detected!("fma") {
            return "x86-64 with AVX2 and FMA";
        }
    }
    std::env::consts::ARCH
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
