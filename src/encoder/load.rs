//! From a model's spec to what each side goes through: opens what the spec says.

use std::sync::Arc;

use super::side::{Encoding, SideEncoder};
use super::transformer::{Transformer, BATCH_TOKENS};
use super::{EncoderOptions, Side, SparseEncoder};
use crate::error::Error;
use crate::forward::{DeviceName, MaskedLm};
use crate::kernel::InstructionSet;
use crate::parallel;
use crate::pooling::screening::Screening;
use crate::pooling::SpladePooling;
use crate::query::QueryTable;
use crate::source::ModelFiles;
use crate::spec::{Dialect, ModelSpec, Modules, Note, Provenance, SideSpec, TableSource, TransformerSpec};
use crate::tokenizer::Tokenizer;

/// See [`SparseEncoder::load`].
pub(super) fn load(files: &ModelFiles, options: &EncoderOptions) -> Result<SparseEncoder, Error> {
    let spec = ModelSpec::read(files, options.known)?;
    let instruction_set = chosen(options.instruction_set, InstructionSet::is_available)?;
    let threads = parallel::start(options.num_threads)?;
    let sides_differ = spec.sides_differ();
    let mut loader = Loader {
        files,
        options,
        instruction_set,
        spec: &spec,
        opened: Vec::new(),
        provenance: Vec::new(),
        notes: spec.notes().to_vec(),
    };
    let wants = |side: Side| options.only.is_none_or(|only| only == side);
    let (query, document) = threads.install(|| -> Result<_, Error> {
        let document = match spec.document.as_ref().filter(|_| wants(Side::Document) || !sides_differ) {
            Some(side) => Some(Arc::new(loader.side(side, Side::Document)?)),
            None => None,
        };
        let query = match (&document, wants(Side::Query)) {
            (Some(document), _) if !sides_differ => Some(Arc::clone(document)),
            (_, true) => {
                let side = spec.query.as_ref().ok_or_else(|| lacks_query_side(files))?;
                let is_followed = options.dialect != Dialect::SentenceTransformers || options.known.is_some();
                if side.is_table_beside && !is_followed {
                    let reason = "stands beside the model, and sentence-transformers encodes queries by the model: no \
                                  module names it";
                    return Err(Error::invalid(side.source.clone(), reason));
                }
                Some(Arc::new(loader.side(side, Side::Query)?))
            }
            (_, false) => None,
        };
        Ok((query, document))
    })?;
    if let (Some(query), Some(document)) = (&query, &document) {
        insist_on_one_vocabulary(files, &query.tokenizer, &document.tokenizer)?;
    }
    let has_transformer =
        [&query, &document].into_iter().flatten().any(|side| side.encoding.transformer().is_some());
    let Loader { mut provenance, notes, .. } = loader;
    provenance.extend(spec.provenance().iter().cloned());
    let dialect = options.dialect;
    let rule = format!("{dialect}; special tokens: {}", dialect.special_token_rule());
    provenance.push(Provenance::new("dialect", rule, "the caller's choice, or its default"));
    if has_transformer && options.device == DeviceName::Cpu {
        provenance.extend(arithmetic(options, instruction_set));
    }
    let absence = match (&spec.document, options.only) {
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
        similarity: spec.similarity(),
        instruction_set,
        threads,
        provenance,
        unknown_keys: spec.unknown_keys().to_vec(),
        notes,
    })
}

/// The instruction set that the caller wants, else the best.
fn chosen(
    wanted: Option<InstructionSet>,
    is_available: impl Fn(InstructionSet) -> bool,
) -> Result<InstructionSet, Error> {
    match wanted {
        None => Ok(InstructionSet::best()),
        Some(wanted) if is_available(wanted) => Ok(wanted),
        Some(wanted) => Err(Error::Option(format!("this processor has no {}", wanted.name()))),
    }
}

fn lacks_query_side(files: &ModelFiles) -> Error {
    Error::NoQuerySide { model: files.name().to_string() }
}

struct Loader<'a> {
    files: &'a ModelFiles,
    options: &'a EncoderOptions,
    instruction_set: InstructionSet,
    spec: &'a ModelSpec,
    /// The transformers so far: both sides may have the same.
    opened: Vec<Opened<'a>>,
    provenance: Vec<Provenance>,
    notes: Vec<Note>,
}

struct Opened<'a> {
    spec: &'a Arc<TransformerSpec>,
    tokenizer: Arc<Tokenizer>,
    transformer: Arc<Transformer>,
}

impl<'a> Loader<'a> {
    /// Opens what the texts of one side go through.
    fn side(&mut self, spec: &'a SideSpec, side: Side) -> Result<SideEncoder, Error> {
        let only_side = if self.spec.sides_differ() { side.name() } else { "" };
        let mut provenance = Vec::new();
        let (tokenizer, encoding) = match &spec.modules {
            Modules::Model(transformer) => {
                let (tokenizer, transformer) = self.transformer(transformer, spec, &mut provenance)?;
                if only_side.is_empty() {
                    let value = "the model, as for documents";
                    provenance.push(Provenance::new("query side", value, spec.source.clone()));
                }
                (tokenizer, Encoding::Model(transformer))
            }
            Modules::OwnTokens(transformer, table) => {
                let (tokenizer, transformer) = self.transformer(transformer, spec, &mut provenance)?;
                let what = "the model's weights of the text's own tokens, times";
                let table =
                    self.table(table, &tokenizer, |weights| format!("{what} {weights}"), &mut provenance)?;
                (tokenizer, Encoding::OwnTokens(transformer, table))
            }
            Modules::Table(table) => {
                let tokenizer = Arc::new(self.table_tokenizer(&table.tokenizer, &mut provenance)?);
                let alone = |weights| format!("{weights}; no forward pass");
                let table = self.table(&table.source, &tokenizer, alone, &mut provenance)?;
                (tokenizer, Encoding::Table(table))
            }
        };
        self.provenance.extend(provenance.into_iter().map(|row| row.of_side(only_side)));
        Ok(SideEncoder {
            tokenizer,
            prompt: spec.prompt.clone(),
            encoding,
            max_active_dims: self.spec.max_active_dims,
        })
    }

    /// A masked language model, opened once, and its tokenizer with the limit of the side.
    fn transformer(
        &mut self,
        spec: &'a Arc<TransformerSpec>,
        side: &SideSpec,
        provenance: &mut Vec<Provenance>,
    ) -> Result<(Arc<Tokenizer>, Arc<Transformer>), Error> {
        let opened = self.opened.iter().find(|opened| Arc::ptr_eq(opened.spec, spec));
        let (tokenizer, transformer) = match opened {
            Some(opened) => (Arc::clone(&opened.tokenizer), Arc::clone(&opened.transformer)),
            None => {
                let (tokenizer, transformer) = self.open(spec, provenance)?;
                let (tokenizer, transformer) = (Arc::new(tokenizer), Arc::new(transformer));
                let (kept, shared) = (Arc::clone(&tokenizer), Arc::clone(&transformer));
                self.opened.push(Opened { spec, tokenizer: kept, transformer: shared });
                (tokenizer, transformer)
            }
        };
        match (side.max_length, self.options.max_length) {
            (Some(length), None) => {
                let length = length.min(spec.config.max_tokens());
                Ok((Arc::new(tokenizer.with_limit(length)), transformer))
            }
            _ => Ok((tokenizer, transformer)),
        }
    }

    fn open(
        &mut self,
        spec: &TransformerSpec,
        provenance: &mut Vec<Provenance>,
    ) -> Result<(Tokenizer, Transformer), Error> {
        let (files, options, max_tokens) = (self.files, self.options, spec.config.max_tokens());
        if let Some(length) = options.max_length.filter(|length| *length > max_tokens) {
            return Err(Error::Option(format!(
                "a maximum length of {length} is more than the {max_tokens} positions that this model has"
            )));
        }
        let (tokenizer, model) = rayon::join(
            || Tokenizer::open(files, &spec.tokenizer, options.max_length),
            || MaskedLm::load(files, spec, options.device, options.decoder, self.instruction_set),
        );
        let ((tokenizer, of_tokenizer), (model, of_model)) = (tokenizer?, model?);
        let (rows, tokens) = (spec.config.vocab_size, tokenizer.vocab_size());
        if tokens > rows {
            let reason = format!("vocab_size is {rows}, but the tokenizer has {tokens} tokens");
            return Err(Error::invalid(files.within(&spec.folder).describe("config.json"), reason));
        }
        provenance.extend(spec.provenance(files));
        provenance.extend(of_model.provenance);
        self.notes.extend(of_model.notes);
        provenance.extend(of_tokenizer);
        let pooled = SpladePooling::new(
            &model.parameters().decoder,
            model.decoder_on_device(),
            &model.parameters().decoder_bias,
            spec.pooling.clone(),
            self.zeroed_ids(&tokenizer, rows),
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

    /// A table, and `described` of its weights in the provenance.
    fn table(
        &self,
        source: &TableSource,
        tokenizer: &Tokenizer,
        described: impl Fn(String) -> String,
        provenance: &mut Vec<Provenance>,
    ) -> Result<QueryTable, Error> {
        let (table, found) = QueryTable::load(self.files, source, tokenizer, self.options.dialect)?;
        provenance.push(Provenance { value: described(found.value), ..found });
        Ok(table)
    }

    fn table_tokenizer(
        &self,
        spec: &crate::spec::TokenizerSpec,
        provenance: &mut Vec<Provenance>,
    ) -> Result<Tokenizer, Error> {
        let (dialect, length) = (self.options.dialect, self.options.max_length);
        let (tokenizer, of_tokenizer) = Tokenizer::open(self.files, spec, length)?;
        provenance.extend(of_tokenizer);
        provenance.extend(spec.provenance(self.files));
        if dialect.surrounds_table_queries() {
            return Ok(tokenizer);
        }
        let is_limited = length.is_some() || dialect.cuts_table_queries();
        let limit = if is_limited { "cut" } else { "whole" };
        let rule = format!("no special tokens around them; {limit} where they are too long");
        provenance.push(Provenance::new("queries", rule, format!("the dialect {dialect}")));
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
fn arithmetic(options: &EncoderOptions, instruction_set: InstructionSet) -> [Provenance; 2] {
    let (logits, source) = match Screening::instructions(instruction_set) {
        _ if options.without_screen => ("all in f32", "the caller's choice".to_string()),
        None => ("all in f32", "this processor".to_string()),
        Some(name) => ("screened in 8 bits, the rest in f32", format!("{name} of this processor")),
    };
    [
        Provenance::new("arithmetic", instruction_set.name(), "this processor"),
        Provenance::new("logits", logits, source),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_loads_or_is_an_error() {
        for set in InstructionSet::ALL {
            let options = EncoderOptions { instruction_set: Some(set), ..EncoderOptions::default() };
            match load(&ModelFiles::tiny(), &options) {
                Ok(encoder) => assert!(set.is_available() && encoder.instruction_set() == set),
                Err(error) => assert!(!set.is_available() && matches!(error, Error::Option(_)), "{error}"),
            }
            let error = chosen(Some(set), |_| false).expect_err("a processor without it");
            assert_eq!(error.to_string(), format!("this processor has no {}", set.name()));
        }
        assert_eq!(chosen(None, |_| true).expect("the best"), InstructionSet::best());
    }
}
