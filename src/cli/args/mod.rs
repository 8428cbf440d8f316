//! What the subcommands are told: a file for each group of arguments, which stands under a heading of its own in the help.

mod examples;
pub(super) mod formats;
mod given;
mod help;
mod hub;
mod model;
#[cfg(test)]
mod tests;
pub(super) mod vocabulary;

pub(super) use given::Given;
pub(super) use help::uniform;
pub(super) use hub::HubArgs;
pub(super) use model::{available_threads, ModelArgs, SideName};
