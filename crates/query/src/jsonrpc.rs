//! The envelopes of JSON-RPC 2.0.
//!
//! The rule: an answer is taken apart without copying it, and one that is not an answer is the peer's fault. Ids are the
//! client's own numbers; an answer with another kind of id belongs to no question.

use crate::call::{Answer, Call};
use crate::error::{Malformed, PeerError, RpcError, is_for_now};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write;
#[cfg(any(feature = "tokio", feature = "blocking"))]
use std::time::Duration;

/// The request with this id.
pub fn write_request(id: u64, call: &Call) -> Vec<u8> {
    let mut request = Vec::with_capacity(call.params().len() + call.method().len() + 64);
    write_request_into(&mut request, id, call);
    request
}

/// Several requests as one body; the first has this id, the others those that follow.
pub fn write_batch(first: u64, calls: &[Call]) -> Vec<u8> {
    let mut batch = vec![b'['];
    for (id, call) in (first..).zip(calls) {
        if batch.len() > 1 {
            batch.push(b',');
        }
        write_request_into(&mut batch, id, call);
    }
    batch.push(b']');
    batch
}

fn write_request_into(request: &mut Vec<u8>, id: u64, call: &Call) {
    request.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    // Writing to a vector cannot fail, and a string is always JSON.
    let _ = write!(request, "{id}");
    request.extend_from_slice(br#","method":"#);
    let _ = serde_json::to_writer(&mut *request, call.method().as_ref());
    request.extend_from_slice(br#","params":"#);
    request.extend_from_slice(call.params().as_bytes());
    if let Some(member) = call.member() {
        request.push(b',');
        request.extend_from_slice(member.as_bytes());
    }
    request.push(b'}');
}

/// What a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// An answer to the question with this id.
    Answer {
        /// The id.
        id: u64,
        /// The result, or the peer's error.
        answer: Result<Answer, RpcError>,
    },
    /// An error that belongs to no question: the peer could not read one.
    Unaddressed(RpcError),
    /// A notification; nobody asked for it.
    Notification,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<ErrorObject<'a>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
}

/// What tells to which question a response belongs; the rest is for whoever asked.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    code: i64,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

/// Keeps a `null` that is there apart from a field that is not.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Takes a message of a peer apart. The answer is a slice of `message`.
///
/// # Errors
///
/// [`Malformed::NotJsonRpc`] when it is none, [`Malformed::UnknownId`] when its id cannot be one of ours.
pub fn read_message(message: &Bytes) -> Result<Incoming, Malformed> {
    let envelope: Envelope<'_> = serde_json::from_slice(message).map_err(|_| Malformed::NotJsonRpc)?;
    let id = envelope.id.map(RawValue::get);
    let answer = match (envelope.result, envelope.error) {
        (Some(result), None) => Ok(Answer(message.slice_ref(result.get().as_bytes()))),
        (None, Some(error)) => Err(RpcError::new(error.code, &error.message)),
        (None, None) if envelope.method.is_some() => return Ok(Incoming::Notification),
        _ => return Err(Malformed::NotJsonRpc),
    };
    match (id, answer) {
        (None | Some("null"), Err(error)) => Ok(Incoming::Unaddressed(error)),
        (None, Ok(_)) => Err(Malformed::NotJsonRpc),
        (Some(id), answer) => {
            let id = id.parse().map_err(|_| Malformed::UnknownId)?;
            Ok(Incoming::Answer { id, answer })
        }
    }
}

/// The answer in the body of an HTTP response to the request `expected`, or the peer's error, or the status where the body is
/// neither. A status that is for now (429, 503, …) counts more than an error in the body that is final: what stands in front of a
/// server writes both.
///
/// # Errors
///
/// [`PeerError`]: the peer's own error, another's id, a body that is no JSON-RPC, or the status.
pub fn read_http_answer(status: u16, body: &Bytes, expected: u64) -> Result<Answer, PeerError> {
    let success = (200..300).contains(&status);
    match read_message(body) {
        Ok(Incoming::Answer { id, .. }) if id != expected => Err(Malformed::UnknownId.into()),
        Ok(Incoming::Answer { answer: Err(error), .. } | Incoming::Unaddressed(error))
            if !is_for_now(status) || error.kind().is_retryable() =>
        {
            Err(error.into())
        }
        Ok(Incoming::Answer { answer: Ok(answer), .. }) if success => Ok(answer),
        Err(malformed) if success => Err(malformed.into()),
        Ok(Incoming::Notification) if success => Err(Malformed::NotJsonRpc.into()),
        _ => Err(PeerError::Http { status, retry_after: None }),
    }
}

/// The wait in a `Retry-After` header. Seconds are read; a date is not, for it goes by the peer's clock.
#[cfg(any(feature = "tokio", feature = "blocking"))]
pub(crate) fn read_retry_after(value: &[u8]) -> Option<Duration> {
    let seconds = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The response objects in the body of an HTTP response to `count` requests, whose ids begin at `first`: by their ids, whatever
/// the order in which they came. A single request may be answered without an array.
///
/// # Errors
///
/// [`PeerError`]: fewer, more or other ids than were sent, a body that is no JSON-RPC, an error that belongs to no request, or
/// the status.
pub fn read_batch(status: u16, body: &Bytes, first: u64, count: usize) -> Result<Vec<Bytes>, PeerError> {
    let success = (200..300).contains(&status);
    let otherwise = |malformed: Malformed| match success {
        true => malformed.into(),
        false => PeerError::Http { status, retry_after: None },
    };
    let objects: Vec<&RawValue> = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(body).map_err(|_| otherwise(Malformed::NotJsonRpc))?,
        _ => vec![serde_json::from_slice(body).map_err(|_| otherwise(Malformed::NotJsonRpc))?],
    };
    if objects.len() > count {
        return Err(otherwise(Malformed::UnknownId));
    }
    let mut answers = vec![None; count];
    for object in objects {
        let object = body.slice_ref(object.get().as_bytes());
        let head: Head<'_> = serde_json::from_slice(&object).map_err(|_| otherwise(Malformed::NotJsonRpc))?;
        let place = match head.id.map(RawValue::get) {
            // What cannot be read has no id; with one question it is clear which one is meant.
            None | Some("null") if count == 1 && head.result.is_none() => Some(0),
            None | Some("null") => None,
            Some(id) => {
                id.parse::<u64>().ok().and_then(|id| id.checked_sub(first)).and_then(|at| at.try_into().ok())
            }
        };
        match place.and_then(|at: usize| answers.get_mut(at)) {
            Some(answer @ None) => *answer = Some(object),
            _ => return Err(otherwise(Malformed::UnknownId)),
        }
    }
    answers.into_iter().collect::<Option<_>>().ok_or_else(|| otherwise(Malformed::Incomplete))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Incoming, Malformed> {
        read_message(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn answered(id: u64, json: &str) -> Result<Incoming, Malformed> {
        Ok(Incoming::Answer { id, answer: Ok(Answer(Bytes::copy_from_slice(json.as_bytes()))) })
    }

    #[test]
    fn a_request_is_what_fedimints_servers_take() {
        let call = Call::bare("session_count");
        let written =
            r#"{"jsonrpc":"2.0","id":7,"method":"session_count","params":[{"auth":null,"params":null}]}"#;
        assert_eq!(String::from_utf8(write_request(7, &call)).unwrap(), written);
        let call = Call::with_auth("audit", &[1], "pw").unwrap().of_module(3.into());
        let written =
            r#"{"jsonrpc":"2.0","id":8,"method":"module_3_audit","params":[{"auth":"pw","params":[1]}]}"#;
        assert_eq!(String::from_utf8(write_request(8, &call)).unwrap(), written);
    }

    #[test]
    fn an_answer_is_a_slice_of_what_came() {
        let message = Bytes::from_static(br#"{"jsonrpc":"2.0","id":7,"result":{"a": [1, 2]}}"#);
        let Ok(Incoming::Answer { id: 7, answer: Ok(Answer(slice)) }) = read_message(&message) else {
            panic!("an answer")
        };
        assert_eq!(&slice[..], br#"{"a": [1, 2]}"#);
        assert_eq!(slice.as_ptr(), message[33..].as_ptr());
    }

    #[test]
    fn a_null_is_an_answer_too() {
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":1,"result":null}"#), answered(1, "null"));
    }

    #[test]
    fn an_error_keeps_its_code() {
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":404,"message":"Not found","data":[1]}}"#;
        let not_found = RpcError::new(404, "Not found");
        assert_eq!(read(error), Ok(Incoming::Answer { id: 1, answer: Err(not_found) }));
        let nobodys = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
        assert_eq!(read(nobodys), Ok(Incoming::Unaddressed(RpcError::new(-32700, "Parse error"))));
    }

    #[test]
    fn a_batch_is_put_in_order_by_its_ids() {
        let body = Bytes::from_static(
            br#" [{"id":8,"error":"no"}, {"jsonrpc":"2.0","id":7,"result":null,"in3":{"proof":{}}}]"#,
        );
        let answers = read_batch(200, &body, 7, 2).unwrap();
        assert_eq!(&answers[0][..], br#"{"jsonrpc":"2.0","id":7,"result":null,"in3":{"proof":{}}}"#);
        assert_eq!(&answers[1][..], br#"{"id":8,"error":"no"}"#);
        let bare = Bytes::from_static(br#"{"id":7,"result":1}"#);
        assert_eq!(read_batch(200, &bare, 7, 1).unwrap(), std::slice::from_ref(&bare));
    }

    #[test]
    fn a_batch_with_other_ids_is_nobodys() {
        let fault = |text: &'static str, count| {
            read_batch(200, &Bytes::from_static(text.as_bytes()), 7, count).unwrap_err().to_string()
        };
        let unknown = Malformed::UnknownId.to_string();
        assert_eq!(fault(r#"[{"id":7,"result":1},{"id":7,"result":2}]"#, 2), unknown);
        assert_eq!(fault(r#"[{"id":6,"result":1}]"#, 1), unknown);
        assert_eq!(fault(r#"[{"id":9,"result":1}]"#, 2), unknown);
        assert_eq!(fault(r#"[{"result":1}]"#, 1), unknown);
        assert_eq!(fault(r#"[{"id":7,"result":1},{"id":8,"result":2}]"#, 1), unknown);
        assert_eq!(fault(r#"[{"id":7,"result":1}]"#, 2), Malformed::Incomplete.to_string());
        assert_eq!(fault("oh", 1), Malformed::NotJsonRpc.to_string());
        assert!(read_batch(502, &Bytes::from_static(b"<html>"), 0, 1).unwrap_err().is_retryable());
    }

    #[test]
    fn a_status_that_is_for_now_counts_more_than_a_final_error() {
        let read = |status, code| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"no"}}}}"#);
            read_http_answer(status, &body.into(), 1).unwrap_err()
        };
        for status in [429, 503] {
            assert!(matches!(read(status, -32_005), PeerError::Http { status: kept, .. } if kept == status));
            assert!(matches!(read(status, -32_000), PeerError::Rpc(_)), "it may pass by itself");
        }
        for status in [400, 401, 404, 500] {
            assert!(matches!(read(status, -32_601), PeerError::Rpc(_)), "{status}: the code says more");
        }
        assert!(!read(400, -32_600).is_retryable());
    }

    #[test]
    fn a_further_member_stands_in_the_request() {
        let call = Call::plain("eth_getBalance", &["0x1"]).unwrap().with_member("in3", &[1]).unwrap();
        let one = r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x1"],"in3":[1]}"#;
        assert_eq!(String::from_utf8(write_request(1, &call)).unwrap(), one);
        let two = write_batch(1, &[call.clone(), call]);
        assert_eq!(String::from_utf8(two).unwrap(), format!("[{one},{}]", one.replacen(":1,", ":2,", 1)));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "",
            "7",
            "[]",
            "{",
            r#"{"id":1}"#,
            r#"{"result":1}"#,
            r#"{"id":1,"result":1,"error":{"code":1}}"#,
        ] {
            assert_eq!(read(text), Err(Malformed::NotJsonRpc), "{text}");
        }
        for id in ["\"1\"", "-1", "1.5", "18446744073709551616"] {
            assert_eq!(read(&format!(r#"{{"id":{id},"result":1}}"#)), Err(Malformed::UnknownId), "{id}");
        }
        assert_eq!(read(r#"{"jsonrpc":"2.0","method":"news","params":[]}"#), Ok(Incoming::Notification));
    }
}
