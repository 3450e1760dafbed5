//! The cipher that seals, and the earlier ones that still open.
//!
//! The rule: what was accepted under a cipher never leaves in the clear. A rotation changes what seals from one
//! segment to the next, and never to something weaker.

use super::{Cipher, CipherContext, OpenError, SealError};
use crate::ids::RequestId;
use bytes::{Bytes, BytesMut};
use quorate_base::Mono;
use std::time::Duration;

/// The most earlier ciphers that are kept; the oldest goes first.
const MAX_EARLIER: usize = 4;

/// The ciphers of one channel.
#[derive(Debug)]
pub(crate) struct Keyring {
    current: Box<dyn Cipher>,
    /// The latest first.
    earlier: Vec<Earlier>,
}

#[derive(Debug)]
struct Earlier {
    cipher: Box<dyn Cipher>,
    opens_until: Mono,
    /// It still seals sends before this one: it gave way to no cipher at all.
    seals_before: Option<RequestId>,
}

impl Keyring {
    pub(crate) const fn new(current: Box<dyn Cipher>) -> Self {
        Self { current, earlier: Vec::new() }
    }

    /// `cipher` seals from now on, also what was accepted earlier, unless it is plain and what it replaces is not: then that
    /// one goes on sealing the sends before `next`.
    pub(crate) fn rotate(&mut self, now: Mono, cipher: Box<dyn Cipher>, grace: Duration, next: RequestId) {
        let before = std::mem::replace(&mut self.current, cipher);
        let seals_before = (self.current.is_plain() && !before.is_plain()).then_some(next);
        if !self.current.is_plain() {
            self.earlier.iter_mut().for_each(|earlier| earlier.seals_before = None);
        }
        self.earlier.insert(0, Earlier { cipher: before, opens_until: now + grace, seals_before });
        // One that still seals is kept: there is at most one, for a second one lets go of the first.
        let is_over = |earlier: &Earlier| earlier.seals_before.is_none();
        while self.earlier.len() > MAX_EARLIER
            && let Some(oldest) = self.earlier.iter().rposition(is_over)
        {
            self.earlier.remove(oldest);
        }
    }

    /// Forgets the ciphers whose grace is over and which no open send needs; `oldest` is the oldest of these.
    pub(crate) fn handle_timeout(&mut self, now: Mono, oldest: Option<RequestId>) {
        for earlier in &mut self.earlier {
            let is_needed = earlier.seals_before.zip(oldest).is_some_and(|(before, oldest)| oldest < before);
            earlier.seals_before = earlier.seals_before.filter(|_| is_needed);
        }
        self.earlier.retain(|earlier| earlier.opens_until > now || earlier.seals_before.is_some());
    }

    /// When a grace is over.
    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        let over = self.earlier.iter().filter(|earlier| earlier.seals_before.is_none());
        over.map(|earlier| earlier.opens_until).min()
    }

    pub(crate) fn seal(
        &mut self,
        request: Option<RequestId>,
        context: &CipherContext,
        plaintext: BytesMut,
    ) -> Result<Bytes, SealError> {
        let is_its = |earlier: &&mut Earlier| {
            earlier.seals_before.zip(request).is_some_and(|(before, request)| request < before)
        };
        let earlier = self.earlier.iter_mut().find(is_its).map(|earlier| &mut earlier.cipher);
        earlier.unwrap_or(&mut self.current).seal(context, plaintext)
    }

    /// Opens with whichever cipher can: those that authenticate before one that does not. Of several errors the one that
    /// says most is told: a wrong tag under a key of ours, then an unknown key, then an unknown format.
    pub(crate) fn open(
        &mut self,
        now: Mono,
        context: &CipherContext,
        sealed: Bytes,
    ) -> Result<Bytes, OpenError> {
        let earlier = self.earlier.iter_mut().filter(|earlier| earlier.opens_until > now);
        let mut all: Vec<_> =
            std::iter::once(&mut self.current).chain(earlier.map(|e| &mut e.cipher)).collect();
        all.sort_by_key(|cipher| cipher.is_plain());
        let mut failure = OpenError::Format;
        for cipher in all {
            match cipher.open(context, sealed.clone()) {
                Ok(plaintext) => return Ok(plaintext),
                Err(error) if weight(error) > weight(failure) => failure = error,
                Err(_) => {}
            }
        }
        Err(failure)
    }
}

const fn weight(error: OpenError) -> u8 {
    match error {
        OpenError::Format => 0,
        OpenError::OtherKey => 1,
        OpenError::Tag => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::{ChannelKey, NoCipher, XChaCha20Poly1305Cipher};
    use std::time::Duration;

    const GRACE: Duration = Duration::from_secs(10);

    fn cipher(key: u8) -> Box<dyn Cipher> {
        Box::new(XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([key; 32]), [key; 16]))
    }

    fn context() -> CipherContext {
        CipherContext { channel: "c".into(), topic: "/t".into() }
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    fn seal(ring: &mut Keyring, request: u64) -> Bytes {
        ring.seal(Some(RequestId(request)), &context(), BytesMut::from("hello")).unwrap()
    }

    #[test]
    fn the_new_key_seals_and_the_old_one_opens_until_its_grace_is_over() {
        let mut ring = Keyring::new(cipher(1));
        let old = seal(&mut ring, 1);
        ring.rotate(at(0), cipher(2), GRACE, RequestId(2));
        let new = seal(&mut ring, 1);
        assert_eq!(cipher(2).open(&context(), new.clone()).unwrap(), "hello", "what was accepted before too");
        assert_eq!(ring.open(at(9), &context(), old.clone()).unwrap(), "hello");
        assert_eq!(ring.poll_timeout(), Some(at(10)));
        assert_eq!(ring.open(at(10), &context(), old.clone()), Err(OpenError::OtherKey));
        ring.handle_timeout(at(10), None);
        assert!(ring.earlier.is_empty() && ring.poll_timeout().is_none());
        assert_eq!(ring.open(at(10), &context(), new).unwrap(), "hello");
    }

    #[test]
    fn clearing_the_cipher_lets_nothing_out_in_the_clear_that_was_accepted_before() {
        let mut ring = Keyring::new(cipher(1));
        ring.rotate(at(0), Box::new(NoCipher), GRACE, RequestId(5));
        assert_eq!(seal(&mut ring, 5), "hello", "what comes after");
        assert_ne!(seal(&mut ring, 4), "hello");
        ring.handle_timeout(at(100), Some(RequestId(4)));
        assert_ne!(seal(&mut ring, 4), "hello", "as long as it is not done");
        ring.rotate(at(100), cipher(2), GRACE, RequestId(6));
        assert!(cipher(2).open(&context(), seal(&mut ring, 4)).is_ok(), "a new key is no downgrade");
        ring.handle_timeout(at(200), Some(RequestId(6)));
        assert!(ring.earlier.is_empty());
    }

    #[test]
    fn a_plain_cipher_is_tried_last_and_earlier_ones_are_bounded() {
        let mut ring = Keyring::new(cipher(1));
        let sealed = seal(&mut ring, 1);
        ring.rotate(at(0), Box::new(NoCipher), GRACE, RequestId(2));
        assert_eq!(ring.open(at(1), &context(), sealed.clone()).unwrap(), "hello");
        for key in 2..20 {
            ring.rotate(at(1), cipher(key), GRACE, RequestId(2));
            ring.rotate(at(1), Box::new(NoCipher), GRACE, RequestId(2));
        }
        assert!(ring.earlier.len() <= MAX_EARLIER, "{}", ring.earlier.len());
        assert_ne!(seal(&mut ring, 1), "hello");
    }
}
