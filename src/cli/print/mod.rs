//! How what people read looks: messages and tables.

pub(super) mod message;
pub(super) mod table;
