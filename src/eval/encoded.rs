//! A collection and a model: the documents' vectors in a cache, an index of them for each setting, and what is found.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::cache::{self, About};
use super::evaluated::Evaluated;
use super::{evaluate, Collection, Evaluation, Flops, Measure, Qrels, Run, RunHit, VectorCollection};
use crate::encoder::{Side, SparseEncoder};
use crate::error::Error;
use crate::format::{self, Format};
use crate::index::{search_all, Codec, Hit, IndexError, IndexMetadata, InvertedIndex, FILE_NAME};
use crate::input::{Container, InputFormat, LineParser, Source};
use crate::run::{
    ConvertVectors, Earlier, EncodeTexts, Job, LazyVocabulary, Left, LongTexts, Observer, Outcome, RunError,
    RunOptions, RunSettings, Shape, Sink, Tally, UnrankedSimilarity, VectorInput,
};
use crate::similarity::Similarity;
use crate::source::{sha256, ModelFiles};
use crate::sparse::SparseVector;

/// Hits that are taken for a query before anything is judged.
const DEPTH: usize = 1000;

/// What is called the model of vectors that another program made.
const VECTORS: &str = "vectors of the folder";

/// So many queries are encoded or searched for between two looks at whether the observer cancels.
const QUERIES_AT_ONCE: usize = 256;

/// So many windows of vectors are read at once to make an index.
const NUM_WINDOWS: usize = 8;

/// What is made of the vectors of a collection.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What is kept of each document's vector.
    pub shape: Shape,
    /// How the index keeps weights.
    pub codec: Codec,
}

/// The model that a collection is encoded with.
#[derive(Debug)]
pub struct CollectionModel {
    /// The model as the user names it.
    pub name: String,
    /// Its files, whose hash is part of the cache's key.
    pub files: ModelFiles,
    /// Encodes queries and documents.
    pub encoder: SparseEncoder,
    /// Each option that decides a document's vector, by the name that messages give it.
    pub settings: BTreeMap<String, Value>,
    /// What becomes of documents of more tokens than the model's limit.
    pub long: LongTexts,
}

/// Why a collection cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// The model fails.
    #[error(transparent)]
    Model(#[from] Error),
    /// The model compares by a distance, which an index cannot rank by.
    #[error(transparent)]
    Unranked(#[from] UnrankedSimilarity),
    /// Documents cannot be encoded, or no index can be made of them.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The observer has cancelled a run, which left this behind.
    #[error("cancelled: {0}")]
    Cancelled(Left),
    /// The observer has cancelled it while queries were encoded or searched for.
    #[error("cancelled among the queries")]
    CancelledAtQueries,
    /// The index fails.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A file or folder fails.
    #[error("cannot {what} `{}`", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two documents of a collection have one id.
    #[error("two documents of `{data}` have one id")]
    TwoDocuments {
        /// The collection.
        data: String,
    },
}

impl EvaluationError {
    fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| EvaluationError::File { what, path, source }
    }
}

/// A vector by the names of its terms.
type NamedVector = Vec<(String, f32)>;

/// A collection whose documents and queries are encoded.
#[derive(Debug)]
pub struct EncodedCollection {
    /// What the collection is called.
    name: String,
    qrels: Qrels,
    model: String,
    long: LongTexts,
    /// V, which sparsity is a share of, where it is known.
    vocab_size: Option<usize>,
    similarity: Similarity,
    /// Threads that search.
    num_threads: usize,
    /// The judged queries by their ids, prepared for the similarity.
    queries: Vec<(String, NamedVector)>,
    query_tally: Tally,
    documents: Documents,
    /// Where what is made of it is kept.
    folder: PathBuf,
}

/// The documents' vectors.
#[derive(Debug)]
struct Documents {
    file: PathBuf,
    container: Container,
    input: VectorInput,
}

impl EncodedCollection {
    /// Encodes the judged queries, and the documents unless their vectors are in the cache. A run that was stopped goes
    /// on where it was.
    ///
    /// * `cache`: the folder for vectors and indexes.
    ///
    /// # Errors
    ///
    /// An [`EvaluationError`]; a model that compares by a distance is one, for an index ranks by sums of products.
    pub fn open(
        data: Collection,
        model: CollectionModel,
        cache: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Self, EvaluationError> {
        let encoder = &model.encoder;
        let similarity = encoder.similarity();
        Shape::default().for_dot_products(similarity, &model.name)?;
        let (name, long) = (model.name.clone(), model.long);
        let (vocab_size, num_threads) = (Some(encoder.tokenizer().vocab_size()), encoder.num_threads());
        let (queries, query_tally) = encode_queries(&data, encoder, observer)?;
        let folder = encode_documents(&data, model, cache, observer)?;
        let documents = Documents {
            file: cache::vectors_path(&folder),
            container: Container::Lines,
            input: VectorInput::default(),
        };
        let ids = data.queries.into_iter().map(|query| query.id);
        Ok(EncodedCollection {
            name: data.name,
            qrels: data.qrels,
            model: name,
            long,
            vocab_size,
            similarity,
            num_threads,
            queries: ids.zip(queries).collect(),
            query_tally,
            documents,
            folder,
        })
    }

    /// Takes vectors as they are; their terms are called by their numbers, and compared by dot product.
    ///
    /// * `num_threads`: that search.
    /// * `cache`: the folder for indexes.
    ///
    /// # Errors
    ///
    /// An [`EvaluationError`].
    pub fn of_vectors(
        data: VectorCollection,
        num_threads: usize,
        cache: &Path,
    ) -> Result<Self, EvaluationError> {
        let hash = hash_of(&data.document_files())?;
        let about = About::new(&data.name, VECTORS, hash, String::new(), BTreeMap::new());
        let folder = cache::folder_of(cache, &about).map_err(EvaluationError::file("write in", cache))?;
        let named =
            |vector: SparseVector| vector.iter().map(|(term, weight)| (term.to_string(), weight)).collect();
        let queries: Vec<(String, NamedVector)> =
            data.queries.into_iter().map(|(id, vector)| (id, named(vector))).collect();
        let query_tally = Tally { rows_in: queries.len() as u64, ..Tally::default() };
        let documents = Documents {
            file: data.documents,
            container: InputFormat::CsrNpz.container(),
            input: VectorInput { ids_are_names: true, ..VectorInput::default() },
        };
        Ok(EncodedCollection {
            name: data.name,
            qrels: data.qrels,
            model: VECTORS.into(),
            long: LongTexts::Truncate,
            vocab_size: None,
            similarity: Similarity::Dot,
            num_threads,
            queries,
            query_tally,
            documents,
            folder,
        })
    }

    /// How many judged queries were encoded, and how many of them were cut.
    pub fn query_tally(&self) -> &Tally {
        &self.query_tally
    }

    /// Searches for every judged query in an index that is kept or made, and judges what is found: 1,000 documents a
    /// query, without the document that has the query's own id, as BEIR does.
    ///
    /// * `observer`: may cancel the making of an index, and the search.
    ///
    /// # Errors
    ///
    /// An [`EvaluationError`].
    pub fn evaluate(
        &self,
        setting: &Setting,
        measures: &[Measure],
        observer: &mut dyn Observer,
    ) -> Result<(Evaluated, Evaluation, Run), EvaluationError> {
        let index = self.index(setting, observer)?;
        let vector =
            |terms: &NamedVector| index.vector(terms.iter().map(|(term, weight)| (term.as_str(), *weight)));
        let vectors = self.queries.iter().map(|(_, terms)| vector(terms));
        let vectors: Vec<SparseVector> = vectors.collect::<Result<_, _>>()?;
        let (rankings, queries_per_second) = self.search(&index, &vectors, observer)?;
        let mut run = Run::default();
        for ((query, _), mut hits) in self.queries.iter().zip(rankings) {
            hits.retain(|hit| hit.document != *query);
            if !run.insert(query, hits) {
                return Err(EvaluationError::TwoDocuments { data: self.name.clone() });
            }
        }
        let judged = evaluate(&self.qrels, &run, measures);
        let count = self.queries.len() as f64;
        let query_terms = self.queries.iter().map(|(_, terms)| terms.len()).sum::<usize>() as f64 / count;
        let info = index.info();
        let document_terms = info.postings as f64 / info.documents.max(1) as f64;
        let sparsity = |terms: f64| self.vocab_size.map(|size| 1.0 - terms / size as f64);
        let evaluated = Evaluated {
            data: self.name.clone(),
            model: self.model.clone(),
            means: judged.means(),
            flops: self.flops(&index)?,
            query_terms,
            document_terms,
            query_sparsity: sparsity(query_terms),
            document_sparsity: sparsity(document_terms),
            index_bytes: info.bytes as f64,
            query_postings: postings(&index, &vectors)? as f64 / count,
            queries_per_second,
            num_queries: judged.num_judged(),
            num_answered: judged.num_answered(),
            num_documents: index.num_documents(),
        };
        Ok((evaluated, judged, run))
    }

    /// Removes the index of a setting: many of them would fill a disk.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn forget(&self, setting: &Setting) -> Result<(), EvaluationError> {
        let folder = self.index_folder(setting)?;
        fs::remove_dir_all(&folder).map_err(EvaluationError::file("remove", &folder))
    }

    /// The folder of the index that a setting makes.
    fn index_folder(&self, setting: &Setting) -> Result<PathBuf, EvaluationError> {
        let described = format!("{:?} {}", self.shape(setting)?, setting.codec.name());
        let hash = sha256(described.as_bytes()).map_err(EvaluationError::file("write in", &self.folder))?;
        Ok(self.folder.join(format!("index-{}", &hash[..16])))
    }

    /// What the index keeps of each vector.
    fn shape(&self, setting: &Setting) -> Result<Shape, UnrankedSimilarity> {
        setting.shape.for_dot_products(self.similarity, &self.model)
    }

    /// Has an index of the vectors, as the setting makes them; one that another version has made is made anew.
    fn index(
        &self,
        setting: &Setting,
        observer: &mut dyn Observer,
    ) -> Result<InvertedIndex, EvaluationError> {
        match self.kept_index(setting, observer)? {
            Err(IndexError::Foreign { .. } | IndexError::Damaged { .. }) => {
                self.forget(setting)?;
                Ok(self.kept_index(setting, observer)??)
            }
            opened => Ok(opened?),
        }
    }

    /// Opens the index of a setting, which is made where it is not there.
    fn kept_index(
        &self,
        setting: &Setting,
        observer: &mut dyn Observer,
    ) -> Result<Result<InvertedIndex, IndexError>, EvaluationError> {
        let folder = self.index_folder(setting)?;
        fs::create_dir_all(&folder).map_err(EvaluationError::file("make", &folder))?;
        let output = folder.join(FILE_NAME);
        let made = IndexMetadata { similarity: Some(self.similarity.name().into()), ..Default::default() };
        let format: Arc<dyn Format> = format::index(setting.codec, made.to_json()).into();
        let Documents { file, container, input } = &self.documents;
        let sources = Source::whole(std::slice::from_ref(file), *container).map_err(RunError::from)?;
        // Rows of the cache and terms of an index are both by name.
        let none = || "the vectors of the cache are by the names of their terms".into();
        let vocabulary = LazyVocabulary::new(&self.model, move || Err(none()), move || Err(none()));
        let job = ConvertVectors::new(input.clone(), vocabulary, self.shape(setting)?, Arc::clone(&format));
        let options = [("the index".to_string(), Value::from(format!("{:?}", setting)))].into();
        let settings = RunSettings { options, num_threads: NUM_WINDOWS, ..RunSettings::default() };
        let sink = Sink::File { path: output.clone(), assembly: format.assembly().map(Arc::from) };
        complete(sources, sink, job, settings, &mut Silent(observer))?;
        Ok(InvertedIndex::open(&output))
    }

    /// The best documents of each query, and how many queries were answered a second.
    fn search(
        &self,
        index: &InvertedIndex,
        vectors: &[SparseVector],
        observer: &dyn Observer,
    ) -> Result<(Vec<Vec<RunHit>>, f64), EvaluationError> {
        let vectors: Vec<&SparseVector> = vectors.iter().collect();
        let mut depth = DEPTH;
        loop {
            let started = Instant::now();
            let mut answers = Vec::with_capacity(vectors.len());
            for vectors in vectors.chunks(QUERIES_AT_ONCE) {
                if observer.is_cancelled() {
                    return Err(EvaluationError::CancelledAtQueries);
                }
                answers.extend(search_all(index, vectors, depth, self.num_threads)?);
            }
            let queries_per_second = vectors.len() as f64 / started.elapsed().as_secs_f64();
            let rankings = answers.iter().map(|hits| self.documents(index, hits));
            let rankings: Vec<Vec<RunHit>> = rankings.collect::<Result<_, IndexError>>()?;
            // Where hits are windows, so many may be of fewer documents.
            let is_short =
                |(found, hits): (&Vec<RunHit>, &Vec<Hit>)| found.len() < DEPTH && hits.len() == depth;
            if !rankings.iter().zip(&answers).any(is_short) {
                return Ok((rankings, queries_per_second));
            }
            depth *= 2;
        }
    }

    /// The first [`DEPTH`] documents of hits that come by descending score; one of windows has its best one's.
    fn documents(&self, index: &InvertedIndex, hits: &[Hit]) -> Result<Vec<RunHit>, IndexError> {
        let mut seen = HashSet::new();
        let mut documents = Vec::new();
        for hit in hits {
            let mut document = index.id(hit.document)?.to_string();
            if let LongTexts::ChunkRows(_) = self.long {
                document.truncate(document.rfind('#').unwrap_or(document.len()));
                if !seen.insert(document.clone()) {
                    continue;
                }
            }
            documents.push(RunHit { document, score: hit.score });
        }
        documents.truncate(DEPTH);
        Ok(documents)
    }

    fn flops(&self, index: &InvertedIndex) -> Result<f64, IndexError> {
        let mut flops = Flops::default();
        for (_, query) in &self.queries {
            flops.add_query(query.iter().map(|(term, _)| term.as_str()));
        }
        flops.set_documents(index.num_documents().into());
        for term in 0..index.num_terms() {
            flops.add_document_frequency(index.term(term)?, index.document_frequency(term)?.into());
        }
        Ok(flops.value())
    }
}

/// The vectors of the judged queries.
fn encode_queries(
    data: &Collection,
    encoder: &SparseEncoder,
    observer: &dyn Observer,
) -> Result<(Vec<NamedVector>, Tally), EvaluationError> {
    let texts: Vec<&str> = data.queries.iter().map(|query| query.text.as_str()).collect();
    let similarity = encoder.similarity();
    let name = |id| encoder.tokenizer().term(id).unwrap_or_default().to_string();
    let mut tally = Tally::default();
    let mut queries = Vec::with_capacity(texts.len());
    for texts in texts.chunks(QUERIES_AT_ONCE) {
        if observer.is_cancelled() {
            return Err(EvaluationError::CancelledAtQueries);
        }
        for encoded in encoder.encode(texts, Side::Query)? {
            tally.rows_in += 1;
            tally.count_text(encoded.num_tokens, encoded.is_cut);
            let vector = similarity.prepared(encoded.vector);
            queries.push(vector.iter().map(|(id, weight)| (name(id), weight)).collect());
        }
    }
    Ok((queries, tally))
}

/// Has the vectors of the documents in a folder of the cache, whose name tells model, options and collection apart.
fn encode_documents(
    data: &Collection,
    model: CollectionModel,
    cache: &Path,
    observer: &mut dyn Observer,
) -> Result<PathBuf, EvaluationError> {
    let CollectionModel { name, files, encoder, mut settings, long } = model;
    let corpus = &data.corpus;
    settings.insert("long documents".into(), long.to_string().into());
    // All of it: vectors of an earlier text would give wrong figures in silence.
    let hash = hash_of(&corpus.files)?;
    let about = About::new(&data.name, &name, hash, files.sha256()?.to_string(), settings.clone());
    let folder = cache::folder_of(cache, &about).map_err(EvaluationError::file("write in", cache))?;
    let sources = Source::whole(&corpus.files, corpus.format.container()).map_err(RunError::from)?;
    let sink = Sink::File { path: cache::vectors_path(&folder), assembly: None };
    let (num_threads, max_length) = (encoder.num_threads(), Some(encoder.max_length(Side::Document)?));
    let parser = LineParser::new(corpus.format, corpus.fields.clone());
    let parse = move |line: &[u8]| parser.parse(line);
    let format = format::named("jsonl", &format::Options::default());
    let format = format.expect("a format of every build, anything else is a bug");
    let job = EncodeTexts::new(encoder, Side::Document, parse, format.into()).long_texts(long);
    let settings = RunSettings { options: settings, model: Some((name, files)), num_threads, max_length };
    complete(sources, sink, job, settings, observer)?;
    Ok(folder)
}

/// The SHA-256 of a file, or of those of several.
fn hash_of(files: &[PathBuf]) -> Result<String, EvaluationError> {
    let mut hashes = String::new();
    for file in files {
        let hash = File::open(file).and_then(sha256);
        hashes += &hash.map_err(EvaluationError::file("read", file))?;
    }
    match files {
        [_] => Ok(hashes),
        _ => Ok(sha256(hashes.as_bytes()).expect("memory can be read, anything else is a bug")),
    }
}

/// Completes a run, going on with what an earlier one has left.
fn complete<J: Job>(
    sources: Vec<Arc<Source>>,
    sink: Sink,
    job: J,
    settings: RunSettings,
    observer: &mut dyn Observer,
) -> Result<(), EvaluationError> {
    let options = RunOptions { earlier: Earlier::Resume, ..RunOptions::default() };
    let Some(run) = crate::run::Run::prepare(sources, sink, options)? else { return Ok(()) };
    match run.run(job, settings, observer)? {
        Outcome::Complete(_) => Ok(()),
        Outcome::Cancelled(left) => Err(EvaluationError::Cancelled(left)),
    }
}

/// Is told nothing, but may cancel.
struct Silent<'a>(&'a dyn Observer);

impl Observer for Silent<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Postings of all terms of all queries.
fn postings(index: &InvertedIndex, vectors: &[SparseVector]) -> Result<u64, IndexError> {
    let mut postings = 0;
    for vector in vectors {
        for &term in vector.indices() {
            postings += u64::from(index.document_frequency(term)?);
        }
    }
    Ok(postings)
}
