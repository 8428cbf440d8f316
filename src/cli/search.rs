//! `search`: the best documents of an index for each query.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use clap::Args;
use neural_sparse::index::{Hit, IndexError, InvertedIndex, Searcher};
use neural_sparse::jsonl::{self, Entries, Fields};
use neural_sparse::known;
use neural_sparse::{Side, SparseEncoder, SparseVector};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::Value;

use super::bulk::input::read_lines;
use super::failure::Exit;
use super::index;
use super::output::{Existing, Output};
use super::ModelArgs;

/// Search an index: the best documents for each query, exactly, one a line
///
/// A line is the rank, the score and the id of a document; with several queries, the query's id before them. Ties stand
/// in the order of the documents.
#[derive(Args)]
pub(super) struct SearchArgs {
    /// The queries; put `--` before one that begins with a dash
    #[arg(value_name = "QUERY", conflicts_with = "queries", required_unless_present = "queries")]
    texts: Vec<String>,
    /// Folder of the index
    #[arg(long, value_name = "DIR")]
    index: PathBuf,
    /// File of queries, a row each: an object of JSON with an id and a text or a vector, or an id, a tab and a text
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// How many documents are wanted
    #[arg(long, value_name = "NUM", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Show the terms that a query and a document share, with both weights and their product
    #[arg(long)]
    explain: bool,
    /// Show the fields that documents were indexed with
    #[arg(long)]
    fields: bool,
    /// One JSON object a query instead of lines
    #[arg(long)]
    json: bool,
}

/// A query on its way.
struct Query {
    /// As JSON.
    id: String,
    text: Option<String>,
    /// Over the terms of the index.
    vector: SparseVector,
}

/// A query and its hits, as `--json` writes them.
#[derive(Serialize)]
struct Answer<'a> {
    id: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    hits: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    id: &'a RawValue,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Vec<SharedTerm<'a>>>,
}

/// A term of a query and a document.
#[derive(Serialize)]
struct SharedTerm<'a> {
    term: &'a str,
    query: f32,
    document: f32,
    product: f32,
}

pub(super) fn run(args: &SearchArgs) -> anyhow::Result<Exit> {
    let index = index::open(&args.index)?;
    let queries = args.queries(&index)?;
    let num_threads = args.model.threads.map_or_else(available_threads, |threads| threads.get());
    let vectors: Vec<&SparseVector> = queries.iter().map(|query| &query.vector).collect();
    let answers = search_all(&index, &vectors, args.k as usize, num_threads)?;
    let mut out = Output::open(None, Existing::Refuse)?;
    let is_one = args.texts.len() == 1;
    for (query, hits) in queries.iter().zip(answers) {
        let found = hits.iter().map(|hit| args.found(&index, &query.vector, *hit));
        let found: Vec<Found> = found.collect::<anyhow::Result<_>>()?;
        if args.json {
            let id = serde_json::from_str(&query.id)?;
            serde_json::to_writer(&mut out, &Answer { id, query: query.text.as_deref(), hits: found })?;
            out.write_all(b"\n")?;
        } else {
            let query_id = (!is_one).then(|| plain(&query.id));
            write_lines(&mut out, query_id.as_deref(), &found)?;
        }
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// As many threads as there are processors.
pub(super) fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An id as a line has it.
fn plain(id: &str) -> String {
    serde_json::from_str(id).unwrap_or_else(|_| id.to_string())
}

impl SearchArgs {
    /// The queries of the command line or of the file, encoded.
    fn queries(&self, index: &InvertedIndex) -> anyhow::Result<Vec<Query>> {
        let mut queries = Vec::new();
        let Some(path) = &self.queries else {
            for (number, text) in (1..).zip(&self.texts) {
                let id = format!("{number}");
                queries.push(Query { id, text: Some(text.clone()), vector: SparseVector::default() });
            }
            self.encode(index, &mut queries)?;
            return Ok(queries);
        };
        let fields = Fields { text: vec!["text".into()], ..Fields::default() };
        let is_tsv = path.extension().is_some_and(|suffix| suffix == "tsv");
        for (number, line) in read_lines(path)? {
            let fault = |reason: String| anyhow::anyhow!("`{}` line {number}: {reason}", path.display());
            let query = if is_tsv {
                let text = std::str::from_utf8(&line).map_err(|error| fault(error.to_string()))?;
                let (id, text) =
                    text.split_once('\t').ok_or_else(|| fault("no tab between an id and a text".into()))?;
                Query {
                    id: Value::from(id).to_string(),
                    text: Some(text.into()),
                    vector: SparseVector::default(),
                }
            } else if jsonl::is_vector_row(&line, "vector").map_err(|error| fault(error.reason))? {
                let row =
                    jsonl::parse_vector(&line, &fields, "vector").map_err(|error| fault(error.reason))?;
                let Entries::Terms(terms) = &row.entries else {
                    return Err(fault("a vector of ids, expected one of terms".into()));
                };
                let vector =
                    index.vector(terms.iter().map(|(term, weight)| (term.as_str(), weight.value)))?;
                Query { id: row.id.unwrap_or(number.to_string()), text: None, vector }
            } else {
                let row = jsonl::parse_row(&line, &fields).map_err(|error| fault(error.reason))?;
                let id = row.id.unwrap_or(number.to_string());
                Query { id, text: Some(row.text), vector: SparseVector::default() }
            };
            queries.push(query);
        }
        self.encode(index, &mut queries)?;
        Ok(queries)
    }

    /// Encodes the queries that are texts.
    fn encode(&self, index: &InvertedIndex, queries: &mut [Query]) -> anyhow::Result<()> {
        let texts: Vec<String> = queries.iter().filter_map(|query| query.text.clone()).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let encoder = self.load(index)?;
        let side = self.model.side().unwrap_or(Side::Query);
        let mut encoded = encoder.encode(&texts, side)?.into_iter();
        for query in queries.iter_mut().filter(|query| query.text.is_some()) {
            let vector = encoded.next().expect("a vector for each text, anything else is a bug").vector;
            let name = |id| encoder.tokenizer().term(id).unwrap_or_default();
            query.vector = index.vector(vector.iter().map(|(id, weight)| (name(id), weight)))?;
        }
        Ok(())
    }

    /// The model: the one that is named, else that of the index.
    fn load(&self, index: &InvertedIndex) -> anyhow::Result<SparseEncoder> {
        let metadata: Value = serde_json::from_str(index.metadata()?).unwrap_or_default();
        let made_by = metadata["model"].as_str();
        let name = match made_by {
            Some(made_by) if self.model.model == known::DEFAULT_MODEL => made_by,
            _ => &self.model.model,
        };
        let files = self.model.hub.resolve(name, self.model.parts())?;
        Ok(SparseEncoder::load(&files, &self.model.options()?)?)
    }

    fn found<'i>(
        &self,
        index: &'i InvertedIndex,
        query: &SparseVector,
        hit: Hit,
    ) -> anyhow::Result<Found<'i>> {
        let fields =
            if self.fields { Some(serde_json::from_str(index.fields(hit.document)?)?) } else { None };
        let mut terms = None;
        if self.explain {
            let mut shared = Vec::new();
            for (number, query, document) in Searcher::new(index).explain(query, hit.document)? {
                let term = index.term(number)?;
                shared.push(SharedTerm { term, query, document, product: query * document });
            }
            // Stable, and the terms come in their order.
            shared.sort_by(|a, b| b.product.total_cmp(&a.product));
            terms = Some(shared);
        }
        Ok(Found { id: serde_json::from_str(index.id(hit.document)?)?, score: hit.score, fields, terms })
    }
}

/// The hits of each query, in the queries' order, found on so many threads.
pub(super) fn search_all(
    index: &InvertedIndex,
    queries: &[&SparseVector],
    k: usize,
    num_threads: usize,
) -> Result<Vec<Vec<Hit>>, IndexError> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(vec![Vec::new(); queries.len()]);
    let work = || {
        let mut searcher = Searcher::new(index);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(query) = queries.get(number) else { return Ok(()) };
            let hits = searcher.search(query, k)?;
            answers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[number] = hits;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..num_threads.min(queries.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.fold(own, Result::and)
    })?;
    Ok(answers.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

fn write_lines(out: &mut Output, query_id: Option<&str>, hits: &[Found]) -> io::Result<()> {
    for (rank, hit) in (1..).zip(hits) {
        if let Some(id) = query_id {
            write!(out, "{id}\t")?;
        }
        write!(out, "{rank}\t")?;
        jsonl::write_f32(out, hit.score)?;
        write!(out, "\t{}", plain(hit.id.get()))?;
        if let Some(fields) = hit.fields {
            write!(out, "\t{fields}")?;
        }
        out.write_all(b"\n")?;
        for SharedTerm { term, query, document, product } in hit.terms.iter().flatten() {
            writeln!(out, "    {term}  {query:.4} x {document:.4} = {product:.4}")?;
        }
    }
    Ok(())
}
