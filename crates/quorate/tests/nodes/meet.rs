//! Nodes in one process: they meet through one of them, share an encrypted channel, and part with a
//! reason when their versions do not fit.

use bytes::Bytes;
use quorate::channel::{
    AckPolicy, Channel, ChannelConfig, ChannelEvent, ChannelEvents, ChannelKey, Identity, SendOptions,
    XChaCha20Poly1305Cipher,
};
use quorate::preflight::NodeVersions;
use quorate::transport::{MemHub, Side};
use quorate::versioning::{ApiVersion, CoreConsensusVersion};
use quorate::wire::{PeerUrl, SpaceId};
use quorate::{Node, Space};

fn url(number: u16) -> PeerUrl {
    format!("mem://host:{number}/p{number}").parse().unwrap()
}

fn node(hub: &MemHub, number: u16) -> Node {
    Node::builder().bind_mem(hub, url(number)).unwrap()
}

fn open(space: &Space, participant: &str, acks: AckPolicy) -> (Channel, ChannelEvents) {
    let identity =
        Identity { channel: "c".into(), topic: "/quorate/1/c/proto".into(), participant: participant.into() };
    let key = ChannelKey::from_bytes([7; 32]);
    let mut prefix = [0; 16];
    prefix[..participant.len()].copy_from_slice(participant.as_bytes());
    let cipher = Box::new(XChaCha20Poly1305Cipher::new(&key, prefix));
    space.open(identity, ChannelConfig { acks, ..ChannelConfig::default() }, cipher).unwrap()
}

async fn present(space: &Space, count: usize) {
    space.members().wait_for(|members| members.present.len() == count).await.unwrap();
}

#[tokio::test]
async fn three_nodes_meet_through_one_and_all_get_what_one_sends() {
    let hub = MemHub::default();
    let nodes = [node(&hub, 1), node(&hub, 2), node(&hub, 3)];
    let id = SpaceId::from_static(b"space");
    let spaces: Vec<Space> = nodes.iter().map(|node| node.join(id.clone()).unwrap()).collect();
    spaces[1].meet(url(1)).await;
    spaces[2].meet(url(1)).await;
    for space in &spaces {
        present(space, 2).await;
    }
    let roster = AckPolicy::All([2, 3].map(|number| format!("p{number}").into()).into());
    let (sender, mut told) = open(&spaces[0], "p1", roster);
    let (_second, mut second) = open(&spaces[1], "p2", AckPolicy::Any);
    let (_third, mut third) = open(&spaces[2], "p3", AckPolicy::Any);
    let payload = Bytes::from(vec![9; 300_000]);
    let request = sender.send(payload.clone(), SendOptions::default()).await.unwrap();
    for events in [&mut second, &mut third] {
        let Some(ChannelEvent::Received { sender, payload: received, .. }) = events.next().await else {
            panic!()
        };
        assert_eq!((sender.as_str(), received), ("p1", payload.clone()));
    }
    loop {
        match told.next().await.unwrap() {
            ChannelEvent::Delivered { request: delivered } => break assert_eq!(delivered, request),
            ChannelEvent::Sent { .. } | ChannelEvent::Acknowledged { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    for node in &nodes {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn nodes_whose_versions_share_nothing_part_with_a_reason_that_both_show() {
    let hub = MemHub::default();
    let consensus = |major| CoreConsensusVersion::new(major, 0);
    let versions = |major| NodeVersions::new(consensus(major), ApiVersion::new(1, 0), ApiVersion::new(1, 0));
    let old = Node::builder().versions(versions(2)).bind_mem(&hub, url(1)).unwrap();
    let new = Node::builder().versions(versions(3)).bind_mem(&hub, url(2)).unwrap();
    let mut refusals = old.refusals();
    let error = new.connect(&url(1)).await.unwrap_err();
    let (by, reason) = error.refused().unwrap();
    assert_eq!(by, Side::Remote);
    assert_eq!(reason, "core: you speak consensus 3, we need 2");
    let refused = refusals.recv().await.unwrap();
    assert_eq!((refused.peer, &*refused.reason), (url(2), "core: they speak consensus 3, we need 2"));
    let error = old.connect(&url(2)).await.unwrap_err();
    assert!(error.refused().unwrap().1.contains("consensus"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_node_that_is_not_in_the_space_is_no_member() {
    let hub = MemHub::default();
    let (alice, bob) = (node(&hub, 1), node(&hub, 2));
    let space = alice.join(SpaceId::from_static(b"a")).unwrap();
    let other = bob.join(SpaceId::from_static(b"b")).unwrap();
    space.meet(url(2)).await;
    other.meet(url(1)).await;
    bob.connect(&url(1)).await.unwrap();
    alice.connect(&url(2)).await.unwrap();
    let third = node(&hub, 3);
    let third_space = third.join(SpaceId::from_static(b"a")).unwrap();
    third_space.meet(url(1)).await;
    present(&space, 1).await;
    assert_eq!(space.members().borrow().present, [url(3)]);
    assert!(other.members().borrow().present.is_empty());
}

#[tokio::test]
async fn agreement_and_application_bytes_of_a_peer_are_known_while_it_is_connected() {
    let hub = MemHub::default();
    let alice = Node::builder().app_preflight("alice's app").bind_mem(&hub, url(1)).unwrap();
    let bob = Node::builder().app_preflight("bob's app").bind_mem(&hub, url(2)).unwrap();
    alice.connect(&url(2)).await.unwrap();
    assert_eq!(alice.app_preflight(&url(2)).unwrap(), "bob's app");
    let chosen = alice.agreement(&url(2)).unwrap();
    assert!(chosen.of_theirs(quorate::CHANNEL_MODULE).is_some());
    alice.disconnect(&url(2), Some("done")).await;
    assert!(alice.agreement(&url(2)).is_none());
    drop(bob);
}
