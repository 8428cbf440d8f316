//! What the subcommands are told: a file for each group of arguments, which stands under a heading of its own in the help.

pub(super) mod formats;
mod hub;
mod model;
pub(super) mod vocabulary;

pub(super) use hub::HubArgs;
pub(super) use model::{available_threads, ModelArgs, SideName};
