//! What a guardian answers: values by method, and what its fault makes of them.

use super::Fault;
use crate::server::Reaction;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a guardian of a live federation of Fedimint 0.13 answered to `version`.
pub const LIVE_VERSION: &str = r#"{"core":{"core_consensus":{"major":2,"minor":1},"api":[{"major":0,"minor":9}]},"modules":{"0":{"core_consensus":{"major":2,"minor":1},"module_consensus":{"major":1,"minor":0},"api":[{"major":0,"minor":0}]},"1":{"core_consensus":{"major":2,"minor":1},"module_consensus":{"major":0,"minor":0},"api":[{"major":0,"minor":0}]},"2":{"core_consensus":{"major":2,"minor":1},"module_consensus":{"major":1,"minor":0},"api":[{"major":0,"minor":2}]},"3":{"core_consensus":{"major":2,"minor":1},"module_consensus":{"major":1,"minor":0},"api":[{"major":0,"minor":1}]}}}"#;

#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) fault: Fault,
    answers: BTreeMap<String, Value>,
    authorization: Option<String>,
    flips: u64,
}

impl Script {
    pub(crate) fn new() -> Self {
        let version = serde_json::from_str(LIVE_VERSION).unwrap_or(Value::Null);
        let status = json!({
            "server": "consensus_running",
            "federation": { "session_count": 42, "status_by_peer": {}, "peers_online": 3, "peers_offline": 0,
                            "peers_flagged": 0, "scheduled_shutdown": null },
        });
        let answers = [
            ("session_count", json!(42)),
            ("fetch_epoch_count", json!(42)),
            ("config_hash", json!("2a".repeat(32))),
            ("server_config_consensus_hash", json!("2a".repeat(32))),
            ("version", version),
            ("status", status),
            ("module_1_block_count", json!(840_000)),
        ];
        let answers = answers.into_iter().map(|(method, answer)| (method.to_owned(), answer)).collect();
        Self { fault: Fault::Honest, answers, authorization: None, flips: 0 }
    }

    pub(crate) fn set_answer(&mut self, method: &str, answer: Value) {
        self.answers.insert(method.to_owned(), answer);
    }

    pub(crate) fn set_api_secret(&mut self, secret: &str) {
        let credentials = data_encoding::BASE64.encode(format!("fedimint:{secret}").as_bytes());
        self.authorization = Some(format!("Basic {credentials}"));
    }

    /// Whether somebody with this header is let in.
    pub(crate) fn lets_in(&self, authorization: Option<&[u8]>) -> bool {
        self.authorization.as_ref().is_none_or(|wanted| Some(wanted.as_bytes()) == authorization)
    }

    pub(crate) fn react(&mut self, request: &[u8]) -> Reaction {
        let Ok(request) = serde_json::from_slice::<Value>(request) else {
            return say(failure(&Value::Null, -32_700, "Parse error"));
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let truth = self.answer(&request);
        match &self.fault {
            Fault::Honest | Fault::Refuse => say(told(&id, truth)),
            Fault::Liar => say(told(&id, truth.map(lie))),
            Fault::FlipFlop => {
                self.flips += 1;
                say(told(&id, if self.flips % 2 == 1 { truth } else { truth.map(lie) }))
            }
            Fault::Slow(after) => Reaction::Say(*after, vec![told(&id, truth)]),
            Fault::Hang | Fault::BlackHole => Reaction::Nothing,
            Fault::Error(code) => say(failure(&id, *code, "as scripted")),
            Fault::Garbage => say(b"\x00garbage\xff".to_vec()),
            Fault::WrongShape => say(told(&id, Ok(json!({ "unexpected": [1, 2, 3] })))),
            Fault::WrongId => say(told(&json!(9_007_199_254_740_991_u64), truth)),
            Fault::Duplicate => {
                let first = told(&id, truth.clone());
                Reaction::Say(Duration::ZERO, vec![first, told(&id, truth.map(lie))])
            }
            Fault::Huge(bytes) => say(told(&id, Ok(Value::String("a".repeat(*bytes))))),
            Fault::Drop => Reaction::Close,
        }
    }

    fn answer(&self, request: &Value) -> Result<Value, (i64, &'static str)> {
        let params = request.get("params").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
        let answer = self.answers.get(method).ok_or((-32_601, "Method not found"))?;
        match params {
            [Value::Object(request)] if request.contains_key("params") => Ok(answer.clone()),
            [Value::Object(_)] => Err((400, "missing field `params`")),
            _ => Err((-32_602, "Invalid params")),
        }
    }
}

/// The lie that all liars tell: every number one higher, every word another, addresses as they are.
pub fn lie(truth: Value) -> Value {
    match truth {
        Value::Null => json!(0),
        Value::Bool(truth) => json!(!truth),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => json!(number.wrapping_add(1)),
            (None, Some(number)) => json!(number.wrapping_add(1)),
            (None, None) => json!(0),
        },
        Value::String(text) if text.contains("://") => Value::String(text),
        Value::String(text) => Value::String(format!("{text}-not")),
        Value::Array(items) => items.into_iter().map(lie).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, lie(value))).collect(),
    }
}

/// A client config with these guardians.
pub(crate) fn config(urls: &[String]) -> Value {
    let endpoint = |(peer, url): (usize, &String)| {
        (peer.to_string(), json!({ "url": url, "name": format!("guardian {peer}") }))
    };
    let endpoints: serde_json::Map<String, Value> = urls.iter().enumerate().map(endpoint).collect();
    json!({
        "global": { "api_endpoints": endpoints, "consensus_version": { "major": 2, "minor": 1 },
                    "meta": { "federation_name": "scripted" } },
        "modules": {},
    })
}

fn say(message: Vec<u8>) -> Reaction {
    Reaction::Say(Duration::ZERO, vec![message])
}

fn told(id: &Value, answer: Result<Value, (i64, &'static str)>) -> Vec<u8> {
    match answer {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes(),
        Err((code, message)) => failure(id, code, message),
    }
}

fn failure(id: &Value, code: i64, message: &str) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        .to_string()
        .into_bytes()
}
