//! Before anything is sent: somebody has to be there.
//!
//! The rule: a receiver that refuses is told of at once, one that does not answer when patience ends.

use crate::exit::Failure;
use crate::group::{Member, Role};
use quorate::Members;
use quorate::wire::PeerUrl;
use std::time::Duration;
use tokio::time::timeout;

/// How long, once a receiver is there, the others that the ticket names are waited for.
const COMPANY: Duration = Duration::from_secs(1);

/// Waits until a receiver is there.
pub(super) async fn receivers(
    member: &Member,
    addresses: &[PeerUrl],
    patience: Duration,
) -> Result<(), Failure> {
    for address in addresses {
        member.space().meet(address.clone()).await;
    }
    let waited = timeout(patience, first(member, addresses)).await;
    match waited.unwrap_or(Err(Verdict::TooLate)) {
        Ok(()) => {
            // What is sent before the others are there is sent again only after a while.
            let _ = timeout(COMPANY, all_met(member)).await;
            Ok(())
        }
        Err(verdict) => Err(Failure::failed(explain(&member.space().members().borrow(), addresses, verdict))),
    }
}

/// Why waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    TooLate,
    Hopeless,
}

async fn first(member: &Member, addresses: &[PeerUrl]) -> Result<(), Verdict> {
    let mut members = member.space().members();
    loop {
        let hopeless = is_hopeless(&members.borrow_and_update(), addresses);
        if !member.present(Role::Receiver).is_empty() {
            return Ok(());
        }
        if hopeless || members.changed().await.is_err() {
            return Err(Verdict::Hopeless);
        }
    }
}

/// Waits until everybody whom the ticket names is there, or is known not to be.
async fn all_met(member: &Member) {
    let mut members = member.space().members();
    // The space lives as long as the member.
    let _ = members.wait_for(|members| members.sought.is_empty()).await;
}

/// Whether nobody is here and none of the addresses is tried again.
fn is_hopeless(members: &Members, addresses: &[PeerUrl]) -> bool {
    let given_up = |address| members.absent.get(address).is_some_and(|absence| !absence.retried);
    members.present.is_empty() && addresses.iter().all(given_up)
}

fn explain(members: &Members, addresses: &[PeerUrl], verdict: Verdict) -> String {
    let mut text = match verdict {
        Verdict::TooLate => "no receiver was reached in time:".to_owned(),
        Verdict::Hopeless => "no receiver can be reached:".to_owned(),
    };
    for address in addresses {
        let reason = match members.absent.get(address) {
            Some(absence) => absence.reason.as_str(),
            None if members.present.contains(address) => "it sends, it does not receive",
            None => "no answer, or it is no member of the ticket's group",
        };
        text.push_str(&format!("\n  {address}: {reason}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate::Absence;

    fn url(port: u16) -> PeerUrl {
        format!("quic://127.0.0.1:{port}/a").parse().unwrap()
    }

    #[test]
    fn only_when_nobody_is_tried_again_there_is_no_hope() {
        let absence = |retried| Absence { reason: "it is too old".to_owned(), retried };
        let mut members = Members::default();
        assert!(!is_hopeless(&members, &[url(1)]));
        members.absent.insert(url(1), absence(false));
        assert!(is_hopeless(&members, &[url(1)]));
        assert!(!is_hopeless(&members, &[url(1), url(2)]));
        members.absent.insert(url(2), absence(true));
        assert!(!is_hopeless(&members, &[url(1), url(2)]));
        let text = explain(&members, &[url(1), url(3)], Verdict::Hopeless);
        assert!(text.contains("quic://127.0.0.1:1/a: it is too old"), "{text}");
        assert!(text.contains("quic://127.0.0.1:3/a: no answer"), "{text}");
    }
}
