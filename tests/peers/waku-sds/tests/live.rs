//! `quorate sds` and the published `@waku/sds` over loopback: what one sends the other delivers and acknowledges.

use quorate_peers_waku_sds::{Said, ours, theirs};
use std::collections::BTreeSet;

/// Both run to their ends.
fn both(our_options: &str, their_options: &str) -> (Said, Said) {
    let (ours, address) = ours(our_options);
    let theirs = theirs(&address, their_options).end();
    let ours = ours.end();
    eprintln!("ours   {}\ntheirs {}", ours.summary(), theirs.summary());
    assert_eq!((ours.code, theirs.code), (Some(0), Some(0)));
    (ours, theirs)
}

/// Both logs hold the same messages, each delivered once, and ours in causal order.
fn agree(ours: &Said, theirs: &Said) {
    assert_eq!(ours.summary()["hash"], theirs.summary()["hash"], "the logs differ");
    let delivered = ours.ids("delivered");
    assert_eq!(delivered.iter().collect::<BTreeSet<_>>().len(), delivered.len(), "each once");
    assert_eq!(ours.number("inversions"), 0);
    assert_eq!((ours.number("refused"), ours.number("bad_filters")), (0, 0), "all of theirs is read");
    assert_eq!((theirs.number("undecodable"), theirs.number("errors")), (0, 0), "all of ours is read");
}

#[test]
fn what_we_send_they_deliver_and_acknowledge() {
    let (ours, theirs) = both("--send 40", "--expect 40");
    agree(&ours, &theirs);
    assert_eq!(theirs.number("delivered"), 40);
    assert_eq!(ours.ids("acknowledged").into_iter().collect::<BTreeSet<_>>().len(), 40);
}

#[test]
fn what_they_send_we_deliver_and_acknowledge() {
    let (ours, theirs) = both("--expect 40", "--send 40");
    agree(&ours, &theirs);
    assert_eq!((ours.number("delivered"), theirs.number("acknowledged")), (40, 40));
    assert!(ours.number("syncs") > 0, "we have nothing to say but that we have it");
}

#[test]
fn both_ways_without_loss() {
    let (ours, theirs) = both("--send 50 --expect 50", "--send 50 --expect 50");
    agree(&ours, &theirs);
    assert!(theirs.number("syncsReceived") > 0);
}

#[test]
fn both_ways_at_30_percent_loss_and_with_repair() {
    let (mut asked, mut given) = (0, 0);
    for seed in 1..=3 {
        let options = format!("--send 50 --expect 50 --drop 0.3 --seed {seed} --linger 4");
        let (ours, theirs) = both(&options, &options);
        agree(&ours, &theirs);
        assert!(ours.number("dropped") > 0 && theirs.number("dropped") > 0);
        asked += ours.number("repairs_asked");
        given += ours.number("repairs_given") + theirs.number("repairsGiven");
    }
    assert!(asked > 0 && given > 0, "asked {asked}, given {given}");
}

#[test]
fn short_citations_are_enough_where_they_stand_for_their_past() {
    // What they deliver, they have the past of: they cite ten, and each of ours cites fifty. The latest of the log are ours.
    let (ours, theirs) = both(
        "--send 60 --expect 10 --drop 0.1 --cited-past",
        "--send 10 --expect 60 --drop 0.1 --causal 10 --linger 6",
    );
    agree(&ours, &theirs);
}
