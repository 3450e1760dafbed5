//! The demo's options, and what they come to.
//!
//! The rule: what cannot work is said before anything starts.

use super::{failed, usage};
use crate::exit::Failure;
use clap::{Args, ValueEnum};
use quorate::base::Backoff;

use quorate::channel::{AckPolicy, ChannelConfig, SyncConfig};
use quorate::files::{OutboxConfig, PeerName};
use quorate::transfer::SendConfig;
use quorate_testkit::network::FaultPlan;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sends a file from one peer to the others over a lossy network, in one process.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The file to send [default: this program's own executable]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// How many peers take part: one sends, the others receive
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=32))]
    pub(crate) peers: u8,
    /// The part of envelopes that is lost, per receiver and per attempt: 0 or more, below 1
    #[arg(long, value_name = "P", default_value_t = 0.2)]
    pub(crate) loss: f64,
    /// What every loss, repetition and delay is drawn from
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// What carries the frames
    #[arg(long, value_enum, default_value_t = Carrier::Iroh)]
    pub(crate) transport: Carrier,
    /// One more peer, with another key: it gets every envelope and opens none
    #[arg(long)]
    pub(crate) wrong_key: bool,
    /// One JSON object on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep the received files in this folder, one folder per peer
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

/// What carries the demo's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Carrier {
    /// QUIC on 127.0.0.1, one endpoint per peer.
    Iroh,
    /// Queues in memory.
    Mem,
}

/// A demo that can run.
pub(crate) struct Plan {
    pub(super) file: PathBuf,
    pub(super) peers: usize,
    pub(super) loss: f64,
    pub(super) seed: u64,
    pub(super) carrier: Carrier,
    keep: Option<PathBuf>,
}

/// Where the receivers write: kept, or gone with the demo.
pub(crate) enum Place {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl DemoArgs {
    /// Checks the options.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => std::env::current_exe().map_err(usage)?,
        };
        let plan = Plan {
            file,
            peers: usize::from(self.peers),
            loss: self.loss,
            seed: self.seed,
            carrier: self.transport,
            keep: self.keep.clone(),
        };
        plan.faults().validate().map_err(|error| Failure::usage(format!("--loss: {error}")))?;
        Ok(plan)
    }
}

impl Plan {
    /// What the network does to envelopes: the loss asked for, some repetitions, some out of order.
    pub(crate) fn faults(&self) -> FaultPlan {
        FaultPlan { seed: self.seed, loss: self.loss, duplicate: 0.05, reorder: 0.1, ..FaultPlan::default() }
    }

    /// The folder the receivers write to.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        match &self.keep {
            Some(keep) => {
                std::fs::create_dir_all(keep)
                    .map_err(|error| Failure::usage(format!("{}: {error}", keep.display())))?;
                Ok(Place::Kept(keep.clone()))
            }
            None => Ok(Place::Temporary(tempfile::tempdir().map_err(failed)?)),
        }
    }

    /// The names of those who receive.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = String> {
        (2..=self.peers).map(|number| format!("peer-{number}"))
    }

    /// The channel's configuration for somebody whose messages `acks` has to acknowledge. Its timers suit
    /// a network in one machine.
    pub(crate) fn channel(&self, acks: AckPolicy) -> ChannelConfig {
        let sync = SyncConfig {
            ack_delay: Duration::from_millis(25),
            idle: Backoff::new(Duration::from_millis(500), Duration::from_secs(5)),
        };
        ChannelConfig {
            acks,
            sync,
            retransmit: Backoff::new(Duration::from_millis(150), Duration::from_secs(2)).factor(1.5),
            ..ChannelConfig::default()
        }
    }

    pub(crate) fn send_config(&self) -> SendConfig {
        SendConfig {
            receivers: self.receivers().map(|name| PeerName::from(name.as_str())).collect(),
            outbox: OutboxConfig::default(),
            ..SendConfig::default()
        }
    }
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
