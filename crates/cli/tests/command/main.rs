//! The command itself: its own binary, sockets on 127.0.0.1, processes that are really killed.
//!
//! The rule: a scenario waits for what must happen, never for a while; the one limit there is ends a
//! test that hangs.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod inspect;
#[cfg(test)]
mod names;
#[cfg(test)]
mod node;
#[cfg(test)]
mod options;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod sds;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transfer;
