//! The probe's options, and what they come to.

use crate::exit::Failure;
use clap::{Args, ValueEnum};
use quorate::base::{Backoff, Wall};
use quorate::channel::sds::{Dialect, IncomingConfig, Profile, RepairConfig, SdsConfig};
use quorate::channel::{AckPolicy, JoinPolicy, SyncConfig};
use quorate_testkit::network::FaultPlan;
use std::time::Duration;

/// Talk SDS with one peer over TCP, and say what was delivered and acknowledged
///
/// A frame is a big-endian u32, then an SDS message of so many bytes. Exit code 0: all it sent was acknowledged and all it
/// expected was delivered.
#[derive(Debug, Args)]
pub(crate) struct SdsArgs {
    /// Wait for the peer on this port of 127.0.0.1, or on HOST:PORT; 0 is any port
    #[arg(long, value_name = "PORT", required_unless_present = "connect", conflicts_with = "connect")]
    listen: Option<String>,
    /// Connect to the peer, again and again until it is there
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// How this participant calls itself
    #[arg(long, value_name = "NAME")]
    id: String,
    /// The channel
    #[arg(long, value_name = "ID", default_value = "quorate")]
    channel: String,
    /// Whose messages are spoken
    #[arg(long, value_enum, default_value_t = DialectName::Lip)]
    dialect: DialectName,
    /// What they carry: filters and citations for others, or acknowledgement vectors alone
    #[arg(long, value_enum, default_value_t = ProfileName::Interop)]
    profile: ProfileName,
    /// How many messages to send, one each 10 ms
    #[arg(long, value_name = "N", default_value_t = 0)]
    send: u64,
    /// Bytes of each
    #[arg(long, value_name = "B", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    size: u64,
    /// How many messages of others to wait for
    #[arg(long, value_name = "N", default_value_t = 0)]
    expect: u64,
    /// The part of own frames that is lost: 0 or more, below 1
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    drop: f64,
    /// What losses are drawn from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// When a message is repeated first
    #[arg(long, value_name = "MS", default_value_t = 1_500, value_parser = clap::value_parser!(u64).range(1..))]
    retry: u64,
    /// The distance of syncs
    #[arg(long, value_name = "MS", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..))]
    sync: u64,
    /// The least time until a missing message is asked for
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    tmin: u64,
    /// The time within which it is asked for, and others are answered
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    tmax: u64,
    /// Who cites a message has what that one cites, too: most peers cite few messages, and deliver in order
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value_t = true,
        action = clap::ArgAction::Set)]
    cited_past: bool,
    /// How long a missing message is waited for; then what follows it is delivered, and it is a gap [default: a third of --timeout]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    lost_after: Option<u64>,
    /// After how long to give up
    #[arg(long, value_name = "S", default_value_t = 60)]
    timeout: u64,
    /// How long to go on answering when all is done
    #[arg(long, value_name = "S", default_value_t = 2)]
    linger: u64,
    /// One JSON object a line on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DialectName {
    /// The text of the LIP, as @waku/sds speaks it
    Lip,
    /// nim-sds
    Nim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// Filters on syncs and on every 16th message, and citations of the latest 50 messages
    Interop,
    /// Acknowledgement vectors and no filter
    Compact,
}

/// Where the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Listen(String),
    Connect(String),
}

/// A run that can begin.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(super) endpoint: Endpoint,
    pub(super) id: String,
    pub(super) channel: String,
    pub(super) config: SdsConfig,
    pub(super) send: u64,
    pub(super) size: usize,
    pub(super) expect: u64,
    pub(super) faults: FaultPlan,
    pub(super) timeout: Duration,
    pub(super) linger: Duration,
    pub(super) json: bool,
}

impl Plan {
    /// Whether messages carry filters and long citations for others.
    pub(super) fn is_interop(&self) -> bool {
        self.config.profile != Profile::Compact
    }
}

/// How many of the latest messages are cited for others, who know what we have by it.
const CITED: usize = 50;

/// The longest name: longer ones are refused by peers of our own.
const MAX_NAME: usize = 256;

/// Whether somebody can be there, as far as the words say.
fn is_host_and_port(address: &str) -> bool {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl SdsArgs {
    /// The run that the options ask for.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let endpoint = match (&self.listen, &self.connect) {
            (Some(port), _) if port.contains(':') => Endpoint::Listen(port.clone()),
            (Some(port), _) => Endpoint::Listen(format!("127.0.0.1:{port}")),
            (None, Some(address)) if is_host_and_port(address) => Endpoint::Connect(address.clone()),
            (None, Some(address)) => {
                return Err(Failure::usage(format!("--connect {address}: not a host, a colon and a port")));
            }
            (None, None) => return Err(Failure::usage("--listen or --connect is needed")),
        };
        let faults = FaultPlan { seed: self.seed, loss: self.drop, ..FaultPlan::default() };
        faults.validate().map_err(|error| Failure::usage(error.to_string()))?;
        if self.tmax < self.tmin {
            return Err(Failure::usage("--tmax is less than --tmin"));
        }
        for (option, name) in [("--id", &self.id), ("--channel", &self.channel)] {
            if name.is_empty() || name.len() > MAX_NAME {
                return Err(Failure::usage(format!("{option} takes 1 to {MAX_NAME} bytes")));
            }
        }
        let config = self.config();
        config.validate().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Plan {
            endpoint,
            id: self.id.clone(),
            channel: self.channel.clone(),
            config,
            send: self.send,
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
            expect: self.expect,
            faults,
            timeout: Duration::from_secs(self.timeout),
            linger: Duration::from_secs(self.linger),
            json: self.json,
        })
    }

    fn config(&self) -> SdsConfig {
        let millis = Duration::from_millis;
        let (retry, sync) = (millis(self.retry), millis(self.sync));
        let standard = SdsConfig::default();
        let (profile, causal_history) = match self.profile {
            ProfileName::Interop => (Profile::INTEROP, CITED),
            ProfileName::Compact => (Profile::Compact, standard.causal_history),
        };
        SdsConfig {
            dialect: match self.dialect {
                DialectName::Lip => Dialect::Lip,
                DialectName::Nim => Dialect::Nim,
            },
            profile,
            causal_history,
            cited_past: self.cited_past,
            acks: AckPolicy::Any,
            retransmit: Backoff::new(retry, retry * 2).factor(1.2),
            sync: SyncConfig { ack_delay: (sync / 4).max(millis(1)), idle: Backoff::new(sync, sync * 8) },
            repair: RepairConfig { t_min: millis(self.tmin), t_max: millis(self.tmax), ..standard.repair },
            // What is given up is told while somebody looks.
            incoming: IncomingConfig {
                lost_after: Duration::from_secs(self.lost_after.unwrap_or(self.timeout / 3).max(1)),
                join: JoinPolicy::Since(Wall::from_unix_millis(0)),
                ..standard.incoming
            },
            ..standard
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        args: SdsArgs,
    }

    fn plan(words: &[&str]) -> Result<Plan, Failure> {
        let all = [&["sds", "--id", "a"], words].concat();
        Words::try_parse_from(all).expect("clap takes them").args.plan()
    }

    #[test]
    fn the_defaults_suit_a_probe() {
        let plan = plan(&["--listen", "0"]).unwrap();
        assert_eq!(plan.endpoint, Endpoint::Listen("127.0.0.1:0".into()));
        assert_eq!(plan.config.retransmit.initial(), Duration::from_millis(1_500));
        assert_eq!(plan.config.repair.t_max, Duration::from_secs(1));
        assert_eq!(plan.timeout, Duration::from_secs(60));
        assert_eq!(plan.config.incoming.lost_after, Duration::from_secs(20), "a gap is seen before the end");
    }

    #[test]
    fn what_cannot_work_is_said_before_anything_starts() {
        assert!(plan(&["--listen", "0", "--drop", "1"]).is_err());
        for nowhere in ["foo", ":1", "127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:"] {
            assert!(plan(&["--connect", nowhere]).is_err(), "{nowhere}");
        }
        assert!(plan(&["--connect", "localhost:1"]).is_ok());
        assert!(plan(&["--listen", "0", "--channel", ""]).is_err());
        assert!(plan(&["--listen", "0", "--tmin", "10", "--tmax", "5"]).is_err());
        for words in [&["--listen", "0", "--connect", "h:1"][..], &[], &["--listen", "0", "--size", "0"]] {
            assert!(Words::try_parse_from([&["sds", "--id", "a"], words].concat()).is_err());
        }
    }
}
