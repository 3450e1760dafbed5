//! Frames as they stand on a stream, each with its place.

use super::{Fault, layers};
use bytes::Bytes;
use quorate::wire::{StreamDecoder, StreamError, StreamFrame, StreamLimits};
use serde_json::{Value, json};

/// Type and length.
const HEAD: usize = 5;
/// The length of the URL in a preflight.
const URL_LEN: usize = 4;

/// All frames of a stream, which ends after one.
pub(super) fn decode(bytes: &Bytes) -> Result<Value, Fault> {
    let mut decoder = StreamDecoder::new(StreamLimits::KITSUNE2);
    decoder.push(bytes.clone());
    let mut frames = Vec::new();
    loop {
        let start = bytes.len() - decoder.buffered();
        match decoder.poll() {
            Ok(Some(frame)) => frames.push(show(start, frame)?),
            Ok(None) if start == bytes.len() && !frames.is_empty() => return Ok(json!({ "frames": frames })),
            Ok(None) => {
                let reason = format!("the stream ends {} bytes into a frame", bytes.len() - start);
                return Err(Fault { offset: bytes.len(), reason });
            }
            Err(error) => return Err(Fault { offset: start + within(&error), reason: error.to_string() }),
        }
    }
}

/// Where in a frame an error lies.
const fn within(error: &StreamError) -> usize {
    match error {
        StreamError::TooLarge { .. } => 1,
        StreamError::ShortPreflight => HEAD,
        StreamError::Url(_) => HEAD + URL_LEN,
        _ => 0,
    }
}

fn show(start: usize, frame: StreamFrame) -> Result<Value, Fault> {
    let (head, url, frame) = match frame {
        StreamFrame::Preflight { url, frame } => (HEAD + URL_LEN + url.as_str().len(), Some(url), frame),
        StreamFrame::Data { frame } => (HEAD, None, frame),
    };
    let fields = layers::frame(&frame)
        .map_err(|fault| Fault { offset: start + head + fault.offset, reason: fault.reason })?;
    let mut object = json!({ "offset": start, "type": if url.is_some() { "preflight" } else { "data" } });
    if let Some(url) = url {
        object["url"] = url.as_str().into();
    }
    object["frame"] = fields;
    Ok(object)
}
