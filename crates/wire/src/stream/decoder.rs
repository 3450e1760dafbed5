//! The incremental decoder: chunks of a stream in, frames out.
#![deny(clippy::indexing_slicing)]

use super::body::Body;
use super::budget::{Charge, PartialBudget};
use super::{DATA, HEAD_LEN, PREFLIGHT, StreamError, StreamFrame, StreamLimits};
use crate::PeerUrl;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;

/// Finds the frames of one stream.
///
/// After each [`push`](Self::push) call [`poll`](Self::poll) until it returns `Ok(None)`. A frame that
/// lies in one chunk is a slice of it; one that lies in several is gathered with one copy. No memory is
/// taken for bytes that have only been announced.
///
/// After an error the decoder stays failed: it returns the same error and drops what is pushed.
#[derive(Debug)]
pub struct StreamDecoder {
    limits: StreamLimits,
    state: State,
    /// What has been pushed and not looked at.
    input: VecDeque<Bytes>,
    input_len: usize,
    charge: Charge,
    /// Bytes of gathered frames that were handed out and may not have been used up yet.
    lent: usize,
    /// Whether the last [`poll`](Self::poll) said that there is no more.
    drained: bool,
}

#[derive(Debug)]
enum State {
    Head { bytes: [u8; HEAD_LEN], len: usize },
    Body { kind: u8, body: Body },
    Failed(StreamError),
}

impl State {
    const START: Self = Self::Head { bytes: [0; HEAD_LEN], len: 0 };
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream, with no bound across streams.
    pub const fn new(limits: StreamLimits) -> Self {
        Self::build(limits, None)
    }

    /// The same, whose unfinished frames count against `budget`.
    pub const fn with_budget(limits: StreamLimits, budget: PartialBudget) -> Self {
        Self::build(limits, Some(budget))
    }

    const fn build(limits: StreamLimits, budget: Option<PartialBudget>) -> Self {
        let charge = Charge::new(budget);
        Self {
            limits,
            state: State::START,
            input: VecDeque::new(),
            input_len: 0,
            charge,
            lent: 0,
            drained: false,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        self.take_back();
        if !chunk.is_empty() && !matches!(self.state, State::Failed(_)) {
            self.input_len += chunk.len();
            self.input.push_back(chunk);
        }
    }

    /// The next frame, or `None` until more is pushed.
    ///
    /// A gathered frame counts against the budget until its taker comes back for more: until the first call after one that
    /// returned `None`, or until something is pushed.
    pub fn poll(&mut self) -> Result<Option<StreamFrame>, StreamError> {
        if self.drained {
            self.take_back();
        }
        let polled = self.advance().inspect_err(|&error| self.fail(error));
        self.drained = matches!(polled, Ok(None));
        polled
    }

    /// What was handed out is used up: only the unfinished frame counts.
    fn take_back(&mut self) {
        if std::mem::take(&mut self.lent) > 0 {
            let unfinished = if let State::Body { body, .. } = &self.state { body.len() } else { 0 };
            // To less there is always room.
            self.charge.set(unfinished);
        }
    }

    /// How many bytes are held: pushed, and in no frame that was returned.
    pub fn buffered(&self) -> usize {
        let unfinished = match &self.state {
            State::Head { len, .. } => *len,
            State::Body { body, .. } => HEAD_LEN + body.len(),
            State::Failed(_) => 0,
        };
        self.input_len + unfinished
    }

    /// Whether the stream may end here: nothing is held, and nothing went wrong.
    pub fn is_at_frame_border(&self) -> bool {
        self.buffered() == 0 && !matches!(self.state, State::Failed(_))
    }

    /// For how many bytes of an unfinished frame there is memory.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        match &self.state {
            State::Body { body, .. } => body.reserved(),
            State::Head { .. } | State::Failed(_) => 0,
        }
    }

    fn advance(&mut self) -> Result<Option<StreamFrame>, StreamError> {
        if let State::Head { .. } = &self.state {
            let Some((kind, len)) = self.read_head()? else { return Ok(None) };
            if let Some(body) = self.take_whole(len) {
                self.state = State::START;
                return finish(kind, body).map(Some);
            }
            self.state = State::Body { kind, body: Body::new(len) };
        }
        self.read_body()
    }

    /// A body that lies in one chunk, as a slice of it.
    fn take_whole(&mut self, len: usize) -> Option<Bytes> {
        let chunk = self.input.front_mut()?;
        if chunk.len() <= len {
            let whole = self.input.pop_front_if(|chunk| chunk.len() == len)?;
            self.input_len -= len;
            return Some(whole);
        }
        self.input_len -= len;
        Some(chunk.split_to(len))
    }

    /// Reads towards the head, and returns it once it is whole and within the limits.
    fn read_head(&mut self) -> Result<Option<(u8, usize)>, StreamError> {
        let State::Head { bytes, len } = &mut self.state else { return Ok(None) };
        while *len < HEAD_LEN {
            let Some(chunk) = self.input.front_mut() else { break };
            let room = bytes.get_mut(*len..).unwrap_or_default();
            let count = room.len().min(chunk.len());
            room.iter_mut().zip(chunk.iter()).for_each(|(to, from)| *to = *from);
            chunk.advance(count);
            *len += count;
            self.input_len -= count;
            if chunk.is_empty() {
                self.input.pop_front();
            }
        }
        let [kind, length @ ..] = *bytes;
        let max = match kind {
            _ if *len == 0 => return Ok(None),
            PREFLIGHT => self.limits.preflight,
            DATA => self.limits.data,
            found => return Err(StreamError::UnknownType { found }),
        };
        if *len < HEAD_LEN {
            return Ok(None);
        }
        let length = u32::from_be_bytes(length);
        let whole = u64::from(length) + HEAD_LEN as u64;
        match usize::try_from(whole) {
            Ok(fits) if fits <= max => Ok(Some((kind, fits - HEAD_LEN))),
            _ => Err(StreamError::TooLarge { len: whole, max }),
        }
    }

    /// Reads towards the body, and returns the frame once it is whole.
    fn read_body(&mut self) -> Result<Option<StreamFrame>, StreamError> {
        let State::Body { kind, body } = &mut self.state else { return self.failure() };
        while body.missing() > 0 {
            let Some(chunk) = self.input.front_mut() else { break };
            let before = body.len();
            body.fill_from(chunk);
            self.input_len -= body.len() - before;
            if chunk.is_empty() {
                self.input.pop_front();
            }
        }
        if body.missing() > 0 {
            let len = body.len();
            let is_room = self.charge.set(self.lent + len);
            return if is_room { Ok(None) } else { Err(StreamError::BudgetExhausted { len }) };
        }
        self.lent += body.len();
        // Without room for its last bytes it counts as much as before: it is whole.
        self.charge.set(self.lent);
        let kind = *kind;
        let State::Body { body, .. } = std::mem::replace(&mut self.state, State::START) else {
            return Ok(None);
        };
        let body = body.finish();
        if kind == PREFLIGHT {
            read_preflight(body).map(Some)
        } else {
            Ok(Some(StreamFrame::Data { frame: body }))
        }
    }

    const fn failure(&self) -> Result<Option<StreamFrame>, StreamError> {
        match self.state {
            State::Failed(error) => Err(error),
            _ => Ok(None),
        }
    }

    fn fail(&mut self, error: StreamError) {
        self.state = State::Failed(error);
        self.input = VecDeque::new();
        self.input_len = 0;
        self.lent = 0;
        self.charge.set(0);
    }
}

/// A whole body as the frame that it is.
fn finish(kind: u8, body: Bytes) -> Result<StreamFrame, StreamError> {
    if kind == PREFLIGHT { read_preflight(body) } else { Ok(StreamFrame::Data { frame: body }) }
}

/// Splits the body of a preflight into the sender's URL and its frame.
fn read_preflight(mut body: Bytes) -> Result<StreamFrame, StreamError> {
    let url_len = body.try_get_u32().map_err(|_| StreamError::ShortPreflight)?;
    let url_len = usize::try_from(url_len).map_err(|_| StreamError::ShortPreflight)?;
    let url = body.get(..url_len).ok_or(StreamError::ShortPreflight)?;
    let url = PeerUrl::try_from(url)?;
    body.advance(url_len);
    Ok(StreamFrame::Preflight { url, frame: body })
}
