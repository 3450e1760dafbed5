//! The envelopes of JSON-RPC 2.0.
//!
//! The rule: an answer is taken apart without copying it, and one that is not an answer is the peer's fault. Ids are the
//! client's own numbers; an answer with another kind of id belongs to no question.

use crate::call::{Answer, Call};
use crate::error::{Malformed, PeerError, RpcError};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write;

/// The request with this id.
pub fn write_request(id: u64, call: &Call) -> Vec<u8> {
    let params = call.params();
    let mut request = Vec::with_capacity(params.len() + call.method().len() + 64);
    request.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    // Writing to a vector cannot fail, and a string is always JSON.
    let _ = write!(request, "{id}");
    request.extend_from_slice(br#","method":"#);
    let _ = serde_json::to_writer(&mut request, call.method().as_ref());
    request.extend_from_slice(br#","params":"#);
    request.extend_from_slice(params.as_bytes());
    request.push(b'}');
    request
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
/// neither.
///
/// # Errors
///
/// [`PeerError`]: the peer's own error, another's id, a body that is no JSON-RPC, or the status.
pub fn read_http_answer(status: u16, body: &Bytes, expected: u64) -> Result<Answer, PeerError> {
    let success = (200..300).contains(&status);
    match read_message(body) {
        Ok(Incoming::Answer { id, .. }) if id != expected => Err(Malformed::UnknownId.into()),
        Ok(Incoming::Answer { answer, .. }) if success || answer.is_err() => Ok(answer?),
        Ok(Incoming::Unaddressed(error)) => Err(error.into()),
        Err(malformed) if success => Err(malformed.into()),
        Ok(Incoming::Notification) if success => Err(Malformed::NotJsonRpc.into()),
        _ => Err(PeerError::Http { status }),
    }
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
