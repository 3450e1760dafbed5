//! A connection as a value: first it awaits the peer's preflight, then it is ready.
//!
//! The rule: the preflight comes first and once, because the types leave no other way, and that
//! holds per connection, also when two are open to one peer. Dropping either value is the
//! disconnect: the handlers are told then, and only then.

use crate::{
    AuthenticatedPeer, ConnectionMeter, Direction, OpenError, PeerViolation, PreflightError, RecvError, Side,
    TxImpHnd,
    close::bounded,
    counters::{Record, count},
    gate::Way,
    guarded::Panicked,
    hnd::GateError,
};
use bytes::Bytes;
use quorate_wire::{EncodedFrame, Frame, ModuleId, SpaceId};
use std::sync::Arc;

/// A connection whose peer has not introduced itself yet: nothing is delivered from it.
#[derive(Debug)]
#[must_use = "dropping it disconnects the peer"]
pub struct AwaitingPreflight {
    announced: Announced,
    preflight: EncodedFrame,
}

impl AwaitingPreflight {
    pub(crate) const fn new(announced: Announced, preflight: EncodedFrame) -> Self {
        Self { announced, preflight }
    }

    /// Our own preflight, to be sent as the first frame, also when its payload is empty.
    ///
    /// Who dialed sends it at once; who was dialed sends it when the peer's has been accepted.
    pub const fn preflight(&self) -> &EncodedFrame {
        &self.preflight
    }

    /// The peer.
    pub fn peer(&self) -> &AuthenticatedPeer {
        self.announced.peer()
    }

    /// Who opened the connection.
    pub const fn direction(&self) -> Direction {
        self.announced.direction
    }

    /// What counts the connection's frames.
    pub fn meter(&self) -> &ConnectionMeter {
        &self.announced.record.meter
    }

    /// Takes the first frame from the peer and lets the application judge it.
    ///
    /// On `Err` the connection is over and the handlers have been told.
    pub async fn handle_preflight(mut self, frame: Bytes) -> Result<Ready, PreflightError> {
        self.meter().received(1, frame.len() as u64);
        match self.judge(frame).await {
            Ok(()) => {
                self.announced.hnd.counters.ready(&self.announced.record);
                Ok(Ready { announced: self.announced, ended: false })
            }
            Err(error) => {
                self.announced.note(&error);
                Err(error)
            }
        }
    }

    async fn judge(&self, frame: Bytes) -> Result<(), PreflightError> {
        let hnd = &self.announced.hnd;
        let (len, max) = (frame.len(), hnd.config().max_preflight_bytes.get());
        let violation = match Frame::decode(frame) {
            Ok(Frame::Preflight { data }) if data.len() <= max => {
                let url = self.peer().url();
                return match hnd.asked(hnd.handler().preflight_validate_incoming(url, data)).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(refusal)) => {
                        Err(PreflightError::Refused { by: Side::Local, reason: refusal.reason })
                    }
                    Err(Panicked) => Err(PreflightError::HandlerPanicked),
                };
            }
            Ok(Frame::Preflight { .. }) => PeerViolation::TooLarge { len, max },
            Ok(frame @ Frame::Disconnect { .. }) => {
                let reason = frame.reason().unwrap_or_default().into_owned();
                return Err(PreflightError::Refused { by: Side::Remote, reason: bounded(reason) });
            }
            Ok(frame) => PeerViolation::NotPreflight { kind: frame.kind() },
            Err(error) => PeerViolation::Frame(error),
        };
        Err(PreflightError::Violation(violation))
    }

    /// Ends the connection with a reason for the handlers. Dropping it ends it without one.
    pub fn disconnect(mut self, reason: &str) {
        self.announced.set_reason(reason.to_owned());
    }
}

/// A connection past the preflights: frames go in through it.
#[derive(Debug)]
#[must_use = "dropping it disconnects the peer"]
pub struct Ready {
    announced: Announced,
    ended: bool,
}

impl Ready {
    /// Takes a frame from the peer and calls the handler it is for, before it returns.
    ///
    /// `Err` means: close the link, with [`RecvError::close`] as the last words, and drop this value.
    /// Messages from blocked peers and for unknown spaces or modules are dropped and counted, which is
    /// no error, and so are frames of unknown kinds.
    pub fn recv(&mut self, frame: Bytes) -> Result<(), RecvError> {
        if self.ended {
            return Err(RecvError::Ended);
        }
        self.meter().received(1, frame.len() as u64);
        self.take(frame).inspect_err(|error| {
            self.ended = true;
            match error {
                RecvError::Violation(violation) => self.announced.hnd.count_violation(violation),
                RecvError::Refused(_) => count(&self.announced.hnd.counters.refused_here),
                _ => {}
            }
            self.announced.set_reason(match error {
                RecvError::RemoteDisconnect { reason } => reason.clone(),
                other => other.close().reason,
            });
        })
    }

    fn take(&self, frame: Bytes) -> Result<(), RecvError> {
        let hnd = &self.announced.hnd;
        let (len, max) = (frame.len(), hnd.config().max_frame_bytes.get());
        if len > max {
            return Err(PeerViolation::TooLarge { len, max }.into());
        }
        match Frame::decode(frame).map_err(PeerViolation::Frame)? {
            Frame::Notify { space, data } => self.deliver(&space, None, data),
            Frame::Module { space, module, data } => self.deliver(&space, Some(&module), data),
            Frame::Preflight { .. } => Err(PeerViolation::SecondPreflight.into()),
            frame @ Frame::Disconnect { .. } => {
                let reason = frame.reason().unwrap_or_default().into_owned();
                Err(RecvError::RemoteDisconnect { reason: bounded(reason) })
            }
            Frame::Other { kind, .. } => {
                tracing::debug!(kind, "a frame of an unknown kind was ignored");
                count(&hnd.counters.ignored_unknown_kind);
                Ok(())
            }
        }
    }

    /// Through the gate to the space's or the module's handler.
    fn deliver(&self, space: &SpaceId, module: Option<&ModuleId>, data: Bytes) -> Result<(), RecvError> {
        let hnd = &self.announced.hnd;
        let peer = self.peer().url();
        let handlers = hnd.registry.snapshot();
        let Some((handler, modules)) = handlers.space(space) else {
            tracing::debug!(%peer, %space, "a message for an unknown space was dropped");
            count(&hnd.counters.dropped_unknown_space);
            return Ok(());
        };
        if !hnd.permits(handler, peer, space, Way::In)? {
            return Ok(());
        }
        let answer = match module {
            None => hnd.call(|| handler.recv_space_notify(peer, space, data)),
            Some(module) => match modules.module(module) {
                Some(module_handler) => {
                    hnd.call(|| module_handler.recv_module_msg(peer, space, module, data))
                }
                None => {
                    tracing::debug!(%peer, %space, %module, "a message for an unknown module was dropped");
                    count(&hnd.counters.dropped_unknown_module);
                    return Ok(());
                }
            },
        };
        Ok(answer.map_err(GateError::from)?.map_err(GateError::Refused)?)
    }

    /// The peer.
    pub fn peer(&self) -> &AuthenticatedPeer {
        self.announced.peer()
    }

    /// Who opened the connection.
    pub const fn direction(&self) -> Direction {
        self.announced.direction
    }

    /// What counts the connection's frames.
    pub fn meter(&self) -> &ConnectionMeter {
        &self.announced.record.meter
    }

    /// Ends the connection with a reason for the handlers, unless a frame gave one before.
    pub fn disconnect(mut self, reason: &str) {
        self.announced.set_reason(reason.to_owned());
    }
}

impl From<GateError> for RecvError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Refused(refusal) => Self::Refused(refusal),
            GateError::Panicked => Self::HandlerPanicked,
        }
    }
}

/// A place in the table of connections, and the promise to tell the handlers of its end.
#[derive(Debug)]
pub(crate) struct Announced {
    hnd: Arc<TxImpHnd>,
    record: Arc<Record>,
    direction: Direction,
    /// Whether the handlers know of the connection.
    told: bool,
    reason: Option<String>,
}

impl Announced {
    /// A place nobody has been told of.
    pub(crate) const fn reserved(hnd: Arc<TxImpHnd>, record: Arc<Record>, direction: Direction) -> Self {
        Self { hnd, record, direction, told: false, reason: None }
    }

    /// Tells the handlers, all of them or (after a refusal) none.
    pub(crate) fn announce(&mut self) -> Result<(), OpenError> {
        self.hnd.tell_connect(self.record.peer.url())?;
        self.told = true;
        self.hnd.counters.opened();
        Ok(())
    }

    pub(crate) fn peer(&self) -> &AuthenticatedPeer {
        &self.record.peer
    }

    /// The first reason stays.
    pub(crate) fn set_reason(&mut self, reason: String) {
        if self.reason.is_none() && !reason.is_empty() {
            self.reason = Some(bounded(reason));
        }
    }

    fn note(&mut self, error: &PreflightError) {
        match error {
            PreflightError::Refused { by: Side::Local, .. } => count(&self.hnd.counters.refused_here),
            PreflightError::Refused { by: Side::Remote, .. } => count(&self.hnd.counters.refused_by_peer),
            PreflightError::Violation(violation) => self.hnd.count_violation(violation),
            PreflightError::HandlerPanicked => {}
        }
        self.set_reason(match error {
            PreflightError::Refused { reason, .. } => reason.clone(),
            other => other.close().reason,
        });
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Out of the table first: a handler that asks now finds the connection gone.
        self.hnd.counters.ended(&self.record, self.told);
        if self.told {
            self.hnd.tell_disconnect(self.record.peer.url(), self.reason.as_deref());
        }
    }
}
