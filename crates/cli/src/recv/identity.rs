//! Who a receiver is: made once, kept in its folder.
//!
//! The rule: an identity is saved before anybody learns of it, and never replaced.

use super::is_of;
use crate::exit::{Failure, chain};
use crate::group::random;
use quorate::files::Home;
use quorate::files::state::Identity;
use quorate::secret::Secret;
use quorate::ticket::Ticket;
use quorate::wire::PeerUrl;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The identity kept in `home`; where there is none a new one, in the group of `invitation` or in one of
/// its own.
pub(super) fn of(home: &Home, invitation: Option<&Ticket>) -> Result<Identity, Failure> {
    let saved = Identity::load(home).map_err(|error| Failure::usage(chain(&error)))?;
    match (saved, invitation) {
        (Some(saved), Some(ticket)) if !is_of(&saved, ticket) => {
            Err(Failure::usage("this folder belongs to another group than the ticket: use another folder"))
        }
        (Some(saved), _) => Ok(saved),
        (None, Some(ticket)) => Ok(Identity {
            secret_key: Secret::from_bytes(random()?),
            port: 0,
            space: *ticket.space(),
            channel: ticket.channel().to_owned(),
            channel_key: ticket.key().clone(),
        }),
        (None, None) => Ok(Identity {
            secret_key: Secret::from_bytes(random()?),
            port: 0,
            space: random()?,
            channel: format!("{:016x}", u64::from_ne_bytes(random()?)),
            channel_key: Secret::from_bytes(random()?),
        }),
    }
}

/// Where to listen: as asked, at the port of the last time where none was asked for.
pub(super) fn listen_at(identity: &Identity, asked: Option<SocketAddr>) -> SocketAddr {
    let asked = asked.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
    match asked.port() {
        0 => SocketAddr::new(asked.ip(), identity.port),
        _ => asked,
    }
}

/// Saves the identity with the port that it got.
pub(super) fn keep_port(home: &Home, identity: &mut Identity, url: &PeerUrl) -> Result<(), Failure> {
    if identity.port != url.port() {
        identity.port = url.port();
        identity.save(home).map_err(|error| Failure::usage(chain(&error)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_last_time_is_taken_unless_another_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let mut identity = of(&home, None).unwrap();
        assert_eq!(listen_at(&identity, None).to_string(), "127.0.0.1:0");
        keep_port(&home, &mut identity, &"quic://127.0.0.1:4433/a".parse().unwrap()).unwrap();
        let again = of(&home, None).unwrap();
        assert_eq!(again, identity);
        assert_eq!(listen_at(&again, None).to_string(), "127.0.0.1:4433");
        assert_eq!(listen_at(&again, "[::1]:0".parse().ok()).to_string(), "[::1]:4433");
        assert_eq!(listen_at(&again, "127.0.0.1:80".parse().ok()).to_string(), "127.0.0.1:80");
    }

    #[test]
    fn a_folder_stays_in_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let ticket = |key| {
            let address = "quic://127.0.0.1:1/a".parse().unwrap();
            Ticket::new(vec![address], [1; 32], "c", Secret::from_bytes([key; 32])).unwrap()
        };
        let mut identity = of(&home, Some(&ticket(1))).unwrap();
        assert!(is_of(&identity, &ticket(1)));
        keep_port(&home, &mut identity, &"quic://127.0.0.1:4433/a".parse().unwrap()).unwrap();
        assert_eq!(of(&home, Some(&ticket(1))), Ok(identity.clone()));
        assert_eq!(of(&home, None), Ok(identity));
        assert!(of(&home, Some(&ticket(2))).is_err());
    }
}
