//! The next step after an error of the library, in words of the command line.

mod hub;
mod run;

use std::io;

use neural_sparse::eval::statistics::StatisticsError;
use neural_sparse::format::{FormatError, FormatOption};
use neural_sparse::hub::HubError;
use neural_sparse::index::IndexError;
use neural_sparse::input::{InputError, RowError};
use neural_sparse::run::{RunError, UnrankedSimilarity};
use neural_sparse::storage::OutputError;
use neural_sparse::{known, supported_model_types, Error, MissingFeature};

/// The next step after `error`, one of the causes of a failure, where there is something that helps.
pub(super) fn of_cause(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return of_model(error);
    }
    if let Some(error) = error.downcast_ref::<HubError>() {
        return hub::of_hub(error);
    }
    if let Some(error) = error.downcast_ref::<IndexError>() {
        return of_index(error);
    }
    if let Some(error) = error.downcast_ref::<InputError>() {
        return of_input(error);
    }
    if let Some(error) = error.downcast_ref::<RunError>() {
        return run::of_run(error);
    }
    if let Some(error) = error.downcast_ref::<OutputError>() {
        return run::of_output(error);
    }
    if let Some(error) = error.downcast_ref::<RowError>() {
        return of_row(error);
    }
    if let Some(StatisticsError::OtherModel { .. }) = error.downcast_ref() {
        return Some("name the vectors' model with --model".into());
    }
    if let Some(error) = error.downcast_ref::<UnrankedSimilarity>() {
        return Some(run::of_unranked(error));
    }
    // The error inside an `io::Error` is not among its causes.
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inside.and_then(|error| error.downcast_ref::<MissingFeature>()).map(|missing| of_feature(*missing))
}

/// What to do next after an error of a model.
pub(super) fn of_model(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoModel { .. } => {
            "a model is a folder with config.json, model.safetensors (or its shards, or pytorch_model.bin) and \
             tokenizer.json (or vocab.txt); `--model tiny` is built in and needs no files"
                .into()
        }
        Error::UnsupportedModel { .. } => {
            let names: Vec<String> = supported_model_types().map(|name| format!("`{name}`")).collect();
            format!("supported: {}", names.join(", "))
        }
        Error::TorchScript { file } => match known::contained_in(file) {
            Some(known) => format!("the same weights are on the hub: `--model {}`", known.name),
            None => "the hub has the same weights: `neural-sparse model list` shows the names".into(),
        },
        Error::NoQuerySide { model } => format!(
            "`neural-sparse model pull {model}` completes them, and `--as document` does without it"
        ),
        Error::UnknownSide { .. } => {
            "say it for all with `--as query` or `--as document`, or call the field `query` or `document`".into()
        }
        Error::Device { device, .. } => format!(
            "build with `cargo build --release --features {device}` on a machine that has it, or use `--device cpu`"
        ),
        Error::Archive { missing, .. } => of_feature(*missing),
        _ => return None,
    })
}

/// What to do next after an error of an index.
pub(super) fn of_index(error: &IndexError) -> Option<String> {
    let hint = match error {
        IndexError::Read { .. } => "`neural-sparse index build` makes an index",
        IndexError::Foreign { .. } => "build it again with `neural-sparse index build --force`",
        IndexError::Damaged { .. } => "build it again, or copy it again from where it is whole",
        _ => return None,
    };
    Some(hint.into())
}

/// What to do next after an error of an input file.
fn of_input(error: &InputError) -> Option<String> {
    let hint = match error {
        InputError::Indivisible { .. } => {
            "`--shard` reads a part of plain files of lines: decompress it first, or give each machine files of its own"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// Whether an error of the library says that the arguments make no sense together.
pub(super) fn is_usage(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref::<InputError>(), Some(InputError::NotAFile | InputError::Indivisible { .. }))
        || matches!(error.downcast_ref::<OutputError>(), Some(OutputError::SameFile { .. }))
        || matches!(error.downcast_ref(), Some(StatisticsError::OtherModel { .. }))
        || error.downcast_ref::<RunError>().is_some_and(run::is_usage)
}

/// How to have a feature that this build lacks.
pub(super) fn of_feature(missing: MissingFeature) -> String {
    format!("`cargo install --path . --features {}` makes a build that has it", missing.feature)
}

/// What to do about a row that cannot be used.
pub(super) fn of_row(error: &RowError) -> Option<String> {
    if error.is_part {
        return Some(
            "`jq -c '.[]'` writes the objects of a list one a line, `jq -c .` objects as they are".into(),
        );
    }
    match error.max_terms {
        Some(most) => Some(format!("`--top-k {most}` keeps the heaviest")),
        None => error.is_of_another_model.then(|| "name the vectors' model with --model".into()),
    }
}

/// The flag of an option of a format.
pub(super) fn flag_of(option: FormatOption) -> &'static str {
    match option {
        FormatOption::VectorField => "--vector-field",
        FormatOption::IndexName => "--index-name",
        FormatOption::Action => "--bulk-action",
        FormatOption::RequestBytes => "--bulk-mb",
        FormatOption::Scale => "--quantize",
        FormatOption::Keep => "--keep",
        FormatOption::Windows => "--chunk-rows",
        FormatOption::TwoPhase => "--two-phase",
        FormatOption::WithoutPlugin => "--without-plugin",
    }
}

/// What the format `name` says against its options, with the flags to change.
pub(super) fn of_format(name: &str, error: &FormatError) -> String {
    match error {
        FormatError::Option { option, value: Some(value), reason } => {
            format!("{name}: {} {value}: {reason}", flag_of(*option))
        }
        FormatError::Option { option: FormatOption::Keep, value: None, reason } => {
            format!("{name}: {reason}: leave out --keep and --keep-all")
        }
        FormatError::Option { option, value: None, reason } => {
            format!("{name}: {reason}: leave out {}", flag_of(*option))
        }
        FormatError::Missing(missing) => format!("{name}: {missing}: {}", of_feature(*missing)),
        FormatError::UnknownName => format!("{name}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use neural_sparse::input::json;

    use super::*;

    #[test]
    fn an_error_of_a_model_has_its_next_step() {
        let no_model =
            Error::NoModel { place: "x".into(), reason: "no such folder".into(), file: "config.json".into() };
        let torch_script = |file: &str| Error::TorchScript { file: file.into() };
        let known = torch_script(
            "neural-sparse_opensearch-neural-sparse-encoding-doc-v2-distill-1.0.0-torch_script.zip",
        );
        for (error, says) in [
            (no_model, "`--model tiny`"),
            (
                Error::UnsupportedModel { file: "config.json".into(), model_type: "t5".into() },
                "supported: `bert`, ",
            ),
            (known, "`--model doc-v2-distill`"),
            (torch_script("x.zip"), "`neural-sparse model list`"),
            (Error::NoQuerySide { model: "doc-v1".into() }, "`neural-sparse model pull doc-v1`"),
            (Error::UnknownSide { line: 3 }, "`--as query` or `--as document`"),
            (
                Error::Device { device: "cuda", reason: "none".into() },
                "`cargo build --release --features cuda`",
            ),
        ] {
            let hint = of_model(&error).expect("a hint");
            assert!(hint.contains(says), "{hint}");
            let in_chain = of_cause(&error).expect("a hint");
            assert_eq!(in_chain, hint);
            let message = error.to_string();
            assert!(!message.contains("--") && !message.contains("neural-sparse "), "{message}");
        }
        let unsupported = Error::UnsupportedModel { file: "config.json".into(), model_type: "t5".into() };
        let in_hub = of_cause(&HubError::Model(unsupported)).expect("a hint");
        assert!(in_hub.starts_with("supported: `bert`, `distilbert`"), "{in_hub}");
        assert_eq!(of_model(&Error::Tokenize("x".into())), None);
    }

    #[test]
    fn an_error_inside_an_input_error_has_its_next_step() {
        let missing = MissingFeature { feature: "parquet" };
        let error = io::Error::new(io::ErrorKind::Unsupported, missing);
        assert!(of_cause(&error).is_some_and(|hint| hint.contains("--features parquet")));
        assert_eq!(of_cause(&io::Error::other("x")), None);
    }

    #[test]
    fn a_row_with_too_many_terms_has_the_flag_that_keeps_fewer() {
        let row = |line: &[u8]| {
            json::parse_row(line, &neural_sparse::input::Fields::default()).expect_err("no text")
        };
        assert_eq!(of_row(&row(b"{}")), None);
        let too_many = RowError { max_terms: Some(1000), ..row(b"{}") };
        assert_eq!(of_row(&too_many).as_deref(), Some("`--top-k 1000` keeps the heaviest"));
    }

    #[test]
    fn an_option_that_a_format_refuses_is_named_by_its_flag() {
        let refused = |value: Option<&str>, option| {
            let value = value.map(str::to_string);
            of_format("store", &FormatError::Option { option, value, reason: "no such thing".into() })
        };
        assert_eq!(refused(Some("x y"), FormatOption::IndexName), "store: --index-name x y: no such thing");
        assert_eq!(refused(None, FormatOption::Windows), "store: no such thing: leave out --chunk-rows");
        assert_eq!(
            refused(None, FormatOption::Keep),
            "store: no such thing: leave out --keep and --keep-all"
        );
    }
}
