//! Is this model right on this machine? The checks behind `model verify`.
//!
//! Published numbers, a second implementation, and the promise that a text's
//! vector depends on the text alone. Returns a report; printing it is the
//! caller's business.

use crate::check::second_opinion::StockBert;
use crate::encoder::{Encoded, Side, SparseEncoder};
use crate::error::Error;
use crate::known::{KnownModel, CARD_DOCUMENT, CARD_QUERY};
use crate::sparse::SparseVector;

/// How far the weights of two implementations may be apart.
const SECOND_OPINION_TOLERANCE: f32 = 1e-4;

/// One line of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was compared.
    pub what: String,
    /// What came out, with the figures.
    pub found: String,
    /// What it means.
    pub outcome: Outcome,
}

/// What a check means for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// The model must not be trusted.
    Fail,
    /// Nothing to compare with; no failure.
    None,
}

/// Compares the scores that others published for `known` with ours.
///
/// * `encoder`: in one dialect; the scores that were computed in another are left out.
///
/// # Errors
///
/// As [`SparseEncoder::encode`].
pub fn published_numbers(encoder: &SparseEncoder, known: &KnownModel) -> Result<Vec<Check>, Error> {
    let kept_special_tokens = encoder.dialect().keeps_special_tokens();
    let mut checks = Vec::new();
    for golden in known.goldens.iter().filter(|golden| golden.kept_special_tokens == kept_special_tokens) {
        let query = encoder.encode(&[golden.query], Side::Query)?.remove(0);
        let document = encoder.encode(&[golden.document], Side::Document)?.remove(0);
        let score = query.vector.dot(&document.vector)?;
        let difference = (score - golden.score).abs();
        checks.push(Check {
            what: format!("score of \"{}…\" ({})", shortened(golden.document), golden.source),
            found: format!("{score:.4}, published {}, differs by {difference:.1e}", golden.score),
            outcome: if difference <= golden.tolerance { Outcome::Pass } else { Outcome::Fail },
        });
    }
    if !known.card_terms.is_empty() && !kept_special_tokens {
        checks.push(card_terms(encoder, known)?);
    }
    Ok(checks)
}

/// The shared terms of the card's example: the same terms, each weight to the card's precision.
fn card_terms(encoder: &SparseEncoder, known: &KnownModel) -> Result<Check, Error> {
    const TOLERANCE: f32 = 1e-3;
    let query = encoder.encode(&[CARD_QUERY], Side::Query)?.remove(0).vector;
    let document = encoder.encode(&[CARD_DOCUMENT], Side::Document)?.remove(0).vector;
    let shared = query.intersection(&document);
    let mut worst = (0.0f32, "");
    for &(term, in_query, in_document) in known.card_terms {
        let ours = encoder.tokenizer().id(term).and_then(|id| shared.iter().find(|entry| entry.0 == id));
        let difference = match ours {
            Some(&(_, q, d)) => (q - in_query).abs().max((d - in_document).abs()),
            None => f32::INFINITY,
        };
        if difference > worst.0 {
            worst = (difference, term);
        }
    }
    let expected = known.card_terms.len();
    let right = worst.0 <= TOLERANCE && shared.len() == expected;
    Ok(Check {
        what: "shared terms of the card's example".into(),
        found: format!(
            "{} of {expected} published, largest difference {:.1e} ({})",
            shared.len(),
            worst.0,
            worst.1
        ),
        outcome: if right { Outcome::Pass } else { Outcome::Fail },
    })
}

/// Compares our vectors with those of another implementation over the same parameters, alone and batched:
/// candle-transformers' own BERT, or, where it has no such model, our forward pass in candle's tensors.
///
/// # Errors
///
/// As [`SparseEncoder::encode`].
pub fn second_opinion(encoder: &SparseEncoder, side: Side) -> Result<Check, Error> {
    let Some(transformer) = encoder.transformer(side)? else {
        let what = format!("a second opinion on a {}", side.name());
        let found = "none: a table has no forward pass".into();
        return Ok(Check { what, found, outcome: Outcome::None });
    };
    let (model, pooling) = (&transformer.model, &transformer.pooling);
    let stock = StockBert::new(model)?;
    let what = match &stock {
        Some(_) => "candle-transformers' BERT, the same parameters",
        None => "the forward pass in candle's tensors, the same parameters",
    };
    let texts = texts();
    let batched = encoder.encode(&texts, side)?;
    let mut worst = (0.0f32, String::from("none"));
    for (text, batched) in texts.iter().zip(&batched) {
        let alone = &encoder.encode(&[text], side)?[0];
        let ids = encoder.token_ids(text, side)?;
        let logits = match &stock {
            Some(stock) => stock.logits(&ids, model)?,
            None => model.reference_logits(&ids)?,
        };
        let theirs = SparseVector::from_dense(&pooling.pool_logits(&logits));
        let theirs = encoder.postprocess(theirs, &ids, side)?;
        for ours in [alone, batched] {
            for (term, difference) in differences(&ours.vector, &theirs) {
                // A NaN from the other side counts as a difference.
                if difference > worst.0 || difference.is_nan() {
                    let term = encoder.tokenizer().term(term).unwrap_or("?");
                    worst =
                        (difference, format!("`{term}` of \"{}…\", {} tokens", shortened(text), ids.len()));
                }
            }
        }
    }
    let right = worst.0 <= SECOND_OPINION_TOLERANCE;
    Ok(Check {
        what: what.into(),
        found: format!("{} texts, largest difference {:.1e} ({})", texts.len(), worst.0, worst.1),
        outcome: if right { Outcome::Pass } else { Outcome::Fail },
    })
}

/// How far each weight of either vector is from the other's.
fn differences<'v>(a: &'v SparseVector, b: &'v SparseVector) -> impl Iterator<Item = (u32, f32)> + 'v {
    let ids = a.indices().iter().chain(b.indices());
    ids.map(move |&id| (id, (a.weight(id) - b.weight(id)).abs()))
}

/// Encodes the same texts alone, together, in another order, and on 1 and several threads: the bits must not change.
///
/// Leaves the encoder with the threads that it had.
///
/// # Errors
///
/// As [`SparseEncoder::encode`], or [`Error::Threads`].
pub fn invariance(encoder: &mut SparseEncoder, side: Side) -> Result<Check, Error> {
    let texts = texts();
    let num_threads = encoder.num_threads();
    let together = encoder.encode(&texts, side)?;
    let mut broken = Vec::new();
    let mut compare = |how: &str, encoded: &[Encoded]| {
        let differing = encoded.iter().zip(&together).filter(|(a, b)| !same_bits(a, b)).count();
        if differing > 0 || encoded.len() != together.len() {
            broken.push(format!("{differing} texts differ {how}"));
        }
    };
    for threads in [1, num_threads.max(2)] {
        encoder.set_threads(Some(threads))?;
        let alone: Vec<Encoded> = texts
            .iter()
            .map(|text| Ok(encoder.encode(&[text], side)?.remove(0)))
            .collect::<Result<_, Error>>()?;
        compare(&format!("alone on {threads} threads"), &alone);
        let reordered: Vec<&str> = texts.iter().rev().map(String::as_str).collect();
        let mut reversed = encoder.encode(&reordered, side)?;
        reversed.reverse();
        compare(&format!("in reverse order on {threads} threads"), &reversed);
    }
    encoder.set_threads(Some(num_threads))?;
    let (found, outcome) = if broken.is_empty() {
        let threads = num_threads.max(2);
        (
            format!("{} texts: the same bits in every way, on 1 and {threads} threads", texts.len()),
            Outcome::Pass,
        )
    } else {
        (broken.join("; "), Outcome::Fail)
    };
    let what = format!("alone, batched, reordered, on the kernel {}", encoder.instruction_set().name());
    Ok(Check { what, found, outcome })
}

fn same_bits(a: &Encoded, b: &Encoded) -> bool {
    let bits = |encoded: &Encoded| -> Vec<(u32, u32)> {
        encoded.vector.iter().map(|(id, weight)| (id, weight.to_bits())).collect()
    };
    bits(a) == bits(b)
}

/// Texts of several lengths, from nothing to beyond the limit of most models.
fn texts() -> Vec<String> {
    let passage = "Learned sparse retrieval keeps the inverted index: each document becomes a bag of weighted terms, \
                   some of them its own words and some that the model adds, and a query is scored by a dot product.";
    let words: Vec<&str> = passage.split(' ').collect();
    let mut texts =
        vec![String::new(), CARD_QUERY.to_string(), CARD_DOCUMENT.to_string(), "ß 東京 naïve 42".into()];
    for length in [1, 2, 3, 7, 16, 33, 64, 127, 200, 400, 600] {
        texts.push(words.iter().cycle().take(length).copied().collect::<Vec<_>>().join(" "));
    }
    texts
}

fn shortened(text: &str) -> String {
    text.chars().take(24).collect()
}
