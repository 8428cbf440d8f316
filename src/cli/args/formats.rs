//! `--format`: which store a file is for, and what that store has to be told.

use std::path::Path;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::Args;
use neural_sparse::format::{self, Action, Assembly, Compression, Format, FormatOption, Options, Requests};
use neural_sparse::input::Keep;
use serde_json::Value;

use super::choice;
use crate::cli::failure::UsageError;
use crate::cli::hints;

/// What the output is.
#[derive(Args)]
pub(in crate::cli) struct FormatArgs {
    /// The form of the output: rows of JSON, or what a search engine loads as it is
    #[arg(
        long,
        value_name = "NAME",
        default_value = "jsonl",
        hide_default_value = true,
        hide_possible_values = true,
        long_help = format!("The form of the output: rows of JSON, or what a search engine loads as it is. Where the model compares by cosine, all but jsonl hold normalised vectors, for engines score by dot product\n\n{} [default: jsonl]", listed()),
        value_parser = PossibleValuesParser::new(format::names()))]
    format: String,
    /// The store's field that holds the vector
    #[arg(long, value_name = "NAME", default_value = "vector")]
    vector_field: String,
    /// The index that `_bulk` requests name, without it none; for Vespa, the document type [default: doc]
    #[arg(long, value_name = "NAME", help_heading = "OpenSearch, Elasticsearch and Vespa")]
    index_name: Option<String>,
    /// What a `_bulk` request does with a document [default: index]
    #[arg(
        long,
        value_name = "index|create|update",
        help_heading = BULK_HEADING,
        value_parser = choice(Action::ALL.map(|action| (action, action.name(), action.description()))))]
    bulk_action: Option<Action>,
    /// Write files of at most this many million bytes, OUTPUT with -00001, -00002, … before its suffix, each a request
    #[arg(
        long,
        value_name = "NUM",
        help_heading = BULK_HEADING,
        value_parser = clap::value_parser!(u32).range(1..))]
    bulk_mb: Option<u32>,
    /// Weights become integers: this many times as large, rounded, and at least 1 [default: 100, for ciff 50]
    #[arg(long, value_name = "SCALE", help_heading = "Anserini and CIFF", value_parser = parse_scale)]
    quantize: Option<f32>,
}

const BULK_HEADING: &str = "OpenSearch and Elasticsearch";

fn listed() -> String {
    format!("The formats: {}", format::names().collect::<Vec<_>>().join(", "))
}

/// A format, and what makes its files.
pub(in crate::cli) struct Target {
    pub format: Arc<dyn Format>,
    pub assembly: Option<Arc<dyn Assembly>>,
}

impl FormatArgs {
    /// Names that a kept field cannot have, because a row has them for something else.
    pub fn reserved(&self, has_windows: bool) -> Result<Vec<String>, UsageError> {
        let format = named(&self.format, &self.options())?;
        let mut reserved: Vec<String> =
            format.reserved_fields().iter().map(|name| name.to_string()).collect();
        if has_windows {
            reserved.push("chunk".into());
        }
        let name = &self.vector_field;
        if reserved.contains(name) {
            return Err(UsageError::new(format!(
                "--vector-field {name}: the output has a field of that name already"
            )));
        }
        reserved.push(name.clone());
        Ok(reserved)
    }

    /// The format, told what it has a use for. Flags that it has none for are errors.
    pub fn target(&self, keep: Keep, has_windows: bool, output: Option<&Path>) -> Result<Target, UsageError> {
        let options = Options { action: self.bulk_action, keep, has_windows, ..self.options() };
        let format: Arc<dyn Format> = named(&self.format, &options)?.into();
        let given = [
            (FormatOption::Action, self.bulk_action.is_some()),
            (FormatOption::RequestBytes, self.bulk_mb.is_some()),
            (FormatOption::IndexName, self.index_name.is_some()),
            (FormatOption::Scale, self.quantize.is_some()),
        ];
        refuse_idle_flags(&*format, &self.format, &given)?;
        self.check_suffix(&*format, output)?;
        let assembly = match (self.bulk_mb, format.lines_of_a_request()) {
            (Some(megabytes), Some(lines)) => {
                let requests = Requests { max_bytes: u64::from(megabytes) * 1_000_000, lines };
                Some(Arc::new(requests) as Arc<dyn Assembly>)
            }
            _ => format.assembly().map(Arc::from),
        };
        Ok(Target { format, assembly })
    }

    fn check_suffix(&self, format: &dyn Format, output: Option<&Path>) -> Result<(), UsageError> {
        let suffix = output.and_then(Path::extension).and_then(|suffix| suffix.to_str());
        let is_read = match (suffix, format.compression()) {
            (Some("gz"), compression) => compression != Compression::Nothing,
            // What sends a request names its encoding, and the servers know no zstd.
            (Some("zst"), compression) => compression == Compression::Any && self.bulk_mb.is_none(),
            _ => true,
        };
        if is_read {
            return Ok(());
        }
        let (name, suffix) = (&self.format, suffix.unwrap_or_default());
        Err(UsageError::new(format!("--output: what reads {name} does not read .{suffix} files")))
    }

    /// The options and their values, which decide what is written.
    pub fn settings(&self) -> [(String, Value); 6] {
        [
            ("--format".into(), self.format.clone().into()),
            ("--vector-field".into(), self.vector_field.clone().into()),
            ("--index-name".into(), self.index_name.clone().into()),
            ("--quantize".into(), self.quantize.into()),
            ("--bulk-action".into(), self.bulk_action.map(Action::name).into()),
            // Not --bulk-mb, which decides only how the rows are put into files.
            ("--bulk-mb".into(), self.bulk_mb.into()),
        ]
    }
}

impl FormatArgs {
    fn options(&self) -> Options {
        Options {
            vector_field: self.vector_field.clone(),
            index_name: self.index_name.clone(),
            scale: self.quantize,
            ..Options::default()
        }
    }
}

/// The format of this name; what it cannot follow is a usage error.
pub(in crate::cli) fn named(name: &str, options: &Options) -> Result<Box<dyn Format>, UsageError> {
    format::named(name, options).map_err(|error| UsageError::new(hints::of_format(name, &error)))
}

/// An error where a flag is given that changes nothing.
pub(in crate::cli) fn refuse_idle_flags(
    format: &dyn Format,
    name: &str,
    given: &[(FormatOption, bool)],
) -> Result<(), UsageError> {
    match given.iter().find(|(option, is_given)| *is_given && !format.takes().contains(option)) {
        Some((option, _)) => {
            Err(UsageError::new(format!("{}: {name} has no use for it", hints::flag_of(*option))))
        }
        None => Ok(()),
    }
}

pub(in crate::cli) fn parse_scale(value: &str) -> Result<f32, String> {
    match value.parse::<f32>() {
        Ok(scale) if scale > 0.0 && scale.is_finite() => Ok(scale),
        _ => Err("not a number above 0".into()),
    }
}
