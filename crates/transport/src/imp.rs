//! What a transport's author implements: three methods, the rest is defaulted.
//!
//! The rule: framing, order, connection tables, blocking, counting and registries are not the
//! author's. `Sessions` has the tables and the order; the in-memory transport shows the rest.

use crate::{ConfigError, ConfigSections, SendError, guarded};
use async_trait::async_trait;
use bytes::Bytes;
use quorate_wire::{EncodedFrame, Frame, PeerUrl, SpaceId};

/// A way to reach peers.
///
/// An implementation opens connections on a [`TxImpHnd`](crate::TxImpHnd), feeds frames into them,
/// and reports new addresses and unresponsive peers to it; one that is built on `Sessions` (feature
/// `tokio`) only dials and accepts.
#[async_trait]
pub trait TxImp: Send + Sync + 'static {
    /// Where peers reach this node now, if anywhere.
    fn url(&self) -> Option<PeerUrl>;

    /// Hands a frame over for `peer`, opening a connection where there is none.
    ///
    /// Returns when the frame has its place in the order of that connection, not when it has arrived;
    /// waits while there is no room. Frames of one caller that awaits each call arrive in order. It is
    /// cancel safe: when the future is dropped before it is ready, nothing of the frame was taken.
    async fn send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError>;

    /// Closes the connection to `peer` if there is one, and tells it the reason if that can be done
    /// shortly. Returns when the connection is gone.
    async fn disconnect(&self, peer: &PeerUrl, reason: Option<&str>);

    /// What this is built on, if it is `Sessions`: the methods below do it justice then.
    #[cfg(feature = "tokio")]
    fn sessions(&self) -> Option<&crate::Sessions> {
        None
    }

    /// As [`send`](Self::send) where nothing has to be waited for: takes the frame out, and it has its place. A frame that is
    /// left where it was is given to `send`.
    ///
    /// Asked before each `send`, which costs an allocation; this costs none. The default asks
    /// [`sessions`](Self::sessions), and without them leaves the frame.
    fn send_now(&self, peer: &PeerUrl, frame: &mut Option<EncodedFrame>) -> Result<(), SendError> {
        #[cfg(feature = "tokio")]
        if let Some(sessions) = self.sessions() {
            return sessions.send_now(peer, frame);
        }
        let _ = (peer, frame);
        Ok(())
    }

    /// As [`send`](Self::send), but never waits: [`SendError::Full`] instead.
    ///
    /// The default is [`send_now`](Self::send_now), then `send`, polled once. (Where that begins to dial, the frame is not taken,
    /// but a later call finds the connection.)
    fn try_send(&self, peer: &PeerUrl, frame: EncodedFrame) -> Result<(), SendError> {
        let mut frame = Some(frame);
        self.send_now(peer, &mut frame)?;
        match frame {
            None => Ok(()),
            Some(frame) => guarded::at_once(self.send(peer, frame)).unwrap_or(Err(SendError::Full)),
        }
    }

    /// Opens a connection to `peer` where there is none, and returns when it is ready.
    ///
    /// The default leaves it to `Sessions`, or else sends a frame of kind 0, which
    /// peers ignore.
    async fn connect(&self, peer: &PeerUrl) -> Result<(), SendError> {
        #[cfg(feature = "tokio")]
        if let Some(sessions) = self.sessions() {
            return sessions.connect(peer).await;
        }
        let nothing = Frame::Other { kind: 0, data: Bytes::new(), space: None, module: None };
        self.send(peer, nothing.encode()).await
    }

    /// Does for one space what the sections say, a relay of its own for example, and reports the address that comes of it to
    /// [`TxImpHnd::new_listening_address_for`](crate::TxImpHnd::new_listening_address_for).
    ///
    /// The default does nothing.
    async fn configure_for_space(&self, space: &SpaceId, config: &ConfigSections) -> Result<(), ConfigError> {
        let _ = (space, config);
        Ok(())
    }

    /// Takes back what [`configure_for_space`](Self::configure_for_space) did; nothing where it did nothing.
    async fn unconfigure_for_space(&self, space: &SpaceId) {
        let _ = space;
    }

    /// Closes what is open and opens nothing from now on. Returns when it is done, also when it is called
    /// again, or while another call runs.
    ///
    /// The default leaves it to `Sessions`, or else to the core, which refuses new
    /// connections and calls [`disconnect`](Self::disconnect) for those that are left.
    async fn close(&self) {
        #[cfg(feature = "tokio")]
        if let Some(sessions) = self.sessions() {
            sessions.close().await;
        }
    }

    /// What this is called in the stats.
    fn backend(&self) -> &str {
        "custom"
    }
}
