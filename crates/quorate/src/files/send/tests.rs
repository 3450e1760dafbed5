//! Tests of the sender: what it sends when, driven by hand.

use super::*;
use crate::files::chunks::ChunkSet;
use crate::files::manifest::{FileEntry, MIN_CHUNK_SIZE};
use crate::files::message::RefusedReason;
use quorate_base::Wall;

const SECOND: Duration = Duration::from_secs(1);

fn at(time: Duration) -> Now {
    Now::new(Mono::from_origin(time), Wall::default())
}

fn manifest() -> Manifest {
    let file = FileEntry { name: "f".into(), size: 7 * u64::from(MIN_CHUNK_SIZE) + 9, sha256: [5; 32] };
    Manifest::with_chunk_size(vec![file], MIN_CHUNK_SIZE).unwrap()
}

fn outbox() -> Outbox {
    let config = OutboxConfig { window: 3 * u64::from(MIN_CHUNK_SIZE), ..OutboxConfig::default() };
    Outbox::new(at(Duration::ZERO), manifest(), config)
}

/// A report of these chunks by a process of this number.
fn have(incarnation: u64, chunks: &[u32]) -> Message {
    let mut held = ChunkSet::new(8);
    chunks.iter().for_each(|chunk| {
        held.insert(*chunk);
    });
    let files = Have::of(&manifest(), &held, |_| false);
    Message::Have(Have { transfer: manifest().id(), incarnation, busy: false, checked: 0, files })
}

fn complete() -> Message {
    Message::Complete(Complete { transfer: manifest().id(), sha256: vec![[5; 32]] })
}

#[derive(Debug, Default)]
struct Drained {
    offers: usize,
    chunks: Vec<u32>,
    tokens: Vec<SendToken>,
    events: Vec<OutboxEvent>,
}

fn drain(outbox: &mut Outbox) -> Drained {
    let mut drained = Drained::default();
    while let Some(output) = outbox.poll_output() {
        match output {
            OutboxOutput::Send { .. } => drained.offers += 1,
            OutboxOutput::SendChunk { token, chunk, .. } => {
                drained.chunks.push(chunk);
                drained.tokens.push(token);
            }
            OutboxOutput::Event(event) => drained.events.push(event),
        }
    }
    drained
}

#[test]
fn the_offer_is_repeated_with_growing_delay_until_somebody_answers() {
    let mut outbox = outbox();
    let (mut offers, mut delays) = (drain(&mut outbox).offers, Vec::new());
    let mut now = Duration::ZERO;
    while offers < 7 {
        let next = outbox.poll_timeout().unwrap().elapsed();
        delays.push((next - now).as_secs());
        now = next;
        outbox.handle_timeout(at(now));
        offers += drain(&mut outbox).offers;
    }
    assert_eq!(delays, [1, 2, 4, 8, 15, 15]);
    outbox.handle_message(at(now), &"r".into(), &complete());
    assert_eq!(
        (drain(&mut outbox).events.len(), outbox.poll_timeout(), outbox.is_settled()),
        (2, None, true)
    );
}

#[test]
fn nothing_is_sent_to_nobody_and_only_what_is_lacking_to_somebody() {
    let mut outbox = outbox();
    assert_eq!(drain(&mut outbox).chunks, [0; 0]);
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[0, 1, 2, 4, 5, 6]));
    let drained = drain(&mut outbox);
    assert_eq!(drained.chunks, [3, 7]);
    assert!(matches!(drained.events[0], OutboxEvent::Joined { .. }));
    assert_eq!(outbox.in_flight(), u64::from(MIN_CHUNK_SIZE) + 9);
}

#[test]
fn no_more_than_the_window_is_under_way() {
    let mut outbox = outbox();
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[]));
    let first = drain(&mut outbox);
    assert_eq!(first.chunks, [0, 1, 2]);
    outbox.handle_delivered(at(SECOND), first.tokens[1]);
    assert_eq!(drain(&mut outbox).chunks, [3]);
    outbox.handle_delivered(at(SECOND), first.tokens[1]);
    assert_eq!(drain(&mut outbox).chunks, [0; 0], "an outcome counts once");
}

#[test]
fn a_window_smaller_than_a_chunk_still_lets_one_through() {
    let config = OutboxConfig { window: 1, ..OutboxConfig::default() };
    let mut outbox = Outbox::new(at(Duration::ZERO), manifest(), config);
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[]));
    assert_eq!(drain(&mut outbox).chunks, [0]);
}

#[test]
fn a_failed_chunk_goes_again_after_a_pause_unless_all_have_it() {
    let mut outbox = outbox();
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[2, 3, 4, 5, 6, 7]));
    let tokens = drain(&mut outbox).tokens;
    outbox.handle_failed(at(SECOND), tokens[0]);
    outbox.handle_failed(at(SECOND), tokens[1]);
    assert_eq!(drain(&mut outbox).chunks, [0; 0]);
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[1, 2, 3, 4, 5, 6, 7]));
    let resume = outbox.poll_timeout().unwrap();
    assert_eq!(resume.elapsed(), SECOND + SECOND / 2);
    outbox.handle_timeout(at(resume.elapsed()));
    assert_eq!(drain(&mut outbox).chunks, [0]);
    assert_eq!(outbox.stats().failed, 2);
}

#[test]
fn a_delivered_chunk_rests_before_a_report_without_it_counts() {
    let mut outbox = outbox();
    let lacks_one = have(1, &[1, 2, 3, 4, 5, 6, 7]);
    outbox.handle_message(at(SECOND), &"r".into(), &lacks_one);
    let tokens = drain(&mut outbox).tokens;
    outbox.handle_delivered(at(SECOND), tokens[0]);
    outbox.handle_message(at(3 * SECOND), &"r".into(), &lacks_one);
    assert_eq!(drain(&mut outbox).chunks, [0; 0], "it may have crossed the report");
    outbox.handle_message(at(7 * SECOND), &"r".into(), &lacks_one);
    assert_eq!(drain(&mut outbox).chunks, [0], "it was lost");
}

#[test]
fn a_receiver_that_started_anew_gets_what_it_lacks_at_once() {
    let mut outbox = outbox();
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[2, 3, 4, 5, 6, 7]));
    let tokens = drain(&mut outbox).tokens;
    outbox.handle_delivered(at(SECOND), tokens[0]);
    outbox.handle_message(at(2 * SECOND), &"r".into(), &have(2, &[2, 3, 4, 5, 6, 7]));
    assert_eq!(drain(&mut outbox).chunks, [0], "chunk 1 is still under way");
}

#[test]
fn while_a_receiver_reads_back_nothing_is_sent_for_it_and_then_at_once() {
    let mut outbox = outbox();
    let Message::Have(mut report) = have(1, &[]) else { unreachable!() };
    report.busy = true;
    report.checked = 70_000;
    outbox.handle_message(at(SECOND), &"r".into(), &Message::Have(report));
    let drained = drain(&mut outbox);
    assert_eq!(drained.chunks, [0; 0]);
    assert!(matches!(drained.events[1], OutboxEvent::Progress { checked: 70_000, held: 0, .. }));
    outbox.handle_message(at(SECOND), &"r".into(), &have(1, &[0, 1, 2, 3, 4, 5, 6]));
    let drained = drain(&mut outbox);
    assert_eq!(drained.chunks, [7]);
    assert!(matches!(drained.events[0], OutboxEvent::Progress { held: 458_752, total: 458_761, .. }));
}

#[test]
fn what_only_a_refusing_or_leaving_receiver_lacks_is_dropped() {
    let mut outbox = outbox();
    outbox.handle_message(at(SECOND), &"a".into(), &have(1, &[0, 1, 2, 3]));
    outbox.handle_message(at(SECOND), &"b".into(), &have(1, &[4, 5, 6, 7]));
    let refused = Refused::new(manifest().id(), RefusedReason::Full, "no space");
    outbox.handle_message(at(SECOND), &"b".into(), &Message::Refused(refused.clone()));
    let drained = drain(&mut outbox);
    assert_eq!(drained.chunks, [4, 5, 6]);
    let told = OutboxEvent::Refused { receiver: "b".into(), refused };
    assert!(drained.events.contains(&told));
    assert!(!outbox.is_settled());
    outbox.handle_left(&"a".into());
    outbox.handle_delivered(at(SECOND), drained.tokens[0]);
    assert_eq!(drain(&mut outbox).chunks, [0; 0]);
    assert!(outbox.is_settled());
}

#[test]
fn the_offer_is_repeated_until_as_many_as_expected_have_answered() {
    let config = OutboxConfig { expected: 2, ..OutboxConfig::default() };
    let mut outbox = Outbox::new(at(Duration::ZERO), manifest(), config);
    outbox.handle_message(at(SECOND), &"a".into(), &complete());
    assert!(!outbox.is_settled());
    assert_eq!(outbox.poll_timeout().unwrap().elapsed(), 6 * SECOND);
    outbox.handle_message(at(SECOND), &"b".into(), &complete());
    assert_eq!((outbox.is_settled(), outbox.poll_timeout()), (true, None));
}

#[test]
fn hellos_bring_the_offer_soon_but_not_more_often_than_configured() {
    let mut outbox = outbox();
    outbox.handle_message(at(SECOND), &"r".into(), &complete());
    drain(&mut outbox);
    let hello = |transfer| Message::Hello(Hello { transfer });
    outbox.handle_message(at(SECOND), &"s".into(), &hello(None));
    outbox.handle_message(at(SECOND), &"t".into(), &hello(Some(manifest().id())));
    outbox.handle_message(at(SECOND), &"t".into(), &hello(Some(TransferId::from_bytes([0; 16]))));
    assert_eq!(drain(&mut outbox).offers, 1);
    let later = outbox.poll_timeout().unwrap();
    assert_eq!(later.elapsed(), SECOND + SECOND / 2);
    outbox.handle_timeout(at(later.elapsed()));
    assert_eq!((drain(&mut outbox).offers, outbox.poll_timeout()), (1, None));
}

#[test]
fn messages_that_do_not_fit_the_manifest_are_counted_and_change_nothing() {
    let mut outbox = outbox();
    let transfer = manifest().id();
    let Message::Have(mut report) = have(1, &[]) else { unreachable!() };
    report.files = vec![crate::files::message::FileHave { file: 1, complete: true, runs: vec![] }];
    outbox.handle_message(at(SECOND), &"r".into(), &Message::Have(report));
    let wrong = Complete { transfer, sha256: vec![[6; 32]] };
    outbox.handle_message(at(SECOND), &"r".into(), &Message::Complete(wrong));
    assert_eq!((outbox.stats().ignored, outbox.receivers().count()), (2, 0));
}

#[test]
fn receivers_beyond_the_bound_are_counted_and_ignored() {
    let config = OutboxConfig { max_receivers: 2, ..OutboxConfig::default() };
    let mut outbox = Outbox::new(at(Duration::ZERO), manifest(), config);
    for name in ["a", "b", "c", "a"] {
        outbox.handle_message(at(SECOND), &name.into(), &complete());
    }
    assert_eq!((outbox.stats().ignored, outbox.receivers().count()), (1, 2));
}

#[test]
fn a_receiver_that_is_there_is_offered_to_and_waited_for_until_it_answers_or_goes() {
    let mut outbox = outbox();
    drain(&mut outbox);
    outbox.handle_message(at(SECOND), &"r".into(), &complete());
    assert!(outbox.is_settled() && outbox.poll_timeout().is_none());
    outbox.handle_present(at(2 * SECOND), &"late".into());
    assert!(!outbox.is_settled());
    assert_eq!(drain(&mut outbox).offers, 1);
    outbox.handle_gone(&"late".into());
    assert!(outbox.is_settled());
    outbox.handle_present(at(3 * SECOND), &"late".into());
    outbox.handle_message(at(4 * SECOND), &"late".into(), &have(1, &[0]));
    outbox.handle_gone(&"late".into());
    assert!(!outbox.is_settled(), "it may come back");
    assert!(outbox.receivers().all(|receiver| *receiver.state != ReceiverState::Silent));
}

#[test]
fn reports_of_one_receiver_do_not_keep_the_offer_from_another() {
    let mut outbox = outbox();
    drain(&mut outbox);
    outbox.handle_message(at(SECOND / 4), &"busy".into(), &have(1, &[]));
    outbox.handle_present(at(SECOND), &"silent".into());
    let (mut now, mut offers) = (SECOND, drain(&mut outbox).offers);
    while now < 20 * SECOND {
        now += SECOND;
        outbox.handle_message(at(now), &"busy".into(), &have(1, &[]));
        outbox.handle_timeout(at(now));
        offers += drain(&mut outbox).offers;
    }
    assert!(offers >= 4, "{offers} offers");
}
