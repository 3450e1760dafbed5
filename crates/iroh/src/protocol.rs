//! What is spoken on a connection: agreed on in the TLS handshake, never guessed from bytes.
//!
//! The rule: both protocols have the same frames; what differs between them stands here and in the two
//! places that ask for it (how a stream may end, which URLs may stand in an introduction).

use iroh::endpoint::{Connection, VarInt};
use quorate_transport::CloseCode;
use serde::{Deserialize, Serialize};

/// A protocol that this transport speaks, one for each ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `quorate/1`.
    Quorate,
    /// `kitsune2/0`: that of `kitsune2_transport_iroh` 0.6.
    Kitsune2,
}

impl Protocol {
    /// The name that the handshake agrees on.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Quorate => b"quorate/1",
            Self::Kitsune2 => b"kitsune2/0",
        }
    }

    /// The protocol of a connection. An endpoint agrees on no other than those that it offers.
    pub(crate) fn of(connection: &Connection) -> Self {
        if connection.alpn() == Self::Kitsune2.alpn() { Self::Kitsune2 } else { Self::Quorate }
    }

    /// The number that says `code`. Kitsune2 knows 0 to 2 only.
    pub(crate) const fn number(self, code: CloseCode) -> VarInt {
        match (self, code) {
            (Self::Kitsune2, CloseCode::Refused | CloseCode::Violation) => VarInt::from_u32(0),
            (_, code) => VarInt::from_u32(code.number()),
        }
    }

    /// What a number says.
    pub(crate) fn code(self, number: VarInt) -> CloseCode {
        match (self, CloseCode::from(number.into_inner())) {
            (Self::Kitsune2, CloseCode::Refused | CloseCode::Violation) => CloseCode::Failure,
            (_, code) => code,
        }
    }
}

/// Which protocols a transport offers and dials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocols {
    /// [`Protocol::Quorate`] alone.
    #[default]
    Quorate,
    /// [`Protocol::Kitsune2`] alone: a node among Kitsune2 nodes. Needs a relay.
    Kitsune2,
    /// Both, in one handshake: `quorate/1` with whoever speaks it, `kitsune2/0` with the others. Needs a relay.
    Both,
}

impl Protocols {
    /// The protocols, the preferred one first.
    pub const fn list(self) -> &'static [Protocol] {
        match self {
            Self::Quorate => &[Protocol::Quorate],
            Self::Kitsune2 => &[Protocol::Kitsune2],
            Self::Both => &[Protocol::Quorate, Protocol::Kitsune2],
        }
    }

    /// Whether this is one of them.
    pub fn contains(self, protocol: Protocol) -> bool {
        self.list().contains(&protocol)
    }

    pub(crate) fn alpns(self) -> Vec<Vec<u8>> {
        self.list().iter().map(|protocol| protocol.alpn().to_vec()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kitsune2_has_three_close_codes() {
        let said = |code| Protocol::Kitsune2.number(code).into_inner();
        let all = [
            CloseCode::Failure,
            CloseCode::Graceful,
            CloseCode::Superseded,
            CloseCode::Refused,
            CloseCode::Violation,
        ];
        assert_eq!(all.map(said), [0, 1, 2, 0, 0]);
        let heard = |number: u32| Protocol::Kitsune2.code(number.into());
        assert_eq!(heard(1), CloseCode::Graceful);
        assert_eq!(heard(2), CloseCode::Superseded);
        assert!([0, 3, 4, 5, 99].into_iter().all(|number| heard(number) == CloseCode::Failure));
        for code in all {
            assert_eq!(Protocol::Quorate.code(Protocol::Quorate.number(code)), code);
        }
    }

    #[test]
    fn our_own_protocol_is_preferred() {
        assert_eq!(Protocols::Both.alpns(), [b"quorate/1".to_vec(), b"kitsune2/0".to_vec()]);
        assert_eq!(Protocols::default().alpns(), [b"quorate/1".to_vec()]);
        assert!(!Protocols::Kitsune2.contains(Protocol::Quorate));
    }
}
