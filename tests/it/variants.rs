//! Model folders as people save and edit them, against the vectors of their authors' libraries.
//!
//! `tests/variants/kinds.json` describes each kind as edits of a base folder. `folder.rs` makes the folder, as
//! `tests/variants/variants.py` did when it asked transformers or sentence-transformers for the golden vectors.

mod folder;
mod tensors;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use neural_sparse::{Dialect, Encoded, EncoderOptions, ModelFiles, Side, SparseEncoder};
use serde::Deserialize;

use crate::program::neural_sparse;
use folder::{make_folder, Edit};

/// How far a weight may be from the library's: f32 sums in another order, and goldens of 6 digits.
const TOLERANCE: f64 = 1e-4;

/// kinds.json.
#[derive(Deserialize)]
struct Book {
    bases: HashMap<String, Base>,
    texts: HashMap<String, Vec<String>>,
    kinds: Vec<Kind>,
}

/// A folder that kinds are edits of.
#[derive(Deserialize)]
struct Base {
    /// Below `tests/variants`.
    folder: String,
    /// Files and folders in it that are left out.
    #[serde(default)]
    without: Vec<String>,
    /// The list of texts that its kinds encode.
    texts: String,
}

#[derive(Deserialize)]
struct Kind {
    name: String,
    base: String,
    judge: Judge,
    expect: Expected,
    /// What the message of a refusal contains.
    #[serde(default)]
    names: Vec<String>,
    /// Whether it has the vectors of its base.
    #[serde(default)]
    same: bool,
    /// The kind whose golden file it then shares, if that is not its base.
    golden: Option<String>,
    /// Whether the scores of its texts are compared too.
    #[serde(default)]
    scores: bool,
    /// `query`, `document`, or both; that of documents, if absent.
    #[serde(default)]
    sides: Vec<String>,
    /// The name of the folder, where it is one that a known model has.
    called: Option<String>,
    /// Texts of its own behind those of the base.
    #[serde(default)]
    texts: Vec<String>,
    /// Texts of its own in the place of those of the base.
    #[serde(default)]
    instead: Vec<String>,
    #[serde(default)]
    edits: Vec<Edit>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Judge {
    Transformers,
    SentenceTransformers,
    /// transformers for the tokenizer, `tests/fixtures/gte_reference.py` for the model.
    Reference,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
enum Expected {
    #[serde(rename = "equal")]
    Equal,
    #[serde(rename = "refused")]
    Refused,
    #[serde(rename = "equal or refused")]
    Either,
}

/// The ids of a vector and their weights.
type Vector = (Vec<u32>, Vec<f64>);

/// Vectors by side; under `scores`, one vector of the scores of all texts as documents of the first.
type Vectors = HashMap<String, Vec<Vector>>;

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/variants")
}

fn book() -> Book {
    let text = std::fs::read(home().join("kinds.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

impl Kind {
    fn sides(&self) -> Vec<(&str, Side)> {
        let side = |name: &str| if name == "query" { Side::Query } else { Side::Document };
        match &self.sides[..] {
            [] => vec![("document", Side::Document)],
            names => names.iter().map(|name| (name.as_str(), side(name))).collect(),
        }
    }

    fn texts<'a>(&'a self, book: &'a Book) -> Vec<&'a str> {
        let own = |texts: &'a [String]| texts.iter().map(String::as_str).collect::<Vec<_>>();
        if !self.instead.is_empty() {
            return own(&self.instead);
        }
        [own(&book.texts[&book.bases[&self.base].texts]), own(&self.texts)].concat()
    }

    fn golden_vectors(&self) -> Vectors {
        let shared = self.golden.as_ref().unwrap_or(&self.base);
        let name = if self.same && !self.scores { shared } else { &self.name };
        let path = home().join("golden").join(format!("{name}.json"));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap()
    }

    /// What we make of it: the vectors of each side, or the message of a refusal.
    fn ours(&self, book: &Book) -> Result<Vectors, String> {
        let place = tempfile::tempdir().unwrap();
        let called = self.called.as_deref().unwrap_or("model");
        let folder = place.path().join(called);
        let base = &book.bases[&self.base];
        make_folder(&home(), &home().join(&base.folder), &base.without, &self.edits, &folder);
        let dialect = match self.judge {
            Judge::Transformers | Judge::Reference => Dialect::Card,
            Judge::SentenceTransformers => Dialect::SentenceTransformers,
        };
        let options = EncoderOptions { dialect, num_threads: Some(1), ..EncoderOptions::default() };
        let files = ModelFiles::folder(called, &folder);
        let encoder = SparseEncoder::load(&files, &options).map_err(|error| error.to_string())?;
        let texts = self.texts(book);
        let mut vectors = Vectors::new();
        for (name, side) in self.sides() {
            let encoded = encoder.encode(&texts, side).map_err(|error| error.to_string())?;
            let pairs = |row: &Encoded| row.vector.iter().map(|(id, weight)| (id, f64::from(weight))).unzip();
            vectors.insert(name.to_string(), encoded.iter().map(pairs).collect());
        }
        if self.scores {
            vectors.insert("scores".into(), vec![scores(&folder, dialect, &texts)]);
        }
        Ok(vectors)
    }

    /// What is wrong with what we make of it.
    fn fault(&self, book: &Book) -> Option<String> {
        match self.ours(book) {
            Err(message) if self.expect == Expected::Equal => Some(format!("refused: {message}")),
            Err(message) => {
                let said = message.to_lowercase();
                let unsaid = self.names.iter().find(|name| !said.contains(&name.to_lowercase()))?;
                Some(format!("refused without naming `{unsaid}`: {message}"))
            }
            Ok(_) if self.expect == Expected::Refused => Some("not refused".into()),
            Ok(vectors) => {
                let golden = self.golden_vectors();
                vectors.iter().find_map(|(side, ours)| {
                    let theirs = &golden[side];
                    let tolerance = match side.as_str() {
                        "scores" => TOLERANCE * largest(theirs),
                        _ => TOLERANCE,
                    };
                    difference(&self.texts(book), ours, theirs, tolerance)
                })
            }
        }
    }
}

/// The program's scores of all texts as documents of the first.
fn scores(folder: &Path, dialect: Dialect, texts: &[&str]) -> Vector {
    let model = folder.to_str().unwrap();
    let mut arguments =
        vec!["score", "--quiet", "--model", model, "--dialect", dialect.name(), "--", texts[0]];
    arguments.extend(texts);
    let printed = neural_sparse(&arguments).run().ok();
    (0..).zip(printed.lines().map(|line| line.parse::<f64>().unwrap())).unzip()
}

/// The largest of 1 and all weights: a score is a sum of many products.
fn largest(vectors: &[Vector]) -> f64 {
    vectors.iter().flat_map(|vector| &vector.1).fold(1.0, |most, weight| f64::max(most, weight.abs()))
}

/// The first text whose vectors differ, and by how much.
fn difference(texts: &[&str], ours: &[Vector], golden: &[Vector], tolerance: f64) -> Option<String> {
    assert_eq!(ours.len(), golden.len(), "goldens of other texts");
    texts.iter().zip(ours.iter().zip(golden)).find_map(|(text, (ours, theirs))| {
        assert!(ours.1.iter().all(|weight| weight.is_finite()), "{text:?}: {ours:?}");
        let weights = |vector: &Vector| -> BTreeMap<u32, f64> {
            vector.0.iter().copied().zip(vector.1.iter().copied()).collect()
        };
        let (ours, theirs) = (weights(ours), weights(theirs));
        let ids: BTreeSet<u32> = ours.keys().chain(theirs.keys()).copied().collect();
        let worst = ids
            .into_iter()
            .map(|id| (id, ours.get(&id).unwrap_or(&0.0) - theirs.get(&id).unwrap_or(&0.0)))
            .max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()));
        let (id, by) = worst.filter(|(_, by)| by.abs() > tolerance)?;
        Some(format!("the weight of term {id} differs by {by} in the vector of {text:?}"))
    })
}

/// Tries every kind of these bases and tells all that fail.
#[track_caller]
fn assert_kinds_hold(bases: &[&str]) {
    let book = book();
    let kinds: Vec<&Kind> = book.kinds.iter().filter(|kind| bases.contains(&kind.base.as_str())).collect();
    assert!(!kinds.is_empty(), "no kinds of {bases:?}");
    let faults: Vec<String> =
        kinds.iter().filter_map(|kind| Some(format!("{}: {}", kind.name, kind.fault(&book)?))).collect();
    assert!(faults.is_empty(), "{} of {} kinds fail:\n{}", faults.len(), kinds.len(), faults.join("\n"));
}

#[test]
fn kinds_of_bert_folders_hold() {
    assert_kinds_hold(&["bert"]);
}

#[test]
fn kinds_of_distilbert_folders_hold() {
    assert_kinds_hold(&["distilbert"]);
}

#[test]
fn kinds_of_roberta_folders_hold() {
    assert_kinds_hold(&["roberta"]);
}

#[test]
fn kinds_of_modernbert_folders_hold() {
    assert_kinds_hold(&["modernbert", "modernbert4"]);
}

#[test]
fn kinds_of_gte_folders_hold() {
    assert_kinds_hold(&["gte"]);
}

#[test]
fn kinds_of_sentence_transformers_folders_hold() {
    assert_kinds_hold(&["st5", "st6"]);
}

#[test]
fn kinds_of_folders_with_two_sides_hold() {
    assert_kinds_hold(&["st5-router", "st6-router", "st6-prompts", "st6-lengths", "st6-lexical"]);
}

#[test]
fn every_kind_is_tried_and_says_what_is_expected() {
    let book = book();
    let tried = [
        "bert",
        "distilbert",
        "roberta",
        "modernbert",
        "modernbert4",
        "gte",
        "st5",
        "st6",
        "st5-router",
        "st6-router",
        "st6-prompts",
        "st6-lengths",
        "st6-lexical",
    ];
    assert!(book.kinds.len() >= 60, "{} kinds", book.kinds.len());
    let mut names = BTreeSet::new();
    for kind in &book.kinds {
        assert!(names.insert(&kind.name), "{} is there twice", kind.name);
        assert!(tried.contains(&kind.base.as_str()), "{}: no test tries `{}`", kind.name, kind.base);
        assert!(kind.expect == Expected::Equal || !kind.names.is_empty(), "{}: names nothing", kind.name);
        assert!(!kind.same || kind.texts.is_empty() && kind.instead.is_empty(), "{}: other texts", kind.name);
    }
}
