//! `stats`: what a file of vectors is like, and what a store should be told about it.

mod counts;
mod report;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use neural_sparse::eval::Flops;
use neural_sparse::input::json::{self, Entries, Keys};
use neural_sparse::input::{each_row, Fields, InputFormat};
use neural_sparse::Tokenizer;

use super::failure::{Exit, UsageError};
use super::fields;
use super::hints;
use super::output::Output;
use super::vocabulary::VocabularyArgs;
use counts::{Counts, Expansion};

/// Show what vectors are like: terms a row, weights, FLOPS, frequent terms, expansion, and how to quantize them
///
/// Reads rows {"id", "vector"} as `encode` writes them. Rows with a text besides, from `encode --keep text`, also tell
/// which terms are expansion: not among the text's own tokens.
#[derive(Args)]
pub(super) struct StatsArgs {
    /// Files of vectors, plain, gzip or zstd; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files are
    #[arg(long, value_name = "FORMAT", default_value = "jsonl", value_parser = fields::vector_formats())]
    input_format: InputFormat,
    /// What the keys of a vector are that is an object
    #[arg(long, value_name = "WHAT", default_value = "terms", value_parser = fields::vector_keys())]
    vector_keys: Keys,
    /// File of query vectors, for FLOPS: the expected number of terms that a query and a row share
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Field of a row that holds its vector
    #[arg(
        long = "input-vector-field",
        alias = "vector-field",
        value_name = "NAME",
        default_value = "vector"
    )]
    vector_field: String,
    /// Field of a row that holds its text, where there is one; may be repeated, the texts are joined by one space
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: Vec<String>,
    #[command(flatten)]
    vocabulary: VocabularyArgs,
    /// How many of the most frequent terms are shown
    #[arg(long, value_name = "NUM", default_value = "20")]
    top: usize,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What the files hold.
struct Stats {
    documents: Counts,
    queries: Option<Counts>,
    flops: Flops,
    expansion: Expansion,
    /// V, or why it is not known.
    vocab_size: Result<usize, String>,
}

pub(super) fn run(args: &StatsArgs) -> anyhow::Result<Exit> {
    let mut reader = Reader { args, tokenizer: None };
    let mut stats = Stats {
        documents: Counts::default(),
        queries: None,
        flops: Flops::default(),
        expansion: Expansion::default(),
        vocab_size: Err("nothing was read".into()),
    };
    for file in &args.files {
        reader.read(file, |row| {
            stats.documents.add(row.terms.iter().map(|(_, weight)| *weight));
            stats.flops.add_document(row.terms.iter().map(|(term, _)| term.as_str()));
            if let Some(own) = &row.own_terms {
                stats.expansion.add(&row.terms, own);
            }
        })?;
    }
    if let Some(file) = &args.queries {
        let mut queries = Counts::default();
        reader.read(file, |row| {
            queries.add(row.terms.iter().map(|(_, weight)| *weight));
            stats.flops.add_query(row.terms.iter().map(|(term, _)| term.as_str()));
        })?;
        stats.queries = Some(queries);
    }
    if stats.documents.rows() == 0 {
        let names: Vec<String> = args.files.iter().map(|file| format!("`{}`", file.display())).collect();
        anyhow::bail!("no rows in {}", names.join(" and "));
    }
    stats.vocab_size = reader.vocab_size(&stats.flops);
    let mut out = Output::one_shot(None)?;
    report::write(&mut out, &stats, args.top, args.json)?;
    out.finish()?;
    Ok(Exit::Done)
}

/// Reads rows with vectors.
struct Reader<'a> {
    args: &'a StatsArgs,
    /// The vocabulary, once it was needed.
    tokenizer: Option<Tokenizer>,
}

/// A row by the names of its terms.
struct Row {
    terms: Vec<(String, f32)>,
    /// The tokens of its text, where it has one.
    own_terms: Option<HashSet<String>>,
}

impl Reader<'_> {
    fn read(&mut self, file: &Path, mut take: impl FnMut(&Row)) -> anyhow::Result<()> {
        let fields = Fields { text: self.args.text_field.clone(), ..Fields::default() };
        each_row(file, self.args.input_format.container(), |number, line| {
            let row =
                self.row(line, &fields).with_context(|| format!("`{}` line {number}", file.display()))?;
            take(&row);
            Ok(())
        })
    }

    fn row(&mut self, line: &[u8], fields: &Fields) -> anyhow::Result<Row> {
        let vector_field = &self.args.vector_field;
        let row = json::parse_vector(line, fields, vector_field, self.args.vector_keys);
        let row = row.map_err(|error| anyhow::anyhow!(hints::said(&error)))?;
        let terms: Vec<(String, f32)> = match row.entries {
            Entries::Terms(terms) => terms.into_iter().map(|(term, weight)| (term, weight.value)).collect(),
            Entries::Ids(ids) => {
                let tokenizer = self.tokenizer()?;
                let name = |(id, weight): (u32, json::Written)| {
                    let term = tokenizer.term(id).with_context(|| format!("no term has the id {id}"))?;
                    Ok((term.to_string(), weight.value))
                };
                ids.into_iter().map(name).collect::<anyhow::Result<_>>()?
            }
        };
        // A row without a text is nothing wrong.
        let own_terms = match json::parse_row(line, fields) {
            Ok(row) => Some(self.tokens(&row.text)?),
            Err(_) => None,
        };
        if let (Some(tokenizer), Some(_)) = (&self.tokenizer, &own_terms) {
            if let Some((term, _)) = terms.iter().find(|(term, _)| tokenizer.id(term).is_none()) {
                let model = &self.args.vocabulary.model;
                let message = format!("`{term}` is not in the vocabulary of `{model}`");
                return Err(UsageError::with_hint(message, "name the vectors' model with --model").into());
            }
        }
        Ok(Row { terms, own_terms })
    }

    /// The tokens of all of a text.
    fn tokens(&mut self, text: &str) -> anyhow::Result<HashSet<String>> {
        let tokenizer = self.tokenizer()?;
        let windows = tokenizer.encode_windows(text, 0)?;
        let ids = windows.iter().flat_map(|window| &window.ids);
        Ok(ids.filter_map(|&id| tokenizer.term(id)).map(String::from).collect())
    }

    /// V, where the vectors' terms are all of the model's vocabulary.
    fn vocab_size(&mut self, counted: &Flops) -> Result<usize, String> {
        let model = &self.args.vocabulary.model;
        let tokenizer = self.tokenizer().map_err(|error| format!("{error:#}"))?;
        match counted.terms().find(|term| tokenizer.id(term).is_none()) {
            Some(term) => Err(format!("`{term}` is not in the vocabulary of `{model}`")),
            None => Ok(tokenizer.vocab_size()),
        }
    }

    fn tokenizer(&mut self) -> anyhow::Result<&Tokenizer> {
        let tokenizer = match self.tokenizer.take() {
            Some(tokenizer) => tokenizer,
            None => self.args.vocabulary.load().context("cannot tell terms apart without a vocabulary")?,
        };
        Ok(self.tokenizer.insert(tokenizer))
    }
}
