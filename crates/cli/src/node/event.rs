//! What a node tells: one line per event, for people or for programs.

use super::ids::word_of;
use crate::output;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use quorate::transport::ApiTransportStats;
use quorate::wire::{ModuleId, PeerUrl, SpaceId};
use serde_json::{Map, Value, json};

/// Something that happened, or the answer to a command.
#[derive(Debug)]
pub(super) enum Event {
    Listening { url: PeerUrl },
    Connect { peer: PeerUrl },
    Preflight { peer: PeerUrl, data: Bytes },
    Message { peer: PeerUrl, space: SpaceId, module: Option<ModuleId>, data: Bytes },
    Disconnect { peer: PeerUrl, reason: Option<String> },
    Unresponsive { peer: PeerUrl },
    Blocked { peer: PeerUrl, space: SpaceId },
    Violation { peer: Option<PeerUrl>, reason: String },
    Error { peer: Option<PeerUrl>, reason: String },
    Peers(Vec<PeerUrl>),
    Stats(Box<ApiTransportStats>),
}

impl Event {
    /// Writes it to standard output.
    pub(super) fn write(&self, json: bool) {
        let object = self.to_json();
        if json { output::json(&object) } else { output::line(&line(&object)) }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Listening { url } => json!({ "event": "listening", "url": url.as_str() }),
            Self::Connect { peer } => json!({ "event": "connect", "peer": peer.as_str() }),
            Self::Preflight { peer, data } => {
                with_data(json!({ "event": "preflight", "peer": peer.as_str() }), data)
            }
            Self::Message { peer, space, module, data } => {
                let name = if module.is_some() { "module" } else { "notify" };
                let mut object = json!({ "event": name, "peer": peer.as_str(), "space": word_of(space) });
                if let Some(module) = module {
                    object["module"] = module.as_str().into();
                }
                with_data(object, data)
            }
            Self::Disconnect { peer, reason } => {
                let mut object = json!({ "event": "disconnect", "peer": peer.as_str() });
                if let Some(reason) = reason {
                    object["reason"] = reason.as_str().into();
                }
                object
            }
            Self::Unresponsive { peer } => json!({ "event": "unresponsive", "peer": peer.as_str() }),
            Self::Blocked { peer, space } => {
                json!({ "event": "blocked", "peer": peer.as_str(), "space": word_of(space) })
            }
            Self::Violation { peer, reason } => with_peer("violation", peer.as_ref(), reason),
            Self::Error { peer, reason } => with_peer("error", peer.as_ref(), reason),
            Self::Peers(peers) => {
                json!({ "event": "peers", "peers": peers.iter().map(PeerUrl::as_str).collect::<Vec<_>>() })
            }
            Self::Stats(stats) => json!({ "event": "stats", "stats": stats }),
        }
    }
}

fn with_peer(event: &str, peer: Option<&PeerUrl>, reason: &str) -> Value {
    let mut object = json!({ "event": event, "reason": reason });
    if let Some(peer) = peer {
        object["peer"] = peer.as_str().into();
    }
    object
}

/// The object with a payload: as `text` where it is that, else as `b64`.
fn with_data(mut object: Value, data: &[u8]) -> Value {
    match std::str::from_utf8(data) {
        Ok(text) => object["text"] = text.into(),
        Err(_) => object["b64"] = BASE64URL_NOPAD.encode(data).into(),
    }
    object
}

/// `event key=value …`; a value that is not a plain word is in quotes.
fn line(object: &Value) -> String {
    let none = Map::new();
    let fields = object.as_object().unwrap_or(&none);
    let mut line = fields.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    for key in ["url", "peer", "space", "module", "text", "b64", "reason", "peers", "stats"] {
        if let Some(value) = fields.get(key) {
            line.push_str(&format!(" {key}={}", word(value)));
        }
    }
    line
}

fn word(value: &Value) -> String {
    let is_plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '"');
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(data: &'static [u8]) -> Event {
        Event::Message {
            peer: "mem://a:1/b".parse().unwrap(),
            space: SpaceId::from_static(b"\xff"),
            module: Some(ModuleId::from_static("chat")),
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn a_payload_is_text_or_base64url() {
        assert_eq!(message(b"hi there").to_json()["text"], "hi there");
        assert_eq!(message(b"").to_json()["text"], "");
        let object = message(b"\xff\xfe").to_json();
        assert_eq!((&object["b64"], &object["text"]), (&json!("__4"), &Value::Null));
        assert_eq!(object["space"], "b64:_w");
    }

    #[test]
    fn a_line_for_people_is_one_line() {
        let line = line(&message(b"two\nlines \x1b[2J").to_json());
        assert_eq!(line, r#"module peer=mem://a:1/b space=b64:_w module=chat text="two\nlines \u001b[2J""#);
    }
}
