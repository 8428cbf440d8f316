//! What a run counts, and the summary at its end.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use neural_sparse::format::{Document, Findings};
use neural_sparse::{ScreenCount, SparseVector};
use serde::{Deserialize, Serialize};

use super::rows::{InputLine, MAX_IDS};
use crate::cli::counted;
use crate::cli::failure::complain;
use crate::cli::output::cannot_write;
use crate::cli::storage::folder_of;

/// What was counted up to a place in the input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Tally {
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

    /// Says how many texts were cut, unless none was.
    pub fn say_truncated(&self, max_length: usize) {
        if self.truncated > 0 {
            let texts = counted(self.rows_in, "text");
            complain(format_args!("note: {} of {texts} cut to {max_length} tokens", self.truncated));
        }
    }

    /// Says what a store cannot hold as it is.
    pub fn say_findings(&self) {
        for (what, count) in self.findings.iter() {
            complain(format_args!("note: {count} {what}"));
        }
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

/// A run in figures, as `--summary` writes it.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    #[serde(flatten)]
    tally: &'a Tally,
    /// Of the vectors that were written; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_terms: Option<f64>,
    /// Of encoding, the parts before an interruption included.
    seconds: f64,
    docs_per_second: f64,
    tokens_per_second: f64,
    /// The most that this process held; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
    /// Logits that were bounded by a screen in this process, and those of them that were left and computed.
    logits_screened: u64,
    logits_left: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    /// Of the files that the model was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_sha256: Option<&'a str>,
}

impl<'a> Summary<'a> {
    /// * `model`: its name, and the hash of the files that it was read from; `None` where none ran.
    pub fn new(
        tally: &'a Tally,
        seconds: f64,
        screened: ScreenCount,
        model: Option<(&'a str, Option<&'a str>)>,
    ) -> Self {
        Summary {
            tally,
            mean_terms: (tally.vectors > 0).then(|| tally.terms as f64 / tally.vectors as f64),
            seconds,
            docs_per_second: (tally.rows_in - tally.rejected) as f64 / seconds,
            tokens_per_second: tally.tokens as f64 / seconds,
            peak_memory_bytes: peak_memory_bytes(),
            logits_screened: screened.pairs,
            logits_left: screened.computed,
            model: model.map(|model| model.0),
            model_sha256: model.and_then(|model| model.1),
        }
    }

    /// Says it on standard error.
    pub fn say(&self, max_length: Option<usize>) {
        let Tally { rows_in, rows_out, rejected, truncated, blank_lines, duplicate_ids, .. } = *self.tally;
        let mut parts = vec![format!("{} in", counted(rows_in, "row")), format!("{rows_out} out")];
        parts.push(format!("{rejected} rejected"));
        if let Some(max_length) = max_length {
            parts.push(format!("{truncated} cut to {max_length} tokens"));
        }
        if blank_lines > 0 {
            parts.push(format!("{} skipped", counted(blank_lines, "blank line")));
        }
        if self.tally.ids_compared > 0 {
            let looked = if self.tally.ids_compared >= MAX_IDS {
                format!(" (in the first {} rows; not looked for after them)", self.tally.ids_compared)
            } else {
                String::new()
            };
            parts.push(format!("{}{looked}", counted(duplicate_ids, "duplicate id")));
        }
        complain(format_args!("{}", parts.join(", ")));
        let has_texts = max_length.is_some();
        let mut parts = Vec::new();
        if has_texts {
            parts.push(counted(self.tally.tokens, "token"));
        }
        if let Some(mean) = self.mean_terms {
            parts.push(format!("{mean:.1} terms a vector, {} at most", self.tally.max_terms));
        }
        parts.push(format!("{:.1} s", self.seconds));
        parts.push(format!("{:.1} docs/s", self.docs_per_second));
        if has_texts {
            parts.push(format!("{:.0} tokens/s", self.tokens_per_second));
        }
        if let Some(bytes) = self.peak_memory_bytes {
            parts.push(format!("{} MB of memory at most", bytes / 1_000_000));
        }
        complain(format_args!("{}", parts.join(", ")));
        self.tally.say_findings();
        if let Some(model) = self.model {
            let hash = self.model_sha256.map(|hash| format!(" (sha256 {hash})")).unwrap_or_default();
            complain(format_args!("model {model}{hash}"));
        }
    }

    /// Writes it as a line of JSON in place of whatever `path` holds.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder_of(path))?;
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.persist(path)?;
            Ok::<_, std::io::Error>(())
        };
        write().with_context(|| cannot_write(path))
    }
}

/// The largest resident size of this process so far.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
