//! One masked language model and its pooling: token ids to sparse vectors, packed, on the encoder's threads.

use std::ops::Range;

use crate::error::Error;
use crate::forward::batch::{runs_for_threads, runs_within, PackedBatch};
use crate::forward::MaskedLm;
use crate::parallel;
use crate::parallel::Parallelism;
use crate::pooling::screening::ScreenCount;
use crate::pooling::{PooledRow, SpladePooling};
use crate::sparse::SparseVector;
use crate::tokenizer::TokenIds;

/// The most tokens that a thread packs into one batch: large enough to amortise reading the parameters, small enough that
/// activations stay in cache.
pub(super) const BATCH_TOKENS: usize = 512;

/// Texts that are pooled at once: each needs a dense row of V floats until it is compacted.
const POOLED_TEXTS: usize = 32;

/// The smallest batch worth making: below it, reading the parameters costs more than keeping every thread busy gains.
const MIN_BATCH_TOKENS: usize = 64;

/// A call with at most so many tokens is taken for a query. At this size, reading and packing the parameters dominates.
const FEW_TOKENS: usize = 64;

/// A masked language model and what makes vectors of its hidden states.
pub(crate) struct Transformer {
    pub model: MaskedLm,
    pub pooling: SpladePooling,
    /// The most tokens that a thread packs into one batch.
    pub batch_tokens: usize,
}

impl Transformer {
    pub fn screen_count(&self) -> ScreenCount {
        self.pooling.screen_count()
    }

    /// The vectors of tokenized texts, in their order: longest first, in batches, each distinct text once.
    ///
    /// To be called on the encoder's threads.
    pub fn encode(&self, tokens: &[TokenIds]) -> Result<Vec<SparseVector>, Error> {
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
        if distinct.iter().map(|ids| ids.len()).sum::<usize>() <= FEW_TOKENS {
            self.model.note_short_call();
        }
        // A text without a token, which only some tokenizers give, has no logits.
        let has_tokens = distinct.partition_point(|ids| !ids.is_empty());
        // All threads share a text that is longer than a batch. One such text on each thread would need as many times the
        // memory.
        let (long, short) =
            distinct[..has_tokens].split_at(distinct.partition_point(|ids| ids.len() > BATCH_TOKENS));
        let mut computed = self.encode_shared(long)?;
        computed.extend(self.encode_distinct(short)?);
        computed.resize(distinct.len(), SparseVector::default());
        let mut vectors = vec![SparseVector::default(); tokens.len()];
        for (index, place) in order.into_iter().zip(places) {
            vectors[index] = computed[place].clone();
        }
        Ok(vectors)
    }

    /// The vector of one text, and for each of its terms the position of the token whose logit was the largest.
    ///
    /// To be called on the encoder's threads.
    pub fn explain(&self, ids: &[u32]) -> Result<(SparseVector, Vec<usize>), Error> {
        let explain = |row: PooledRow| {
            let vector = SparseVector::from_dense(&row.weights);
            let winner = |term: &u32| row.positions[*term as usize] as usize;
            let positions = vector.indices().iter().map(winner).collect();
            (vector, positions)
        };
        if ids.is_empty() {
            return Ok(Default::default());
        }
        let batch = PackedBatch::pack([ids]);
        let mut rows = parallel::with_spinning_workers(|| self.pooled(&batch, among_all(), true, explain))?;
        Ok(rows.remove(0))
    }

    /// The vectors of texts, longest first: a batch for each thread at a time, or, where there are too few to keep them
    /// all busy, one batch among them all.
    fn encode_distinct(&self, texts: &[&[u32]]) -> Result<Vec<SparseVector>, Error> {
        let num_threads = rayon::current_num_threads();
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default().max(MIN_BATCH_TOKENS);
        if num_threads > 1 && lengths.iter().sum::<usize>() < 4 * num_threads * longest {
            return self.encode_shared(texts);
        }
        let least = MIN_BATCH_TOKENS.min(self.batch_tokens);
        let batches = runs_for_threads(&lengths, least..=self.batch_tokens, num_threads);
        let computed = parallel::in_order(batches.len(), |index| {
            self.encode_batch(&texts[batches[index].clone()], Parallelism::Single)
        })?;
        Ok(computed.into_iter().flatten().collect())
    }

    /// The vectors of texts, one batch after the other, each among all threads.
    fn encode_shared(&self, texts: &[&[u32]]) -> Result<Vec<SparseVector>, Error> {
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let batches = runs_within(&lengths, self.batch_tokens).into_iter();
        let vectors = |batch: Range<usize>| self.encode_batch(&texts[batch], among_all());
        let computed =
            parallel::with_spinning_workers(|| batches.map(vectors).collect::<Result<Vec<_>, _>>())?;
        Ok(computed.into_iter().flatten().collect())
    }

    fn encode_batch(&self, texts: &[&[u32]], sharing: Parallelism) -> Result<Vec<SparseVector>, Error> {
        let batch = PackedBatch::pack(texts.iter().copied());
        self.pooled(&batch, sharing, false, |row| SparseVector::from_dense(&row.weights))
    }

    /// Pools each text of a batch and applies `finish` to it.
    fn pooled<T: Send>(
        &self,
        batch: &PackedBatch,
        sharing: Parallelism,
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
}

fn among_all() -> Parallelism {
    match rayon::current_num_threads() {
        1 => Parallelism::Single,
        threads => Parallelism::Threads(threads),
    }
}
