//! Pairs of a query and a document in, scores out.

use std::borrow::Cow;

use super::encode::refused;
use super::error::{JobError, WriteError};
use super::job::Job;
use super::line::InputLine;
use super::tally::Tally;
use crate::encoder::{Encoded, Side, SparseEncoder};
use crate::error::Error;
use crate::input::json::{self, Pair, PairFields};
use crate::input::RowError;
use crate::pooling::screening::ScreenCount;

/// Encodes queries and documents, each as what it is unless the caller says otherwise.
#[derive(Debug)]
pub struct ScorePairs {
    /// Encodes both.
    pub encoder: SparseEncoder,
    /// The side of queries.
    pub query_side: Side,
    /// The side of documents.
    pub document_side: Side,
    /// Which fields of a row are read.
    pub fields: PairFields,
}

/// A row to score.
#[derive(Debug)]
pub struct PairRow {
    pair: Pair,
    /// The row as it was.
    line: Vec<u8>,
}

/// A row with its score.
#[derive(Debug)]
pub struct ScoredRow {
    line: Vec<u8>,
    score: f32,
    /// Tokens of both texts, and how many were cut.
    tokens: [(usize, bool); 2],
}

/// A query and a document.
pub type EncodedPair = (Encoded, Encoded);

impl ScorePairs {
    /// A query and a document are encoded each as what it is, unless a side is named for both.
    pub fn new(encoder: SparseEncoder, side: Option<Side>) -> Self {
        let (query_side, document_side) = (side.unwrap_or(Side::Query), side.unwrap_or(Side::Document));
        ScorePairs { encoder, query_side, document_side, fields: PairFields::default() }
    }

    /// The vectors of each pair; a text that stands in several is encoded once.
    ///
    /// # Errors
    ///
    /// Those of the encoder; the inner one is that of a text that the tokenizer refuses.
    pub fn encode(&self, pairs: &[(&str, &str)]) -> Result<Vec<Result<EncodedPair, Error>>, Error> {
        let queries: Vec<&str> = pairs.iter().map(|pair| pair.0).collect();
        let documents: Vec<&str> = pairs.iter().map(|pair| pair.1).collect();
        let (queries, documents) = if self.query_side == self.document_side || !self.encoder.sides_differ() {
            let mut both = self.encoder.encode_each(&[queries, documents].concat(), self.document_side)?;
            let documents = both.split_off(pairs.len());
            (both, documents)
        } else {
            (
                self.encoder.encode_each(&queries, self.query_side)?,
                self.encoder.encode_each(&documents, self.document_side)?,
            )
        };
        Ok(queries.into_iter().zip(documents).map(|(query, document)| Ok((query?, document?))).collect())
    }
}

impl Job for ScorePairs {
    type Row = PairRow;
    type Value = ScoredRow;
    const HAS_IDS: bool = false;

    fn parse(&self, line: &[u8]) -> Result<PairRow, RowError> {
        Ok(PairRow { pair: json::parse_pair(line, &self.fields)?, line: line.to_vec() })
    }

    fn id<'r>(&self, row: &'r PairRow) -> Option<Cow<'r, str>> {
        row.pair.id.as_deref().map(Cow::Borrowed)
    }

    fn compute(&self, rows: Vec<PairRow>) -> Result<Vec<Result<ScoredRow, RowError>>, JobError> {
        let pairs: Vec<(&str, &str)> =
            rows.iter().map(|row| (row.pair.query.as_str(), row.pair.document.as_str())).collect();
        let encoded = self.encode(&pairs)?;
        let value = |(row, pair): (PairRow, Result<(Encoded, Encoded), Error>)| {
            let (query, document) = pair.map_err(refused)?;
            let tokens = [&query, &document].map(|text| (text.num_tokens, text.is_cut));
            let score = self.encoder.similarity().score(&query.vector, &document.vector);
            let score = score.map_err(|error| RowError::new(error.to_string()))?;
            Ok(ScoredRow { line: row.line, score, tokens })
        };
        Ok(rows.into_iter().zip(encoded).map(value).collect())
    }

    fn screen_count(&self) -> ScreenCount {
        self.encoder.screen_count()
    }

    fn write(
        &self,
        _: &InputLine,
        row: ScoredRow,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        for (num_tokens, is_cut) in row.tokens {
            tally.count_text(num_tokens, is_cut);
        }
        tally.rows_out += 1;
        Ok(json::write_scored(out, &row.line, row.score)?)
    }
}
