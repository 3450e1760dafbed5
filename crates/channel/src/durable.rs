//! What of a channel outlives its process: records that change one by one, and the way back from them.
//!
//! ```text
//! ReliableChannel --Journal--> Output::Write(op) … --driver, one transaction--> Store
//! Store --Recovery--> ReliableChannel, the same incarnation
//! ```
//!
//! The rule: every change is written before anything that follows from it leaves the machine. A record is small and is
//! written when it changes, so what a message costs does not grow with what came before it. Times are kept as ages of
//! the channel (how long it was open, over all its processes), so what is left of a deadline survives and no instant of
//! a process does. `docs/specs/store.md` lists the records.

mod events;
mod journal;
mod key;
mod record;
mod recovery;

pub(crate) use events::log_record;
pub use events::{EventLog, EventSeq, LoggedEvent};
pub(crate) use journal::{Journal, Snapshot};
pub(crate) use key::Kind;
pub(crate) use record::{
    AckerRecord, ArrivalRecord, AttemptsRecord, BudgetRecord, HeadRecord, MessageRecord, OpaqueRecord,
    PeerRecord, RequestRecord, VoidsRecord, age, cited_of, cited_record, deadline, ranges_of, set_of,
};
pub(crate) use recovery::Recovered;
pub use recovery::{Recovery, RecoveryError};
