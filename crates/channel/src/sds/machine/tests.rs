//! The machine as one of several members, over a network that a test rules.

mod acknowledgement;
mod circles;
mod group;
mod receiving;
mod repair;
mod sending;

use group::{Group, lip, nim};
