//! File transfers from end to end: real machines, a real disk, a group that loses and reorders.

mod group;
mod hostile;
mod kill;
mod loss;
mod space;
