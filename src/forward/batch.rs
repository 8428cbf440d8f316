//! Texts as token ids, back to back: a batch without padding.
//!
//! Knows nothing of models: only which positions belong to which text, and
//! how many texts fit a budget of tokens.

use std::ops::{Range, RangeInclusive};

/// Token ids of several texts, one after the other, with the place where each begins.
///
/// There is no padding, hence no attention mask: a text's rows are its own.
/// `offsets` has one entry more than there are texts, starts at 0, rises
/// strictly and ends at T (the `cu_seqlens` of variable-length attention).
#[derive(Clone, Debug, PartialEq)]
pub struct PackedBatch {
    ids: Vec<u32>,
    offsets: Vec<usize>,
}

impl PackedBatch {
    /// Packs texts in the order given. A text without a token cannot be packed and is a caller's bug.
    ///
    /// # Panics
    ///
    /// If a text has no token: every tokenizer here adds at least one special token.
    pub fn pack<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut batch = PackedBatch { ids: Vec::new(), offsets: vec![0] };
        for ids in texts {
            assert!(!ids.is_empty(), "a text without tokens in a batch: this is a bug");
            batch.ids.extend_from_slice(ids);
            batch.offsets.push(batch.ids.len());
        }
        batch
    }

    /// T, the number of tokens of all texts.
    pub fn num_tokens(&self) -> usize {
        self.ids.len()
    }

    /// Which tokens are each text's, in order.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|ends| ends[0]..ends[1])
    }

    /// The token ids of each text, in order.
    pub fn texts(&self) -> impl Iterator<Item = &[u32]> {
        self.ranges().map(|tokens| &self.ids[tokens])
    }
}

/// Splits texts of the given `lengths` (in tokens) into runs of at most `budget` tokens each, in order.
///
/// A text longer than the budget gets a run of its own: the budget bounds memory, and never changes or refuses a text.
pub fn runs_within(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (index, &length) in lengths.iter().enumerate() {
        if index > start && tokens + length > budget {
            runs.push(start..index);
            (start, tokens) = (index, 0);
        }
        tokens += length;
    }
    if start < lengths.len() {
        runs.push(start..lengths.len());
    }
    runs
}

/// Splits texts of the given `lengths` (in tokens) into runs, in order. Threads take one run after the other.
///
/// A run has at most half an even share of the remaining tokens, within `budget`. Large runs amortise reading the
/// parameters; small runs at the end keep the threads from waiting for each other.
pub fn runs_for_threads(
    lengths: &[usize],
    budget: RangeInclusive<usize>,
    num_threads: usize,
) -> Vec<Range<usize>> {
    let mut remaining: usize = lengths.iter().sum();
    let mut runs = Vec::new();
    let mut start = 0;
    while start < lengths.len() {
        let budget = (remaining / (2 * num_threads)).clamp(*budget.start(), *budget.end());
        let (mut end, mut tokens) = (start + 1, lengths[start]);
        while end < lengths.len() && tokens + lengths[end] <= budget {
            tokens += lengths[end];
            end += 1;
        }
        runs.push(start..end);
        (start, remaining) = (end, remaining - tokens);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_went_in() {
        let texts: [&[u32]; 3] = [&[1, 2, 3], &[4], &[5, 6]];
        let batch = PackedBatch::pack(texts);
        assert_eq!(batch.num_tokens(), 6);
        assert_eq!(batch.texts().collect::<Vec<_>>(), texts);
        assert_eq!(batch.ranges().collect::<Vec<_>>(), [0..3, 3..4, 4..6]);
        assert_eq!(PackedBatch::pack([]).texts().count(), 0);
    }

    #[test]
    fn runs_cover_every_text_once_and_keep_the_budget() {
        assert_eq!(runs_within(&[3, 3, 3], 6), [0..2, 2..3]);
        assert_eq!(runs_within(&[9, 1, 9], 4), [0..1, 1..2, 2..3], "a long text stands alone");
        assert!(runs_within(&[], 4).is_empty());
        assert_eq!(runs_within(&[1, 1], 0), [0..1, 1..2]);
    }

    #[test]
    fn runs_for_threads_cover_every_text_once_and_shrink() {
        let runs = runs_for_threads(&[10; 100], 20..=200, 2);
        assert_eq!((runs[0].clone(), runs[1].clone()), (0..20, 20..40), "as large as allowed");
        assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].len() >= pair[1].len()));
        assert_eq!(runs.last().map(|run| run.end), Some(100));
        assert_eq!(runs[runs.len() - 2].len(), 2, "as small as allowed");
        assert_eq!(
            runs_for_threads(&[900, 900, 1], 4..=8, 3),
            [0..1, 1..2, 2..3],
            "a long text stands alone"
        );
        assert!(runs_for_threads(&[], 4..=8, 1).is_empty());
    }
}
