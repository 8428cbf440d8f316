//! What a model's files say: everything that decides a vector, apart from the values of tensors.

mod config;
mod dialect;
pub(crate) mod families;
pub(crate) mod modules;
mod pooling;
mod provenance;

pub(crate) use config::{refuse_model_type, Blocks, HiddenActivation, ModelConfig, RotaryBlocks};
pub use dialect::Dialect;
pub(crate) use pooling::PoolingConfig;
pub use provenance::Provenance;
