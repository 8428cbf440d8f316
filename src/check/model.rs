//! All that tells whether a model gives the right numbers.

use super::golden::{self, Comparison, GoldenRow};
use super::verify::{invariance, published_numbers, second_opinion, Check, Outcome};
use crate::conventions::UntiedDecoder;
use crate::encoder::{EncoderOptions, Side, SparseEncoder};
use crate::error::Error;
use crate::known::KnownModel;
use crate::source::ModelFiles;
use crate::spec::{Dialect, UnknownKey};

/// A model to be checked. It is loaded several times: in each dialect that scores were published in, and with another
/// decoder where the checkpoint leaves that open.
#[derive(Debug)]
pub struct CheckedModel {
    /// Its files.
    pub files: ModelFiles,
    /// How it is run.
    pub options: EncoderOptions,
}

impl CheckedModel {
    fn load(&self, decoder: Option<UntiedDecoder>, dialect: Dialect) -> Result<SparseEncoder, Error> {
        let decoder = decoder.or(self.options.decoder);
        SparseEncoder::load(&self.files, &EncoderOptions { decoder, dialect, ..self.options.clone() })
    }

    /// Compares published scores where the model is known, another implementation of the forward pass, and the same texts
    /// alone, batched, reordered and on any number of threads.
    ///
    /// * `side`: the side that is checked; `None` for both, which published scores are of.
    ///
    /// # Errors
    ///
    /// Those of [`SparseEncoder::load`] and [`SparseEncoder::encode`].
    pub fn verify(&self, known: Option<&KnownModel>, side: Option<Side>) -> Result<Vec<Check>, Error> {
        let mut encoder = self.load(None, self.options.dialect)?;
        let mut checks = match (known, side) {
            (Some(known), None) => self.published(known, &encoder)?,
            (known, _) => vec![Check {
                what: "published numbers".into(),
                found: match known {
                    Some(_) => "not compared: they are of both sides, and one was asked for",
                    None => "none: not a model that is known by name",
                }
                .into(),
                outcome: Outcome::None,
            }],
        };
        for UnknownKey { file, key } in encoder.unknown_keys() {
            checks.push(Check {
                what: format!("the key `{key}`"),
                found: format!("`{file}` has it, and no table says whether it changes a vector"),
                outcome: Outcome::None,
            });
        }
        let side = side.unwrap_or(Side::Document);
        checks.push(second_opinion(&encoder, side)?);
        checks.push(invariance(&mut encoder, side)?);
        Ok(checks)
    }

    /// The published numbers, and where they do not come out whether they do with the other decoder.
    fn published(&self, known: &KnownModel, encoder: &SparseEncoder) -> Result<Vec<Check>, Error> {
        let mut checks = self.published_in_dialects(known, None)?;
        if !all_pass(&checks) {
            checks.extend(self.other_decoder(encoder, known)?);
        }
        Ok(checks)
    }

    /// The published numbers, each in the dialect that it was computed in.
    fn published_in_dialects(
        &self,
        known: &KnownModel,
        decoder: Option<UntiedDecoder>,
    ) -> Result<Vec<Check>, Error> {
        let mut checks = Vec::new();
        for (dialect, kept_special_tokens) in [(Dialect::Card, false), (Dialect::SentenceTransformers, true)]
        {
            if known.goldens.iter().any(|golden| golden.kept_special_tokens == kept_special_tokens) {
                checks.extend(published_numbers(&self.load(decoder, dialect)?, known)?);
            }
        }
        Ok(checks)
    }

    /// Where the checkpoint leaves a choice of decoder: whether the published numbers come out with the other one.
    fn other_decoder(&self, encoder: &SparseEncoder, known: &KnownModel) -> Result<Option<Check>, Error> {
        let (reading, reading_name) = match known.decoder {
            UntiedDecoder::UseStored => (UntiedDecoder::UseEmbeddings, "tied to the embeddings"),
            UntiedDecoder::UseEmbeddings => (UntiedDecoder::UseStored, "the stored one"),
        };
        let other = self.load(Some(reading), self.options.dialect)?;
        if other.provenance() == encoder.provenance() {
            return Ok(None);
        }
        let found = match all_pass(&self.published_in_dialects(known, Some(reading))?) {
            true => "the published numbers come out: this is how the model is meant",
            false => "no better",
        };
        Ok(Some(Check {
            what: format!("the other decoder, {reading_name}"),
            found: found.into(),
            outcome: Outcome::None,
        }))
    }

    /// Compares what was computed elsewhere with ours in every dialect.
    ///
    /// # Errors
    ///
    /// Those of [`SparseEncoder::load`] and [`golden::compare`].
    pub fn compare(
        &self,
        golden: &[GoldenRow],
        side: Option<Side>,
    ) -> Result<Vec<(Dialect, Comparison)>, Error> {
        let compare = |dialect| {
            let encoder = self.load(None, dialect)?;
            Ok((dialect, golden::compare(&encoder, golden, side)?))
        };
        Dialect::ALL.into_iter().map(compare).collect()
    }
}

/// Whether no check has failed.
pub fn all_pass(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.outcome != Outcome::Fail)
}
