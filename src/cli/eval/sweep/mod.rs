//! `eval sweep`: what pruning costs and saves.

mod report;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use neural_sparse::eval::collection::folder_name;
use neural_sparse::eval::Measure;
use neural_sparse::run::{LongTexts, Shape};
use neural_sparse::Prune;

use super::collection::{Collection, Setting};
use super::given::Given;
use super::report::{average, Evaluated};
use super::EncodingArgs;
use crate::cli::failure::{complain, Exit, UsageError};
use crate::cli::output::Output;
use crate::cli::shape::{named, parse_prune, parse_top_k};
use crate::cli::ModelArgs;

/// Measure what pruning, chunking and shorter texts cost in quality, and save in bytes and postings
///
/// Every rule of --prune is combined with every --top-k, --max-length and --on-long; documents without pruning are
/// always among them. Quality is given as a share of the nDCG@10 of the baseline, which is the best of the settings
/// without pruning unless --baseline names one, and is printed. Only documents are pruned. Documents are encoded once
/// for each length and chunking, and kept in the cache.
#[derive(Args)]
pub(in crate::cli) struct SweepArgs {
    // Before the others: what they take is gone then.
    #[command(flatten)]
    given: Given,
    /// Folder of a collection in BEIR's layout; the figures of several are averaged
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    encoding: EncodingArgs,
    /// Rules and their values: max_ratio=R,R,…, alpha_mass=R,R,… or abs_value=W,W,…; may be repeated
    #[arg(long, value_name = "RULE", value_parser = parse_rules)]
    prune: Vec<Rules>,
    /// Keep so many of the heaviest terms; several with commas
    #[arg(long, value_name = "NUM", value_delimiter = ',', value_parser = parse_top_k)]
    top_k: Vec<NonZeroUsize>,
    /// The same as --max-length, which takes several lengths with commas here
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', conflicts_with = "max_length", hide = true)]
    max_lengths: Vec<NonZeroUsize>,
    /// What becomes of longer documents: truncate, chunk[=OVERLAP] or chunk-rows[=OVERLAP]; several with commas
    #[arg(long, value_name = "RULE", value_delimiter = ',', default_value = "truncate")]
    on_long: Vec<LongTexts>,
    /// The setting that the others are compared with, as max_length=512,on_long=chunk [default: the best of those without
    /// pruning]
    #[arg(long, value_name = "SETTING", value_parser = parse_baseline)]
    baseline: Option<Baseline>,
    /// Name the smallest index that keeps this share of the baseline's nDCG@10, as 0.99
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    keep_quality: Option<f64>,
    /// Write the table as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page with the table and plots of quality against size; it needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// JSON, a line for each setting, instead of a table
    #[arg(long)]
    json: bool,
}

/// A value of `--prune`.
#[derive(Clone)]
struct Rules(Vec<Prune>);

fn parse_rules(value: &str) -> Result<Rules, String> {
    let (name, numbers) =
        value.split_once('=').ok_or("the rules are max_ratio=R,…, alpha_mass=R,… and abs_value=W,…")?;
    numbers
        .split(',')
        .map(|number| parse_prune(&format!("{name}={}", number.trim())))
        .collect::<Result<_, _>>()
        .map(Rules)
}

/// A value of `--baseline`: what it says of a setting, by the names that settings have in the table.
#[derive(Clone, Debug)]
struct Baseline(Vec<(String, String)>);

fn parse_baseline(value: &str) -> Result<Baseline, String> {
    let names = ["max_length", "on_long", "max_ratio", "alpha_mass", "abs_value", "top_k"];
    let part = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match names.contains(&name) && !value.is_empty() {
            true => Ok((name.to_string(), value.to_string())),
            false => Err(format!("`{part}` is none of {}, each with = and a value", names.join(", "))),
        }
    };
    value.split([',', ' ']).filter(|part| !part.is_empty()).map(part).collect::<Result<_, _>>().map(Baseline)
}

fn parse_share(value: &str) -> Result<f64, String> {
    let share: f64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err(format!("{value} is not a share above 0, up to 1"))
    }
}

/// A setting and what was found with it.
struct Point {
    /// How the documents were encoded: length and chunking, where they vary.
    encoding: Vec<(&'static str, String)>,
    length: Option<NonZeroUsize>,
    long: LongTexts,
    prune: Option<Prune>,
    top_k: Option<NonZeroUsize>,
    found: Evaluated,
    /// Whether the others are compared with it.
    is_baseline: bool,
    /// nDCG@10 as a share of the baseline's.
    quality: f64,
}

impl Point {
    /// The name of the pruning rule and its value.
    fn rule(&self) -> Option<(&'static str, f32)> {
        self.prune.map(named)
    }

    fn is_pruned(&self) -> bool {
        self.prune.is_some() || self.top_k.is_some()
    }

    /// Whether it is a setting that `--baseline` describes: pruned only where that says so.
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

    /// As it would stand on a command line.
    fn label(&self) -> String {
        let mut parts: Vec<String> =
            self.encoding.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.extend(self.rule().map(|(name, value)| format!("{name}={value}")));
        parts.extend(self.top_k.map(|count| format!("top_k={count}")));
        if !self.is_pruned() {
            parts.push("all terms".into());
        }
        parts.join(" ")
    }
}

pub(super) fn run(args: &SweepArgs) -> anyhow::Result<Exit> {
    args.given.refuse::<SweepArgs>("eval: queries and documents are both encoded", &["side"])?;
    let mut out = Output::one_shot(None)?;
    let open = |path: &Option<PathBuf>| path.as_ref().map(|path| Output::one_shot(Some(path)));
    let (csv, html) = (open(&args.csv).transpose()?, open(&args.html).transpose()?);
    let mut points = args.measure()?;
    compare(&mut points, args.baseline.as_ref())?;
    let kept = args.keep_quality.map(|share| (share, smallest(&points, share)));
    report::write(&mut out, &points, kept, args.json)?;
    if let Some(mut csv) = csv {
        report::write_csv(&mut csv, &points)?;
        csv.finish()?;
    }
    if let Some(mut html) = html {
        report::write_html(&mut html, &args.names(), &points, kept)?;
        html.finish()?;
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Chooses the baseline, the best of the settings that may be it, and gives each point its quality.
fn compare(points: &mut [Point], described: Option<&Baseline>) -> Result<(), UsageError> {
    let may_be = |point: &Point| match described {
        Some(described) => point.is_described(described),
        None => !point.is_pruned(),
    };
    let mut best: Option<(usize, f64)> = None;
    for (place, point) in points.iter().enumerate().filter(|(_, point)| may_be(point)) {
        let gain = point.found.means[0];
        if best.is_none_or(|(_, most)| gain > most) {
            best = Some((place, gain));
        }
    }
    let Some((baseline, most)) = best else {
        return Err(UsageError::with_hint(
            "--baseline: no setting that is measured is this one",
            "name one of those that --max-lengths, --on-long, --prune and --top-k make",
        ));
    };
    for (place, point) in points.iter_mut().enumerate() {
        point.is_baseline = place == baseline;
        point.quality = if most > 0.0 { point.found.means[0] / most } else { 1.0 };
    }
    Ok(())
}

/// The smallest index of those that keep a share of the quality, and of equal ones that with the fewest postings.
fn smallest(points: &[Point], share: f64) -> &Point {
    let cost = |point: &&Point| (point.found.index_bytes, point.found.query_postings);
    let good = points.iter().filter(|point| point.quality >= share);
    good.min_by(|a, b| cost(a).0.total_cmp(&cost(b).0).then(cost(a).1.total_cmp(&cost(b).1)))
        .expect("the baseline keeps all of it, anything else is a bug")
}

impl SweepArgs {
    /// Everything that is to be measured.
    fn measure(&self) -> anyhow::Result<Vec<Point>> {
        let (prunes, top_ks) = (self.prunes(), self.top_ks());
        let lengths: Vec<Option<NonZeroUsize>> = match &self.max_lengths[..] {
            [] if self.encoding.model.max_length.is_empty() => vec![None],
            [] => self.encoding.model.max_length.iter().copied().map(Some).collect(),
            lengths => lengths.iter().copied().map(Some).collect(),
        };
        let count = lengths.len() * self.on_long.len() * prunes.len() * top_ks.len();
        if count == 1 {
            let hint = "name rules and values, as in --prune max_ratio=0.05,0.1,0.2";
            return Err(UsageError::with_hint("there is nothing to compare", hint).into());
        }
        let mut points: Vec<Point> = Vec::new();
        for &length in &lengths {
            for &long in &self.on_long {
                let mut encoding = Vec::new();
                if lengths.len() > 1 {
                    encoding.extend(length.map(|length| ("max_length", length.to_string())));
                }
                if self.on_long.len() > 1 {
                    encoding.push(("on_long", long.to_string()));
                }
                let model =
                    ModelArgs { max_length: length.into_iter().collect(), ..self.encoding.model.clone() };
                let collections = self.open(&model, long)?;
                for &prune in &prunes {
                    for &top_k in &top_ks {
                        let shape = Shape { prune, top_k, ..Shape::default() }.in_dialect(model.dialect);
                        let found = self.evaluate(&collections, &shape)?;
                        let gain = found.means[0];
                        points.push(Point {
                            encoding: encoding.clone(),
                            length,
                            long,
                            prune,
                            top_k,
                            found,
                            is_baseline: false,
                            quality: 1.0,
                        });
                        if let (Some(point), false) = (points.last(), model.hub.quiet) {
                            let (number, label) = (points.len(), point.label());
                            complain(format_args!("{number} of {count}: {label}: nDCG@10 {gain:.5}"));
                        }
                    }
                }
            }
        }
        Ok(points)
    }

    fn open<'m>(&self, model: &'m ModelArgs, long: LongTexts) -> anyhow::Result<Vec<Collection<'m>>> {
        let cache = self.encoding.cache()?;
        let split = self.encoding.split.as_deref();
        self.data.iter().map(|folder| Collection::open(folder, split, model, long, &cache)).collect()
    }

    fn evaluate(&self, collections: &[Collection], shape: &Shape) -> anyhow::Result<Evaluated> {
        let setting = Setting { shape: shape.clone(), codec: self.encoding.codec() };
        let mut all = Vec::new();
        for collection in collections {
            all.push(collection.evaluate(&setting, &Measure::DEFAULT)?.0);
            collection.forget(&setting)?;
        }
        Ok(average(&all))
    }

    /// The names of the collections.
    fn names(&self) -> String {
        let names: Vec<String> = self.data.iter().map(|folder| folder_name(folder)).collect();
        names.join(", ")
    }

    /// No rule, then each that drops anything.
    fn prunes(&self) -> Vec<Option<Prune>> {
        let mut all = vec![None];
        for &rule in self.prune.iter().flat_map(|rules| &rules.0) {
            let is_nothing = matches!(rule, Prune::MaxRatio(0.0) | Prune::AbsValue(0.0));
            if !is_nothing && !all.contains(&Some(rule)) {
                all.push(Some(rule));
            }
        }
        all
    }

    /// All terms, then each count.
    fn top_ks(&self) -> Vec<Option<NonZeroUsize>> {
        [None].into_iter().chain(self.top_k.iter().copied().map(Some)).collect()
    }
}
