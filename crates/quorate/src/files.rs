//! Files over a channel: a manifest, chunks of at most 4 MiB, and reports of who has what.
//!
//! **What it is.** Two machines that know no channel and no socket: [`Outbox`] sends one transfer
//! to a group, [`Inbox`] receives any number of them into a folder. Both speak
//! [`Message`]s, which a reliable broadcast channel carries.
//!
//! **What it does not do.** It opens no connection and encrypts nothing. Whoever is in the group may
//! offer files, and may spoil a transfer that another one sends (the content hash finds that, and
//! the transfer is refused as corrupt).
//!
//! **The drive loop.** After any `handle_*` drain `poll_output` until `None`, then wait until
//! `poll_timeout` or the next message. `docs/files.md` tells the life of a transfer.
//!
//! ```
//! use quorate::files::{Folder, Home, Inbox, InboxConfig, InboxOutput, Message, Outbox, OutboxConfig};
//! use quorate::files::{OutboxOutput, PeerName, Source};
//! use quorate_base::Now;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let temp = tempfile::tempdir()?;
//! # let path = temp.path().join("greeting.txt");
//! # let out = temp.path().join("out");
//! std::fs::write(&path, "hello")?;
//! let now = Now::default();
//! let (sender, receiver) = (PeerName::from("sender"), PeerName::from("receiver"));
//! let mut source = Source::open(&[path], |_| {})?;
//! let mut outbox = Outbox::new(now, source.manifest().clone(), OutboxConfig::default());
//! let mut inbox = Inbox::new(Folder::new(Home::open(&out)?)?, 7, InboxConfig::default());
//!
//! while !outbox.is_settled() {
//!     while let Some(output) = outbox.poll_output() {
//!         let message = match output {
//!             OutboxOutput::Send { message, .. } => message,
//!             OutboxOutput::SendChunk { file, chunk, .. } => Message::Chunk(source.chunk(file, chunk)?),
//!             _ => continue,
//!         };
//!         inbox.handle_message(now, &sender, Message::decode(message.encode())?)?;
//!     }
//!     inbox.handle_timeout(now);
//!     while let Some(output) = inbox.poll_output() {
//!         if let InboxOutput::Send(message) = output {
//!             outbox.handle_message(now, &receiver, &message);
//!         }
//!     }
//! }
//! assert_eq!(std::fs::read(out.join("greeting.txt"))?, b"hello");
//! # Ok(())
//! # }
//! ```

mod acquaintances;
pub mod chunks;
mod disk;
mod folder;
mod home;
pub mod manifest;
pub mod message;
pub mod name;
mod peer;
pub mod receive;
pub mod send;
mod sink;
mod source;
pub mod state;

pub use acquaintances::{Acquaintances, MAX_ACQUAINTANCES};
pub use disk::DiskError;
pub use folder::{Folder, MAX_FINISHED, MAX_KEPT};
pub use home::{HOME_NAME, Home};
pub use manifest::{FileEntry, Manifest, ManifestError, TransferId};
pub use message::Message;
pub use peer::PeerName;
pub use receive::{Inbox, InboxConfig, InboxEvent, InboxOutput};
pub use send::{Outbox, OutboxConfig, OutboxEvent, OutboxOutput, SendToken};
pub use sink::{Placing, Sink, Stored};
pub use source::{Source, SourceError};
