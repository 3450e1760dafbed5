//! What a frame costs, by size of its payload: the figures must be flat.
fn main() {}
