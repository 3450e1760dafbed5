//! Keeps on disk who is here, so that a receiver that is killed finds them again.
//!
//! The rule: it is a hint for the next process. Where it cannot be written, receiving goes on.

use crate::group::Member;
use quorate::files::Acquaintances;
use std::convert::Infallible;

/// Writes down the members whenever they change. Never returns.
pub(super) async fn keep(mut acquaintances: Acquaintances, member: &Member) -> Infallible {
    let mut members = member.space().members();
    loop {
        let present = members.borrow_and_update().present.clone();
        // When nobody is here any more, the last who were are still the best hint.
        if !present.is_empty() {
            let written = tokio::task::spawn_blocking(move || {
                let kept = acquaintances.keep(&present);
                (acquaintances, kept)
            });
            // The task ends early only when the runtime does.
            let Ok((back, kept)) = written.await else { break };
            acquaintances = back;
            if let Err(error) = kept {
                tracing::warn!(%error, "who is here was not written down");
            }
        }
        if members.changed().await.is_err() {
            break;
        }
    }
    std::future::pending().await
}
