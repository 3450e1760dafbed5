//! What Quorate's layers are tested with, and what authors of plug-ins test theirs with.
//!
//! **What it is.** Conformance suites: functions that take a way to make your implementation and
//! panic where it does not do what the trait promises.
//!
//! **What it does not do.** It is no test framework and starts no runtime; call it from a test of
//! your own.
//!
//! **Features**, one per layer, none by default. `transport`: the suite for a `TxImp`.

#[cfg(feature = "transport")]
pub mod transport;
