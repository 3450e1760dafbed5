//! The ids that address a frame: which space, and which module in it.
//!
//! Both are cheap to clone and to look up by a borrowed key, so that finding a handler copies
//! nothing.

mod module;
mod space;

pub use module::{ModuleId, ModuleIdError};
pub use space::{SpaceId, SpaceIdError};
