//! How far a run is, on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tally::Tally;
use crate::cli::counted;
use crate::cli::failure::complain;

/// How often a line is written where nobody sees a bar.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// Says how far a run is: a bar on a terminal, else now and then a line, or nothing.
pub(super) struct Progress {
    look: Look,
    started: Instant,
    /// What earlier runs had done.
    tally_before: Tally,
    bytes_before: u64,
    /// Bytes of input, compressed as they are, where that is known.
    num_bytes: Option<u64>,
}

enum Look {
    Quiet,
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    pub fn new(quiet: bool, is_terminal: bool, num_bytes: Option<u64>, tally: &Tally, bytes: u64) -> Self {
        let look = if quiet {
            Look::Quiet
        } else if is_terminal {
            Look::Bar(bar(num_bytes))
        } else {
            Look::Lines { last: Instant::now() }
        };
        Progress {
            look,
            started: Instant::now(),
            tally_before: tally.clone(),
            bytes_before: bytes,
            num_bytes,
        }
    }

    /// Says it, if it is time.
    pub fn tick(&mut self, tally: &Tally, bytes: u64) {
        match &self.look {
            Look::Quiet => {}
            Look::Lines { last } if last.elapsed() < LINE_INTERVAL => {}
            Look::Lines { .. } => {
                complain(format_args!("{}", self.line(tally, bytes)));
                self.look = Look::Lines { last: Instant::now() };
            }
            Look::Bar(bar) => {
                bar.set_position(bytes);
                bar.set_message(self.line(tally, bytes));
            }
        }
    }

    /// Removes the bar, so that messages can follow.
    pub fn clear(&self) {
        if let Look::Bar(bar) = &self.look {
            bar.finish_and_clear();
        }
    }

    /// `1200 rows, 34 % of the input, 150.1 docs/s, 20113 tokens/s, 0:01:20 left`
    fn line(&self, tally: &Tally, bytes: u64) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let mut parts = vec![counted(tally.rows_in, "row")];
        if let Some(total) = self.num_bytes.filter(|&total| total > 0) {
            parts.push(format!("{:.0} % of the input", 100.0 * bytes as f64 / total as f64));
        }
        let docs = (tally.rows_in - self.tally_before.rows_in) as f64 / seconds;
        let tokens = (tally.tokens - self.tally_before.tokens) as f64 / seconds;
        parts.push(format!("{docs:.1} docs/s, {tokens:.0} tokens/s"));
        let bytes_done = bytes.saturating_sub(self.bytes_before);
        if let Some(total) = self.num_bytes.filter(|_| bytes_done > 0) {
            let left = (total.saturating_sub(bytes) as f64 * seconds / bytes_done as f64) as u64;
            parts.push(format!("{}:{:02}:{:02} left", left / 3600, left / 60 % 60, left % 60));
        }
        parts.join(", ")
    }
}

fn bar(num_bytes: Option<u64>) -> ProgressBar {
    let template = if num_bytes.is_some() { "{wide_bar} {msg}" } else { "{spinner} {msg}" };
    let style = ProgressStyle::with_template(template).expect("a good template, anything else is a bug");
    ProgressBar::with_draw_target(num_bytes, ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_from_where_this_run_began() {
        let before = Tally { rows_in: 1000, tokens: 5000, ..Tally::default() };
        let progress = Progress {
            started: Instant::now() - Duration::from_secs(10),
            ..Progress::new(true, false, Some(4000), &before, 1000)
        };
        let now = Tally { rows_in: 1100, tokens: 6000, ..Tally::default() };
        assert_eq!(
            progress.line(&now, 2000),
            "1100 rows, 50 % of the input, 10.0 docs/s, 100 tokens/s, 0:00:20 left"
        );
    }
}
