//! What is made of the rows of an input.

use std::borrow::Cow;

use super::error::{JobError, WriteError};
use super::line::InputLine;
use super::tally::Tally;
use crate::input::RowError;
use crate::pooling::screening::ScreenCount;

/// What is made of the rows of an input. Rows are parsed on one thread, computed on a second, and written on a third.
pub trait Job: Send + Sync + 'static {
    /// A line that was understood.
    type Row: Send;
    /// What was computed for it.
    type Value: Send;
    /// Whether rows have ids, which are looked at for duplicates.
    const HAS_IDS: bool;

    /// Reads a line.
    ///
    /// # Errors
    ///
    /// A [`RowError`] for a row that cannot be used.
    fn parse(&self, line: &[u8]) -> Result<Self::Row, RowError>;

    /// The id of a row as the store of the output will see it: `7` and `"7"` are one id for most. `None` where the line's
    /// number stands in.
    fn id<'r>(&self, row: &'r Self::Row) -> Option<Cow<'r, str>>;

    /// Whether rows may belong together; such a job is always handed all rows that do.
    fn joins_rows(&self) -> bool {
        false
    }

    /// Whether `next`, the row after `row`, belongs to it.
    fn joins(&self, row: &Self::Row, next: &Self::Row) -> bool {
        let _ = (row, next);
        false
    }

    /// Computes all rows of a window at once; a value each, in order, or why a row cannot be used after all.
    ///
    /// # Errors
    ///
    /// One that ends the run.
    fn compute(&self, rows: Vec<Self::Row>) -> Result<Vec<Result<Self::Value, RowError>>, JobError>;

    /// How many logits were screened so far.
    fn screen_count(&self) -> ScreenCount {
        ScreenCount::default()
    }

    /// Writes what a row of input gives, and counts it; nothing where the row is written with the next one.
    ///
    /// # Errors
    ///
    /// [`WriteError::Row`] for a row that cannot be used after all; it has not been counted.
    fn write(
        &self,
        line: &InputLine,
        value: Self::Value,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError>;
}
