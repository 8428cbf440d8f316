//! The lists of an index: for each term its documents and their weights.

use std::sync::atomic::Ordering;

use bytemuck::Pod;

use super::codec::{Codec, Half, NineBits, Step, Weight};
use super::layout::{ListEntry, Section, SegmentEntry, LIST_BYTES, SEGMENT_BYTES, WINDOW};
use super::open::InvertedIndex;
use super::IndexError;

/// A list, to be read.
pub(super) struct List<'a> {
    segments: &'a [u8],
    /// The document of each posting within its window.
    pub documents: &'a [u16],
    /// Their weights, as the codec writes them.
    pub weights: &'a [u8],
    /// What weights are multiples of, for codecs that have such a unit.
    pub unit: f32,
}

impl List<'_> {
    pub fn segments(&self) -> impl Iterator<Item = SegmentEntry> + '_ {
        self.segments.chunks_exact(SEGMENT_BYTES).map(SegmentEntry::from_bytes)
    }
}

impl InvertedIndex {
    /// How many documents have a term.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn document_frequency(&self, term: u32) -> Result<u32, IndexError> {
        Ok(self.entry(term)?.num_postings)
    }

    fn entry(&self, term: u32) -> Result<ListEntry, IndexError> {
        let bytes = self.part(Section::Lists, u64::from(term) * LIST_BYTES as u64, LIST_BYTES as u64)?;
        let bytes = bytes.first_chunk().expect("as long as was asked for, anything else is a bug");
        Ok(ListEntry::from_bytes(bytes))
    }

    /// The list of a term, all of it checked.
    pub(super) fn list(&self, term: u32) -> Result<List<'_>, IndexError> {
        let entry = self.entry(term)?;
        let (first, count) = (entry.first_posting, u64::from(entry.num_postings));
        let weight_bytes = self.codec.weight_bytes() as u64;
        let segment_bytes = SEGMENT_BYTES as u64;
        let list = List {
            unit: entry.unit,
            segments: self.part(
                Section::Segments,
                entry.first_segment.saturating_mul(segment_bytes),
                u64::from(entry.num_segments) * segment_bytes,
            )?,
            documents: self.numbers(Section::Documents, first, count)?,
            weights: self.part(Section::Weights, first.saturating_mul(weight_bytes), count * weight_bytes)?,
        };
        // The mark guards no other memory, as with blocks.
        let checked = &self.checked_lists[term as usize];
        if checked.load(Ordering::Relaxed) == 0 {
            let fault = match self.codec {
                Codec::F32 => self.check_list::<f32>(&entry, &list),
                Codec::Lucene9 => self.check_list::<NineBits>(&entry, &list),
                Codec::F16 => self.check_list::<Half>(&entry, &list),
                Codec::U8 => self.check_list::<Step>(&entry, &list),
            };
            fault.map_err(|reason| self.damaged(format!("the list of term {term}: {reason}")))?;
            checked.store(1, Ordering::Relaxed);
        }
        Ok(list)
    }

    /// That a list is what a builder writes. Searching relies on it: what a wrong list would give is a wrong score.
    fn check_list<W: Weight>(&self, entry: &ListEntry, list: &List) -> Result<(), &'static str> {
        let weights: &[W] = bytemuck::try_cast_slice(list.weights).map_err(|_| "its weights are cut")?;
        let (mut start, mut window, mut largest) = (0, None, 0.0f32);
        for segment in list.segments() {
            let end = segment.end as usize;
            let is_next = window.is_none_or(|window| window < segment.window);
            let part = list.documents.get(start..end).zip(weights.get(start..end));
            let Some((documents, weights)) = part.filter(|(documents, _)| is_next && !documents.is_empty())
            else {
                return Err("its segments are not in order");
            };
            // Every element is looked at, without a branch, so that the compiler can do many at once.
            let ascend = documents.windows(2).fold(true, |ascend, pair| ascend & (pair[0] < pair[1]));
            let last = usize::from(documents[documents.len() - 1]);
            let document = u64::from(segment.window) * WINDOW as u64 + last as u64;
            if !ascend || last >= WINDOW || document >= self.header.num_documents {
                return Err("its documents are not in order");
            }
            let values = weights.iter().map(|weight| weight.value(list.unit));
            let (are_weights, heaviest) = values.fold((true, 0.0f32), |(are_weights, heaviest), value| {
                (
                    are_weights & (value > 0.0) & (value <= f32::MAX),
                    if value > heaviest { value } else { heaviest },
                )
            });
            if !are_weights || heaviest != segment.max_weight {
                return Err("a weight is not what it can be");
            }
            (start, window, largest) = (end, Some(segment.window), largest.max(heaviest));
        }
        match start == list.documents.len() && largest == entry.max_weight {
            true => Ok(()),
            false => Err("its segments are not all of it"),
        }
    }

    /// Typed weights of a list.
    pub(super) fn cast<'b, T: Pod>(&self, weights: &'b [u8]) -> Result<&'b [T], IndexError> {
        bytemuck::try_cast_slice(weights).map_err(|error| self.damaged(error.to_string()))
    }
}
