//! How far the download of a model is, as a bar on standard error.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use neural_sparse::hub::{OnProgress, Progress};

use neural_sparse::printable::escaped;

const TEMPLATE: &str = "{msg} [{elapsed_precise}] [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} ({eta})";

/// Draws one bar for each file, and removes it when the file is there. Where standard error is no terminal, nothing is drawn.
pub(super) fn on_progress() -> OnProgress {
    let current: Mutex<Option<(String, ProgressBar)>> = Mutex::new(None);
    Arc::new(move |Progress { file, received, total }| {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|(drawn, _)| drawn != file) {
            *current = Some((file.to_string(), bar(file, total)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(received);
            if received == total {
                bar.finish_and_clear();
            }
        }
    })
}

fn bar(file: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE).expect("a good template, anything else is a bug");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style);
    bar.with_message(shortened(&escaped(file)))
}

/// The end of a long path.
fn shortened(file: &str) -> String {
    const MAX_CHARS: usize = 30;
    match file.char_indices().rev().nth(MAX_CHARS - 1) {
        Some((start, _)) if start > 0 => format!("..{}", &file[start..]),
        _ => file.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_keep_their_end() {
        assert_eq!(shortened("config.json"), "config.json");
        assert_eq!(shortened(&"ä".repeat(30)), "ä".repeat(30));
        assert_eq!(
            shortened("query_0_SparseStaticEmbedding/model.safetensors"),
            "..ticEmbedding/model.safetensors"
        );
    }
}
