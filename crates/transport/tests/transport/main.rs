//! What must not happen in a transport, one test for each.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that helpers belong to tests")]

mod addresses;
mod blocking;
mod by_url;
mod closing;
mod connections;
mod factory;
mod faults;
mod gate;
mod inbox;
mod limits;
mod panics;
mod registry;
mod script;
mod sends;
mod sessions;
mod simultaneous;
mod streams;
mod support;
mod vetoes;
