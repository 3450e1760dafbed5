//! Kitsune2 beside Quorate: what the tests and the bench of this folder share.
//!
//! Everything here is a test: it panics when something is not as it must be.

pub mod bench;
pub mod command;
pub mod node;
