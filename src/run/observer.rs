//! Who is told how a run goes on.

use std::time::Duration;

use super::summary::Summary;
use super::tally::Tally;
use crate::input::RowError;

/// Is told how a run goes on. A run itself prints nothing.
///
/// Every method has a default that does nothing: `()` is an observer.
pub trait Observer {
    /// The run goes on with what an earlier one has done.
    fn resumed(&mut self, tally: &Tally) {
        let _ = tally;
    }

    /// How far the run is: called every 100 ms at least.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// A row was set aside: `place` is its file, line and column.
    fn rejected(&mut self, place: &str, error: &RowError) {
        let _ = (place, error);
    }

    /// The run is complete.
    fn completed(&mut self, summary: &Summary) {
        let _ = summary;
    }

    /// What reports say of a row that cannot be used: the error, and in the words of the caller what helps.
    fn reason(&self, error: &RowError) -> String {
        error.to_string()
    }

    /// Whether the run is to end where it is. It is asked every 100 ms at least.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Observer for () {}

/// How far a run is.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// What was counted so far, in this run and those that it goes on with.
    pub tally: &'a Tally,
    /// What those that it goes on with had counted.
    pub tally_before: &'a Tally,
    /// Bytes of input that were read, compressed as they are.
    pub bytes: u64,
    /// Those that earlier runs had read.
    pub bytes_before: u64,
    /// Bytes of all input, where that is known.
    pub num_bytes: Option<u64>,
    /// Time since this run began.
    pub elapsed: Duration,
}
