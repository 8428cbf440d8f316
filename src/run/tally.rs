//! What a run counts.

use serde::{Deserialize, Serialize};

use super::line::InputLine;
use crate::format::{Document, Findings};
use crate::sparse::SparseVector;

/// What was counted up to a place in the input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Lines of input that are not blank.
    pub rows_in: u64,
    /// Lines of output.
    pub rows_out: u64,
    /// Rows that could not be used.
    pub rejected: u64,
    /// Texts that were cut to the limit.
    pub truncated: u64,
    /// Lines of input that were passed over.
    pub blank_lines: u64,
    /// Rows with the id of an earlier row, of those whose ids were compared.
    pub duplicate_ids: u64,
    /// Rows whose ids were compared.
    pub ids_compared: u64,
    /// Tokens that were encoded, special tokens included.
    pub tokens: u64,
    /// Vectors that were written.
    pub vectors: u64,
    /// Terms of all of them.
    pub terms: u64,
    /// Terms of the one that has most.
    pub max_terms: u64,
    /// What a store cannot hold as it is.
    #[serde(default, skip_serializing_if = "Findings::is_empty")]
    pub findings: Findings,
}

impl Tally {
    /// Whether rows can have been counted so: no count is above `most`, and no part above its whole.
    pub(super) fn is_possible(&self, most: u64) -> bool {
        let Tally { rows_in, rows_out, rejected, truncated, blank_lines, .. } = self;
        let Tally { duplicate_ids, ids_compared, tokens, vectors, terms, max_terms, findings, .. } = self;
        let counts = [rows_in, rows_out, truncated, blank_lines, ids_compared, tokens, vectors, terms];
        let parts = [(rejected, rows_in), (duplicate_ids, ids_compared), (max_terms, terms)];
        counts.into_iter().all(|count| *count <= most)
            && parts.into_iter().all(|(part, whole)| part <= whole)
            && findings.iter().all(|(_, count)| count <= most)
    }

    /// Counts a line of input.
    pub fn count_line(&mut self, line: &InputLine) {
        self.rows_in += 1;
        self.blank_lines += line.num_blank;
        self.ids_compared += u64::from(line.repeats_id.is_some());
        self.duplicate_ids += u64::from(line.repeats_id == Some(true));
    }

    /// Counts a text that was encoded.
    pub fn count_text(&mut self, num_tokens: usize, is_cut: bool) {
        self.tokens += num_tokens as u64;
        self.truncated += u64::from(is_cut);
    }

    /// Counts a document that is written.
    pub fn count_document(&mut self, document: &Document) {
        let vectors = document.content.vectors();
        self.rows_out += vectors.len() as u64;
        vectors.iter().for_each(|vector| self.count_vector(vector));
    }

    /// Counts a vector that is written.
    pub fn count_vector(&mut self, vector: &SparseVector) {
        let terms = vector.len() as u64;
        self.vectors += 1;
        self.terms += terms;
        self.max_terms = self.max_terms.max(terms);
    }
}
