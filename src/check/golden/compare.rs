//! Golden rows against what an encoder gives for their texts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::{Entries, Golden, GoldenRow, Written};
use crate::encoder::{Encoded, Side, SparseEncoder};
use crate::error::Error;
use crate::sparse::SparseVector;
use crate::tokenizer::Tokenizer;

/// How far apart two programs' weights may be before either rounds them: f32 sums in another order.
const WEIGHT_TOLERANCE: f64 = 1e-4;

/// The same for scores, sums of products of such weights.
const SCORE_TOLERANCE: f64 = 1e-3;

/// How golden rows and an encoder compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Rows.
    pub num_rows: usize,
    /// Rows with no difference beyond the tolerance.
    pub num_matching: usize,
    /// Weights and scores compared; a term that only one side has is one.
    pub num_compared: usize,
    /// The largest difference, within the tolerance or not; `None` where there is none at all.
    pub largest: Option<Difference>,
    /// The first difference beyond the tolerance: by row, then by the row's own order, then the terms that the row
    /// lacks, heaviest first.
    pub first: Option<Difference>,
}

/// A weight or score that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Index of the row among those compared.
    pub row: usize,
    /// Line that the row begins on.
    pub line: usize,
    /// The term; `None` for a score.
    pub term: Option<String>,
    /// What the encoder gives, 0 for a term absent; `None` where its vocabulary has no such term.
    pub ours: Option<f32>,
    /// What the row says, 0 for a term absent.
    pub theirs: f32,
}

impl Comparison {
    /// Whether there are rows and all of them match.
    pub fn matches(&self) -> bool {
        self.num_rows > 0 && self.num_matching == self.num_rows
    }

    fn add(&mut self, row: usize, line: usize, pairs: Vec<Pair>) {
        let mut all_within = true;
        for Pair { term, ours, theirs, tolerance } in pairs {
            let size = difference(ours, theirs.value);
            let within = ours.is_some() && size <= tolerance + f64::from(theirs.rounding);
            let is_largest = size > self.largest.as_ref().map_or(0.0, Difference::size);
            if is_largest || (!within && self.first.is_none()) {
                let term = term.map(Cow::into_owned);
                let found = Difference { row, line, term, ours, theirs: theirs.value };
                if !within {
                    self.first.get_or_insert_with(|| found.clone());
                }
                if is_largest {
                    self.largest = Some(found);
                }
            }
            all_within &= within;
            self.num_compared += 1;
        }
        self.num_rows += 1;
        self.num_matching += usize::from(all_within);
    }
}

impl Difference {
    /// How far apart the two are.
    pub fn size(&self) -> f64 {
        difference(self.ours, self.theirs)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Difference { line, term, ours, theirs, .. } = self;
        match term {
            Some(term) => write!(formatter, "line {line}, `{term}`: ")?,
            None => write!(formatter, "line {line}, score: ")?,
        }
        match ours {
            Some(ours) => write!(formatter, "ours {ours}, theirs {theirs}"),
            None => write!(formatter, "not in our vocabulary, theirs {theirs}"),
        }
    }
}

fn difference(ours: Option<f32>, theirs: f32) -> f64 {
    (f64::from(ours.unwrap_or(0.0)) - f64::from(theirs)).abs()
}

/// A weight or score of both sides.
struct Pair<'a> {
    term: Option<Cow<'a, str>>,
    ours: Option<f32>,
    theirs: Written,
    tolerance: f64,
}

/// Encodes the texts of `rows` and compares each weight and score.
///
/// A weight may differ by 1e-4 and a score by 1e-3, and by what the row's own rounding may have taken besides. A term
/// that one side lacks weighs 0 there; one that the vocabulary lacks is a difference whatever it weighs.
///
/// A text whose row names no side is of `default_side`; without one it is a document, unless the model encodes queries
/// otherwise.
///
/// # Errors
///
/// [`Error::UnknownSide`] where a text's side has to be known and is not; otherwise as [`SparseEncoder::encode`].
pub fn compare(
    encoder: &SparseEncoder,
    rows: &[GoldenRow],
    default_side: Option<Side>,
) -> Result<Comparison, Error> {
    let default_side = default_side.or((!encoder.sides_differ()).then_some(Side::Document));
    let sides = rows.iter().map(|row| known_side(row, default_side)).collect::<Result<Vec<_>, Error>>()?;
    let encode = |side| {
        let texts: Vec<&str> = rows.iter().zip(&sides).filter_map(|(row, of)| text(row, *of, side)).collect();
        // A side that no row is of need not be there.
        let encoded = if texts.is_empty() { Vec::new() } else { encoder.encode(&texts, side)? };
        Ok::<_, Error>(encoded.into_iter())
    };
    let (mut queries, mut documents) = (encode(Side::Query)?, encode(Side::Document)?);
    let mut next = |side| {
        let encoded: Option<Encoded> = if side == Side::Query { queries.next() } else { documents.next() };
        encoded.expect("every text was encoded: anything else is a bug").vector
    };
    let mut comparison = Comparison::default();
    for (index, (row, side)) in rows.iter().zip(sides).enumerate() {
        match &row.what {
            Golden::Vector { entries, .. } => {
                comparison.add(index, row.line, weights(encoder.tokenizer(), entries, &next(side)));
            }
            Golden::Score { score, .. } => {
                let found = encoder.similarity().score(&next(Side::Query), &next(Side::Document))?;
                let ours = Some(found);
                let pair = Pair { term: None, ours, theirs: *score, tolerance: SCORE_TOLERANCE };
                comparison.add(index, row.line, vec![pair]);
            }
        }
    }
    Ok(comparison)
}

/// The side of a row's text. A score's texts have their sides from their names, whatever this says.
fn known_side(row: &GoldenRow, default_side: Option<Side>) -> Result<Side, Error> {
    let needless = matches!(row.what, Golden::Score { .. }).then_some(Side::Document);
    row.side.or(default_side).or(needless).ok_or_else(|| Error::UnknownSide { line: row.line })
}

/// What a row has to encode as `side`; `of` is the side of its text.
fn text(row: &GoldenRow, of: Side, side: Side) -> Option<&str> {
    match (&row.what, side) {
        (Golden::Vector { text, .. }, _) => (of == side).then_some(text),
        (Golden::Score { query, .. }, Side::Query) => Some(query),
        (Golden::Score { document, .. }, Side::Document) => Some(document),
    }
}

/// The weights of a row's terms, then those of the terms that only we have.
fn weights<'a>(tokenizer: &'a Tokenizer, entries: &'a Entries, ours: &SparseVector) -> Vec<Pair<'a>> {
    let named: Vec<(Option<u32>, Cow<str>, Written)> = match entries {
        Entries::Terms(entries) => {
            entries.iter().map(|(term, weight)| (tokenizer.id(term), term.into(), *weight)).collect()
        }
        Entries::Ids(entries) => {
            let named = |&(id, weight): &(u32, Written)| match tokenizer.term(id) {
                Some(term) => (Some(id), term.into(), weight),
                None => (None, format!("id {id}").into(), weight),
            };
            entries.iter().map(named).collect()
        }
    };
    let theirs: HashSet<u32> = named.iter().filter_map(|(id, ..)| *id).collect();
    let pair = |term, ours, theirs| Pair { term: Some(term), ours, theirs, tolerance: WEIGHT_TOLERANCE };
    let mut pairs: Vec<_> = named
        .into_iter()
        .map(|(id, term, theirs)| pair(term, id.map(|id| ours.weight(id)), theirs))
        .collect();
    for (id, weight) in ours.heaviest_first().into_iter().filter(|(id, _)| !theirs.contains(id)) {
        let term = tokenizer.term(id).unwrap_or("?");
        pairs.push(pair(term.into(), Some(weight), Written { value: 0.0, rounding: 0.0 }));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::check::golden::read;
    use crate::encoder::EncoderOptions;
    use crate::input::json::Keys;
    use crate::source::ModelFiles;

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    fn load(files: &ModelFiles) -> SparseEncoder {
        SparseEncoder::load(files, &EncoderOptions::default()).expect("a good model")
    }

    fn tiny() -> SparseEncoder {
        load(&ModelFiles::tiny())
    }

    /// What PyTorch computed, each vector with its text: `{"text": …, "vector": …}` a line.
    fn pytorch(file: &str) -> Vec<String> {
        let lines = |name| std::fs::read_to_string(fixture(name)).expect("a fixture");
        let (texts, vectors) = (lines("texts.jsonl"), lines(file));
        let id_and_rest =
            |line: &str| line.split_once(", ").map(|(id, rest)| (id.to_string(), rest.to_string()));
        let texts: std::collections::HashMap<_, _> = texts.lines().filter_map(id_and_rest).collect();
        let joined = vectors.lines().filter_map(id_and_rest).map(|(id, vector)| {
            let text = texts[&id].strip_suffix('}').expect("an object");
            format!("{{{text}, {vector}")
        });
        joined.collect()
    }

    fn rows(file: &str) -> Vec<GoldenRow> {
        let path = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(path.path(), file).expect("a temporary file");
        read(path.path(), Keys::Terms).expect("a good file")
    }

    /// Compares PyTorch's vectors of the first three texts, `from` replaced in them.
    fn replaced(from: &str, to: &str) -> Comparison {
        let file = pytorch("tiny/reference.jsonl")[..3].join("\n");
        assert!(file.contains(from));
        compare(&tiny(), &rows(&file.replacen(from, to, 1)), None).expect("texts to encode")
    }

    #[track_caller]
    fn assert_first(found: &Comparison, expected: &str) {
        let first = found.first.as_ref().expect("a difference").to_string();
        assert!(first.starts_with(expected), "{first}");
        assert!(!found.matches());
        assert_eq!((found.num_rows, found.num_matching), (3, 2));
    }

    #[test]
    fn what_pytorch_computed_matches() {
        let file = pytorch("tiny/reference.jsonl");
        let found = compare(&tiny(), &rows(&file.join("\n")), None).expect("texts to encode");
        assert!(found.matches() && found.first.is_none(), "{found:?}");
        assert_eq!((found.num_rows, found.num_matching), (file.len(), file.len()));
        assert!(found.num_compared > 1000, "{found:?}");
        assert!(found.largest.is_some_and(|largest| largest.size() < WEIGHT_TOLERANCE));
    }

    #[test]
    fn no_rows_match_nothing() {
        assert!(!compare(&tiny(), &[], None).expect("nothing to encode").matches());
    }

    #[test]
    fn a_changed_weight_is_the_first_and_the_largest_difference() {
        let found = replaced("\"york\": 2.052879", "\"york\": 2.053079");
        assert_first(&found, "line 2, `york`: ours 2.05");
        assert_eq!(found.first, found.largest);
        let first = found.first.expect("a difference");
        assert_eq!((first.row, first.theirs), (1, 2.053079));
        assert!((first.size() - 2e-4).abs() < 2e-5);
    }

    #[test]
    fn the_first_difference_is_not_the_largest() {
        let found = replaced("\"cool\": 2.053555, \"now\": 2.01472", "\"cool\": 2.153555, \"now\": 9.0");
        assert_first(&found, "line 1, `cool`: ours 2.05");
        assert_eq!(found.largest.and_then(|largest| largest.term).as_deref(), Some("now"));
    }

    #[test]
    fn a_term_that_one_side_lacks_weighs_nothing_there() {
        let all = replaced("\"cool\"", "\"cool\"").num_compared;
        let missing = replaced("\"york\": 2.052879, ", "");
        assert_first(&missing, "line 2, `york`: ours 2.05");
        assert_eq!((missing.num_compared, missing.first.map(|first| first.theirs)), (all, Some(0.0)));
        let extra = replaced("{\"haven\"", "{\"[CLS]\": 0.3, \"haven\"");
        assert_first(&extra, "line 1, `[CLS]`: ours 0, theirs 0.3");
        assert!(replaced("{\"haven\"", "{\"[CLS]\": 0.00009, \"haven\"").matches());
    }

    #[test]
    fn a_term_that_the_vocabulary_lacks_is_a_difference() {
        let found = replaced("{\"haven\"", "{\"xyzzyx\": 0.0, \"haven\"");
        assert_first(&found, "line 1, `xyzzyx`: not in our vocabulary, theirs 0");
        let found = compare(&tiny(), &rows(r#"{"text":"","indices":[4000000000],"values":[0.5]}"#), None);
        let first = found.expect("a text to encode").first.expect("a difference");
        assert_eq!(first.to_string(), "line 1, `id 4000000000`: not in our vocabulary, theirs 0.5");
    }

    #[test]
    fn a_weight_may_differ_by_what_its_rounding_took() {
        assert!(replaced("\"york\": 2.052879", "\"york\": 2.05").matches());
        assert!(replaced("\"york\": 2.052879", "\"york\": 2.1").matches());
        assert_first(&replaced("\"york\": 2.052879", "\"york\": 2.06"), "line 2, `york`");
        assert_first(&replaced("\"york\": 2.052879", "\"york\": 2.050"), "line 2, `york`");
        assert_first(&replaced("\"york\": 2.052879", "\"york\": 2"), "line 2, `york`");
        assert_first(&replaced("\"york\": 2.052879", "\"york\": 2.0"), "line 2, `york`");
    }

    #[test]
    fn ids_are_the_terms_that_the_vocabulary_says() {
        let encoder = tiny();
        let by_id = |row: GoldenRow| {
            let Golden::Vector { text, entries: Entries::Terms(entries) } = row.what else { panic!("terms") };
            let id = |term: &str| encoder.tokenizer().id(term).expect("a term");
            let entries = Entries::Ids(entries.iter().map(|(term, weight)| (id(term), *weight)).collect());
            GoldenRow { what: Golden::Vector { text, entries }, ..row }
        };
        let mut rows: Vec<_> =
            rows(&pytorch("tiny/reference.jsonl")[..3].join("\n")).into_iter().map(by_id).collect();
        assert!(compare(&encoder, &rows, None).expect("texts to encode").matches());
        if let Golden::Vector { entries: Entries::Ids(entries), .. } = &mut rows[2].what {
            entries[0].1.value += 0.25;
        }
        let found = compare(&encoder, &rows, None).expect("texts to encode");
        assert_first(&found, "line 3, `red`: ours 2.44");
    }

    #[test]
    fn a_score_is_the_dot_product_of_both_sides() {
        // The sum over the shared terms of PyTorch's `card-query` and `card-document`, added up in f64.
        let row = |score| {
            format!(
                r#"{{"query":"What's the weather in ny now?","document":"Currently New York is rainy.","score":{score}}}"#
            )
        };
        let found = |score| compare(&tiny(), &rows(&row(score)), None).expect("texts to encode");
        assert!(found("17.6849").matches());
        assert!(found("17.7").matches());
        let changed = found("17.6879");
        let first = changed.first.as_ref().expect("a difference");
        assert_eq!((&first.term, first.theirs, changed.num_compared), (&None, 17.6879, 1));
        assert!(first.to_string().starts_with("line 1, score: ours 17.68"), "{first}");
        assert!(!changed.matches());
    }

    #[test]
    fn queries_of_a_table_are_told_from_documents() {
        let encoder = load(&ModelFiles::folder("idf-query", fixture("idf-query")));
        let vectors = pytorch("idf-query/queries.jsonl").join("\n");
        let compared = |file: &str, side| compare(&encoder, &rows(file), side);
        let unknown = compared(&vectors, None).expect_err("no side");
        assert!(matches!(unknown, Error::UnknownSide { line: 1 }), "{unknown}");
        assert!(compared(&vectors, Some(Side::Query)).expect("a side").matches());
        assert!(!compared(&vectors, Some(Side::Document)).expect("a side").matches());
        let documents = pytorch("idf-query/reference.jsonl").join("\n").replace("{\"text\"", "{\"document\"");
        let both = format!("{}\n{documents}", vectors.replace("{\"text\"", "{\"query\""));
        for side in [None, Some(Side::Query), Some(Side::Document)] {
            let found = compared(&both, side).expect("sides");
            assert!(found.matches(), "what a row says goes first: {found:?}");
        }
        assert!(
            compared(r#"{"query":"a","document":"b","score":0}"#, None).is_ok(),
            "a score names both sides"
        );
    }
}
