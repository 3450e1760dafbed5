//! What a guardian says about itself and its peers, in the seed's form and today's.
//!
//! The rule: both spellings are read (the seed's `ConsensusRunning` and `consensus`, today's `consensus_running` and
//! `federation`), the seed's is written, and what a newer server adds is skipped.

use crate::peer::PeerId;
use quorate_base::Wall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer to `status` (seed `StatusResponse`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusResponse {
    /// What the server is doing.
    pub server: ServerStatus,
    /// How the consensus is, where it runs.
    #[serde(default, alias = "federation")]
    pub consensus: Option<ConsensusStatus>,
}

/// What a server is doing (seed `ServerStatus`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ServerStatus {
    /// It needs a password to read its config.
    #[default]
    #[serde(alias = "awaiting_password")]
    AwaitingPassword,
    /// It waits for its peers to share the parameters of the config.
    #[serde(alias = "sharing_config_gen_params", alias = "awaiting_local_params")]
    SharingConfigGenParams,
    /// It will generate the config once all peers are ready.
    #[serde(alias = "ready_for_config_gen", alias = "sharing_connection_codes")]
    ReadyForConfigGen,
    /// It could not generate the config.
    #[serde(alias = "config_gen_failed")]
    ConfigGenFailed,
    /// Its config waits to be compared with its peers'.
    #[serde(alias = "verifying_configs")]
    VerifyingConfigs,
    /// All configs have been compared.
    #[serde(alias = "verified_configs")]
    VerifiedConfigs,
    /// It was restarted by a planned upgrade, and waits to be started.
    #[serde(alias = "upgrading")]
    Upgrading,
    /// The consensus runs.
    #[serde(alias = "consensus_running", alias = "consensus_is_running")]
    ConsensusRunning,
}

/// How the consensus is, as one guardian sees it (seed `ConsensusStatus`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsensusStatus {
    /// What it last contributed: an epoch then, the number of sessions today.
    #[serde(default, alias = "session_count")]
    pub last_contribution: u64,
    /// Its peers.
    pub status_by_peer: BTreeMap<PeerId, PeerConsensusStatus>,
    /// How many of them it is connected to.
    pub peers_online: u64,
    /// How many it is not.
    pub peers_offline: u64,
    /// How many need their operator: 0 when all is well.
    pub peers_flagged: u64,
}

/// One guardian as another sees it (seed `PeerConsensusStatus`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerConsensusStatus {
    /// What it last contributed.
    #[serde(default)]
    pub last_contribution: Option<u64>,
    /// When, in seconds since the Unix epoch; today's servers do not say.
    #[serde(default)]
    pub last_contribution_timestamp_seconds: Option<u64>,
    /// Whether there is a connection.
    pub connection_status: PeerConnectionStatus,
    /// Whether it needs its operator: too many disconnects, no contribution for long.
    pub flagged: bool,
}

/// Whether there is a connection (seed `PeerConnectionStatus`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerConnectionStatus {
    /// There is none.
    #[default]
    #[serde(alias = "disconnected")]
    Disconnected,
    /// There is one.
    #[serde(alias = "connected")]
    Connected,
}

/// What a guardian contributed, and when (seed `ConsensusContribution`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsensusContribution {
    /// The epoch, or the session: it grows.
    pub value: u64,
    /// When it came.
    pub time: Wall,
}

impl PeerConsensusStatus {
    /// Its last contribution, where both the value and the time are known.
    pub fn contribution(&self) -> Option<ConsensusContribution> {
        let seconds = self.last_contribution_timestamp_seconds?;
        let time = Wall::from_unix(std::time::Duration::from_secs(seconds));
        Some(ConsensusContribution { value: self.last_contribution?, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_form_and_todays_are_one() {
        let today = r#"{"server":"consensus_running","federation":{"session_count":42,"status_by_peer":
            {"0":{"last_contribution":41,"connection_status":"connected","flagged":false}},
            "peers_online":3,"peers_offline":0,"peers_flagged":0,"scheduled_shutdown":null}}"#;
        let seed = r#"{"server":"ConsensusRunning","consensus":{"last_contribution":42,"status_by_peer":
            {"0":{"last_contribution":41,"last_contribution_timestamp_seconds":null,"connection_status":"Connected",
            "flagged":false}},"peers_online":3,"peers_offline":0,"peers_flagged":0}}"#;
        let read: StatusResponse = serde_json::from_str(today).unwrap();
        assert_eq!(serde_json::from_str::<StatusResponse>(seed).unwrap(), read);
        let consensus = read.consensus.as_ref().unwrap();
        assert_eq!((read.server, consensus.last_contribution), (ServerStatus::ConsensusRunning, 42));
        assert_eq!(consensus.status_by_peer[&PeerId(0)].connection_status, PeerConnectionStatus::Connected);
        let written = serde_json::to_string(&read).unwrap();
        assert!(written.contains("ConsensusRunning") && written.contains("\"consensus\""), "{written}");
        assert_eq!(serde_json::from_str::<StatusResponse>(&written).unwrap(), read);
    }

    #[test]
    fn a_server_without_consensus_has_none() {
        let read: StatusResponse =
            serde_json::from_str(r#"{"server":"AwaitingPassword","consensus":null}"#).unwrap();
        assert_eq!((read.server, read.consensus), (ServerStatus::AwaitingPassword, None));
    }

    #[test]
    fn a_contribution_has_value_and_time() {
        let mut status = PeerConsensusStatus { last_contribution: Some(3), ..PeerConsensusStatus::default() };
        assert_eq!(status.contribution(), None);
        status.last_contribution_timestamp_seconds = Some(5);
        assert_eq!(status.contribution().unwrap().time.unix_millis(), 5_000);
    }
}
