//! The next step after an error of a run or of its output.

use neural_sparse::run::{RunError, UnrankedSimilarity};
use neural_sparse::storage::OutputError;

/// What to do next after an error of a run.
pub(super) fn of_run(error: &RunError) -> Option<String> {
    Some(match error {
        RunError::Input(error) => return super::of_input(error),
        RunError::Output(error) => return of_output(error),
        RunError::Model(error) => return super::of_model(error),
        RunError::Job(error) => return super::of_cause(&**error),
        RunError::NotAgain { .. } => "`--resume` reads the input again: give it as a file".into(),
        RunError::NotAFile { .. } => "name a file with `--output`".into(),
        RunError::NothingRejected => {
            "`--rejects` goes with `--on-error skip`, which sets bad rows aside and goes on".into()
        }
        RunError::CompressedRejects { .. } => "name a file without .gz or .zst with `--rejects`".into(),
        RunError::NotAJournal { .. } => "move that file, or name another output".into(),
        RunError::NoJournal { .. } => "`--force` starts at the beginning".into(),
        RunError::Changed { .. } => {
            "call it as it was called before, or start at the beginning with `--force`".into()
        }
        _ => return None,
    })
}

/// What to do next after an error of an output.
pub(super) fn of_output(error: &OutputError) -> Option<String> {
    let hint = match error {
        OutputError::Exists { is_resumable: true, .. } => {
            "`--resume` goes on with what an earlier run has left, `--force` starts at the beginning"
        }
        OutputError::Exists { .. } => "name another file, or remove what is there",
        OutputError::Assemble { .. } => "the rows are kept: `--resume` makes the output of them",
        OutputError::SameFile { .. } => "name different files",
        OutputError::Busy { .. } => "wait for that run, or name another output",
        _ => return None,
    };
    Some(hint.into())
}

/// What to do next where a model compares by a distance.
pub(super) fn of_unranked(_: &UnrankedSimilarity) -> String {
    "`neural-sparse score` computes it for pairs of texts, and `encode` without --format writes the vectors themselves"
        .into()
}

/// Whether an error says that the arguments make no sense together.
pub(super) fn is_usage(error: &RunError) -> bool {
    match error {
        RunError::Input(error) => super::is_usage(error),
        RunError::Output(error) => super::is_usage(error),
        RunError::NotAgain { .. }
        | RunError::NotAFile { .. }
        | RunError::NothingRejected
        | RunError::CompressedRejects { .. } => true,
        _ => false,
    }
}
