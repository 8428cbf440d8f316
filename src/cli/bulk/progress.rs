//! How far a run is, on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use neural_sparse::input::RowError;
use neural_sparse::run::{Observer, Progress, Summary, Tally, LEFT_OUT, NUMBERS};

use crate::cli::failure::complain;
use crate::cli::{counted, environment, hints};

/// How often a line is written where nobody sees a bar.
const LINE_INTERVAL: Duration = Duration::from_secs(30);

/// Says how far a run is: a bar on a terminal, else now and then a line, or nothing.
pub(in crate::cli) struct Watcher {
    quiet: bool,
    look: Look,
}

enum Look {
    Quiet,
    Bar(Option<ProgressBar>),
    Lines { last: Instant },
}

impl Watcher {
    /// * `quiet`: whether nothing is said but errors.
    /// * `shows_progress`: whether anything is said of progress unless it is quiet.
    pub fn new(quiet: bool, shows_progress: bool) -> Self {
        let look = match (shows_progress && !quiet, io::stderr().is_terminal()) {
            (false, _) => Look::Quiet,
            (true, true) => Look::Bar(None),
            (true, false) => Look::Lines { last: Instant::now() },
        };
        Watcher { quiet, look }
    }

    /// Removes the bar, so that messages can follow.
    pub fn clear(&self) {
        if let Look::Bar(Some(bar)) = &self.look {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Watcher {
    fn resumed(&mut self, tally: &Tally) {
        if !self.quiet {
            complain(format_args!("note: going on after {}", counted(tally.rows_in, "row")));
        }
    }

    fn progress(&mut self, progress: &Progress) {
        match &mut self.look {
            Look::Quiet => {}
            Look::Lines { last } if last.elapsed() < LINE_INTERVAL => {}
            Look::Lines { last } => {
                complain(format_args!("{progress}"));
                *last = Instant::now();
            }
            Look::Bar(drawn) => {
                let bar = drawn.get_or_insert_with(|| bar(progress.num_bytes));
                bar.set_position(progress.bytes);
                bar.set_message(progress.to_string());
            }
        }
    }

    fn completed(&mut self, summary: &Summary) {
        self.clear();
        if self.quiet {
            return;
        }
        summary.to_string().lines().for_each(|line| complain(format_args!("{line}")));
        for (what, count) in summary.tally.findings.iter() {
            // Of a few rows it says nothing: texts may be numbers too.
            if what == NUMBERS && 2 * count <= summary.tally.rows_out {
                continue;
            }
            let more = match what {
                LEFT_OUT => "; --keep and --keep-all keep them",
                NUMBERS => "; `--vector-keys ids` takes them for ids",
                _ => "",
            };
            complain(format_args!("note: {count} {what}{more}"));
        }
        if let Some(model) = &summary.model {
            let hash =
                summary.model_sha256.as_ref().map(|hash| format!(" (sha256 {hash})")).unwrap_or_default();
            complain(format_args!("model {model}{hash}"));
        }
    }

    fn reason(&self, error: &RowError) -> String {
        match hints::of_row(error) {
            Some(hint) => format!("{error}: {hint}"),
            None => error.to_string(),
        }
    }

    fn is_cancelled(&self) -> bool {
        environment::is_interrupted()
    }
}

fn bar(num_bytes: Option<u64>) -> ProgressBar {
    let template = if num_bytes.is_some() { "{wide_bar} {msg}" } else { "{spinner} {msg}" };
    let style = ProgressStyle::with_template(template).expect("a good template, anything else is a bug");
    ProgressBar::with_draw_target(num_bytes, ProgressDrawTarget::stderr()).with_style(style)
}
