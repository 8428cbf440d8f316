//! Is this model right on this machine? Checks against published numbers, another implementation and other programs'
//! vectors.

pub mod golden;
mod model;
mod second_opinion;
pub mod verify;

pub use model::{all_pass, CheckedModel};
