//! Files over a channel: the drivers of [`files::Outbox`](crate::files::Outbox) and
//! [`files::Inbox`](crate::files::Inbox).
//!
//! The rule: the disk is never touched on a task that others wait for, and a transfer that makes no
//! progress ends with an error that says who lacks what.

mod receive;
mod send;

pub use receive::{ReceiveError, receive_files};
pub use send::{ReceiverReport, SendConfig, SendFilesError, SendReport, send_files};
