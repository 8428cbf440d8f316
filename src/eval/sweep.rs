//! What pruning, chunking and shorter texts cost in quality, and save in bytes and postings.

use std::num::NonZeroUsize;
use std::str::FromStr;

use super::encoded::{EncodedCollection, EvaluationError, Setting};
use super::evaluated::Evaluated;
use super::Measure;
use crate::index::Codec;
use crate::run::{LongTexts, Observer, Shape};
use crate::sparse::Prune;
use crate::spec::Dialect;

/// Everything that is measured: each value with each value of the others.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The most tokens of a text; `None` is the model's own limit.
    pub lengths: Vec<Option<NonZeroUsize>>,
    /// What becomes of longer documents.
    pub long: Vec<LongTexts>,
    /// Rules that prune; see [`Grid::with_unpruned`].
    pub prunes: Vec<Option<Prune>>,
    /// How many of the heaviest terms are kept.
    pub top_ks: Vec<Option<NonZeroUsize>>,
}

/// A setting and what was found with it.
#[derive(Clone, Debug)]
pub struct Point {
    /// How the documents were encoded: length and chunking, where they vary.
    pub encoding: Vec<(&'static str, String)>,
    /// The most tokens of a text.
    pub length: Option<NonZeroUsize>,
    /// What became of longer documents.
    pub long: LongTexts,
    /// The rule that pruned documents.
    pub prune: Option<Prune>,
    /// How many of the heaviest terms were kept.
    pub top_k: Option<NonZeroUsize>,
    /// The mean over all collections.
    pub found: Evaluated,
    /// Whether the others are compared with it.
    pub is_baseline: bool,
    /// nDCG@10 as a share of the baseline's.
    pub quality: f64,
}

/// What a user says of the setting to compare with, by the names that settings have in the table, as in
/// `max_length=512,on_long=chunk=32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline(Vec<(String, String)>);

/// No setting that was measured is the one to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no setting that is measured is this one")]
pub struct NoBaseline;

impl Grid {
    /// A grid in which documents are also left as they are: rules that drop nothing, and rules that are named twice, are
    /// left out.
    pub fn with_unpruned(
        lengths: Vec<Option<NonZeroUsize>>,
        long: Vec<LongTexts>,
        rules: impl IntoIterator<Item = Prune>,
        top_ks: &[NonZeroUsize],
    ) -> Self {
        let mut prunes = vec![None];
        for rule in rules {
            let is_nothing = matches!(rule, Prune::MaxRatio(0.0) | Prune::AbsValue(0.0));
            if !is_nothing && !prunes.contains(&Some(rule)) {
                prunes.push(Some(rule));
            }
        }
        let top_ks = [None].into_iter().chain(top_ks.iter().copied().map(Some)).collect();
        Grid { lengths, long, prunes, top_ks }
    }

    /// How many settings there are.
    pub fn len(&self) -> usize {
        self.lengths.len() * self.long.len() * self.prunes.len() * self.top_ks.len()
    }

    /// Whether there is no setting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Measures every setting. Documents are encoded once for each length and chunking.
    ///
    /// * `open`: encodes the collections with a length and a rule for long documents.
    /// * `measured`: is told each point.
    ///
    /// # Errors
    ///
    /// Those of `open` and of [`EncodedCollection::evaluate`].
    pub fn measure<E: From<EvaluationError>>(
        &self,
        codec: Codec,
        dialect: Dialect,
        observer: &mut dyn Observer,
        mut open: impl FnMut(
            Option<NonZeroUsize>,
            LongTexts,
            &mut dyn Observer,
        ) -> Result<Vec<EncodedCollection>, E>,
        mut measured: impl FnMut(usize, &Point),
    ) -> Result<Vec<Point>, E> {
        let mut points: Vec<Point> = Vec::new();
        for (length, long) in
            self.lengths.iter().flat_map(|length| self.long.iter().map(move |long| (*length, *long)))
        {
            let mut encoding = Vec::new();
            if self.lengths.len() > 1 {
                encoding.extend(length.map(|length| ("max_length", length.to_string())));
            }
            if self.long.len() > 1 {
                encoding.push(("on_long", long.to_string()));
            }
            let collections = open(length, long, observer)?;
            for (prune, top_k) in
                self.prunes.iter().flat_map(|prune| self.top_ks.iter().map(move |top_k| (*prune, *top_k)))
            {
                let shape = Shape { prune, top_k, ..Shape::default() }.in_dialect(dialect);
                let found = evaluate_all(&collections, &Setting { shape, codec }, observer)?;
                let encoding = encoding.clone();
                points.push(Point {
                    encoding,
                    length,
                    long,
                    prune,
                    top_k,
                    found,
                    is_baseline: false,
                    quality: 1.0,
                });
                measured(points.len(), &points[points.len() - 1]);
            }
        }
        Ok(points)
    }
}

/// The mean over all collections.
fn evaluate_all(
    collections: &[EncodedCollection],
    setting: &Setting,
    observer: &mut dyn Observer,
) -> Result<Evaluated, EvaluationError> {
    let mut all = Vec::new();
    for collection in collections {
        all.push(collection.evaluate(setting, &Measure::DEFAULT, observer)?.0);
        collection.forget(setting)?;
    }
    Ok(Evaluated::average(&all))
}

impl Point {
    /// The name of the pruning rule and its value.
    pub fn rule(&self) -> Option<(&'static str, f32)> {
        self.prune.map(|rule| (rule.name(), rule.value()))
    }

    /// As it would stand on a command line.
    pub fn label(&self) -> String {
        let mut parts: Vec<String> =
            self.encoding.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.extend(self.rule().map(|(name, value)| format!("{name}={value}")));
        parts.extend(self.top_k.map(|count| format!("top_k={count}")));
        if !self.is_pruned() {
            parts.push("all terms".into());
        }
        parts.join(" ")
    }

    /// nDCG@10.
    pub fn gain(&self) -> f64 {
        self.found.means[0]
    }

    fn is_pruned(&self) -> bool {
        self.prune.is_some() || self.top_k.is_some()
    }

    /// Whether it is a setting that `baseline` describes: pruned only where that says so.
    fn is_described(&self, Baseline(parts): &Baseline) -> bool {
        let is_given = |name: &str| parts.iter().any(|(given, _)| given == name);
        let is_so = |(name, value): &(String, String)| match name.as_str() {
            "max_length" => self.length.is_some_and(|length| length.to_string() == *value),
            "on_long" => value.parse() == Ok(self.long),
            "top_k" => self.top_k.is_some_and(|count| count.to_string() == *value),
            rule => self.rule().is_some_and(|(name, own)| name == rule && value.parse() == Ok(own)),
        };
        parts.iter().all(is_so)
            && (self.top_k.is_none() || is_given("top_k"))
            && self.rule().is_none_or(|(name, _)| is_given(name))
    }
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let names = ["max_length", "on_long", "max_ratio", "alpha_mass", "abs_value", "top_k"];
        let part = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match names.contains(&name) && !value.is_empty() {
                true => Ok((name.to_string(), value.to_string())),
                false => Err(format!("`{part}` is none of {}, each with = and a value", names.join(", "))),
            }
        };
        let parts = value.split([',', ' ']).filter(|part| !part.is_empty());
        parts.map(part).collect::<Result<_, _>>().map(Baseline)
    }
}

/// Chooses the setting to compare with: the best of those that `described` describes, or without it the best of those
/// that drop nothing. Gives each point its quality.
///
/// # Errors
///
/// [`NoBaseline`] where no point is such a setting.
pub fn compare(points: &mut [Point], described: Option<&Baseline>) -> Result<(), NoBaseline> {
    let may_be = |point: &Point| match described {
        Some(described) => point.is_described(described),
        None => !point.is_pruned(),
    };
    let mut best: Option<(usize, f64)> = None;
    for (place, point) in points.iter().enumerate().filter(|(_, point)| may_be(point)) {
        if best.is_none_or(|(_, most)| point.gain() > most) {
            best = Some((place, point.gain()));
        }
    }
    let (baseline, most) = best.ok_or(NoBaseline)?;
    for (place, point) in points.iter_mut().enumerate() {
        point.is_baseline = place == baseline;
        point.quality = if most > 0.0 { point.gain() / most } else { 1.0 };
    }
    Ok(())
}

/// The smallest index of those that keep a share of the quality, and of equal ones that with the fewest postings; `None`
/// before [`compare`] has chosen a baseline.
pub fn smallest(points: &[Point], share: f64) -> Option<&Point> {
    let cost = |point: &&Point| (point.found.index_bytes, point.found.query_postings);
    let good = points.iter().filter(|point| point.quality >= share);
    good.min_by(|a, b| cost(a).0.total_cmp(&cost(b).0).then(cost(a).1.total_cmp(&cost(b).1)))
}
