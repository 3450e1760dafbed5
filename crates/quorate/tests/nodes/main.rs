//! Nodes that meet, share a channel, and part.

#[cfg(test)]
mod meet;
