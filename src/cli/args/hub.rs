//! Where model files come from.

use std::path::Path;

use clap::Args;
use neural_sparse::hub::{self, HubError, HubOptions, Parts, Resolved};
use neural_sparse::known::KnownModel;
use neural_sparse::ModelFiles;

use crate::cli::environment;
use crate::cli::failure::{complain, UsageError};

/// Where model files come from.
#[derive(Args, Clone)]
pub(in crate::cli) struct HubArgs {
    /// Branch, tag or commit of a model on the hub [default: main]
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Never touch the network: use folders and the hub's cache only
    #[arg(long)]
    pub offline: bool,
    /// Nothing on standard error but errors: no notes, no progress, no figures at the end
    #[arg(long, short)]
    pub quiet: bool,
}

impl HubArgs {
    /// The files of the model `name`. A licence that limits its use is noted before a download, and so is a folder that
    /// is taken for a model of the same name.
    pub fn resolve(&self, name: &str, parts: Parts) -> Result<ModelFiles, HubError> {
        let resolved = self.resolve_name(name, parts)?;
        self.note_shadowed(name, resolved.shadowed);
        Ok(resolved.files)
    }

    /// Refuses to make a folder, if it is not there, that would be taken for the model from then on, or holds such a one.
    pub fn refuse_to_shadow(&self, name: &str, folder: &Path) -> Result<(), UsageError> {
        let (model, made) = (std::path::absolute(name), std::path::absolute(folder));
        match (model, made) {
            (Ok(model), Ok(made)) if made.starts_with(&model) && !model.exists() => {
                Err(UsageError::with_hint(
                    format!("the folder `{}` would be taken for the model of that name", model.display()),
                    "name another folder",
                ))
            }
            _ => Ok(()),
        }
    }

    pub fn note_shadowed(&self, name: &str, shadowed: Option<&KnownModel>) {
        if let Some(known) = shadowed.filter(|_| !self.quiet) {
            let other = if known.hub_id.contains('/') { known.hub_id } else { "the built-in model" };
            complain(format_args!(
                "note: `{name}` is a folder or file here, and that is used; it is not {other}"
            ));
        }
    }

    pub fn resolve_name(&self, name: &str, parts: Parts) -> Result<Resolved, HubError> {
        let options = environment::hub_options(self.offline, self.quiet)?;
        let resolve = |options: &HubOptions| hub::resolve(name, self.revision.as_deref(), parts, options);
        if !options.offline && !self.quiet && licence_note(name).is_some() {
            // What is cached already is used without a word: whoever downloaded it was told.
            match resolve(&HubOptions { offline: true, ..options.clone() }) {
                Err(HubError::NotCached { .. } | HubError::Incomplete { .. }) => self.note_licence(name),
                found => return found,
            }
        }
        resolve(&options)
    }

    pub fn note_licence(&self, name: &str) {
        if let Some(note) = licence_note(name).filter(|_| !self.quiet) {
            complain(format_args!("{note}"));
        }
    }
}

/// What is to be said before the model `name` is downloaded.
fn licence_note(name: &str) -> Option<String> {
    let known = hub::known_model(name).filter(|known| known.is_non_commercial())?;
    Some(format!("note: `{name}` is licensed {}: non-commercial use only", known.licence))
}
