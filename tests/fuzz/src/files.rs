//! A message of a file transfer from any bytes.

use bytes::Bytes;
use quorate::files::name::clean_name;
use quorate::files::{FileEntry, Manifest, Message};

/// Any bytes are a message or an error. What was read can be written, means the same, and a report that comes with it
/// fits a manifest or does not; a name in it is one plain component, or none.
pub fn files(input: &[u8]) {
    let Ok(message) = Message::decode(Bytes::copy_from_slice(input)) else { return };
    let written = message.encode();
    assert_eq!(Message::decode(written).as_ref(), Ok(&message));
    match &message {
        Message::Offer(manifest) => {
            assert_eq!(message.transfer(), Some(manifest.id()));
            manifest.files().iter().for_each(check_name);
            let chunks = (0..manifest.file_count()).map(|file| manifest.chunks_of(file).len());
            assert_eq!(chunks.sum::<usize>(), manifest.total_chunks() as usize);
        }
        Message::Have(have) => {
            let manifest = manifest();
            if let Some((held, complete)) = have.resolve(&manifest) {
                assert_eq!(complete.len(), manifest.files().len());
                let runs: u32 = (0..2).flat_map(|file| held.runs(manifest.chunks_of(file), 64)).sum();
                assert!(runs <= manifest.total_chunks(), "no more than there is");
            }
        }
        Message::Chunk(chunk) => assert!(chunk.data.len() <= input.len(), "data are part of the input"),
        Message::Refused(refused) => assert!(!refused.text.chars().any(char::is_control)),
        _ => {}
    }
}

fn check_name(file: &FileEntry) {
    let Ok(clean) = clean_name(&file.name) else { return };
    assert!((1..=255).contains(&clean.len()) && clean != "." && clean != "..", "{clean:?}");
    assert!(!clean.contains(['/', '\\', '\0']), "{clean:?}");
    assert_eq!(clean_name(&clean).as_ref(), Ok(&clean), "what is clean stays as it is");
}

/// Two files of a few chunks.
fn manifest() -> Manifest {
    let file = |name: &str, size| FileEntry { name: name.to_owned(), size, sha256: [0; 32] };
    Manifest::with_chunk_size(vec![file("a", 1_000_000), file("b", 1)], 65_536).expect("a manifest")
}
