//! Is this model right on this machine? Checks against published numbers, another implementation and other programs'
//! vectors.

pub mod golden;
mod second_opinion;
pub mod verify;
