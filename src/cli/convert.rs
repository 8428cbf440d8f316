//! `convert`: vectors from one form to another.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use clap::{Args, ValueEnum};
use neural_sparse::format::{Content, Document, Format, Keys, Row, Terms};
use neural_sparse::input::{MatrixRows, RowFile};
use neural_sparse::jsonl::{self, Entries, Fields, RowError, VectorRow};
use neural_sparse::{ScreenCount, SparseVector, Tokenizer};
use serde_json::Value;

use super::bulk::{Container, InputArgs, InputLine, Job, Surroundings, Tally};
use super::encode::Shape;
use super::failure::{Exit, UsageError};
use super::fields::KeepArgs;
use super::formats::{FormatArgs, Target};
use super::vocabulary::VocabularyArgs;

/// Turn vectors from one form into another, without encoding anything
///
/// Reads what `encode` wrote, and vectors of other programs: rows of JSON with an object of terms and weights, or with
/// lists of ids and weights; matrices of scipy; Anserini's integers. The output is what `encode --format` would have
/// written, as far as the input says it: where --model names a model that compares by cosine, every format but jsonl
/// gets normalised vectors.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ConvertArgs {
    /// Vectors are named with --input
    #[arg(value_name = "FILE", hide = true, conflicts_with = "files")]
    texts: Vec<String>,
    #[command(flatten)]
    vocabulary: VocabularyArgs,
    #[command(flatten)]
    input: InputArgs,
    /// What the input is
    #[arg(long, value_name = "FORMAT", help_heading = "Input", default_value = "jsonl")]
    input_format: InputFormat,
    /// Field of a row of the input that holds its vector, `a.b` for a field of an object
    #[arg(long, value_name = "NAME", help_heading = "Input", default_value = "vector")]
    input_vector_field: String,
    /// What weights of an anserini input were multiplied by [default: 100]
    #[arg(long, value_name = "SCALE", help_heading = "Input", value_parser = super::formats::parse_scale)]
    input_quantize: Option<f32>,
    /// Field of a row that holds its id [default: _id, else id, else the row's line number]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    id_field: Option<String>,
    #[command(flatten)]
    keep: KeepArgs,
    /// File to write, compressed where its name ends in .gz or .zst; it appears under its name when it is complete
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    shape: Shape,
}

/// What the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// Objects of JSON, one a line
    Jsonl,
    /// Matrices of scipy.sparse.save_npz; ids in FILE.ids, else the rows' numbers
    CsrNpz,
    /// Anserini's JsonVectorCollection, whose integers are divided by --input-quantize
    Anserini,
    /// Parquet files with columns `id`, `indices` and `values`; in builds with the feature `parquet`
    Parquet,
}

/// What `encode --format anserini` multiplies by.
const ANSERINI_SCALE: f32 = 100.0;

pub(super) fn run(args: &ConvertArgs) -> anyhow::Result<Exit> {
    if args.input.files.is_empty() {
        let hint = "neural-sparse convert --input FILE --format NAME; `-` is standard input";
        return Err(UsageError::with_hint("convert needs a file of vectors", hint).into());
    }
    let quiet = args.vocabulary.hub.quiet;
    let Target { format, assembly } = args.format.target(args.keep.keep(), false, args.output.as_deref())?;
    let reserved = args.format.reserved(true)?;
    args.keep.refuse(&reserved)?;
    let container = match args.input_format {
        InputFormat::CsrNpz => Container::Rows(RowFile::Matrix),
        InputFormat::Parquet => Container::Rows(RowFile::Parquet),
        InputFormat::Jsonl | InputFormat::Anserini => Container::Lines,
    };
    let run = args.input.prepare(container, args.output.as_deref(), assembly, quiet)?;
    let Some(run) = run else { return Ok(Exit::Done) };
    let num_columns = match args.input_format {
        InputFormat::CsrNpz => Some(num_columns(&args.input.files)?),
        InputFormat::Jsonl | InputFormat::Anserini | InputFormat::Parquet => None,
    };
    let divisor = match args.input_format {
        InputFormat::Anserini => args.input_quantize.unwrap_or(ANSERINI_SCALE),
        InputFormat::Jsonl | InputFormat::CsrNpz | InputFormat::Parquet => 1.0,
    };
    let fields = Fields { id: args.id_field.clone(), keep: args.keep.keep(), reserved, ..Fields::default() };
    let vectors = Vectors { fields, field: args.input_vector_field.clone(), divisor, num_columns };
    let shape = match format.keeps_raw_weights() {
        true => args.shape.clone(),
        false => args.shape.for_dot_products(args.vocabulary.similarity()?, &args.vocabulary.model)?,
    };
    let settings = args.settings(&shape);
    let job = Convert::new(vectors, args.vocabulary.clone(), shape, format);
    run.run(job, Surroundings { model: None, settings, num_threads: NUM_WINDOWS, max_length: None, quiet })
}

/// Rows are worth reading as for so many threads that encode.
pub(super) const NUM_WINDOWS: usize = 8;

impl ConvertArgs {
    /// The options and their values, which decide what is written.
    fn settings(&self, shape: &Shape) -> BTreeMap<String, Value> {
        let own: [(&str, Value); 6] = [
            ("the command", "convert".into()),
            ("--model", self.vocabulary.model.clone().into()),
            ("--input-format", format!("{:?}", self.input_format).to_lowercase().into()),
            ("--input-vector-field", self.input_vector_field.clone().into()),
            ("--input-quantize", self.input_quantize.into()),
            ("--id-field", self.id_field.clone().into()),
        ];
        let own = own.map(|(name, value)| (name.to_string(), value));
        let others = self.keep.settings().into_iter().chain(self.format.settings()).chain(shape.settings());
        own.into_iter().chain(others).collect()
    }
}

/// V of matrices that are to be one.
fn num_columns(paths: &[PathBuf]) -> anyhow::Result<usize> {
    let columns = |path: &PathBuf| {
        let opened = MatrixRows::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok::<_, anyhow::Error>(opened.num_columns())
    };
    let first = columns(&paths[0])?;
    for path in &paths[1..] {
        let found = columns(path)?;
        let (path, other) = (path.display(), paths[0].display());
        anyhow::ensure!(found == first, "`{path}` has {found} columns and `{other}` {first}");
    }
    Ok(first)
}

/// Turns rows with vectors into rows of a format.
pub(super) struct Convert {
    vectors: Vectors,
    vocabulary: VocabularyArgs,
    /// The vocabulary, once it was needed.
    tokenizer: OnceLock<Tokenizer>,
    shape: Shape,
    format: Arc<dyn Format>,
}

/// How vectors are read.
pub(super) struct Vectors {
    pub fields: Fields,
    /// The field of a row that holds its vector.
    pub field: String,
    /// What weights are divided by.
    pub divisor: f32,
    /// V, where the input says it.
    pub num_columns: Option<usize>,
}

/// A row on its way.
pub(super) struct Converted {
    row: VectorRow,
    what: What,
}

/// What is written for a row.
pub(super) enum What {
    /// Its vector.
    Vector(SparseVector, Names),
    /// The windows of its document, in rows up to this one.
    Windows(Vec<SparseVector>, Names),
    /// Nothing: a later row is of the same document.
    Later,
}

/// What names the terms of a row.
pub(super) enum Names {
    /// The row itself.
    Listed(Vec<String>),
    /// The vocabulary.
    Vocabulary,
    /// Nothing: ids below this.
    Ids(usize),
}

impl Convert {
    pub fn new(vectors: Vectors, vocabulary: VocabularyArgs, shape: Shape, format: Arc<dyn Format>) -> Self {
        Convert { vectors, vocabulary, tokenizer: OnceLock::new(), shape, format }
    }

    fn tokenizer(&self) -> anyhow::Result<&Tokenizer> {
        if self.tokenizer.get().is_none() {
            let loaded =
                self.vocabulary.load().context("cannot tell ids and terms apart without a vocabulary")?;
            // Somebody else may have been faster.
            let _ = self.tokenizer.set(loaded);
        }
        Ok(self.tokenizer.get().expect("just set, anything else is a bug"))
    }

    /// The vector of a row, by what its format has to know of terms.
    fn vector(&self, entries: Entries) -> anyhow::Result<Result<(SparseVector, Names), RowError>> {
        let weight = |written: jsonl::Written| written.value / self.vectors.divisor;
        let (pairs, names): (Vec<(u32, f32)>, Names) = match (entries, self.format.keys()) {
            (Entries::Terms(terms), Keys::Names) => {
                let (names, weights): (Vec<String>, Vec<f32>) =
                    terms.into_iter().map(|(term, written)| (term, weight(written))).unzip();
                ((0..).zip(weights).collect(), Names::Listed(names))
            }
            (Entries::Terms(terms), Keys::Ids | Keys::NamesOfVocabulary) => {
                let tokenizer = self.tokenizer()?;
                let mut pairs = Vec::new();
                for (term, written) in terms {
                    let Some(id) = tokenizer.id(&term) else { return Ok(Err(self.unknown(&term))) };
                    pairs.push((id, weight(written)));
                }
                (pairs, Names::Vocabulary)
            }
            (Entries::Ids(ids), Keys::Ids) => {
                let size = match self.vectors.num_columns {
                    Some(size) => size,
                    None => self.vocabulary.size()?,
                };
                if let Some((id, _)) = ids.iter().find(|(id, _)| *id as usize >= size) {
                    return Ok(Err(self.unknown(id)));
                }
                (ids.into_iter().map(|(id, written)| (id, weight(written))).collect(), Names::Ids(size))
            }
            (Entries::Ids(ids), Keys::Names | Keys::NamesOfVocabulary) => {
                let tokenizer = self.tokenizer()?;
                if let Some((id, _)) = ids.iter().find(|(id, _)| tokenizer.term(*id).is_none()) {
                    return Ok(Err(self.unknown(id)));
                }
                (ids.into_iter().map(|(id, written)| (id, weight(written))).collect(), Names::Vocabulary)
            }
        };
        let vector = SparseVector::from_pairs(pairs).expect("checked entries, anything else is a bug");
        Ok(Ok((self.shape.apply(vector), names)))
    }

    fn unknown(&self, term: impl Display) -> RowError {
        let model = &self.vocabulary.model;
        let reason =
            format!("`{term}` is not in the vocabulary of `{model}`: name the vectors' model with --model");
        RowError::new(reason)
    }
}

impl Job for Convert {
    type Row = VectorRow;
    type Value = Converted;
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<VectorRow, RowError> {
        jsonl::parse_vector(line, &self.vectors.fields, &self.vectors.field)
    }

    fn id<'r>(&self, row: &'r VectorRow) -> Option<Cow<'r, str>> {
        let id = row.id.as_deref()?;
        Some(match row.window {
            Some(number) => Cow::Owned(format!("{id}#{number}")),
            None => Cow::Borrowed(id),
        })
    }

    fn joins_rows(&self) -> bool {
        self.format.nests_windows()
    }

    fn joins(&self, row: &VectorRow, next: &VectorRow) -> bool {
        row.window.is_some() && next.window.is_some() && row.id.is_some() && row.id == next.id
    }

    fn compute(&self, rows: Vec<VectorRow>) -> anyhow::Result<Vec<Result<Converted, RowError>>> {
        let mut converted = Vec::new();
        let mut windows = Windows::default();
        let mut rows = rows.into_iter().peekable();
        while let Some(mut row) = rows.next() {
            let entries = std::mem::replace(&mut row.entries, Entries::Ids(Vec::new()));
            let is_last = !rows.peek().is_some_and(|next| self.joins(&row, next));
            converted.push(self.vector(entries)?.map(|(vector, names)| {
                let what = if self.joins_rows() && row.window.is_some() {
                    windows.push(vector, names);
                    What::Later
                } else {
                    What::Vector(vector, names)
                };
                Converted { row, what }
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

    fn screen_count(&self) -> ScreenCount {
        ScreenCount::default()
    }

    fn write(
        &self,
        line: &InputLine,
        converted: Converted,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let Converted { row, what } = converted;
        let left_out = "rows whose other fields were left out; --keep and --keep-all keep them";
        tally.findings.add(left_out, row.has_more.into());
        let (content, names) = match what {
            What::Vector(vector, names) => (Content::Whole(vector), names),
            What::Windows(vectors, names) => (Content::Windows(vectors), names),
            What::Later => return Ok(()),
        };
        let terms = match &names {
            Names::Listed(names) => Terms::Listed(names),
            Names::Vocabulary => Terms::Vocabulary(self.tokenizer()?),
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
