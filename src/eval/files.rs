//! Judgements and runs as files.

use std::collections::hash_map::Entry;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use super::{Qrels, Run, RunHit};
use crate::format::id_text;
use crate::input::json;
use crate::input::{each_line, InputError};
use crate::one_line::one_line;

/// Why judgements or a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A line is none of a file of this kind.
    #[error("`{file}` line {line}: {reason}")]
    Line {
        /// Path of the file.
        file: String,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

impl EvalError {
    /// The error of a line. What the reason repeats of the file stays on one line, without control characters.
    pub(super) fn line(file: &Path, line: u64, reason: &str) -> Self {
        let file = file.display().to_string();
        EvalError::Line { file, line, reason: one_line(reason).into_owned() }
    }
}

/// Hands out the lines that are not blank, with their numbers; the file is plain, gzip or zstd.
fn each_text_line(
    path: &Path,
    mut take: impl FnMut(u64, &str) -> Result<(), String>,
) -> Result<(), EvalError> {
    each_line(path, |line, bytes| {
        let fault = |reason: String| EvalError::line(path, line, &reason);
        let text = std::str::from_utf8(bytes).map_err(|_| fault("not UTF-8".into()))?;
        take(line, text).map_err(fault)
    })
}

/// Reads judgements: BEIR's `query<TAB>document<TAB>grade` with a line of names before them, TREC's
/// `query 0 document grade`, or, where the names are those of two columns only, `query<TAB>document`, each of grade 1, as
/// NanoBEIR has them. The file is plain, gzip or zstd.
///
/// # Errors
///
/// [`EvalError::Line`] for a line that is none of these, or a pair that is judged twice, alike or not.
pub fn read_qrels(path: &Path) -> Result<Qrels, EvalError> {
    let mut reader = QrelsReader::default();
    reader.read_lines(path)?;
    Ok(reader.into_qrels())
}

/// Judgements that are being read, from one file or several.
#[derive(Default)]
pub(super) struct QrelsReader {
    qrels: Qrels,
    /// The line of each judgement.
    lines: HashMap<(String, String), u64>,
}

impl QrelsReader {
    /// Reads a file of lines: see [`read_qrels`].
    pub fn read_lines(&mut self, path: &Path) -> Result<(), EvalError> {
        let (mut has_line, mut has_grades) = (false, true);
        each_text_line(path, |line, text| {
            let is_first = !std::mem::replace(&mut has_line, true);
            let columns: Vec<&str> = text.split('\t').collect();
            if is_first && is_header(&columns) {
                has_grades = columns.len() > 2;
                return Ok(());
            }
            let (query, document, grade) = judgement(text, &columns, has_grades)?;
            self.take(line, query, document, grade)
        })
    }

    /// Takes an object with the fields `query-id`, `corpus-id` and `score`, as the hub has them; the grade is 1 where there
    /// is no score.
    pub fn take_object(&mut self, line: u64, row: &[u8]) -> Result<(), String> {
        let entries = json::entries(row).map_err(|error| error.to_string())?;
        let field = |name: &str| json::find(&entries, name).map_err(|error| error.to_string());
        let id = |name: &str| {
            let value = field(name)?.ok_or_else(|| format!("no field `{name}`"))?;
            Ok::<_, String>(id_text(value.get()).to_string())
        };
        let grade = match field("score")?
            .filter(|value| value.get() != "null")
            .map(|value| id_text(value.get()).to_string())
        {
            None => 1,
            Some(text) => {
                let whole = text.parse::<i64>().ok();
                // As 2.0, which pandas makes of a column that has a gap.
                let number = whole.or_else(|| text.strip_suffix(".0")?.parse().ok());
                number.ok_or_else(|| format!("the grade is `{text}`, expected a whole number"))?
            }
        };
        self.take(line, &id("query-id")?, &id("corpus-id")?, grade)
    }

    fn take(&mut self, line: u64, query: &str, document: &str, grade: i64) -> Result<(), String> {
        if query.is_empty() || document.is_empty() {
            return Err("an id is empty".into());
        }
        match self.lines.entry((query.to_string(), document.to_string())) {
            Entry::Occupied(earlier) => Err(format!(
                "`{document}` is judged for `{query}` a second time, after line {}",
                earlier.get()
            )),
            Entry::Vacant(entry) => {
                entry.insert(line);
                self.qrels.insert(query, document, grade);
                Ok(())
            }
        }
    }

    pub fn into_qrels(self) -> Qrels {
        self.qrels
    }
}

/// Whether a line has the names of BEIR's columns.
fn is_header(columns: &[&str]) -> bool {
    let first = columns[0].trim().to_ascii_lowercase();
    let is_name = ["query-id", "query_id", "queryid", "query", "qid", "topic"].contains(&first.as_str());
    let is_grade = |column: &&str| column.trim().parse::<i64>().is_ok();
    (2..=4).contains(&columns.len())
        && is_name
        && (columns.len() == 2 || !columns.last().is_some_and(is_grade))
}

/// The query, the document and the grade of a line.
fn judgement<'t>(
    text: &'t str,
    tabs: &[&'t str],
    has_grades: bool,
) -> Result<(&'t str, &'t str, i64), String> {
    let spaces: Vec<&str> = text.split_ascii_whitespace().collect();
    let (query, document, grade) = match (tabs, &spaces[..]) {
        (&[query, document], _) if !has_grades => return Ok((query, document, 1)),
        (&[query, document, grade], _) | (_, &[query, _, document, grade]) => (query, document, grade),
        (_, &[query, document, grade]) => (query, document, grade),
        _ => {
            let expected =
                "a query, a document and a grade with tabs between them, or a query, 0, a document and a \
                            grade";
            return Err(format!("expected {expected}"));
        }
    };
    let number = grade.trim().parse();
    let number = number.map_err(|_| format!("the grade is `{grade}`, expected a whole number"))?;
    Ok((query, document, number))
}

/// Reads a run of TREC's form: `query Q0 document rank score tag`. The file is plain, gzip or zstd.
///
/// # Errors
///
/// [`EvalError::Line`] for a line that is none, or a document that a query has twice.
pub fn read_run(path: &Path) -> Result<Run, EvalError> {
    let mut queries: Vec<(String, Vec<RunHit>)> = Vec::new();
    let mut places: HashMap<String, (usize, HashMap<String, u64>)> = HashMap::new();
    each_text_line(path, |line, text| {
        let columns: Vec<&str> = text.split_ascii_whitespace().collect();
        let [query, _, document, _, score, _] = columns[..] else {
            let count = columns.len();
            return Err(format!(
                "{count} columns, expected 6: a query, Q0, a document, its rank, its score and a tag"
            ));
        };
        let Ok(exact) = score.parse::<f64>() else {
            return Err(format!("the score is `{score}`, expected a number"));
        };
        // Rounded twice, as in trec_eval: which scores are equal depends on it.
        let score = exact as f32;
        if score.is_nan() {
            return Err("the score is not a number".into());
        }
        if !places.contains_key(query) {
            places.insert(query.to_string(), (queries.len(), HashMap::new()));
            queries.push((query.to_string(), Vec::new()));
        }
        let (place, lines) = places.get_mut(query).expect("just put there, anything else is a bug");
        match lines.entry(document.to_string()) {
            Entry::Occupied(earlier) => {
                return Err(format!(
                    "`{query}` has `{document}` a second time, after line {}",
                    earlier.get()
                ));
            }
            Entry::Vacant(entry) => entry.insert(line),
        };
        queries[*place].1.push(RunHit { document: document.to_string(), score });
        Ok(())
    })?;
    let mut run = Run::default();
    for (query, hits) in queries {
        run.insert(&query, hits);
    }
    Ok(run)
}

/// The last column of the runs that this program makes, which names what made them.
pub const RUN_TAG: &str = "neural-sparse";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_of_a_file_is_in_a_message() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let message = |text: &str, read: fn(&Path) -> Option<EvalError>| {
            std::fs::write(file.path(), text).expect("written");
            read(file.path()).expect("refused").to_string()
        };
        let read_a_run: fn(&Path) -> Option<EvalError> = |path| read_run(path).err();
        let read_judgements: fn(&Path) -> Option<EvalError> = |path| read_qrels(path).err();
        for (text, read) in [
            ("q Q0 d 1 2\u{1b}[2J t\n", read_a_run),
            ("q Q0 d\u{7} 1 2 t\nq Q0 d\u{7} 2 1 t\n", read_a_run),
            ("q\td\t1\nq\td\tone\u{9b}2J\n", read_judgements),
            ("q 0 d\u{7} 1\nq 0 d\u{7} 1\n", read_judgements),
        ] {
            let message = message(text, read);
            assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}
