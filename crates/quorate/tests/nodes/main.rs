//! Nodes that meet, share a channel, and part.

#[cfg(test)]
mod chat;
#[cfg(test)]
mod meet;
