//! What a channel's cipher opens, and what it does not.

use bytes::{Bytes, BytesMut};
use quorate_channel::cipher::CipherContext;
use quorate_channel::{ChannelKey, Cipher, XChaCha20Poly1305Cipher};

/// What sealing adds: format, key id, nonce, tag.
const OVERHEAD: usize = 45;

/// Any bytes open or are an error; what is sealed opens in its own channel, whole, and nowhere else.
pub fn cipher(input: &[u8]) {
    let mut cipher = XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([7; 32]), [1; 16]);
    let here = CipherContext { channel: "fuzz".into(), topic: "/quorate/1/fuzz/proto".into() };
    let elsewhere = CipherContext { channel: "fuz".into(), topic: "z/quorate/1/fuzz/proto".into() };

    let foreign = Bytes::copy_from_slice(input);
    if let Ok(plain) = cipher.open(&here, foreign.clone()) {
        assert_eq!(plain.len() + OVERHEAD, input.len());
        assert!(cipher.open(&elsewhere, foreign).is_err(), "it is bound to its channel");
    }

    let sealed = cipher.seal(&here, BytesMut::from(input)).expect("the counter has just begun");
    assert_eq!(cipher.open(&here, sealed.clone()).as_deref(), Ok(input));
    assert!(cipher.open(&elsewhere, sealed.clone()).is_err(), "it is bound to its channel");
    let again = cipher.seal(&here, BytesMut::from(input)).expect("the counter has just begun");
    assert_ne!(again, sealed, "no nonce is used twice");

    // One bit wrong, anywhere.
    let mut damaged = sealed.to_vec();
    let at = input.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte)) % damaged.len();
    damaged[at] ^= 1 << (at % 8);
    assert!(cipher.open(&here, damaged.into()).is_err(), "byte {at} was changed");
    assert!(cipher.open(&here, sealed.slice(..sealed.len() - 1)).is_err(), "its end was cut off");
}
