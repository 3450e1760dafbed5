//! A connection as a value: first it awaits the peer's preflight, then it is ready.
//!
//! The rule: the preflight comes first and once, because the types leave no other way, and that
//! holds per connection, also when two are open to one peer. Dropping either value is the
//! disconnect: the handlers are told then, and only then.

use crate::{
    AuthenticatedPeer, ConnectionMeter, Direction, OpenError, OverRate, PeerViolation, PreflightError,
    RecvError, Side, TxImpHnd, TxModuleHandler, TxSpaceHandler,
    close::bounded,
    counters::{Record, count},
    gate::Way,
    guarded::Panicked,
    handler::Pause,
    hnd::GateError,
    pace::Pace,
    registry::{Handlers, Space},
};
use bytes::Bytes;
use quorate_base::Mono;
use quorate_wire::{EncodedFrame, Frame, FrameRef, ModuleId, SpaceId, cut};
use std::{sync::Arc, time::Duration};

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
                let pace = self.announced.hnd.debts.pace_of(&self.announced.record.peer);
                Ok(Ready { announced: self.announced, ended: false, pace, pause: None })
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
                let Some(handler) = hnd.handler() else {
                    return Err(PreflightError::Refused { by: Side::Local, reason: "closing".into() });
                };
                return match hnd.asked(handler.preflight_validate_incoming(url, data)).await {
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
#[must_use = "dropping it disconnects the peer"]
pub struct Ready {
    announced: Announced,
    ended: bool,
    pace: Pace,
    pause: Option<Pause>,
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
        self.take(frame).inspect_err(|error| self.note(error))
    }

    /// Charges frames that have arrived, before they go to [`recv`](Self::recv): how long to wait before they do, and
    /// before more is read.
    ///
    /// Once for all frames that came together is enough. Whoever drives a connection without calling it lets the peer be as fast
    /// as it likes. `Err` means the same as from `recv`; only [`OverRate::Disconnect`] has it.
    pub fn charge(&mut self, now: Mono, frames: u64, bytes: u64) -> Result<Duration, RecvError> {
        let (of_peer, of_spaces) = self.pace.charge(now, frames, bytes);
        let hnd = &self.announced.hnd;
        if !of_peer.is_zero() && hnd.config().over_rate == OverRate::Disconnect {
            let error = RecvError::Violation(PeerViolation::TooFast);
            self.note(&error);
            return Err(error);
        }
        let wait = of_peer.max(of_spaces);
        if !wait.is_zero() {
            tracing::debug!(peer = %self.peer().url(), ?wait, "a peer or a space is ahead of its rate");
            count(&hnd.counters.slowed);
        }
        Ok(wait)
    }

    /// Whether there is a rate to [`charge`](Self::charge).
    #[cfg(feature = "tokio")]
    pub(crate) fn has_rates(&self) -> bool {
        let config = self.announced.hnd.config();
        config.peer_rate.is_some() || config.space_rate.is_some()
    }

    /// What the handler of the last message wants waited for before more is read from this peer, if
    /// anything: see [`TxSpaceHandler::pause`](crate::TxSpaceHandler::pause).
    pub fn take_pause(&mut self) -> Option<Pause> {
        self.pause.take()
    }

    fn note(&mut self, error: &RecvError) {
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
    }

    fn take(&mut self, frame: Bytes) -> Result<(), RecvError> {
        let hnd = &self.announced.hnd;
        let (len, max) = (frame.len(), hnd.config().max_frame_bytes.get());
        if len > max {
            return Err(PeerViolation::TooLarge { len, max }.into());
        }
        // The ids are looked up where they lie; a handler sees those of its registration.
        let handlers = hnd.registry.snapshot();
        let (goal, data) = match FrameRef::decode(&frame).map_err(PeerViolation::Frame)? {
            FrameRef::Notify { space, data } => (Goal::find(&handlers, space, None), data),
            FrameRef::Module { space, module, data } => (Goal::find(&handlers, space, Some(module)), data),
            FrameRef::Preflight { .. } => return Err(PeerViolation::SecondPreflight.into()),
            FrameRef::Disconnect { reason } => {
                let reason = String::from_utf8_lossy(&cut(frame, reason)).into_owned();
                return Err(RecvError::RemoteDisconnect { reason: bounded(reason) });
            }
            FrameRef::Other { kind, .. } => {
                tracing::debug!(kind, "a frame of an unknown kind was ignored");
                count(&hnd.counters.ignored_unknown_kind);
                return Ok(());
            }
        };
        let Some(goal) = goal else {
            tracing::debug!(peer = %self.peer().url(), "a message for an unknown space was dropped");
            count(&hnd.counters.dropped_unknown_space);
            return Ok(());
        };
        let pause = Self::deliver(&self.announced, &mut self.pace, &goal, cut(frame, data))?;
        if pause.is_some() {
            count(&hnd.counters.inbox_waits);
            self.pause = pause;
        }
        Ok(())
    }

    /// Through the gate to the space's or the module's handler.
    fn deliver(
        announced: &Announced,
        pace: &mut Pace,
        goal: &Goal<'_>,
        data: Bytes,
    ) -> Result<Option<Pause>, RecvError> {
        let Announced { hnd, record, .. } = announced;
        let (peer, proven) = (record.peer.url(), record.peer.key().is_some());
        let Goal { space, handler, entry, module } = goal;
        pace.note(entry.bucket(), data.len());
        if !hnd.permits(*handler, peer, proven, (space, module.id()), Way::In)? {
            return Ok(None);
        }
        let answer = match module {
            To::Space => hnd.call(|| {
                let taken = handler.recv_space_notify(peer, space, data);
                taken.map(|()| handler.pause(peer))
            }),
            To::Module(module, handler) => hnd.call(|| {
                let taken = handler.recv_module_msg(peer, space, module, data);
                taken.map(|()| handler.pause(peer))
            }),
            To::Nobody(module) => {
                tracing::debug!(%peer, %space, %module, "a message for an unknown module was dropped");
                count(&hnd.counters.dropped_unknown_module);
                return Ok(None);
            }
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

impl Drop for Ready {
    fn drop(&mut self) {
        self.announced.hnd.debts.keep(&self.announced.record.peer, &mut self.pace);
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("peer", self.peer()).field("ended", &self.ended).finish_non_exhaustive()
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

/// The space that a message is for, and who of it.
struct Goal<'a> {
    space: &'a SpaceId,
    handler: &'a dyn TxSpaceHandler,
    entry: &'a Space,
    module: To<'a>,
}

enum To<'a> {
    Space,
    Module(&'a ModuleId, &'a dyn TxModuleHandler),
    /// A module without a handler.
    Nobody(ModuleId),
}

impl<'a> Goal<'a> {
    /// `None` where the space has no handler. The module is UTF-8.
    fn find(handlers: &'a Handlers, space: &[u8], module: Option<&[u8]>) -> Option<Self> {
        let (space, handler, entry) = handlers.space_of(space)?;
        let module = match module.map(|module| entry.module(module).ok_or(module)) {
            None => To::Space,
            Some(Ok((id, handler))) => To::Module(id, handler),
            Some(Err(unknown)) => To::Nobody(ModuleId::try_from(unknown).unwrap_or_default()),
        };
        Some(Self { space, handler, entry, module })
    }
}

impl To<'_> {
    const fn id(&self) -> Option<&ModuleId> {
        match self {
            Self::Space => None,
            Self::Module(id, _) => Some(id),
            Self::Nobody(id) => Some(id),
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
