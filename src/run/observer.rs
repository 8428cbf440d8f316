//! Who is told how a run goes on.

use std::fmt;
use std::time::Duration;

use super::counted;
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

/// As in `1200 rows, 34 % of the input, 150.1 docs/s, 20113 tokens/s, 0:01:20 left`
impl fmt::Display for Progress<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Progress { tally, tally_before, bytes, bytes_before, .. } = *self;
        let seconds = self.elapsed.as_secs_f64().max(1e-3);
        let mut parts = vec![counted(tally.rows_in, "row")];
        if let Some(total) = self.num_bytes.filter(|&total| total > 0) {
            parts.push(format!("{:.0} % of the input", 100.0 * bytes as f64 / total as f64));
        }
        let docs = (tally.rows_in - tally_before.rows_in) as f64 / seconds;
        let tokens = (tally.tokens - tally_before.tokens) as f64 / seconds;
        parts.push(format!("{docs:.1} docs/s, {tokens:.0} tokens/s"));
        let bytes_done = bytes.saturating_sub(bytes_before);
        if let Some(total) = self.num_bytes.filter(|_| bytes_done > 0) {
            let left = (total.saturating_sub(bytes) as f64 * seconds / bytes_done as f64) as u64;
            parts.push(format!("{}:{:02}:{:02} left", left / 3600, left / 60 % 60, left % 60));
        }
        out.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_from_where_this_run_began() {
        let before = Tally { rows_in: 1000, tokens: 5000, ..Tally::default() };
        let now = Tally { rows_in: 1100, tokens: 6000, ..Tally::default() };
        let progress = Progress {
            tally: &now,
            tally_before: &before,
            bytes: 2000,
            bytes_before: 1000,
            num_bytes: Some(4000),
            elapsed: Duration::from_secs(10),
        };
        assert_eq!(
            progress.to_string(),
            "1100 rows, 50 % of the input, 10.0 docs/s, 100 tokens/s, 0:00:20 left"
        );
    }
}
