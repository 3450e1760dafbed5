//! Envelopes over a stream, for tests with several processes: u32 length, big-endian, and the envelope.

use bytes::Bytes;
use prost::Message;
use quorate_channel::{Dispatch, MessageEnvelope, Messaging, MessagingError};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Mutex;

/// The most bytes of one envelope.
const MAX: u32 = 2 << 20;

/// Publishes to whoever is connected now.
#[derive(Debug, Default)]
pub struct Line {
    peer: Mutex<Option<OwnedWriteHalf>>,
}

impl Line {
    /// From now on envelopes go to `peer`.
    pub async fn connect(&self, peer: OwnedWriteHalf) {
        *self.peer.lock().await = Some(peer);
    }
}

#[async_trait::async_trait]
impl Messaging for Line {
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
        let body = dispatch.envelope.encode_to_vec();
        let length = u32::try_from(body.len()).map_err(|_| MessagingError::Refused)?;
        let mut peer = self.peer.lock().await;
        let stream = peer.as_mut().ok_or(MessagingError::Unreachable)?;
        let frame = [&length.to_be_bytes()[..], &body].concat();
        if stream.write_all(&frame).await.is_err() {
            *peer = None;
            return Err(MessagingError::Unreachable);
        }
        Ok(())
    }
}

/// The next envelope of a stream.
pub async fn read_envelope(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<MessageEnvelope> {
    let length = stream.read_u32().await?;
    if length > MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    MessageEnvelope::decode(Bytes::from(body)).map_err(|_| io::ErrorKind::InvalidData.into())
}
