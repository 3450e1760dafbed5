//! The ids that address a frame: which space, and which module in it.
//!
//! Both hold an id of ordinary length in themselves: copying a few bytes is cheaper than counting
//! references to the frame, and what keeps the id does not keep the frame. Both are looked up by a borrowed key.

mod module;
mod space;

pub(crate) use module::is_utf8;
pub use module::{ModuleId, ModuleIdError};
pub use space::{SpaceId, SpaceIdError};
