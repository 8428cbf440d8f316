//! Which similarity a model was trained for: the setting `similarity_fn_name`.

use super::reader::SettingsReader;
use super::settings::Settings;
use super::Provenance;
use crate::error::Error;
use crate::similarity::Similarity;
use crate::source::ModelFiles;

const KEY: &str = "similarity_fn_name";

impl Similarity {
    /// Reads which similarity a model's files name; nothing else of the model is looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where they name one that is not among [`Similarity::ALL`], or the file cannot be read.
    pub fn read(files: &ModelFiles) -> Result<Similarity, Error> {
        let settings = SettingsReader::new(files).sentence_transformers()?;
        Ok(similarity(&settings)?.0)
    }
}

/// The similarity that sentence-transformers' settings name, and what decided it: the dot product unless they name one.
pub(super) fn similarity(settings: &Settings) -> Result<(Similarity, Provenance), Error> {
    let Some(value) = settings.get(KEY) else {
        let source = format!("no {KEY} in {}", settings.name);
        return Ok((Similarity::Dot, Provenance::new("similarity", Similarity::Dot.name(), source)));
    };
    match value.as_str().and_then(Similarity::named) {
        Some(found) => {
            let source = format!("{}: {KEY}", settings.file);
            Ok((found, Provenance::new("similarity", found.name(), source)))
        }
        None => {
            let names = Similarity::ALL.map(Similarity::name).join("`, `");
            Err(settings.invalid(format!("`{KEY}` is {value}; the similarities are `{names}`")))
        }
    }
}
