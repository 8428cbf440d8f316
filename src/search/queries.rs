//! Where queries come from, and their vectors.

use std::path::{Path, PathBuf};

use crate::encoder::{Side, SparseEncoder};
use crate::error::Error;
use crate::index::{IndexError, InvertedIndex};
use crate::input::json::{self, Entries, Keys, Written};
use crate::input::{each_row, Fields, InputError, InputFormat, LineParser, RowError};
use crate::run::{JobError, LazyVocabulary, Tally};
use crate::similarity::Similarity;
use crate::sparse::SparseVector;

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its id as JSON.
    pub id: String,
    /// Its text; `None` where its vector was given.
    pub text: Option<String>,
    /// Its vector over the terms of the index, prepared for the index's similarity.
    pub vector: SparseVector,
    /// Its terms, also those that the index lacks.
    pub num_terms: usize,
    /// Whether it came as a vector whose terms are all numbers, as ids are.
    pub has_numbers: bool,
}

impl Query {
    /// A text that is not encoded yet; see [`encode_queries`].
    pub fn of_text(id: String, text: String) -> Self {
        Query { id, text: Some(text), vector: SparseVector::default(), num_terms: 0, has_numbers: false }
    }

    /// Whether the index lacks more than half of its terms: another model or another language would explain that.
    pub fn is_mostly_unknown(&self) -> bool {
        self.vector.len() * 2 < self.num_terms
    }
}

/// How rows of queries are read.
#[derive(Clone, Debug)]
pub struct QueryRows {
    /// What a row is.
    pub format: InputFormat,
    /// The fields of id and text.
    pub fields: Fields,
    /// The field that holds a vector, where a row does not hold a text.
    pub vector_field: String,
    /// What the keys of a vector are that is an object.
    pub keys: Keys,
}

/// Why queries cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The file cannot be read.
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
    #[error("`{}` line {line}", file.display())]
    Vocabulary {
        /// The file.
        file: PathBuf,
        /// The line that the row begins in, from 1.
        line: u64,
        /// Why not.
        source: JobError,
    },
    /// The index fails.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Reads the queries of a file: texts that are to be encoded, and vectors.
///
/// * `vocabulary`: of the index's model, for vectors by the ids of their terms.
///
/// # Errors
///
/// A [`QueryError`] with file and line.
pub fn read_queries(
    file: &Path,
    rows: &QueryRows,
    index: &InvertedIndex,
    vocabulary: &LazyVocabulary,
) -> Result<Vec<Query>, QueryError> {
    let similarity = index.similarity()?;
    let parser = LineParser::new(rows.format, rows.fields.clone());
    let mut queries = Vec::new();
    each_row(file, rows.format.container(), |line, bytes| {
        let bad = |source| QueryError::Row { file: file.to_path_buf(), line, source };
        let is_vector = rows.format.has_vectors()
            && json::is_vector_row(bytes, &rows.fields, &rows.vector_field).map_err(bad)?;
        queries.push(if is_vector {
            let row = json::parse_vector(bytes, &rows.fields, &rows.vector_field, rows.keys).map_err(bad)?;
            let has_numbers = row.entries.are_named_by_numbers();
            let terms = match row.entries {
                Entries::Terms(terms) => terms,
                Entries::Ids(ids) => {
                    let failed = |source| QueryError::Vocabulary { file: file.to_path_buf(), line, source };
                    named(ids, vocabulary).map_err(failed)?.map_err(bad)?
                }
            };
            let vector = prepared(&terms, similarity);
            let terms = vector.iter().map(|(place, weight)| (terms[place as usize].0.as_str(), weight));
            let (id, num_terms) = (row.id.unwrap_or(line.to_string()), vector.len());
            Query { id, text: None, vector: index.vector(terms)?, num_terms, has_numbers }
        } else {
            let row = parser.parse(bytes).map_err(bad)?;
            Query::of_text(row.id.unwrap_or(line.to_string()), row.text)
        });
        Ok::<(), QueryError>(())
    })?;
    Ok(queries)
}

/// The weights of terms by their places, prepared with all of them: the index may lack some.
fn prepared(terms: &[(String, Written)], similarity: Similarity) -> SparseVector {
    let weights = (0..).zip(terms.iter().map(|(_, weight)| weight.value)).collect();
    let vector = SparseVector::from_pairs(weights).expect("checked entries, anything else is a bug");
    similarity.prepared(vector)
}

/// The terms that ids are of.
fn named(
    ids: Vec<(u32, Written)>,
    vocabulary: &LazyVocabulary,
) -> Result<Result<Vec<(String, Written)>, RowError>, JobError> {
    let tokenizer = vocabulary.tokenizer()?;
    let term = |(id, weight)| match tokenizer.term(id) {
        Some(term) => Ok((term.to_string(), weight)),
        None => Err(RowError::new(format!("no term has the id {id}"))),
    };
    Ok(ids.into_iter().map(term).collect())
}

/// Encodes the queries that are texts.
///
/// * `encoder`: its model compares vectors as the index was made to.
/// * `tally`: counts texts and tokens.
///
/// # Errors
///
/// Those of [`SparseEncoder::encode`], and of the index.
pub fn encode_queries(
    queries: &mut [Query],
    encoder: &SparseEncoder,
    side: Side,
    index: &InvertedIndex,
    tally: &mut Tally,
) -> Result<(), EncodeError> {
    let texts: Vec<String> = queries.iter().filter_map(|query| query.text.clone()).collect();
    let mut encoded = encoder.encode(&texts, side)?.into_iter();
    let similarity = encoder.similarity();
    for query in queries.iter_mut().filter(|query| query.text.is_some()) {
        let encoded = encoded.next().expect("a vector for each text, anything else is a bug");
        tally.rows_in += 1;
        tally.count_text(encoded.num_tokens, encoded.is_cut);
        let name = |id| encoder.tokenizer().term(id).unwrap_or_default();
        let vector = similarity.prepared(encoded.vector);
        query.num_terms = vector.len();
        query.vector = index.vector(vector.iter().map(|(id, weight)| (name(id), weight)))?;
    }
    Ok(())
}

/// Why queries cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The model fails.
    #[error(transparent)]
    Model(#[from] Error),
    /// The index fails.
    #[error(transparent)]
    Index(#[from] IndexError),
}
