//! A run in figures.

use std::fmt;

use serde::Serialize;

use super::counted;
use super::line::MAX_IDS;
use super::tally::Tally;
use crate::pooling::screening::ScreenCount;

/// A run in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What was counted, the parts before an interruption included.
    #[serde(flatten)]
    pub tally: Tally,
    /// Of the vectors that were written; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_terms: Option<f64>,
    /// Of encoding, the parts before an interruption included.
    pub seconds: f64,
    /// Rows that were used, a second.
    pub docs_per_second: f64,
    /// Tokens that were encoded, a second.
    pub tokens_per_second: f64,
    /// The most that this process held; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Logits that were bounded by a screen in this process.
    pub logits_screened: u64,
    /// Those of them that were left, and computed.
    pub logits_left: u64,
    /// The model as the user names it; absent where none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Of the files that the model was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// The limit to which texts were cut; `None` where there were none.
    #[serde(skip)]
    pub max_length: Option<usize>,
}

impl Summary {
    pub(super) fn new(tally: Tally, seconds: f64, screened: ScreenCount) -> Self {
        let seconds_or_less = seconds.max(f64::MIN_POSITIVE);
        Summary {
            mean_terms: (tally.vectors > 0).then(|| tally.terms as f64 / tally.vectors as f64),
            seconds,
            docs_per_second: (tally.rows_in - tally.rejected) as f64 / seconds_or_less,
            tokens_per_second: tally.tokens as f64 / seconds_or_less,
            peak_memory_bytes: peak_memory_bytes(),
            logits_screened: screened.pairs,
            logits_left: screened.computed,
            model: None,
            model_sha256: None,
            max_length: None,
            tally,
        }
    }

    /// Whether ids of later rows were not compared any more, because there were too many to remember.
    pub fn stopped_comparing_ids(&self) -> bool {
        self.tally.ids_compared >= MAX_IDS
    }
}

/// Two lines: what happened to the rows, and how much work it was.
impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let tally = &self.tally;
        write!(out, "{} in, {} out", counted(tally.rows_in, "row"), tally.rows_out)?;
        write!(out, ", {} rejected", tally.rejected)?;
        if let Some(max_length) = self.max_length {
            write!(out, ", {} cut to {max_length} tokens", tally.truncated)?;
        }
        if tally.blank_lines > 0 {
            write!(out, ", {} skipped", counted(tally.blank_lines, "blank line"))?;
        }
        if tally.ids_compared > 0 {
            write!(out, ", {}", counted(tally.duplicate_ids, "duplicate id"))?;
            if self.stopped_comparing_ids() {
                write!(out, " (in the first {} rows; not looked for after them)", tally.ids_compared)?;
            }
        }
        writeln!(out)?;
        if self.max_length.is_some() {
            write!(out, "{}, ", counted(tally.tokens, "token"))?;
        }
        if let Some(mean) = self.mean_terms {
            write!(out, "{mean:.1} terms a vector, {} at most, ", tally.max_terms)?;
        }
        write!(out, "{:.1} s, {:.1} docs/s", self.seconds, self.docs_per_second)?;
        if self.max_length.is_some() {
            write!(out, ", {:.0} tokens/s", self.tokens_per_second)?;
        }
        if let Some(bytes) = self.peak_memory_bytes {
            write!(out, ", {} MB of memory at most", bytes / 1_000_000)?;
        }
        Ok(())
    }
}

/// The largest resident size of this process so far.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
