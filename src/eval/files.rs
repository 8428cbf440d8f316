//! Judgements and runs as files.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::{Qrels, Run, RunHit};

/// Why judgements or a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The file cannot be read.
    #[error("cannot read `{file}`")]
    Read {
        /// Path of the file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A line is none of a file of this kind.
    #[error("`{file}` line {line}: {reason}")]
    Line {
        /// Path of the file.
        file: String,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The lines of a file that are not blank, with their numbers.
fn lines(path: &Path) -> Result<(String, Vec<u8>), EvalError> {
    let file = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => Ok((file, bytes)),
        Err(source) => Err(EvalError::Read { file, source }),
    }
}

fn each_line(path: &Path, mut take: impl FnMut(usize, &str) -> Result<(), String>) -> Result<(), EvalError> {
    let (file, bytes) = lines(path)?;
    for (line, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let fault = |reason: String| EvalError::Line { file: file.clone(), line, reason };
        let text = std::str::from_utf8(bytes).map_err(|_| fault("not UTF-8".into()))?;
        let text = text.trim_start_matches('\u{feff}').trim_end_matches('\r');
        if !text.trim().is_empty() {
            take(line, text).map_err(fault)?;
        }
    }
    Ok(())
}

/// Reads judgements: BEIR's `query<TAB>document<TAB>grade` with a line of names before them, or TREC's
/// `query 0 document grade`.
///
/// # Errors
///
/// [`EvalError::Line`] for a line that is neither, or a pair that is judged twice and not alike.
pub fn read_qrels(path: &Path) -> Result<Qrels, EvalError> {
    let mut qrels = Qrels::default();
    each_line(path, |line, text| {
        let tabs: Vec<&str> = text.split('\t').collect();
        let spaces: Vec<&str> = text.split_ascii_whitespace().collect();
        let (query, document, grade) = match (&tabs[..], &spaces[..]) {
            (&[query, document, grade], _) | (_, &[query, _, document, grade]) => (query, document, grade),
            (_, &[query, document, grade]) => (query, document, grade),
            _ => return Err(
                "expected a query, a document and a grade with tabs between them, or a query, 0, a document \
                            and a grade"
                    .into(),
            ),
        };
        let Ok(number) = grade.trim().parse::<i64>() else {
            // The names of BEIR's columns.
            let is_header =
                line == 1 && !grade.starts_with(|first: char| first.is_ascii_digit() || first == '-');
            return if is_header {
                Ok(())
            } else {
                Err(format!("the grade is `{grade}`, expected a whole number"))
            };
        };
        match qrels.insert(query, document, number) {
            true => Ok(()),
            false => Err(format!("`{document}` is judged for `{query}` a second time, and otherwise")),
        }
    })?;
    Ok(qrels)
}

/// Reads a run of TREC's form: `query Q0 document rank score tag`.
///
/// # Errors
///
/// [`EvalError::Line`] for a line that is none, or a document that a query has twice.
pub fn read_run(path: &Path) -> Result<Run, EvalError> {
    let mut order: Vec<String> = Vec::new();
    let mut queries: HashMap<String, Vec<RunHit>> = HashMap::new();
    let mut seen: HashMap<String, std::collections::HashSet<String>> = HashMap::new();
    each_line(path, |_, text| {
        let columns: Vec<&str> = text.split_ascii_whitespace().collect();
        let [query, _, document, _, score, _] = columns[..] else {
            let count = columns.len();
            return Err(format!(
                "{count} columns, expected 6: a query, Q0, a document, its rank, its score and a tag"
            ));
        };
        // As f32 right away: rounded once, not by way of f64.
        let Ok(score) = score.parse::<f32>() else {
            return Err(format!("the score is `{score}`, expected a number"));
        };
        if score.is_nan() {
            return Err("the score is not a number".into());
        }
        if !seen.entry(query.to_string()).or_default().insert(document.to_string()) {
            return Err(format!("`{query}` has `{document}` a second time"));
        }
        let hits = queries.entry(query.to_string()).or_insert_with(|| {
            order.push(query.to_string());
            Vec::new()
        });
        hits.push(RunHit { document: document.to_string(), score });
        Ok(())
    })?;
    let mut run = Run::default();
    for query in order {
        let hits = queries.remove(&query).unwrap_or_default();
        run.insert(&query, hits);
    }
    Ok(run)
}

/// Writes a run of TREC's form, each query's hits as [`write_ranking`] does.
///
/// # Errors
///
/// Those of [`write_ranking`].
pub fn write_run(out: &mut impl Write, run: &Run, tag: &str) -> io::Result<()> {
    run.iter().try_for_each(|(query, hits)| write_ranking(out, query, hits, tag))
}

/// Writes the hits of a query as lines of a run of TREC's form, in the order in which they are given, ranks from 1.
///
/// # Errors
///
/// Those of `out`; one of the kind `InvalidInput` for an id with white space, which the form has no place for.
pub fn write_ranking(out: &mut impl Write, query: &str, hits: &[RunHit], tag: &str) -> io::Result<()> {
    for (rank, hit) in (1..).zip(hits) {
        for id in [query, &hit.document] {
            if id.contains(char::is_whitespace) || id.is_empty() {
                let reason =
                    format!("the id `{id}` has white space or is empty, and a run has no place for it");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        // The shortest decimal that reads back to the same f32.
        writeln!(out, "{query} Q0 {} {rank} {} {tag}", hit.document, hit.score)?;
    }
    Ok(())
}
