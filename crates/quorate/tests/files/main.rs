//! File transfers from end to end: real machines, a real disk, a group that loses and reorders.

#[cfg(test)]
mod drive;
#[cfg(test)]
mod group;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod loss;
#[cfg(test)]
mod space;
