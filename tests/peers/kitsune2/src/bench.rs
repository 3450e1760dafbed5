//! What the program `bench` measures: theirs, ours and the ratio, from one run.

pub mod bare;
pub mod codec;
pub mod echo;
pub mod in_process;
pub mod measure;
pub mod two;
