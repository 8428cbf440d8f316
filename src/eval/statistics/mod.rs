//! What vectors are like: terms a row, weights, FLOPS, frequent terms and expansion.

mod counts;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub use counts::{Counts, Expansion};

use super::Flops;
use crate::error::Error;
use crate::input::json::{self, Entries, Keys};
use crate::input::{each_row, Fields, InputError, InputFormat, RowError};
use crate::run::{JobError, LazyVocabulary};
use crate::tokenizer::Tokenizer;

/// What vectors are like.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Of the rows.
    pub documents: Counts,
    /// Of the queries, where there are any.
    pub queries: Option<Counts>,
    /// Terms that a query and a row share, and how many rows have a term.
    pub flops: Flops,
    /// Of the rows that have a text.
    pub expansion: Expansion,
    /// V, or why it is not known.
    pub vocab_size: Result<usize, String>,
}

/// How rows with vectors are read.
#[derive(Clone, Debug)]
pub struct VectorRows {
    /// What a row is.
    pub format: InputFormat,
    /// The fields of a row that hold its text, where it has one.
    pub text_fields: Vec<String>,
    /// The field of a row that holds its vector.
    pub vector_field: String,
    /// What the keys of an object are.
    pub keys: Keys,
}

/// Why vectors cannot be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A row cannot be used.
    #[error("`{}` line {line}", file.display())]
    Row {
        /// The file.
        file: PathBuf,
        /// The line that the row begins in, from 1.
        line: u64,
        /// What is wrong with it.
        source: RowError,
    },
    /// A row needs the vocabulary, which cannot be had.
    #[error(transparent)]
    Vocabulary(JobError),
    /// A row with a text has a vector of another model.
    #[error("`{}` line {line}: `{term}` is not in the vocabulary of `{model}`", file.display())]
    OtherModel {
        /// The file.
        file: PathBuf,
        /// The line that the row begins in, from 1.
        line: u64,
        /// A term of the vector.
        term: String,
        /// The model as the user names it.
        model: String,
    },
    /// There is no row.
    #[error("no rows in {0}")]
    Empty(String),
}

impl Statistics {
    /// Reads and counts all rows of files, which are held one at a time.
    ///
    /// * `queries`: a file of query vectors, for FLOPS.
    ///
    /// # Errors
    ///
    /// A [`StatisticsError`]; a vocabulary that nothing but [`Statistics::vocab_size`] needs is no error where it cannot
    /// be had.
    pub fn read(
        files: &[PathBuf],
        queries: Option<&Path>,
        rows: &VectorRows,
        vocabulary: &LazyVocabulary,
    ) -> Result<Self, StatisticsError> {
        let reader = Reader { rows, vocabulary };
        let mut documents = Counts::default();
        let mut flops = Flops::default();
        let mut expansion = Expansion::default();
        for file in files {
            reader.read(file, |row| {
                documents.add(row.terms.iter().map(|(_, weight)| *weight));
                flops.add_document(row.terms.iter().map(|(term, _)| term.as_str()));
                if let Some(own) = &row.own_terms {
                    expansion.add(&row.terms, own);
                }
            })?;
        }
        let mut counted = None;
        if let Some(file) = queries {
            let mut queries = Counts::default();
            reader.read(file, |row| {
                queries.add(row.terms.iter().map(|(_, weight)| *weight));
                flops.add_query(row.terms.iter().map(|(term, _)| term.as_str()));
            })?;
            counted = Some(queries);
        }
        if documents.rows() == 0 {
            let names: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
            return Err(StatisticsError::Empty(names.join(" and ")));
        }
        let vocab_size = reader.vocab_size(&flops);
        Ok(Statistics { documents, queries: counted, flops, expansion, vocab_size })
    }
}

/// Reads rows with vectors.
struct Reader<'a> {
    rows: &'a VectorRows,
    vocabulary: &'a LazyVocabulary,
}

/// A row by the names of its terms.
struct Row {
    terms: Vec<(String, f32)>,
    /// The tokens of its text, where it has one.
    own_terms: Option<HashSet<String>>,
}

impl Reader<'_> {
    fn read(&self, file: &Path, mut take: impl FnMut(&Row)) -> Result<(), StatisticsError> {
        let fields = Fields { text: self.rows.text_fields.clone(), ..Fields::default() };
        each_row(file, self.rows.format.container(), |line, bytes| {
            let at = |source| StatisticsError::Row { file: file.to_path_buf(), line, source };
            let terms = self.terms(bytes, &fields, at)?;
            // A row without a text is nothing wrong.
            let own_terms = match json::parse_row(bytes, &fields) {
                Ok(row) => Some(self.own_terms(&row.text, at)?),
                Err(_) => None,
            };
            let row = Row { terms, own_terms };
            if let Some(term) = self.unknown_term(&row)? {
                let (model, file) = (self.vocabulary.model().to_string(), file.to_path_buf());
                return Err(StatisticsError::OtherModel { file, line, term, model });
            }
            take(&row);
            Ok(())
        })
    }

    /// The terms of a row by their names.
    fn terms(
        &self,
        line: &[u8],
        fields: &Fields,
        at: impl Fn(RowError) -> StatisticsError,
    ) -> Result<Vec<(String, f32)>, StatisticsError> {
        let row = json::parse_vector(line, fields, &self.rows.vector_field, self.rows.keys).map_err(&at)?;
        match row.entries {
            Entries::Terms(terms) => {
                Ok(terms.into_iter().map(|(term, weight)| (term, weight.value)).collect())
            }
            Entries::Ids(ids) => {
                let tokenizer = self.tokenizer()?;
                let name = |(id, weight): (u32, json::Written)| match tokenizer.term(id) {
                    Some(term) => Ok((term.to_string(), weight.value)),
                    None => Err(at(RowError::new(format!("no term has the id {id}")))),
                };
                ids.into_iter().map(name).collect()
            }
        }
    }

    /// The tokens of all of a text.
    fn own_terms(
        &self,
        text: &str,
        at: impl Fn(RowError) -> StatisticsError,
    ) -> Result<HashSet<String>, StatisticsError> {
        let tokenizer = self.tokenizer()?;
        let refused = |error: Error| at(RowError::new(error.to_string()));
        let windows = tokenizer.encode_windows(text, 0).map_err(refused)?;
        let ids = windows.iter().flat_map(|window| &window.ids);
        Ok(ids.filter_map(|&id| tokenizer.term(id)).map(String::from).collect())
    }

    /// A term of a row with a text that the vocabulary lacks.
    fn unknown_term(&self, row: &Row) -> Result<Option<String>, StatisticsError> {
        if row.own_terms.is_none() {
            return Ok(None);
        }
        let tokenizer = self.tokenizer()?;
        let mut terms = row.terms.iter().map(|(term, _)| term);
        Ok(terms.find(|term| tokenizer.id(term).is_none()).cloned())
    }

    /// V, where the vectors' terms are all of the model's vocabulary.
    fn vocab_size(&self, counted: &Flops) -> Result<usize, String> {
        let model = self.vocabulary.model();
        let tokenizer = self.vocabulary.tokenizer().map_err(|error| with_causes(&*error))?;
        match counted.terms().find(|term| tokenizer.id(term).is_none()) {
            Some(term) => Err(format!("`{term}` is not in the vocabulary of `{model}`")),
            None => Ok(tokenizer.vocab_size()),
        }
    }

    fn tokenizer(&self) -> Result<&Tokenizer, StatisticsError> {
        self.vocabulary.tokenizer().map_err(StatisticsError::Vocabulary)
    }
}

/// An error and its causes, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
