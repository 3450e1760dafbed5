//! Drives an inbox by hand: one offer and its chunks, without a sender.

use quorate::files::message::{Chunk, RefusedReason};
use quorate::files::{
    FileEntry, Folder, Home, Inbox, InboxEvent, InboxOutput, Manifest, Message, PeerName, Sink,
};
use quorate_base::{Mono, Now, Wall};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;

pub(crate) const CHUNK: usize = 65_536;

pub(crate) fn manifest(files: &[&[u8]]) -> Manifest {
    let entry = |content: &&[u8]| FileEntry {
        name: "f".to_owned(),
        size: content.len() as u64,
        sha256: Sha256::digest(content).into(),
    };
    Manifest::with_chunk_size(files.iter().map(entry).collect(), CHUNK as u32).unwrap()
}

/// Offers and sends everything; the events. Stops early at a refusal.
pub(crate) fn send<S: Sink>(
    inbox: &mut Inbox<S>,
    at: u64,
    manifest: &Manifest,
    files: &[&[u8]],
) -> Vec<InboxEvent> {
    let now = Now::new(Mono::from_origin(Duration::from_secs(at)), Wall::default());
    let peer = PeerName::from("x");
    let mut events = Vec::new();
    let mut settle = |inbox: &mut Inbox<S>| {
        loop {
            while let Some(output) = inbox.poll_output() {
                if let InboxOutput::Event(event) = output {
                    events.push(event);
                }
            }
            if inbox.poll_timeout() != Some(Mono::ZERO) {
                break;
            }
            inbox.handle_timeout(now);
        }
    };
    inbox.handle_message(now, &peer, Message::Offer(manifest.clone())).unwrap();
    settle(inbox);
    for (file, content) in files.iter().enumerate() {
        for (chunk, data) in content.chunks(CHUNK).enumerate() {
            let data = data.to_vec().into();
            let chunk = Chunk { transfer: manifest.id(), file: file as u32, chunk: chunk as u32, data };
            inbox.handle_message(now, &peer, Message::Chunk(chunk)).unwrap();
            settle(inbox);
        }
    }
    events
}

pub(crate) fn refusals(events: &[InboxEvent]) -> Vec<RefusedReason> {
    let reason = |event: &InboxEvent| match event {
        InboxEvent::Refused { reason, .. } => Some(*reason),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

pub(crate) fn is_completed(events: &[InboxEvent]) -> bool {
    events.iter().any(|event| matches!(event, InboxEvent::Completed { .. }))
}

pub(crate) fn folder(out: &Path) -> Folder {
    Folder::new(Home::open(out).unwrap()).unwrap()
}
