//! Vectors in, vectors out: from one form to another.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::error::{JobError, WriteError};
use super::job::Job;
use super::line::InputLine;
use super::shape::Shape;
use super::tally::Tally;
use crate::format::{id_text, Content, Document, Format, Keys, Row, Terms};
use crate::input::json::{self, Entries, Keys as VectorKeys, VectorRow};
use crate::input::{matrix_columns, Fields, InputError, InputFormat, RowError};
use crate::known::DEFAULT_MODEL;
use crate::sparse::SparseVector;
use crate::tokenizer::Tokenizer;

/// A finding: rows have fields that the output has not.
pub const LEFT_OUT: &str = "rows whose other fields were left out";

/// A finding: the keys of an object are taken for terms, and look like ids.
pub const NUMBERS: &str = "rows whose terms are all numbers, as ids are";

/// Turns rows with vectors into rows of a format.
#[derive(Debug)]
pub struct ConvertVectors {
    input: VectorInput,
    vocabulary: LazyVocabulary,
    shape: Shape,
    format: Arc<dyn Format>,
}

/// How vectors are read.
#[derive(Clone, Debug)]
pub struct VectorInput {
    /// Which fields of a row are read.
    pub fields: Fields,
    /// The field of a row that holds its vector.
    pub field: String,
    /// What the keys of an object are.
    pub keys: VectorKeys,
    /// What weights are divided by.
    pub divisor: f32,
    /// V, where the input says it.
    pub num_columns: Option<usize>,
    /// Whether ids are the names of their terms, for want of a vocabulary.
    pub ids_are_names: bool,
}

impl Default for VectorInput {
    fn default() -> Self {
        VectorInput {
            fields: Fields::default(),
            field: "vector".into(),
            keys: VectorKeys::Terms,
            divisor: 1.0,
            num_columns: None,
            ids_are_names: false,
        }
    }
}

/// What weights of Anserini's vectors are divided by unless something else is said: the format's own default.
const ANSERINI_SCALE: f32 = 100.0;

impl VectorInput {
    /// The same for files of a format: integers are divided, and matrices say V, which all of them have to share.
    ///
    /// * `scale`: what Anserini's weights were multiplied by.
    ///
    /// # Errors
    ///
    /// Those of reading the head of a matrix, and one that names two matrices of different widths.
    pub fn of_format(
        self,
        format: InputFormat,
        scale: Option<f32>,
        files: &[PathBuf],
    ) -> Result<Self, InputError> {
        match format {
            InputFormat::Anserini => Ok(VectorInput { divisor: scale.unwrap_or(ANSERINI_SCALE), ..self }),
            InputFormat::CsrNpz => Ok(VectorInput { num_columns: matrix_columns(files)?, ..self }),
            _ => Ok(self),
        }
    }
}

type Load<T> = Box<dyn Fn() -> Result<T, JobError> + Send + Sync>;

/// The vocabulary of a model, loaded when a row first needs it.
pub struct LazyVocabulary {
    /// The model as messages name it.
    model: String,
    load: Load<Tokenizer>,
    size: Load<usize>,
    tokenizer: OnceLock<Tokenizer>,
}

impl fmt::Debug for LazyVocabulary {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        out.debug_struct("LazyVocabulary").field("model", &self.model).finish_non_exhaustive()
    }
}

impl LazyVocabulary {
    /// The vocabulary that `load` loads.
    ///
    /// * `model`: the model as messages name it.
    /// * `size`: V, which may be known without loading anything.
    pub fn new(
        model: impl Into<String>,
        load: impl Fn() -> Result<Tokenizer, JobError> + Send + Sync + 'static,
        size: impl Fn() -> Result<usize, JobError> + Send + Sync + 'static,
    ) -> Self {
        let (load, size) = (Box::new(load), Box::new(size));
        LazyVocabulary { model: model.into(), load, size, tokenizer: OnceLock::new() }
    }

    /// The model as messages name it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The vocabulary, loaded now unless it was before.
    ///
    /// # Errors
    ///
    /// What loading it fails with.
    pub fn tokenizer(&self) -> Result<&Tokenizer, JobError> {
        if self.tokenizer.get().is_none() {
            let loaded = (self.load)()?;
            // Somebody else may have been faster.
            let _ = self.tokenizer.set(loaded);
        }
        Ok(self.tokenizer.get().expect("just set, anything else is a bug"))
    }

    fn size(&self) -> Result<usize, JobError> {
        (self.size)()
    }
}

impl ConvertVectors {
    /// Reads vectors as `input` says, and writes what `shape` keeps of them in a format.
    pub fn new(
        input: VectorInput,
        vocabulary: LazyVocabulary,
        shape: Shape,
        format: Arc<dyn Format>,
    ) -> Self {
        ConvertVectors { input, vocabulary, shape, format }
    }
}

/// A row on its way.
#[derive(Debug)]
pub struct ConvertedRow {
    row: VectorRow,
    /// See [`NUMBERS`].
    has_numbers: bool,
    what: What,
}

/// What is written for a row.
#[derive(Debug)]
enum What {
    /// Its vector.
    Vector(SparseVector, Names),
    /// The windows of its document, in rows up to this one.
    Windows(Vec<SparseVector>, Names),
    /// Nothing: a later row is of the same document.
    Later,
}

/// What names the terms of a row.
#[derive(Debug)]
enum Names {
    /// The row itself.
    Listed(Vec<String>),
    /// The vocabulary.
    Vocabulary,
    /// Nothing: ids below this.
    Ids(usize),
}

impl ConvertVectors {
    /// The vector of a row, by what its format has to know of terms.
    fn vector(&self, entries: Entries) -> Result<Result<(SparseVector, Names), RowError>, JobError> {
        let weight = |written: json::Written| written.value / self.input.divisor;
        let (pairs, names): (Vec<(u32, f32)>, Names) = match (entries, self.format.keys()) {
            (Entries::Terms(terms), Keys::Names) => {
                let (names, weights): (Vec<String>, Vec<f32>) =
                    terms.into_iter().map(|(term, written)| (term, weight(written))).unzip();
                ((0..).zip(weights).collect(), Names::Listed(names))
            }
            (Entries::Terms(terms), Keys::Ids | Keys::IdsOfVocabulary | Keys::NamesOfVocabulary) => {
                let tokenizer = self.vocabulary.tokenizer()?;
                let mut pairs = Vec::new();
                for (term, written) in terms {
                    let Some(id) = tokenizer.id(&term) else { return Ok(Err(self.unknown(&term))) };
                    pairs.push((id, weight(written)));
                }
                (pairs, Names::Vocabulary)
            }
            (Entries::Ids(ids), known @ (Keys::Ids | Keys::IdsOfVocabulary)) => {
                // A store that takes ids alone needs no vocabulary, and a model that nobody named tells nothing of them.
                let is_named = self.vocabulary.model != DEFAULT_MODEL;
                let size = match self.input.num_columns {
                    Some(size) => size,
                    None if known == Keys::Ids && !is_named => 1 << 32,
                    None => self.vocabulary.size()?,
                };
                if let Some((id, _)) = ids.iter().find(|(id, _)| *id as usize >= size) {
                    return Ok(Err(self.unknown(id)));
                }
                (ids.into_iter().map(|(id, written)| (id, weight(written))).collect(), Names::Ids(size))
            }
            (Entries::Ids(ids), Keys::Names) if self.input.ids_are_names => {
                let named = ids.into_iter().map(|(id, written)| (id.to_string(), weight(written)));
                let (names, weights): (Vec<String>, Vec<f32>) = named.unzip();
                ((0..).zip(weights).collect(), Names::Listed(names))
            }
            (Entries::Ids(ids), Keys::Names | Keys::NamesOfVocabulary) => {
                let tokenizer = self.vocabulary.tokenizer()?;
                if let Some((id, _)) = ids.iter().find(|(id, _)| tokenizer.term(*id).is_none()) {
                    return Ok(Err(self.unknown(id)));
                }
                (ids.into_iter().map(|(id, written)| (id, weight(written))).collect(), Names::Vocabulary)
            }
        };
        // Entries were checked; what a division made of them was not.
        let Some(vector) = SparseVector::from_pairs(pairs) else {
            let divisor = self.input.divisor;
            let reason = format!("a weight divided by {divisor} is beyond the largest 32-bit number, 3.4e38");
            return Ok(Err(RowError::new(reason)));
        };
        Ok(Ok((self.shape.apply(vector), names)))
    }

    fn unknown(&self, term: impl Display) -> RowError {
        let model = &self.vocabulary.model;
        let reason = format!("`{term}` is not in the vocabulary of `{model}`");
        RowError { is_of_another_model: true, ..RowError::new(reason) }
    }
}

impl Job for ConvertVectors {
    type Row = VectorRow;
    type Value = ConvertedRow;
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<VectorRow, RowError> {
        json::parse_vector(line, &self.input.fields, &self.input.field, self.input.keys)
    }

    fn id<'r>(&self, row: &'r VectorRow) -> Option<Cow<'r, str>> {
        let id = id_text(row.id.as_deref()?);
        let id = row.window.map_or(id.clone(), |number| format!("{id}#{number}"));
        Some(Cow::Owned(self.format.stored_id(&id)))
    }

    fn joins_rows(&self) -> bool {
        self.format.nests_windows()
    }

    fn joins(&self, row: &VectorRow, next: &VectorRow) -> bool {
        row.window.is_some() && next.window.is_some() && row.id.is_some() && row.id == next.id
    }

    fn compute(&self, rows: Vec<VectorRow>) -> Result<Vec<Result<ConvertedRow, RowError>>, JobError> {
        let mut converted = Vec::new();
        let mut windows = Windows::default();
        let mut rows = rows.into_iter().peekable();
        while let Some(mut row) = rows.next() {
            let entries = std::mem::replace(&mut row.entries, Entries::Ids(Vec::new()));
            let has_numbers = entries.are_named_by_numbers();
            let is_last = !rows.peek().is_some_and(|next| self.joins(&row, next));
            converted.push(self.vector(entries)?.map(|(vector, names)| {
                let what = if self.joins_rows() && row.window.is_some() {
                    windows.push(vector, names);
                    What::Later
                } else {
                    What::Vector(vector, names)
                };
                ConvertedRow { row, has_numbers, what }
            }));
            if is_last && !windows.vectors.is_empty() {
                // Not always this row: it may be one that cannot be used.
                let last = converted.iter_mut().rev().find_map(|row| row.as_mut().ok());
                let last = last.expect("the row of a window, anything else is a bug");
                let Windows { vectors, names } = std::mem::take(&mut windows);
                last.what = What::Windows(vectors, names.unwrap_or(Names::Vocabulary));
            }
        }
        Ok(converted)
    }

    fn write(
        &self,
        line: &InputLine,
        converted: ConvertedRow,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let ConvertedRow { row, has_numbers, what } = converted;
        tally.findings.add(LEFT_OUT, row.has_more.into());
        tally.findings.add(NUMBERS, has_numbers.into());
        let (content, names) = match what {
            What::Vector(vector, names) => (Content::Whole(vector), names),
            What::Windows(vectors, names) => (Content::Windows(vectors), names),
            What::Later => return Ok(()),
        };
        let terms = match &names {
            Names::Listed(names) => Terms::Listed(names),
            Names::Vocabulary => Terms::Vocabulary(self.vocabulary.tokenizer()?),
            Names::Ids(size) => Terms::Ids(*size),
        };
        let (id, kept) = (line.id(row.id)?, row.kept.as_str());
        let document = Document { id: &id, kept, content };
        match (&document.content, row.window) {
            (Content::Whole(vector), window @ Some(_)) => {
                self.format.write_row(
                    &Row { id: &id, window, kept, vector },
                    terms,
                    out,
                    &mut tally.findings,
                )?;
            }
            _ => self.format.write(&document, terms, out, &mut tally.findings)?,
        }
        self.shape.count_normalized(document.content.vectors().len(), &mut tally.findings);
        tally.count_document(&document);
        Ok(())
    }
}

/// The windows of one document.
#[derive(Default)]
struct Windows {
    vectors: Vec<SparseVector>,
    names: Option<Names>,
}

impl Windows {
    /// Adds a window; rows that list their terms get a common list.
    fn push(&mut self, vector: SparseVector, names: Names) {
        match (&mut self.names, names) {
            (Some(Names::Listed(all)), Names::Listed(names)) => {
                let offset = all.len() as u32;
                all.extend(names);
                let shifted = vector.iter().map(|(index, weight)| (index + offset, weight)).collect();
                self.vectors
                    .push(SparseVector::from_pairs(shifted).expect("a vector, anything else is a bug"));
            }
            (_, names) => {
                self.names = Some(names);
                self.vectors.push(vector);
            }
        }
    }
}
