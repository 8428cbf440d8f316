//! A judged collection: its vectors, kept in a cache, its index, and what is found in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use neural_sparse::eval::{evaluate, mean, read_qrels, Flops, Qrels, Run, RunHit};
use neural_sparse::format::{self, Format};
use neural_sparse::index::{Codec, InvertedIndex};
use neural_sparse::jsonl::{self, Fields};
use neural_sparse::{sha256, EncoderOptions, Side, SparseEncoder, SparseVector};
use serde_json::Value;

use super::report::Evaluated;
use crate::cli::bulk::input::read_lines;
use crate::cli::bulk::{sample_of, Container, InputArgs, Surroundings};
use crate::cli::convert::{Convert, Vectors, NUM_WINDOWS};
use crate::cli::encode::Shape;
use crate::cli::encode_rows::EncodeRows;
use crate::cli::failure::Failure;
use crate::cli::fields::LineParser;
use crate::cli::search::{available_threads, search_all};
use crate::cli::vocabulary::VocabularyArgs;
use crate::cli::ModelArgs;

/// Hits that are taken for a query before anything is judged.
const DEPTH: usize = 1000;

const VECTORS: &str = "vectors.jsonl";
const INDEX: &str = "index.nsi";

/// What is made of the vectors of a collection.
#[derive(Clone)]
pub(super) struct Setting {
    pub shape: Shape,
    pub codec: Codec,
}

/// A folder in BEIR's layout, and a model.
pub(super) struct Collection<'a> {
    folder: PathBuf,
    model: &'a ModelArgs,
    qrels: Qrels,
    /// Judged queries: id and text.
    queries: Vec<(String, String)>,
    /// Their vectors by the names of their terms, once they were needed.
    encoded: Option<Vec<Vec<(String, f32)>>>,
    /// Where what is made of it is kept.
    cache: PathBuf,
}

impl<'a> Collection<'a> {
    /// Reads judgements and queries, and encodes the documents unless their vectors are kept.
    pub fn open(folder: &Path, split: &str, model: &'a ModelArgs, cache: &Path) -> anyhow::Result<Self> {
        let qrels_path = folder.join("qrels").join(format!("{split}.tsv"));
        if !folder.join("corpus.jsonl").is_file() {
            return Err(Failure {
                message: format!("`{}` is no collection in BEIR's layout", folder.display()),
                hint: "such a folder has corpus.jsonl, queries.jsonl and qrels/test.tsv".into(),
            }
            .into());
        }
        let qrels = read_qrels(&qrels_path)?;
        let queries = judged_queries(&folder.join("queries.jsonl"), &qrels)?;
        let mut collection = Collection {
            folder: folder.to_path_buf(),
            model,
            qrels,
            queries,
            encoded: None,
            cache: cache.to_path_buf(),
        };
        collection.encode_documents(cache)?;
        Ok(collection)
    }

    fn name(&self) -> String {
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Has the vectors of the documents in the cache, under a name that tells model, options and collection apart.
    fn encode_documents(&mut self, cache: &Path) -> anyhow::Result<()> {
        let corpus = self.folder.join("corpus.jsonl");
        let model_files = self.model.files()?;
        let options = EncoderOptions { only: None, ..self.model.options()? };
        let encoder = SparseEncoder::load(&model_files, &options)?;
        let mut settings = self.model.settings(&encoder, Side::Document)?;
        let identity = format!("{:?} {} {}", settings, model_files.sha256()?, sample_of(&corpus)?);
        let key = sha256(identity.as_bytes())?[..16].to_string();
        self.cache = cache.join(format!("{}-{key}", self.name()));
        fs::create_dir_all(&self.cache).with_context(|| format!("cannot make `{}`", self.cache.display()))?;
        let vectors = self.cache.join(VECTORS);
        let input = InputArgs::resuming(&corpus);
        let Some(run) = input.prepare(Container::Lines, Some(&vectors), None, true)? else { return Ok(()) };
        let fields = Fields { text: vec!["title".into(), "text".into()], ..Fields::default() };
        let format = format::named("jsonl", &format::Options::default()).map_err(anyhow::Error::msg)?;
        settings.insert("the command".into(), "eval".into());
        let around = self.model.surroundings(&model_files, &encoder, Side::Document, settings)?;
        let job = EncodeRows::whole(encoder, Side::Document, LineParser::of_json(fields), format.into());
        run.run(job, around)?;
        anyhow::ensure!(vectors.is_file(), "interrupted");
        Ok(())
    }

    /// The vectors of the queries, by the names of their terms.
    fn query_vectors(&mut self) -> anyhow::Result<&[Vec<(String, f32)>]> {
        if self.encoded.is_none() {
            let options = EncoderOptions { only: Some(Side::Query), ..self.model.options()? };
            let encoder = SparseEncoder::load(&self.model.files()?, &options)?;
            let texts: Vec<&str> = self.queries.iter().map(|(_, text)| text.as_str()).collect();
            let named = |vector: SparseVector| {
                let name = |id| encoder.tokenizer().term(id).unwrap_or_default().to_string();
                vector.iter().map(|(id, weight)| (name(id), weight)).collect()
            };
            let encoded = encoder.encode(&texts, Side::Query)?;
            self.encoded = Some(encoded.into_iter().map(|encoded| named(encoded.vector)).collect());
        }
        Ok(self.encoded.as_deref().expect("just set, anything else is a bug"))
    }

    /// Has an index of the vectors, as the setting makes them.
    fn index(&self, setting: &Setting) -> anyhow::Result<InvertedIndex> {
        let settings: BTreeMap<String, Value> = setting.shape.settings().into_iter().collect();
        let described = format!("{settings:?} {}", setting.codec.name());
        let folder = self.cache.join(format!("index-{}", &sha256(described.as_bytes())?[..16]));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let output = folder.join(INDEX);
        let vectors = self.cache.join(VECTORS);
        let format: Arc<dyn Format> = format::index(setting.codec, "{}".into()).into();
        let input = InputArgs::resuming(&vectors);
        let assembly = format.assembly().map(Arc::from);
        if let Some(run) = input.prepare(Container::Lines, Some(&output), assembly, true)? {
            let reads = Vectors {
                fields: Fields::default(),
                field: "vector".into(),
                divisor: 1.0,
                num_columns: None,
            };
            let vocabulary = VocabularyArgs { model: self.model.model.clone(), hub: self.model.hub.clone() };
            let job = Convert::new(reads, vocabulary, setting.shape.clone(), format);
            run.run(
                job,
                Surroundings {
                    model: None,
                    settings,
                    num_threads: NUM_WINDOWS,
                    max_length: None,
                    quiet: true,
                },
            )?;
            anyhow::ensure!(output.is_file(), "interrupted");
        }
        Ok(InvertedIndex::open(&output)?)
    }

    /// Searches for every judged query and judges what is found.
    pub fn evaluate(&mut self, setting: &Setting) -> anyhow::Result<(Evaluated, Run)> {
        let index = self.index(setting)?;
        let num_threads = self.model.threads.map_or_else(available_threads, |threads| threads.get());
        let mut flops = Flops::default();
        let mut vectors = Vec::new();
        for terms in self.query_vectors()? {
            flops.add_query(terms.iter().map(|(term, _)| term.as_str()));
            vectors.push(index.vector(terms.iter().map(|(term, weight)| (term.as_str(), *weight)))?);
        }
        let query_terms: usize = self.query_vectors()?.iter().map(Vec::len).sum();
        let mut postings = 0;
        for vector in &vectors {
            for &term in vector.indices() {
                postings += u64::from(index.document_frequency(term)?);
            }
        }
        let started = Instant::now();
        let answers = search_all(&index, &vectors.iter().collect::<Vec<_>>(), DEPTH, num_threads)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut run = Run::default();
        for ((query, _), hits) in self.queries.iter().zip(answers) {
            let mut found = Vec::new();
            for hit in hits {
                let document = format::id_text(index.id(hit.document)?);
                if document != *query {
                    found.push(RunHit { document, score: hit.score });
                }
            }
            anyhow::ensure!(
                run.insert(query, found),
                "two documents of `{}` have one id",
                self.folder.display()
            );
        }
        let judged = evaluate(&self.qrels, &run);
        flops.set_documents(index.num_documents().into());
        for term in 0..index.num_terms() {
            flops.add_document_frequency(index.term(term)?, index.document_frequency(term)?.into());
        }
        let count = vectors.len().max(1) as f64;
        let info = index.info();
        let evaluated = Evaluated {
            data: self.name(),
            model: self.model.model.clone(),
            figures: mean(&judged),
            flops: flops.value(),
            query_terms: query_terms as f64 / count,
            document_terms: info.postings as f64 / info.documents.max(1) as f64,
            index_bytes: info.bytes as f64,
            query_postings: postings as f64 / count,
            queries_per_second: vectors.len() as f64 / seconds,
            num_queries: judged.len(),
            num_documents: index.num_documents(),
        };
        Ok((evaluated, run))
    }
}

/// The queries that are judged, in the order of their file.
fn judged_queries(path: &Path, qrels: &Qrels) -> anyhow::Result<Vec<(String, String)>> {
    let fields = Fields { text: vec!["text".into()], ..Fields::default() };
    let mut queries = Vec::new();
    for (number, line) in read_lines(path)? {
        let row = jsonl::parse_row(&line, &fields)
            .map_err(|error| anyhow::anyhow!("`{}` line {number}: {error}", path.display()))?;
        let id = row.id.with_context(|| format!("`{}` line {number}: no id", path.display()))?;
        let id = format::id_text(&id);
        if qrels.has(&id) {
            queries.push((id, row.text));
        }
    }
    anyhow::ensure!(!queries.is_empty(), "no query of `{}` is judged", path.display());
    Ok(queries)
}
