//! Exact top k by dot product.
//!
//! MaxScore (Turtle and Flood 1995), a window of documents at a time: of each window the largest weight of each list is
//! known, and with it a bound of any score in it. Windows are taken by descending bound, until none can hold a document
//! that belongs among the best k so far. In a window, lists are ordered by what they can add at most; the smallest, as
//! many as together add a small share of the k-th best score, are *not essential*: a document that only they have
//! cannot be among the best. The essential lists are added up term at a time into a small array, in f32, with a
//! margin for its rounding. Whoever may be among the best by that sum and the bound of the others is looked up in these,
//! the largest first, as long as it still may; who is left is scored exactly.
//!
//! The exact score of a document is [`SparseVector::dot`](crate::SparseVector::dot)'s: products and sum in f64 by
//! ascending term, rounded once. Nothing depends on the order of windows, so the hits are those of brute force, bit for
//! bit: by descending score, ties by ascending document, only scores above 0.

use super::best::{Best, Hit};
use super::codec::{Codec, Half, NineBits, Step, Weight};
use super::layout::WINDOW;
use super::list::List;
use super::open::InvertedIndex;
use super::IndexError;
use crate::sparse::{ScoreOverflow, SparseVector};

/// An upper bound of the relative error of adding `num_terms` products up in f32, and of rounding the exact sum to f32.
fn margin(num_terms: usize) -> f64 {
    // One rounding for the query's weight times the document's, one for each addition, one for the final score.
    1.0 + (num_terms + 3) as f64 * f64::from(f32::EPSILON)
}

/// The largest score that a sum of products, with bounds of them, can turn out to be.
fn reach(sum: f64, margin: f64) -> f64 {
    // By f32, as a score is: what is too large for it is infinite.
    f64::from((sum * margin) as f32)
}

/// What the lists that are not essential may add at most, of the k-th best score. Up to all of it would be right; but
/// then a sum that is not small at all makes a candidate, and looking up thousands costs more than adding on.
const SMALL_SHARE: f64 = 0.15;

/// Sums that are looked through at once.
const CHUNK: usize = 64;

/// Runs queries, one after the other, in memory that it keeps.
#[derive(Debug)]
pub struct Searcher<'a> {
    index: &'a InvertedIndex,
    /// Sums of one window, -0.0 where nothing was added.
    sums: Box<[f32; WINDOW]>,
    /// For each document of a window its place among the candidates, from 1; 0 for none.
    slots: Box<[u16; WINDOW]>,
    /// By ascending document.
    candidates: Vec<Candidate>,
    exact: Vec<f64>,
    /// Sums that the k-th is sought among.
    selected: Vec<f32>,
}

/// Calls a method of the type that the weights of the index have.
macro_rules! by_codec {
    ($searcher:ident.$method:ident($($argument:expr),*)) => {
        match $searcher.index.codec() {
            Codec::F32 => $searcher.$method::<f32>($($argument),*),
            Codec::Lucene9 => $searcher.$method::<NineBits>($($argument),*),
            Codec::F16 => $searcher.$method::<Half>($($argument),*),
            Codec::U8 => $searcher.$method::<Step>($($argument),*),
        }
    };
}

/// A document of a window that may be among the best.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    document: u16,
    /// What the lists so far add up to.
    sum: f32,
}

/// A list with the query's weight of its term.
struct Term<'a, W> {
    query_weight: f32,
    documents: &'a [u16],
    weights: &'a [W],
    unit: f32,
}

/// The part of a list that lies in a window.
#[derive(Clone, Copy)]
struct Piece {
    window: u32,
    term: u32,
    start: u32,
    end: u32,
    /// What it adds to a score at most.
    bound: f64,
}

impl<'a> Searcher<'a> {
    /// A searcher; each thread has one of its own.
    pub fn new(index: &'a InvertedIndex) -> Self {
        Searcher {
            index,
            sums: Box::new([-0.0; WINDOW]),
            slots: Box::new([0; WINDOW]),
            candidates: Vec::new(),
            exact: Vec::new(),
            selected: Vec::new(),
        }
    }

    /// The best `k` documents for a query over the terms of the index; see [`InvertedIndex::vector`].
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`], and [`IndexError::Score`] where no f32 holds the best score.
    pub fn search(&mut self, query: &SparseVector, k: usize) -> Result<Vec<Hit>, IndexError> {
        by_codec!(self.search_in(query, k))
    }

    fn search_in<W: Weight>(&mut self, query: &SparseVector, k: usize) -> Result<Vec<Hit>, IndexError> {
        let (terms, mut pieces) = self.open_lists::<W>(query)?;
        // By window, and within it by what is added at most.
        pieces.sort_unstable_by(|a, b| a.window.cmp(&b.window).then(a.bound.total_cmp(&b.bound)));
        let margin = margin(terms.len());
        let mut windows: Vec<(f64, &[Piece])> = pieces
            .chunk_by(|a, b| a.window == b.window)
            .map(|pieces| (reach(pieces.iter().map(|piece| piece.bound).sum(), margin), pieces))
            .collect();
        windows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut best = Best::new(k);
        for (bound, pieces) in windows {
            if bound < best.threshold() {
                break;
            }
            self.search_window(&terms, pieces, margin, &mut best)?;
        }
        Ok(best.into_hits())
    }

    /// The lists of a query's terms by ascending term, and their pieces.
    fn open_lists<W: Weight>(
        &self,
        query: &SparseVector,
    ) -> Result<(Vec<Term<'a, W>>, Vec<Piece>), IndexError> {
        let (mut terms, mut pieces) = (Vec::new(), Vec::new());
        for (number, query_weight) in query.iter().filter(|(number, _)| *number < self.index.num_terms()) {
            let list: List<'a> = self.index.list(number)?;
            let (term, mut start) = (terms.len() as u32, 0);
            for segment in list.segments() {
                let bound = f64::from(query_weight) * f64::from(segment.max_weight);
                pieces.push(Piece { window: segment.window, term, start, end: segment.end, bound });
                start = segment.end;
            }
            let weights = self.index.cast(list.weights)?;
            terms.push(Term { query_weight, documents: list.documents, weights, unit: list.unit });
        }
        Ok((terms, pieces))
    }

    fn search_window<W: Weight>(
        &mut self,
        terms: &[Term<W>],
        pieces: &[Piece],
        margin: f64,
        best: &mut Best,
    ) -> Result<(), IndexError> {
        let mut threshold = best.threshold();
        let (mut num_others, mut others) = (0, 0.0);
        for piece in pieces {
            if reach(others + piece.bound, margin) >= SMALL_SHARE * threshold {
                break;
            }
            others += piece.bound;
            num_others += 1;
        }
        let (small, essential) = pieces.split_at(num_others);
        for piece in essential {
            add_up(&mut self.sums, &terms[piece.term as usize], piece);
        }
        if best.is_empty() {
            // A sum may be infinite in f32 where the score is not.
            threshold = threshold.max(self.kth_sum(best.k).min(f32::MAX.into()) / margin);
        }
        self.take_candidates((threshold / margin - others) / margin);
        for piece in small.iter().rev() {
            if self.candidates.is_empty() {
                return Ok(());
            }
            others -= piece.bound;
            let least = (threshold / margin - others) / margin;
            self.add_to_candidates(&terms[piece.term as usize], piece, least);
        }
        self.score_candidates(terms, pieces);
        let first = pieces[0].window as usize * WINDOW;
        for (candidate, &score) in self.candidates.iter().zip(&self.exact[1..]) {
            let document = (first + usize::from(candidate.document)) as u32;
            best.offer(Hit { document, score: self.checked(document, score)? });
        }
        Ok(())
    }

    /// An exact score, rounded.
    fn checked(&self, document: u32, score: f64) -> Result<f32, IndexError> {
        match ScoreOverflow::check(score) {
            Ok(score) => Ok(score),
            Err(source) => {
                Err(IndexError::Score { document: self.index.id_json(document)?.to_string(), source })
            }
        }
    }

    /// The k-th largest sum; 0 where there are not as many.
    fn kth_sum(&mut self, k: usize) -> f64 {
        self.selected.clear();
        self.selected.extend(self.sums.iter().filter(|sum| sum.is_sign_positive()));
        match self.selected.len().checked_sub(k) {
            Some(place) if k > 0 => (*self.selected.select_nth_unstable_by(place, f32::total_cmp).1).into(),
            _ => 0.0,
        }
    }

    /// Makes candidates of the documents whose sum is at least `least`, and clears the sums.
    fn take_candidates(&mut self, least: f64) {
        // Sums are compared by their bits: those of numbers that are not negative are in the numbers' own order, and what
        // nobody has added to is -0.0, below them all.
        let least = rounded_down(least).to_bits() as i32;
        self.candidates.clear();
        for (number, sums) in self.sums.chunks_exact_mut(CHUNK).enumerate() {
            let largest = sums.iter().fold(i32::MIN, |largest, sum| largest.max(sum.to_bits() as i32));
            if largest == i32::MIN {
                continue;
            }
            if largest >= least {
                for (place, &sum) in sums.iter().enumerate() {
                    if sum.to_bits() as i32 >= least {
                        self.candidates.push(Candidate { document: (number * CHUNK + place) as u16, sum });
                    }
                }
            }
            sums.fill(-0.0);
        }
    }

    /// Adds what one more list has of the candidates, and keeps those whose sum is at least `least` then.
    fn add_to_candidates<W: Weight>(&mut self, term: &Term<W>, piece: &Piece, least: f64) {
        let (documents, weights) = part(term, piece);
        let least = rounded_down(least);
        self.candidates.retain_mut(|candidate| {
            if let Ok(place) = documents.binary_search(&candidate.document) {
                candidate.sum += term.query_weight * weights[place].value(term.unit);
            }
            candidate.sum >= least
        });
    }

    /// The exact scores of the candidates, which are in ascending order, from place 1 on.
    fn score_candidates<W: Weight>(&mut self, terms: &[Term<W>], pieces: &[Piece]) {
        self.exact.clear();
        self.exact.resize(self.candidates.len() + 1, 0.0);
        for (slot, candidate) in (1..).zip(&self.candidates) {
            self.slots[usize::from(candidate.document)] = slot;
        }
        let mut by_term: Vec<&Piece> = pieces.iter().collect();
        by_term.sort_unstable_by_key(|piece| piece.term);
        for piece in by_term {
            let term = &terms[piece.term as usize];
            let (documents, weights) = part(term, piece);
            let product = |weight: W| f64::from(term.query_weight) * f64::from(weight.value(term.unit));
            // Looking a document up costs about as much as passing over a few.
            if self.candidates.len() * LOOK_UP_COST < documents.len() {
                for (candidate, exact) in self.candidates.iter().zip(&mut self.exact[1..]) {
                    if let Ok(place) = documents.binary_search(&candidate.document) {
                        *exact += product(weights[place]);
                    }
                }
            } else {
                let (slots, exact) = (&*self.slots, &mut self.exact[..]);
                for (&document, &weight) in documents.iter().zip(weights) {
                    // Those that are no candidates add to place 0: no branch that could be foreseen wrongly.
                    exact[usize::from(slots[usize::from(document) % WINDOW])] += product(weight);
                }
            }
        }
        for candidate in &self.candidates {
            self.slots[usize::from(candidate.document)] = 0;
        }
    }

    /// What brute force finds: every posting of every term is added up, nothing is passed over. The twin of
    /// [`Searcher::search`].
    ///
    /// # Errors
    ///
    /// Those of [`Searcher::search`].
    pub fn scan(&mut self, query: &SparseVector, k: usize) -> Result<Vec<Hit>, IndexError> {
        by_codec!(self.scan_in(query, k))
    }

    fn scan_in<W: Weight>(&mut self, query: &SparseVector, k: usize) -> Result<Vec<Hit>, IndexError> {
        let (terms, pieces) = self.open_lists::<W>(query)?;
        let mut scores = vec![0.0f64; self.index.num_documents() as usize];
        for piece in &pieces {
            let term = &terms[piece.term as usize];
            let (documents, weights) = part(term, piece);
            for (&document, &weight) in documents.iter().zip(weights) {
                let document = piece.window as usize * WINDOW + usize::from(document);
                if let Some(score) = scores.get_mut(document) {
                    *score += f64::from(term.query_weight) * f64::from(weight.value(term.unit));
                }
            }
        }
        let hits = (0..).zip(&scores).filter(|(_, score)| **score > 0.0);
        let hits = hits.map(|(document, &score)| Ok(Hit { document, score: self.checked(document, score)? }));
        let mut hits: Vec<Hit> = hits.collect::<Result<_, IndexError>>()?;
        hits.retain(|hit| hit.score > 0.0);
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.document.cmp(&b.document)));
        hits.truncate(k);
        Ok(hits)
    }

    /// The terms that a query and a document share, as (term, weight in the query, weight in the document), by
    /// ascending term.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn explain(&self, query: &SparseVector, document: u32) -> Result<Vec<(u32, f32, f32)>, IndexError> {
        by_codec!(self.explain_in(query, document))
    }

    fn explain_in<W: Weight>(
        &self,
        query: &SparseVector,
        document: u32,
    ) -> Result<Vec<(u32, f32, f32)>, IndexError> {
        let (window, local) = (document / WINDOW as u32, (document % WINDOW as u32) as u16);
        let mut shared = Vec::new();
        for (number, query_weight) in query.iter().filter(|(number, _)| *number < self.index.num_terms()) {
            let list = self.index.list(number)?;
            let mut start = 0;
            for segment in list.segments() {
                let places = start..segment.end as usize;
                start = segment.end as usize;
                if segment.window == window {
                    if let Ok(place) = list.documents[places.clone()].binary_search(&local) {
                        let weights: &[W] = self.index.cast(list.weights)?;
                        shared.push((number, query_weight, weights[places][place].value(list.unit)));
                    }
                }
            }
        }
        Ok(shared)
    }
}

/// Postings that are passed over in the time that one is looked up in.
const LOOK_UP_COST: usize = 10;

/// Adds what a piece of a list adds to the sums of its documents.
fn add_up<W: Weight>(sums: &mut [f32; WINDOW], term: &Term<W>, piece: &Piece) {
    let (documents, weights) = part(term, piece);
    for (&document, &weight) in documents.iter().zip(weights) {
        // The remainder is the document itself, and tells the compiler that it lies within the array.
        sums[usize::from(document) % WINDOW] += term.query_weight * weight.value(term.unit);
    }
}

/// A bound of sums as an f32 that is not above it.
fn rounded_down(least: f64) -> f32 {
    // Among the smallest numbers an error is not relative any more.
    if least < 1e-36 {
        0.0
    } else {
        (least * (1.0 - 1e-6)) as f32
    }
}

/// The postings of a piece. Both ends were seen to lie within the list when it was opened.
fn part<'a, W>(term: &Term<'a, W>, piece: &Piece) -> (&'a [u16], &'a [W]) {
    let range = piece.start as usize..piece.end as usize;
    (&term.documents[range.clone()], &term.weights[range])
}

#[cfg(test)]
mod tests;
