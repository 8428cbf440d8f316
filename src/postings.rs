//! From documents to postings: the lists of an inverted index, in bounded memory.
//!
//! Postings are gathered until they fill their share of memory, sorted by term and written to a run. A list is then the
//! pieces of it that the runs hold, one after the other: documents come in ascending order, so each run's are above
//! those of the run before, and nothing has to be compared.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::sparse::SparseVector;

/// What postings may fill before they are written to a run.
const RUN_BYTES: usize = 256 << 20;

/// Written and read at once, of each run.
const BUFFER_BYTES: usize = 1 << 18;

/// A document that has a term, and the term's weight there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Posting {
    pub document: u32,
    pub weight: f32,
}

/// A posting and its term.
#[derive(Clone, Copy, Debug)]
struct Entry {
    term: u32,
    posting: Posting,
}

/// Takes documents, in ascending order.
#[derive(Debug)]
pub(crate) struct Inverter {
    /// Where runs are written.
    folder: PathBuf,
    max_entries: usize,
    entries: Vec<Entry>,
    runs: Vec<Run>,
}

impl Inverter {
    /// Runs are files without a name in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self::with_run_bytes(folder, RUN_BYTES)
    }

    fn with_run_bytes(folder: &Path, bytes: usize) -> Self {
        let max_entries = (bytes / size_of::<Entry>()).max(1);
        Inverter { folder: folder.to_path_buf(), max_entries, entries: Vec::new(), runs: Vec::new() }
    }

    /// Takes the terms of the next document.
    ///
    /// # Errors
    ///
    /// Those of the runs.
    pub fn add(&mut self, document: u32, vector: &SparseVector) -> io::Result<()> {
        for (term, weight) in vector.iter() {
            self.entries.push(Entry { term, posting: Posting { document, weight } });
        }
        if self.entries.len() >= self.max_entries {
            self.end_run()
        } else {
            Ok(())
        }
    }

    fn end_run(&mut self) -> io::Result<()> {
        self.entries.sort_unstable_by_key(|entry| (entry.term, entry.posting.document));
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(&self.folder)?);
        for list in self.entries.chunk_by(|a, b| a.term == b.term) {
            file.write_all(&list[0].term.to_le_bytes())?;
            file.write_all(&(list.len() as u32).to_le_bytes())?;
            for Entry { posting, .. } in list {
                file.write_all(&posting.document.to_le_bytes())?;
                file.write_all(&posting.weight.to_le_bytes())?;
            }
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(Run { file: BufReader::with_capacity(BUFFER_BYTES, file), term: None });
        self.entries.clear();
        Ok(())
    }

    /// The lists of all terms that any document has.
    ///
    /// # Errors
    ///
    /// Those of the runs.
    pub fn finish(mut self) -> io::Result<Lists> {
        if !self.entries.is_empty() {
            self.end_run()?;
        }
        for run in &mut self.runs {
            run.next_term()?;
        }
        Ok(Lists { runs: self.runs })
    }
}

/// Postings of some of the documents, sorted by term.
#[derive(Debug)]
struct Run {
    file: BufReader<File>,
    /// The term whose list is next, and its length.
    term: Option<(u32, u32)>,
}

impl Run {
    fn next_term(&mut self) -> io::Result<()> {
        let mut term = [0; 4];
        self.term = match self.file.read_exact(&mut term) {
            Ok(()) => Some((u32::from_le_bytes(term), self.number()?)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut number = [0; 4];
        self.file.read_exact(&mut number)?;
        Ok(u32::from_le_bytes(number))
    }
}

/// The lists of an inverted index, by ascending term.
pub(crate) struct Lists {
    runs: Vec<Run>,
}

impl Lists {
    /// Puts the next list into `postings`, by ascending document, and returns its term.
    ///
    /// # Errors
    ///
    /// Those of the runs.
    pub fn next(&mut self, postings: &mut Vec<Posting>) -> io::Result<Option<u32>> {
        postings.clear();
        let terms = self.runs.iter().filter_map(|run| run.term);
        let Some(term) = terms.map(|(term, _)| term).min() else { return Ok(None) };
        for run in self.runs.iter_mut() {
            let Some((_, count)) = run.term.filter(|(found, _)| *found == term) else { continue };
            for _ in 0..count {
                let document = run.number()?;
                postings.push(Posting { document, weight: f32::from_bits(run.number()?) });
            }
            run.next_term()?;
        }
        Ok(Some(term))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn lists_are_the_same_in_one_run_and_in_many() {
        let folder = tempfile::tempdir().expect("a folder");
        let documents: Vec<SparseVector> = (0..50u32)
            .map(|number| {
                let terms =
                    (0..number % 7).map(|place| ((number * 31 + place * 17) % 40, 1.0 + place as f32));
                SparseVector::from_pairs(terms.collect::<BTreeMap<_, _>>().into_iter().collect())
                    .expect("distinct")
            })
            .collect();
        let mut expected: BTreeMap<u32, Vec<Posting>> = BTreeMap::new();
        for (document, vector) in (0..).zip(&documents) {
            for (term, weight) in vector.iter() {
                expected.entry(term).or_default().push(Posting { document, weight });
            }
        }
        for bytes in [1, 100, 1 << 20] {
            let mut inverter = Inverter::with_run_bytes(folder.path(), bytes);
            for (document, vector) in (0..).zip(&documents) {
                inverter.add(document, vector).expect("a disk");
            }
            let mut lists = inverter.finish().expect("a disk");
            let (mut found, mut postings) = (BTreeMap::new(), Vec::new());
            while let Some(term) = lists.next(&mut postings).expect("a disk") {
                assert!(found.insert(term, postings.clone()).is_none(), "{term} twice");
            }
            assert_eq!(found, expected, "runs of {bytes} bytes");
        }
    }
}
