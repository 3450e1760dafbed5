//! What must not happen in a transport, one test for each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that helpers belong to tests")]

mod connections;
mod gate;
mod panics;
mod registry;
mod script;
mod sends;
mod sessions;
mod simultaneous;
mod support;
mod vetoes;
