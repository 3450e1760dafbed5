//! Which federation a command asks: its guardians by URL, or an invite code.
//!
//! The rule: with an invite code nobody is believed before the guardians are those whose hash the code names.

use crate::exit::{Failure, chain};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use quorate_query::{
    AttemptsConfig, ClientSettings, Endpoint, Federation, InviteCode, JoinError, PeerId, PeerReport,
    PeerState, QueryError, QueryReport,
};
use serde_json::{Value, json};
use std::time::Duration;

/// How wide a table may be, in columns: what a peer wrote can be long.
const WIDTH: u16 = 120;

/// Whom to ask.
#[derive(Debug, Args)]
#[group(id = "Whom", multiple = false)]
pub(crate) struct Whom {
    /// The guardians' URLs in the order of their numbers: ws, wss, http or https
    #[arg(long, value_name = "URL,URL…", value_delimiter = ',')]
    peers: Vec<String>,
    /// An invite code; the other guardians come from the config, which is checked against the code
    #[arg(long, value_name = "CODE")]
    invite: Option<String>,
}

/// How long to wait.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// How long to wait, in seconds
    #[arg(long, value_name = "S", default_value_t = 30.0)]
    timeout: f64,
}

impl Patience {
    pub(crate) fn timeout(&self) -> Result<Duration, Failure> {
        let timeout = Duration::try_from_secs_f64(self.timeout).ok().filter(|timeout| !timeout.is_zero());
        timeout.ok_or_else(|| Failure::usage("--timeout takes seconds, more than 0"))
    }

    pub(crate) fn config(&self) -> Result<AttemptsConfig, Failure> {
        Ok(AttemptsConfig::default().within(self.timeout()?))
    }
}

impl Whom {
    /// The federation. By URL nothing is connected yet; by invite code it is asked for its config.
    pub(crate) async fn federation(&self, patience: AttemptsConfig) -> Result<Federation, Failure> {
        let settings = ClientSettings::new().map_err(|fault| Failure::failed(chain(&fault)))?;
        let Some(code) = &self.invite else {
            if self.peers.is_empty() {
                return Err(Failure::usage("whom to ask is missing: --peers URL,URL… or --invite CODE"));
            }
            let endpoints = self.peers.iter().enumerate().map(|(peer, url)| {
                let peer = u16::try_from(peer).map_err(|_| Failure::usage("there are too many guardians"))?;
                let endpoint = url.parse::<Endpoint>();
                let endpoint = endpoint
                    .map_err(|error| Failure::usage(format!("the URL of guardian {peer}: {error}")))?;
                Ok((PeerId(peer), endpoint))
            });
            let endpoints = endpoints.collect::<Result<Vec<_>, Failure>>()?;
            // Somebody who is named twice would have two votes.
            if let Some((before, twice)) = endpoints.iter().enumerate().find_map(|(index, one)| {
                let (before, _) =
                    endpoints.iter().take(index).find(|(_, other)| one.1.is_same_server(other))?;
                Some((before, &one.1))
            }) {
                return Err(Failure::usage(format!(
                    "{twice} is guardian {before} as well: named twice, it would have two votes"
                )));
            }
            return Federation::at(endpoints, settings).map_err(|error| Failure::usage(error.to_string()));
        };
        let invite: InviteCode = code.parse().map_err(|error| Failure::usage(chain(&error)))?;
        let joined = Federation::join(&invite, settings, patience).await;
        joined.map(|(federation, _)| federation).map_err(|error| match error {
            JoinError::Endpoint(error) => Failure::usage(error.to_string()),
            JoinError::Query(error) => no_agreement(&error),
            other => Failure::failed(chain(&other)),
        })
    }
}

/// No agreement: the reason, and below it who did what.
pub(crate) fn no_agreement(error: &QueryError<PeerId>) -> Failure {
    let method = &error.report.method;
    let message = format!("{method}: {}", error.failure);
    Failure::failed(message).with_table(table(&error.report)).with_details(json!({
        "method": method.as_ref(),
        "reason": error.failure.to_string(),
        "retryable": error.is_retryable(),
        "peers": peers_json(&error.report),
    }))
}

/// Who answered what, when and how it failed.
pub(crate) fn table(report: &QueryReport<PeerId>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["peer", "asked", "after", "what came"]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    for peer in &report.peers {
        table.add_row([peer.peer.to_string(), peer.asked.to_string(), after(peer), what_came(peer)]);
    }
    table.to_string()
}

fn after(peer: &PeerReport<PeerId>) -> String {
    match &peer.state {
        PeerState::Answered { after, .. } | PeerState::Failed { after, .. } => {
            format!("{:.1} ms", after.as_secs_f64() * 1_000.0)
        }
        PeerState::Silent => "-".to_owned(),
    }
}

/// The peer's line of a report without its number.
fn what_came(peer: &PeerReport<PeerId>) -> String {
    let line = peer.to_string();
    let told =
        line.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')).map(|(_, told)| told.to_owned());
    told.unwrap_or(line)
}

/// The same for programs.
pub(crate) fn peers_json(report: &QueryReport<PeerId>) -> Value {
    let peer = |peer: &PeerReport<PeerId>| {
        let (state, after, detail) = match &peer.state {
            PeerState::Answered { answer, after } => {
                let answer = serde_json::from_slice(answer).unwrap_or(Value::Null);
                ("answered", Some(after), json!({ "answer": answer }))
            }
            PeerState::Failed { error, after } => {
                ("failed", Some(after), json!({ "error": error.to_string() }))
            }
            PeerState::Silent => ("silent", None, json!({})),
        };
        let mut object = json!({
            "peer": peer.peer.0,
            "asked": peer.asked,
            "state": state,
            "after_ms": after.map(|after| after.as_secs_f64() * 1_000.0),
        });
        if let (Some(object), Value::Object(detail)) = (object.as_object_mut(), detail) {
            object.extend(detail);
        }
        object
    };
    report.peers.iter().map(peer).collect()
}
