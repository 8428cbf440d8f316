//! Explanations of the rows of a file.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::ExplainedText;
use crate::encoder::{Explanation, Side, SparseEncoder};
use crate::error::Error;
use crate::input::{LineParser, Row, RowError};
use crate::run::{InputLine, Job, JobError, Tally, WriteError};
use crate::ScreenCount;

/// Explains the text of each row, in a line of JSON.
#[derive(Debug)]
pub struct ExplainTexts {
    /// Encodes and explains.
    pub encoder: SparseEncoder,
    /// The side that the texts stand on.
    pub side: Side,
    /// Reads a row.
    pub parser: LineParser,
}

impl Job for ExplainTexts {
    type Row = Row;
    type Value = (Row, Explanation);
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<Row, RowError> {
        self.parser.parse(line)
    }

    fn id<'r>(&self, row: &'r Row) -> Option<Cow<'r, str>> {
        row.id.as_deref().map(|id| Cow::Owned(crate::format::id_text(id)))
    }

    fn compute(&self, rows: Vec<Row>) -> Result<Vec<Result<Self::Value, RowError>>, JobError> {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let explanations = self.encoder.explain_each(&texts, self.side)?;
        let value = |(row, explanation): (Row, Result<Explanation, Error>)| {
            explanation
                .map(|explanation| (row, explanation))
                .map_err(|error| RowError::new(error.to_string()))
        };
        Ok(rows.into_iter().zip(explanations).map(value).collect())
    }

    fn screen_count(&self) -> ScreenCount {
        self.encoder.screen_count()
    }

    fn write(
        &self,
        line: &InputLine,
        (row, explanation): Self::Value,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let id = RawValue::from_string(line.id(row.id)?)?;
        let encoded = &explanation.encoded;
        tally.count_text(encoded.num_tokens, encoded.is_cut);
        tally.count_vector(&encoded.vector);
        tally.rows_out += 1;
        serde_json::to_writer(
            &mut *out,
            &ExplainedText::new(Some(&id), &row.text, &explanation, &self.encoder),
        )?;
        out.push(b'\n');
        Ok(())
    }
}
