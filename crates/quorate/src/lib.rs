//! Quorate's façade: everything that joins two layers, for those who want the whole.
//!
//! **What it is.** [`files`] carries files over a reliable channel; [`ticket`] is what a receiver
//! hands to a sender so that they meet.

pub mod files;
pub mod secret;
pub mod ticket;
