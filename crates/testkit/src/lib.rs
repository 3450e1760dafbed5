//! What tests Quorate, and what is built on it: bad networks that replay from a seed.
//!
//! **What it is.** One feature per layer, nothing by default:
//!
//! | feature | module | holds |
//! |---|---|---|
//! | `chain` | [`chain`] | [`chain::Chain`]: Ethereum blocks with real tries, and the answers of a node that has them |
//! | `network` | [`network`] | [`network::FaultPlan`]: which copies of a message arrive when, as a pure function |
//! | `channel` | [`world`], [`clock`] | [`world::World`]: groups of real channel machines in virtual time |
//! | `netns` | [`netns`] | [`netns::alone`]: a test where there is no network but loopback |
//! | `relay` | [`relay`] | [`relay::Relay`]: an iroh relay on loopback |
//! | `store` | [`store`] | [`store::conformance`]: what every `Store` has to do; [`store::Disk`]: a disk that loses power |
//! | `proof-nodes` | [`proof_nodes`] | [`proof_nodes::ProofNode`]: Ethereum nodes with proofs on loopback sockets, honest and not |
//! | `guardians` | [`guardians`] | [`guardians::Guardians`]: scripted guardians of a federation on loopback sockets |
//! | `small-disk` | [`small_disk`] | [`small_disk::SmallDisk`]: a file system that is soon full |
//! | `transport` | [`transport`] | [`transport::conformance`]: what every `TxImp` has to do |
//!
//! **What it does not do.** But for `relay`, `guardians` and `proof-nodes` it opens no socket, sleeps never and reads no clock: a simulated
//! minute costs what the machines compute in it. It panics where a test has to fail, and prints the seed when it does.
//!
#![cfg_attr(
    feature = "channel",
    doc = r#"
```
use quorate_channel::ChannelEvent;
use quorate_testkit::world::World;
use std::time::Duration;

let mut world = World::seeded(7).loss(0.2).latency(Duration::from_millis(40));
let (a, b) = (world.channel("a"), world.channel("b"));
let request = world.send(a, vec![0; 90_000]);
world.run_until(|w| w.saw(a, ChannelEvent::Delivered { request }), Duration::from_secs(30)); // virtual seconds
assert_eq!(world.inbox(b).len(), 1);
```
"#
)]
#[cfg(feature = "chain")]
pub mod chain;
#[cfg(feature = "channel")]
pub mod clock;
#[cfg(feature = "guardians")]
pub mod guardians;
#[cfg(feature = "netns")]
pub mod netns;
#[cfg(feature = "network")]
pub mod network;
#[cfg(feature = "proof-nodes")]
pub mod proof_nodes;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "small-disk")]
pub mod small_disk;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "transport")]
pub mod transport;
#[cfg(feature = "channel")]
pub mod world;
