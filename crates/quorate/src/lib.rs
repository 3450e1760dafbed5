//! Quorate's façade: what joins two or more of its layers.
//!
//! **What it is.** The place where versions meet connections: [`preflight`] is what two nodes tell
//! one another before anything else, and how either decides whether to go on.

pub mod preflight;
