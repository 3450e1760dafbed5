//! Peers that are not this command: too new, too silent, or hostile. They live in the test's process.

use crate::support::{Run, file, recv, send, send_words, text};
use quorate::channel::{
    Channel, ChannelConfig, ChannelEvents, ChannelKey, Identity, XChaCha20Poly1305Cipher,
};
use quorate::iroh::IrohConfig;
use quorate::preflight::NodeVersions;
use quorate::secret::Secret;
use quorate::ticket::Ticket;
use quorate::versioning::{ApiVersion, CoreConsensusVersion};
use quorate::wire::{PeerUrl, SpaceId};
use quorate::{Node, NodeBuilder, Space};

/// What the command says in its preflight when it receives.
const RECEIVER: &[u8] = b"quorate-cli/1 recv";

/// A peer in the group of a ticket.
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) space: Space,
    url: PeerUrl,
}

impl Peer {
    /// A peer with this command's versions in the group of `ticket`.
    pub(crate) async fn join(ticket: &Ticket) -> Self {
        Self::build(Node::builder().app_preflight(RECEIVER), ticket.space()).await
    }

    /// A peer of the next consensus version.
    async fn from_the_future(space: &[u8; 32]) -> Self {
        let api = ApiVersion::new(1, 0);
        let versions = NodeVersions::new(CoreConsensusVersion::new(9, 0), api, api);
        Self::build(Node::builder().versions(versions).app_preflight(RECEIVER), space).await
    }

    async fn build(builder: NodeBuilder, space: &[u8; 32]) -> Self {
        let node = builder.bind_iroh(IrohConfig::default()).await.unwrap();
        let url = node.url().unwrap();
        let space = node.join(SpaceId::from(space.to_vec())).unwrap();
        Self { node, space, url }
    }

    /// Opens the channel of `ticket`, once a member of it is here.
    pub(crate) async fn open(&self, ticket: &Ticket) -> (Channel, ChannelEvents) {
        self.space.meet(ticket.addresses()[0].clone()).await;
        self.space.members().wait_for(|members| !members.present.is_empty()).await.unwrap();
        let identity = Identity {
            channel: ticket.channel().into(),
            topic: format!("/quorate/1/{}/proto", ticket.channel()).as_str().into(),
            participant: self.url.peer_id().unwrap()[..16].into(),
        };
        let key = ChannelKey::from_bytes(*ticket.key().expose());
        let cipher = Box::new(XChaCha20Poly1305Cipher::new(&key, [7; 16]));
        self.space.open(identity, ChannelConfig::default(), cipher).unwrap()
    }

    /// A ticket that leads to this peer.
    fn ticket(&self) -> String {
        let space = self.space.id().as_ref().try_into().unwrap();
        Ticket::new(vec![self.url.clone()], space, "c", Secret::from_bytes([1; 32])).unwrap().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_turns_away_a_peer_of_another_version_and_both_say_why() {
    let temp = tempfile::tempdir().unwrap();
    let mut receiving = recv(temp.path(), &[]);
    let ticket: Ticket = receiving.ticket.parse().unwrap();
    let peer = Peer::from_the_future(ticket.space()).await;
    let error = peer.node.connect(&ticket.addresses()[0]).await.unwrap_err();
    let reason = error.refused().unwrap().1;
    assert!(reason.starts_with("core: you speak consensus 9, we need 1"), "{reason}");
    let told = receiving.run.event("incompatible");
    assert_eq!(told["peer"], peer.url.as_str());
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.starts_with("core: they speak consensus 9, we need 1"), "{reason}");
    receiving.run.kill();

    let mut run = Run::start(["recv", "--dir", text(temp.path())]);
    run.line();
    // Another one: the first may still wait for an answer of the receiver that was killed.
    let peer = Peer::from_the_future(ticket.space()).await;
    let error = peer.node.connect(&ticket.addresses()[0]).await.unwrap_err();
    assert!(error.refused().is_some(), "{error:?}");
    run.says("turned away quic://127.0.0.1:");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_receiver_is_of_another_version_says_why_and_does_not_wait() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 10, 1);
    let peer = Peer::from_the_future(&[3; 32]).await;
    let mut refusals = peer.node.refusals();
    let ended = send(&peer.ticket(), &[&file]).with(1);
    ended.saying(&["no receiver can be reached", peer.url.as_str(), "you speak consensus 1, we need 9"]);
    let reason = refusals.recv().await.unwrap().reason;
    assert!(reason.starts_with("core: they speak consensus 1, we need 9"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_is_named_when_patience_ends() {
    let temp = tempfile::tempdir().unwrap();
    let file = file(temp.path(), "f", 10, 1);
    // It is in the space, and has no channel there.
    let ticket =
        Ticket::new(vec!["quic://127.0.0.1:1/a".parse().unwrap()], [4; 32], "c", Secret::from_bytes([1; 32]));
    let peer = Peer::join(&ticket.unwrap()).await;
    let words = send_words(&peer.ticket(), &[&file]);
    let ended = crate::support::run(words.iter().map(String::as_str).chain(["--timeout", "1"])).with(1);
    let name = &peer.url.peer_id().unwrap()[..16];
    let ended = ended.saying(&["nothing moved for 1 s", name, "has not answered"]);
    assert_eq!(ended.last_event()["silent"][0], *name);
}
