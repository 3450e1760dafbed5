//! Where envelopes go: the one trait between a channel and a network.
//!
//! The rule: `send` publishes to everybody on the envelope's topic and says whether it left, not
//! whether it arrived; the channel repeats what nobody acknowledges.

use crate::output::{Dispatch, DispatchOutcome};
use async_trait::async_trait;

/// Publishes envelopes. Implement it over any network that can carry bytes to a group.
///
/// ```
/// use quorate_channel::{Channel, Dispatch, Messaging, MessagingError};
/// use std::sync::Mutex;
///
/// /// Every member of a group in one process.
/// #[derive(Default)]
/// struct Room(Mutex<Vec<Channel>>);
///
/// #[async_trait::async_trait]
/// impl Messaging for Room {
///     async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
///         let members = self.0.lock().map_err(|_| MessagingError::Refused)?.clone();
///         for member in members {
///             member.handle_envelope(dispatch.envelope.clone());
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Messaging: Send + Sync + 'static {
    /// Publishes `dispatch.envelope`. Must not wait for one slow receiver.
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError>;
}

/// Why an envelope did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessagingError {
    /// Nobody can be reached now; a later attempt may succeed.
    #[error("nobody can be reached now")]
    Unreachable,
    /// The network will never take this envelope.
    #[error("the network refuses this envelope")]
    Refused,
}

impl MessagingError {
    /// Whether a later attempt may succeed.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unreachable)
    }
}

impl From<Result<(), MessagingError>> for DispatchOutcome {
    fn from(result: Result<(), MessagingError>) -> Self {
        match result {
            Ok(()) => Self::Confirmed,
            Err(error) if error.is_retryable() => Self::Failed,
            Err(_) => Self::Refused,
        }
    }
}
