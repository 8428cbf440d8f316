//! From a model's files to what each side goes through.

use std::sync::Arc;

use super::side::{Encoding, SideEncoder};
use super::transformer::{Transformer, BATCH_TOKENS};
use super::{EncoderOptions, Side, SparseEncoder};
use crate::error::Error;
use crate::forward::{DeviceName, MaskedLm};
use crate::kernel::InstructionSet;
use crate::known;
use crate::parallel;
use crate::pooling::screening::Screening;
use crate::pooling::SpladePooling;
use crate::query::{QueryTable, TableSource};
use crate::source::ModelFiles;
use crate::spec::modules::{Layout, Modules, Route, TransformerSource};
use crate::spec::Provenance;
use crate::spec::{refuse_model_type, ModelConfig};
use crate::tokenizer::Tokenizer;

const CONFIG: &str = "config.json";

/// See [`SparseEncoder::load`].
pub(super) fn load(files: &ModelFiles, options: &EncoderOptions) -> Result<SparseEncoder, Error> {
    // A model that cannot be run is refused for what it is, before anything is missed in it.
    refuse_model_type(files)?;
    let layout = Layout::read(files)?;
    let kernel = options.instruction_set.unwrap_or_else(InstructionSet::best);
    if !kernel.is_available() {
        return Err(Error::Option(format!("this processor has no {}", kernel.name())));
    }
    let threads = parallel::start(options.num_threads)?;
    let sides_differ = layout.sides_differ();
    let mut loader =
        Loader { files, options, kernel, layout: &layout, opened: Vec::new(), decisions: Vec::new() };
    let wants = |side: Side| options.only.is_none_or(|only| only == side);
    let (query, document) = threads.install(|| -> Result<_, Error> {
        let document = match layout.document.as_ref().filter(|_| wants(Side::Document) || !sides_differ) {
            Some(route) => Some(Arc::new(loader.side(route, Side::Document)?)),
            None => None,
        };
        let query = match (&document, wants(Side::Query)) {
            (Some(document), _) if !sides_differ => Some(Arc::clone(document)),
            (_, true) => {
                let route = layout.query.as_ref().ok_or_else(|| lacks_query_side(files))?;
                Some(Arc::new(loader.side(route, Side::Query)?))
            }
            (_, false) => None,
        };
        Ok((query, document))
    })?;
    if let (Some(query), Some(document)) = (&query, &document) {
        insist_on_one_vocabulary(files, &query.tokenizer, &document.tokenizer)?;
    }
    let has_transformer =
        [&query, &document].into_iter().flatten().any(|side| side.how.transformer().is_some());
    let mut decisions = loader.decisions;
    decisions.extend(layout.decisions.iter().cloned());
    let dialect = options.dialect;
    let rule = format!("{dialect}; special tokens: {}", dialect.special_token_rule());
    decisions.push(Provenance::new("dialect", rule, "--dialect, or its default"));
    if has_transformer && options.device == DeviceName::Cpu {
        decisions.extend(arithmetic(options, kernel));
    }
    let absence = match (&layout.document, options.only) {
        (None, _) => "it is a table for queries, without a model",
        (_, Some(Side::Query)) => "it was loaded for queries only",
        (_, _) => "it was loaded for documents only",
    };
    Ok(SparseEncoder {
        name: files.name().to_string(),
        query,
        document,
        absence,
        sides_differ,
        dialect,
        instruction_set: kernel,
        threads,
        decisions,
    })
}

fn lacks_query_side(files: &ModelFiles) -> Error {
    let model = files.name().to_string();
    let reason = format!(
        "has a query side of its own, which these files lack: `neural-sparse model pull {model}` completes them, and \
         `--as document` does without it"
    );
    Error::Side { model, reason }
}

struct Loader<'a> {
    files: &'a ModelFiles,
    options: &'a EncoderOptions,
    kernel: InstructionSet,
    layout: &'a Layout,
    /// The transformers so far: both sides may have the same.
    opened: Vec<Opened<'a>>,
    decisions: Vec<Provenance>,
}

struct Opened<'a> {
    source: &'a TransformerSource,
    tokenizer: Arc<Tokenizer>,
    transformer: Arc<Transformer>,
}

impl<'a> Loader<'a> {
    /// Opens what the texts of one side go through.
    fn side(&mut self, route: &'a Route, side: Side) -> Result<SideEncoder, Error> {
        let only_side = if self.layout.sides_differ() { side.name() } else { "" };
        let mut decisions = Vec::new();
        let (tokenizer, how) = match &route.modules {
            Modules::Model(source) => {
                let (tokenizer, transformer) = self.transformer(source, route, &mut decisions)?;
                if only_side.is_empty() {
                    let value = "the model, as for documents";
                    decisions.push(Provenance::new("query side", value, route.source.clone()));
                }
                (tokenizer, Encoding::Model(transformer))
            }
            Modules::OwnTokens(source, table) => {
                let (tokenizer, transformer) = self.transformer(source, route, &mut decisions)?;
                let what = "the model's weights of the text's own tokens, times";
                let table =
                    self.table(table, &tokenizer, |weights| format!("{what} {weights}"), &mut decisions)?;
                (tokenizer, Encoding::OwnTokens(transformer, table))
            }
            Modules::Table(source) => {
                let tokenizer = Arc::new(self.table_tokenizer(source, &mut decisions)?);
                let alone = |weights| format!("{weights}; no forward pass");
                let table = self.table(source, &tokenizer, alone, &mut decisions)?;
                (tokenizer, Encoding::Table(table))
            }
        };
        self.decisions.extend(decisions.into_iter().map(|decision| decision.of_side(only_side)));
        Ok(SideEncoder {
            tokenizer,
            prompt: route.prompt.clone(),
            how,
            max_active_dims: self.layout.max_active_dims,
        })
    }

    /// A masked language model, opened once, and its tokenizer with the limit of `route`.
    fn transformer(
        &mut self,
        source: &'a TransformerSource,
        route: &Route,
        decisions: &mut Vec<Provenance>,
    ) -> Result<(Arc<Tokenizer>, Arc<Transformer>), Error> {
        let opened = self.opened.iter().find(|opened| opened.source == source);
        let (tokenizer, transformer) = match opened {
            Some(opened) => (Arc::clone(&opened.tokenizer), Arc::clone(&opened.transformer)),
            None => {
                let (tokenizer, transformer) = self.open(source, decisions)?;
                let (tokenizer, transformer) = (Arc::new(tokenizer), Arc::new(transformer));
                let (kept, shared) = (Arc::clone(&tokenizer), Arc::clone(&transformer));
                self.opened.push(Opened { source, tokenizer: kept, transformer: shared });
                (tokenizer, transformer)
            }
        };
        match (route.max_length, self.options.max_length) {
            (Some(length), None) => Ok((Arc::new(tokenizer.limited_to(length)), transformer)),
            _ => Ok((tokenizer, transformer)),
        }
    }

    fn open(
        &self,
        source: &TransformerSource,
        decisions: &mut Vec<Provenance>,
    ) -> Result<(Tokenizer, Transformer), Error> {
        let (files, options, pooling) =
            (self.files.within(&source.folder), self.options, source.pooling.clone());
        let config = ModelConfig::load(&files)?;
        decisions.extend(config.decisions(&files));
        let as_known = || known::find(files.name()).map(|known| known.decoder).unwrap_or_default();
        let reading = options.decoder.unwrap_or_else(as_known);
        let max_tokens = config.max_tokens();
        let (tokenizer, model) = rayon::join(
            || Tokenizer::load(&files, Some(max_tokens), options.max_length),
            || MaskedLm::load(&files, config.clone(), options.device, reading, self.kernel),
        );
        let ((tokenizer, of_tokenizer), (model, of_model)) = (tokenizer?, model?);
        if tokenizer.vocab_size() > config.vocab_size {
            let (rows, tokens) = (config.vocab_size, tokenizer.vocab_size());
            let reason = format!("vocab_size is {rows}, but the tokenizer has {tokens} tokens");
            return Err(Error::invalid(files.describe(CONFIG), reason));
        }
        decisions.extend(of_model);
        decisions.extend(of_tokenizer);
        decisions.extend(pooling.decisions());
        let pooled = SpladePooling::new(
            &model.parameters().decoder,
            model.decoder_on_device(),
            &model.parameters().decoder_bias,
            pooling,
            self.zeroed_ids(&tokenizer, config.vocab_size),
            if options.without_screen { Screening::off() } else { Screening::default() },
        );
        let batch_tokens = options.batch_tokens.unwrap_or(BATCH_TOKENS).min(BATCH_TOKENS);
        Ok((tokenizer, Transformer { model, pooling: pooled, batch_tokens }))
    }

    /// Ids that never carry a weight: special tokens, unless they are kept, and rows of the decoder that no token names.
    fn zeroed_ids(&self, tokenizer: &Tokenizer, vocab_size: usize) -> Vec<u32> {
        let keeps = self.options.dialect.keeps_special_tokens();
        let is_special = |id| !keeps && tokenizer.special_ids().contains(&id);
        (0..vocab_size as u32).filter(|&id| is_special(id) || tokenizer.term(id).is_none()).collect()
    }

    /// A table, and `described` of its weights among the decisions.
    fn table(
        &self,
        source: &TableSource,
        tokenizer: &Tokenizer,
        described: impl Fn(String) -> String,
        decisions: &mut Vec<Provenance>,
    ) -> Result<QueryTable, Error> {
        let (table, found) = QueryTable::load(self.files, source, tokenizer, self.options.dialect)?;
        decisions.push(Provenance { value: described(found.value), ..found });
        Ok(table)
    }

    /// The tokenizer of a table: its own, else that of the model that the documents go through.
    fn table_tokenizer(
        &self,
        source: &TableSource,
        decisions: &mut Vec<Provenance>,
    ) -> Result<Tokenizer, Error> {
        let of_document = self.layout.document.as_ref().and_then(Route::transformer);
        let folders = [Some(&source.folder), of_document.map(|transformer| &transformer.folder)];
        let has_tokenizer = |folder: &&String| Tokenizer::is_in(&self.files.within(folder));
        let folder = folders.into_iter().flatten().find(has_tokenizer).cloned().unwrap_or_default();
        let files = self.files.within(&folder);
        // The config beside a table's own tokenizer is the table's.
        let is_own = !source.folder.is_empty() && folder == source.folder;
        let max_positions = match files.contains(CONFIG) && !is_own {
            true => Some(ModelConfig::load(&files)?.max_tokens()),
            false => None,
        };
        let (dialect, length) = (self.options.dialect, self.options.max_length);
        let (tokenizer, of_tokenizer) = Tokenizer::load(&files, max_positions, length)?;
        decisions.extend(of_tokenizer);
        if dialect.surrounds_table_queries() {
            return Ok(tokenizer);
        }
        let is_limited = length.is_some() || dialect.cuts_table_queries();
        let limit = if is_limited { "cut" } else { "whole" };
        let rule = format!("no special tokens around them; {limit} where they are too long");
        decisions.push(Provenance::new("queries", rule, format!("the dialect {dialect}")));
        Ok(tokenizer.bare(is_limited))
    }
}

/// A score is a product over one vocabulary.
fn insist_on_one_vocabulary(
    files: &ModelFiles,
    query: &Tokenizer,
    document: &Tokenizer,
) -> Result<(), Error> {
    let ids = 0..query.vocab_size().max(document.vocab_size()) as u32;
    match ids.into_iter().find(|&id| query.term(id) != document.term(id)) {
        None => Ok(()),
        Some(id) => Err(Error::invalid(
            files.describe(""),
            format!(
                "token {id} is {:?} for queries and {:?} for documents: their vectors cannot be compared",
                query.term(id).unwrap_or_default(),
                document.term(id).unwrap_or_default()
            ),
        )),
    }
}

/// What computes the vectors on the CPU.
fn arithmetic(options: &EncoderOptions, kernel: InstructionSet) -> [Provenance; 2] {
    let (logits, source) = match Screening::instructions(kernel) {
        _ if options.without_screen => ("all in f32", "the caller's wish".to_string()),
        None => ("all in f32", "this processor".to_string()),
        Some(codes) => ("screened by codes of 8 bits, the rest in f32", format!("{codes} of this processor")),
    };
    [
        Provenance::new("arithmetic", kernel.name(), "this processor"),
        Provenance::new("logits", logits, source),
    ]
}
