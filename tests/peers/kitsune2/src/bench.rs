//! What the program `bench` measures: theirs, ours and the ratio, from one run.

pub mod codec;
pub mod in_process;
pub mod measure;
