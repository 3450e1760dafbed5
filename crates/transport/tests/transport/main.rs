//! What must not happen in a transport, one test for each.

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
