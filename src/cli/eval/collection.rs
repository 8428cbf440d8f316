//! A judged collection: its vectors, kept in a cache, its index, and what is found in it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use neural_sparse::eval::cache::{self, About};
use neural_sparse::eval::{self, evaluate, CollectionError, Evaluation, Flops, Measure, Run, RunHit};
use neural_sparse::format::{self, Format};
use neural_sparse::index::{search_all, Codec, Hit, IndexError, InvertedIndex, JsonObject};
use neural_sparse::input::json::Keys;
use neural_sparse::input::{Fields, InputFormat, LineParser};
use neural_sparse::run::{ConvertVectors, EncodeTexts, LongTexts, Shape, VectorInput};
use neural_sparse::{sha256, EncoderOptions, Side, Similarity, SparseEncoder, SparseVector};

use serde_json::{json, Value};

use super::report::Evaluated;
use crate::cli::args::available_threads;
use crate::cli::bulk::{say_truncated, Container, InputArgs, Surroundings, Tally, NUM_WINDOWS};
use crate::cli::failure::{complain, Exit, Failure, Interrupted};
use crate::cli::shape::settings as settings_of;
use crate::cli::vocabulary::VocabularyArgs;
use crate::cli::ModelArgs;

/// Hits that are taken for a query before anything is judged.
const DEPTH: usize = 1000;

const INDEX: &str = "index.nsi";

/// What is made of the vectors of a collection.
#[derive(Clone)]
pub(super) struct Setting {
    pub shape: Shape,
    pub codec: Codec,
}

/// A collection and a model.
pub(super) struct Collection<'a> {
    data: eval::Collection,
    model: &'a ModelArgs,
    long: LongTexts,
    /// V, which sparsity is a share of.
    vocab_size: usize,
    /// How the model compares vectors.
    similarity: Similarity,
    /// The judged queries' vectors by the names of their terms, prepared for the similarity.
    queries: Vec<Vec<(String, f32)>>,
    /// Where what is made of it is kept.
    cache: PathBuf,
}

impl<'a> Collection<'a> {
    /// Reads judgements and queries, and encodes queries, and documents unless their vectors are kept.
    pub fn open(
        folder: &Path,
        split: Option<&str>,
        model: &'a ModelArgs,
        long: LongTexts,
        cache: &Path,
    ) -> anyhow::Result<Self> {
        let data = eval::Collection::open(folder, split).map_err(with_hint)?;
        if let (false, [first, ..]) = (model.hub.quiet, &data.missing[..]) {
            let (count, name) = (data.missing.len(), &data.name);
            complain(format_args!(
                "note: {name}: {count} of the judged queries have no text, and count as queries without hits; the first is \
                 `{first}`"
            ));
        }
        let texts: Vec<&str> = data.queries.iter().map(|query| query.text.as_str()).collect();
        let (queries, similarity, vocab_size) = encode_queries(&texts, model)?;
        let cache = encode_documents(&data, model, long, cache)?;
        Ok(Collection { data, model, long, vocab_size, similarity, queries, cache })
    }

    /// The folder of the index that a setting makes.
    fn index_folder(&self, setting: &Setting) -> anyhow::Result<PathBuf> {
        let settings: BTreeMap<String, Value> = settings_of(&self.shape(setting)?).into_iter().collect();
        let described = format!("{settings:?} {}", setting.codec.name());
        Ok(self.cache.join(format!("index-{}", &sha256(described.as_bytes())?[..16])))
    }

    /// What the index keeps of each vector.
    fn shape(&self, setting: &Setting) -> anyhow::Result<Shape> {
        Ok(setting.shape.for_dot_products(self.similarity, &self.model.model)?)
    }

    /// Removes the index of a setting: many of them would fill a disk.
    pub fn forget(&self, setting: &Setting) -> anyhow::Result<()> {
        let folder = self.index_folder(setting)?;
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove `{}`", folder.display()))
    }

    /// Has an index of the vectors, as the setting makes them; one that another version has made is made anew.
    fn index(&self, setting: &Setting) -> anyhow::Result<InvertedIndex> {
        match self.kept_index(setting)? {
            Err(IndexError::Foreign { .. } | IndexError::Damaged { .. }) => {
                self.forget(setting)?;
                Ok(self.kept_index(setting)??)
            }
            opened => Ok(opened?),
        }
    }

    /// Opens the index of a setting, which is made where it is not there.
    fn kept_index(&self, setting: &Setting) -> anyhow::Result<Result<InvertedIndex, IndexError>> {
        let folder = self.index_folder(setting)?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let output = folder.join(INDEX);
        let vectors = cache::vectors_path(&self.cache);
        let metadata = json!({"similarity": self.similarity.name()}).to_string();
        let metadata = JsonObject::from_json(&metadata).expect("an object, anything else is a bug");
        let format: Arc<dyn Format> = format::index(setting.codec, metadata).into();
        let input = InputArgs::resuming(&vectors);
        let assembly = format.assembly().map(Arc::from);
        if let Some(run) = input.prepare(Container::Lines, Some(&output), assembly, true)? {
            let reads = VectorInput {
                fields: Fields::default(),
                field: "vector".into(),
                keys: Keys::Terms,
                divisor: 1.0,
                num_columns: None,
            };
            let vocabulary = VocabularyArgs { model: self.model.model.clone(), hub: self.model.hub.clone() };
            let shape = self.shape(setting)?;
            let settings = settings_of(&shape).into_iter().collect();
            let job = ConvertVectors::new(reads, vocabulary.lazy(), shape, format);
            completed(run.run(
                job,
                Surroundings {
                    model: None,
                    settings,
                    num_threads: NUM_WINDOWS,
                    max_length: None,
                    quiet: true,
                },
            )?)?;
        }
        Ok(InvertedIndex::open(&output))
    }

    /// Searches for every judged query and judges what is found.
    pub fn evaluate(
        &self,
        setting: &Setting,
        measures: &[Measure],
    ) -> anyhow::Result<(Evaluated, Evaluation, Run)> {
        let index = self.index(setting)?;
        let vector = |terms: &Vec<(String, f32)>| {
            index.vector(terms.iter().map(|(term, weight)| (term.as_str(), *weight)))
        };
        let vectors: Vec<SparseVector> = self.queries.iter().map(vector).collect::<Result<_, _>>()?;
        let (rankings, queries_per_second) = self.search(&index, &vectors)?;
        let mut run = Run::default();
        for (query, mut hits) in self.data.queries.iter().zip(rankings) {
            hits.retain(|hit| hit.document != query.id);
            let is_first = run.insert(&query.id, hits);
            anyhow::ensure!(is_first, "two documents of `{}` have one id", self.data.name);
        }
        let judged = evaluate(&self.data.qrels, &run, measures);
        let count = self.queries.len() as f64;
        let query_terms: usize = self.queries.iter().map(Vec::len).sum();
        let info = index.info();
        let document_terms = info.postings as f64 / info.documents.max(1) as f64;
        let sparsity = |terms: f64| 1.0 - terms / self.vocab_size as f64;
        let evaluated = Evaluated {
            data: self.data.name.clone(),
            model: self.model.model.clone(),
            means: judged.means(),
            flops: self.flops(&index)?,
            query_terms: query_terms as f64 / count,
            document_terms,
            query_sparsity: sparsity(query_terms as f64 / count),
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

    /// The best documents of each query, and how many queries were answered a second.
    fn search(
        &self,
        index: &InvertedIndex,
        vectors: &[SparseVector],
    ) -> anyhow::Result<(Vec<Vec<RunHit>>, f64)> {
        let num_threads = self.model.num_threads().unwrap_or_else(available_threads);
        let vectors: Vec<&SparseVector> = vectors.iter().collect();
        let mut depth = DEPTH;
        loop {
            let started = Instant::now();
            let answers = search_all(index, &vectors, depth, num_threads)?;
            let queries_per_second = vectors.len() as f64 / started.elapsed().as_secs_f64();
            let rankings = answers.iter().map(|hits| self.documents(index, hits));
            let rankings: Vec<Vec<RunHit>> = rankings.collect::<anyhow::Result<_>>()?;
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
    fn documents(&self, index: &InvertedIndex, hits: &[Hit]) -> anyhow::Result<Vec<RunHit>> {
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

    fn flops(&self, index: &InvertedIndex) -> anyhow::Result<f64> {
        let mut flops = Flops::default();
        for query in &self.queries {
            flops.add_query(query.iter().map(|(term, _)| term.as_str()));
        }
        flops.set_documents(index.num_documents().into());
        for term in 0..index.num_terms() {
            flops.add_document_frequency(index.term(term)?, index.document_frequency(term)?.into());
        }
        Ok(flops.value())
    }
}

/// What is missing in a folder, and what would do.
fn with_hint(error: CollectionError) -> anyhow::Error {
    let CollectionError::Missing { .. } = error else { return error.into() };
    let hint = "a collection in BEIR's layout has corpus.jsonl, queries.jsonl and qrels/test.tsv";
    Failure { message: error.to_string(), hint: hint.into() }.into()
}

/// Has the vectors of the documents in a folder of the cache, whose name tells model, options and collection apart.
fn encode_documents(
    data: &eval::Collection,
    model: &ModelArgs,
    long: LongTexts,
    cache: &Path,
) -> anyhow::Result<PathBuf> {
    let corpus = &data.corpus;
    let model_files = model.files()?;
    let options = EncoderOptions { only: None, ..model.options()? };
    let encoder = model.open(&model_files, &options)?;
    let mut settings = model.settings(&encoder, Side::Document)?;
    settings.insert("--on-long".into(), long.to_string().into());
    // All of it: vectors of an earlier text would give wrong figures in silence.
    let mut hashes = String::new();
    for file in &corpus.files {
        let read = || sha256(File::open(file)?);
        hashes += &read().with_context(|| format!("cannot read `{}`", file.display()))?;
    }
    let hash = if let [_] = corpus.files[..] { hashes } else { sha256(hashes.as_bytes())? };
    let about =
        About::new(&data.name, &model.model, hash, model_files.sha256()?.to_string(), settings.clone());
    let cache =
        cache::folder_of(cache, &about).with_context(|| format!("cannot write in `{}`", cache.display()))?;
    let vectors = cache::vectors_path(&cache);
    let mut input = InputArgs::resuming(&corpus.files[0]);
    input.files.clone_from(&corpus.files);
    let Some(run) = input.prepare(corpus.container, Some(&vectors), None, true)? else { return Ok(cache) };
    let format = format::named("jsonl", &format::Options::default())?;
    settings.insert("the command".into(), "eval".into());
    let around = model.surroundings(&model_files, &encoder, Side::Document, settings)?;
    let parser = LineParser::new(InputFormat::Jsonl, corpus.fields.clone());
    let parse = move |line: &[u8]| parser.parse(line);
    let job = EncodeTexts::new(encoder, Side::Document, parse, format.into()).long_texts(long);
    completed(run.run(job, around)?)?;
    Ok(cache)
}

/// A vector by the names of its terms.
type NamedVector = Vec<(String, f32)>;

/// Encodes the queries, and says how their model compares vectors, and V: by no distance, which an index cannot rank.
fn encode_queries(
    texts: &[&str],
    model: &ModelArgs,
) -> anyhow::Result<(Vec<NamedVector>, Similarity, usize)> {
    let options = EncoderOptions { only: Some(Side::Query), ..model.options()? };
    let encoder = SparseEncoder::load(&model.files()?, &options)?;
    let similarity = encoder.similarity();
    Shape::default().for_dot_products(similarity, &model.model)?;
    let name = |id| encoder.tokenizer().term(id).unwrap_or_default().to_string();
    let mut tally = Tally::default();
    let mut queries = Vec::with_capacity(texts.len());
    for encoded in encoder.encode(texts, Side::Query)? {
        tally.rows_in += 1;
        tally.count_text(encoded.num_tokens, encoded.is_cut);
        let vector = similarity.prepared(encoded.vector);
        queries.push(vector.iter().map(|(id, weight)| (name(id), weight)).collect());
    }
    if !model.hub.quiet {
        say_truncated(&tally, encoder.max_length(Side::Query)?);
    }
    Ok((queries, similarity, encoder.tokenizer().vocab_size()))
}

/// An error where a part was interrupted; bad rows end it otherwise.
fn completed(exit: Exit) -> Result<(), Interrupted> {
    match exit {
        Exit::Interrupted => Err(Interrupted),
        _ => Ok(()),
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
