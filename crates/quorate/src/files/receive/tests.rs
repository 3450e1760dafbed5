//! Tests of the receiver: what it says when, driven by hand on a real folder.

use super::*;
use crate::files::folder::Folder;
use crate::files::home::Home;
use crate::files::manifest::{FileEntry, MIN_CHUNK_SIZE};
use quorate_base::Wall;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);
const CHUNK: usize = MIN_CHUNK_SIZE as usize;

fn at(time: Duration) -> Now {
    Now::new(Mono::from_origin(time), Wall::default())
}

fn manifest_of(name: &str, content: &[u8]) -> Manifest {
    let sha256 = Sha256::digest(content).into();
    let file = FileEntry { name: name.into(), size: content.len() as u64, sha256 };
    Manifest::with_chunk_size(vec![file], MIN_CHUNK_SIZE).unwrap()
}

fn inbox(config: InboxConfig) -> (TempDir, Inbox<Folder>) {
    let temp = tempfile::tempdir().unwrap();
    let folder = Folder::new(Home::open(temp.path()).unwrap()).unwrap();
    let mut inbox = Inbox::new(folder, 9, config);
    assert_eq!(drain(&mut inbox).0, [Message::Hello(Hello { transfer: None })]);
    (temp, inbox)
}

fn drain(inbox: &mut Inbox<Folder>) -> (Vec<Message>, Vec<InboxEvent>) {
    let (mut messages, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = inbox.poll_output() {
        match output {
            InboxOutput::Send(message) => messages.push(message),
            InboxOutput::Event(event) => events.push(event),
        }
    }
    (messages, events)
}

fn offer(inbox: &mut Inbox<Folder>, time: Duration, manifest: &Manifest) {
    inbox.handle_message(at(time), &"s".into(), Message::Offer(manifest.clone())).unwrap();
}

fn chunk(
    inbox: &mut Inbox<Folder>,
    time: Duration,
    transfer: TransferId,
    chunk: u32,
    data: &[u8],
) -> Result<(), Violation> {
    let data = data.to_vec().into();
    let message = Message::Chunk(Chunk { transfer, file: 0, chunk, data });
    inbox.handle_message(at(time), &"s".into(), message)
}

fn work(inbox: &mut Inbox<Folder>, time: Duration) {
    while inbox.poll_timeout() == Some(Mono::ZERO) {
        inbox.handle_timeout(at(time));
    }
}

fn reports(messages: &[Message]) -> usize {
    messages.iter().filter(|message| matches!(message, Message::Have(_))).count()
}

#[test]
fn an_offer_is_answered_at_once_and_reports_are_no_more_frequent_than_configured() {
    let (_temp, mut inbox) = inbox(InboxConfig::default());
    let content = vec![1; 9 * CHUNK];
    let manifest = manifest_of("f", &content);
    offer(&mut inbox, SECOND, &manifest);
    let (messages, events) = drain(&mut inbox);
    assert!(matches!(&messages[..], [Message::Have(have)] if have.incarnation == 9 && !have.busy));
    assert!(matches!(&events[0], InboxEvent::Opened { .. }));
    for index in 0..8 {
        chunk(&mut inbox, SECOND, manifest.id(), index, &content[..CHUNK]).unwrap();
        offer(&mut inbox, SECOND, &manifest);
    }
    assert_eq!(reports(&drain(&mut inbox).0), 0);
    assert_eq!(inbox.poll_timeout().unwrap().elapsed(), 2 * SECOND);
    inbox.handle_timeout(at(2 * SECOND));
    let (messages, _) = drain(&mut inbox);
    let [Message::Have(have)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(have.resolve(&manifest).unwrap().0.count(), 8);
    assert_eq!(inbox.poll_timeout(), None);
}

#[test]
fn a_chunk_without_an_offer_is_asked_about_once_in_a_while() {
    let (_temp, mut inbox) = inbox(InboxConfig::default());
    let id = TransferId::from_bytes([4; 16]);
    for (time, expected) in [(1, 1), (2, 0), (5, 0), (6, 1)] {
        chunk(&mut inbox, time * SECOND, id, 0, b"x").unwrap();
        let (messages, _) = drain(&mut inbox);
        assert_eq!(messages, vec![Message::Hello(Hello { transfer: Some(id) }); expected]);
    }
    assert_eq!(inbox.stats().stray, 4);
}

#[test]
fn what_came_before_the_offer_need_not_come_again() {
    let (_temp, mut inbox) = inbox(InboxConfig::default());
    let content = vec![1; 3 * CHUNK];
    let manifest = manifest_of("f", &content);
    for (number, data) in [(0, &content[..CHUNK]), (2, &content[..CHUNK]), (7, b"no such chunk")] {
        chunk(&mut inbox, SECOND, manifest.id(), number, data).unwrap();
    }
    drain(&mut inbox);
    offer(&mut inbox, SECOND, &manifest);
    let (messages, _) = drain(&mut inbox);
    let Some(Message::Have(have)) = messages.last() else { panic!("{messages:?}") };
    let (held, _) = have.resolve(&manifest).unwrap();
    assert_eq!((held.count(), held.contains(1)), (2, false));
    assert_eq!((inbox.stats().stray, inbox.stats().chunks, inbox.stats().violations), (3, 2, 1));
}

#[test]
fn chunks_that_the_manifest_does_not_have_are_violations_and_change_nothing() {
    let (_temp, mut inbox) = inbox(InboxConfig::default());
    let content = [1; CHUNK + 1];
    let manifest = manifest_of("f", &content);
    let transfer = manifest.id();
    offer(&mut inbox, SECOND, &manifest);
    let outcome = chunk(&mut inbox, SECOND, transfer, 2, b"x");
    assert_eq!(outcome, Err(Violation::NoSuchChunk { transfer, file: 0, chunk: 2 }));
    let outcome = chunk(&mut inbox, SECOND, transfer, 1, b"xy");
    assert_eq!(outcome, Err(Violation::WrongLength { transfer, found: 2, expected: 1 }));
    assert_eq!((inbox.stats().violations, inbox.stats().chunks), (2, 0));
}

#[test]
fn content_that_misses_its_hash_is_asked_for_again_and_refused_at_last() {
    let (temp, mut inbox) = inbox(InboxConfig::default());
    let manifest = manifest_of("f", b"right");
    offer(&mut inbox, SECOND, &manifest);
    for attempt in 1..3 {
        chunk(&mut inbox, SECOND, manifest.id(), 0, b"wrong").unwrap();
        work(&mut inbox, SECOND);
        let (_, events) = drain(&mut inbox);
        assert!(events.contains(&InboxEvent::Rejected { transfer: manifest.id(), file: 0, attempt }));
    }
    chunk(&mut inbox, SECOND, manifest.id(), 0, b"wrong").unwrap();
    work(&mut inbox, SECOND);
    let (messages, _) = drain(&mut inbox);
    let Some(Message::Refused(refused)) = messages.last() else { panic!("{messages:?}") };
    assert_eq!(refused.reason, RefusedReason::Corrupt);
    assert!(!temp.path().join("f").exists());
    // A later attempt begins from nothing and may be right.
    offer(&mut inbox, 20 * SECOND, &manifest);
    chunk(&mut inbox, 20 * SECOND, manifest.id(), 0, b"right").unwrap();
    work(&mut inbox, 20 * SECOND);
    assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), b"right");
}

#[test]
fn one_right_attempt_after_a_wrong_one_is_enough() {
    let (temp, mut inbox) = inbox(InboxConfig::default());
    let content = [&[1; CHUNK][..], b"end"].concat();
    let manifest = manifest_of("f", &content);
    offer(&mut inbox, SECOND, &manifest);
    chunk(&mut inbox, SECOND, manifest.id(), 0, &[2; CHUNK]).unwrap();
    chunk(&mut inbox, SECOND, manifest.id(), 1, b"end").unwrap();
    work(&mut inbox, SECOND);
    chunk(&mut inbox, SECOND, manifest.id(), 1, b"end").unwrap();
    chunk(&mut inbox, SECOND, manifest.id(), 0, &[1; CHUNK]).unwrap();
    work(&mut inbox, SECOND);
    assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), content);
    let (messages, events) = drain(&mut inbox);
    assert!(matches!(messages.last(), Some(Message::Complete(_))));
    let completed = InboxEvent::Completed { transfer: manifest.id(), already: false };
    assert_eq!(events.last(), Some(&completed));
}

#[test]
fn an_empty_file_with_a_wrong_hash_is_refused_at_once() {
    let (temp, mut inbox) = inbox(InboxConfig::default());
    let file = FileEntry { name: "f".into(), size: 0, sha256: [1; 32] };
    offer(&mut inbox, SECOND, &Manifest::new(vec![file]).unwrap());
    work(&mut inbox, SECOND);
    let (messages, _) = drain(&mut inbox);
    assert!(
        matches!(messages.last(), Some(Message::Refused(refused)) if refused.reason == RefusedReason::Corrupt)
    );
    assert!(!temp.path().join("f").exists());
}

#[test]
fn transfers_of_several_senders_arrive_side_by_side() {
    let (temp, mut inbox) = inbox(InboxConfig::default());
    let contents: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 3 * CHUNK + usize::from(n)]).collect();
    // All under one name: each gets its own number.
    let manifests: Vec<Manifest> = contents.iter().map(|content| manifest_of("f.bin", content)).collect();
    manifests.iter().for_each(|manifest| offer(&mut inbox, SECOND, manifest));
    for index in (0..4).rev() {
        for (content, manifest) in contents.iter().zip(&manifests) {
            if let Some(data) = content.chunks(CHUNK).nth(index) {
                chunk(&mut inbox, SECOND, manifest.id(), index as u32, data).unwrap();
                inbox.handle_timeout(at(SECOND));
            }
        }
    }
    work(&mut inbox, SECOND);
    let (messages, _) = drain(&mut inbox);
    assert_eq!(messages.iter().filter(|message| matches!(message, Message::Complete(_))).count(), 8);
    let mut received: Vec<Vec<u8>> = ["f.bin".to_owned()]
        .into_iter()
        .chain((1..8).map(|n| format!("f ({n}).bin")))
        .map(|name| std::fs::read(temp.path().join(name)).unwrap())
        .collect();
    received.sort_by_key(Vec::len);
    assert!(received == contents);
    assert_eq!(inbox.open_transfers().count(), 0);
}

#[test]
fn transfers_beyond_the_bound_are_refused_until_one_is_idle() {
    let config = InboxConfig { max_open: 2, ..InboxConfig::default() };
    let (temp, mut inbox) = inbox(config);
    let manifests = ["a", "b", "c"].map(|name| manifest_of(name, &[7; 2 * CHUNK]));
    offer(&mut inbox, SECOND, &manifests[0]);
    offer(&mut inbox, 2 * SECOND, &manifests[1]);
    chunk(&mut inbox, 2 * SECOND, manifests[0].id(), 0, &[7; CHUNK]).unwrap();
    drain(&mut inbox);
    offer(&mut inbox, 3 * SECOND, &manifests[2]);
    let (messages, _) = drain(&mut inbox);
    assert!(
        matches!(&messages[..], [Message::Refused(refused)] if refused.reason == RefusedReason::TooManyTransfers)
    );
    // The idle one makes way in memory; what there is of it on disk is resumed later.
    chunk(&mut inbox, 601 * SECOND, manifests[1].id(), 0, &[7; CHUNK]).unwrap();
    offer(&mut inbox, 602 * SECOND, &manifests[2]);
    assert_eq!(inbox.open_transfers().count(), 2);
    assert_eq!(temp.path().join(".quorate/parts").read_dir().unwrap().count(), 3);
}

#[test]
fn a_resumed_transfer_is_busy_until_its_chunks_are_read_back() {
    let (temp, mut first) = inbox(InboxConfig::default());
    let content = vec![3; 90 * CHUNK];
    let manifest = manifest_of("f", &content);
    offer(&mut first, SECOND, &manifest);
    for index in 0..70 {
        chunk(&mut first, SECOND, manifest.id(), index, &content[..CHUNK]).unwrap();
    }
    drop(first);
    // One of them was torn.
    let part = temp.path().join(".quorate/parts").join(manifest.id().to_string()).join("0.part");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[20 * CHUNK + 5] ^= 1;
    std::fs::write(&part, bytes).unwrap();

    let folder = Folder::new(Home::open(temp.path()).unwrap()).unwrap();
    let mut second = Inbox::new(folder, 10, InboxConfig::default());
    offer(&mut second, SECOND, &manifest);
    let (messages, _) = drain(&mut second);
    assert!(matches!(&messages[..], [_, Message::Have(have)] if have.busy && have.files.is_empty()));
    second.handle_timeout(at(2 * SECOND));
    assert_eq!(second.poll_timeout(), Some(Mono::ZERO), "one slice is not all of it");
    work(&mut second, 2 * SECOND);
    second.handle_timeout(at(3 * SECOND));
    let (messages, _) = drain(&mut second);
    let Some(Message::Have(have)) = messages.last() else { panic!("{messages:?}") };
    let (held, _) = have.resolve(&manifest).unwrap();
    assert_eq!((have.busy, held.count(), held.contains(20)), (false, 69, false));
    assert_eq!(have.checked, 70 * u64::from(MIN_CHUNK_SIZE));
}

#[test]
fn what_is_remembered_about_other_transfers_is_bounded() {
    let mut remembered = Remembered::default();
    for n in 0..1_000u32 {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        assert!(remembered.insert(TransferId::from_bytes(bytes), n));
        assert!(!remembered.insert(TransferId::from_bytes(bytes), n));
    }
    assert_eq!((remembered.values.len(), remembered.order.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
    remembered.remove(TransferId::from_bytes([0; 16]));
    assert_eq!(remembered.order.len(), MAX_REMEMBERED);
}
