//! The bodies of Quorate's fuzz targets: functions that take any bytes and panic when a promise is
//! broken.
//!
//! The rule: a target has a function here, a program in `fuzz_targets`, a line in [`TARGETS`] and at
//! least one seed in `seeds`. What was read must be writable, and read again the same.

mod answers;
mod channel;
mod cipher;
mod connect_info;
mod envelope;
mod eth;
mod fanout;
mod files;
mod filter;
mod frame;
mod invite_code;
mod peer_url;
mod preflight;
mod reassembly;
mod recovery;
mod sds;
mod segment;
mod session;
mod stream;
mod ticket;
mod trie;
mod verified;
mod versions;
mod versions_binary;
mod websocket;

pub use answers::answers;
pub use channel::channel;
pub use cipher::cipher;
pub use connect_info::connect_info;
pub use envelope::envelope;
pub use eth::eth;
pub use fanout::fanout;
pub use files::files;
pub use filter::filter;
pub use frame::frame;
pub use invite_code::invite_code;
pub use peer_url::peer_url;
pub use preflight::preflight;
pub use reassembly::reassembly;
pub use recovery::recovery;
pub use sds::sds;
pub use segment::segment;
pub use session::session;
pub use stream::stream;
pub use ticket::ticket;
pub use trie::trie;
pub use verified::verified;
pub use versions::versions;
pub use versions_binary::versions_binary;
pub use websocket::websocket;

/// A target by name.
pub struct Target {
    /// The program of the fuzzer, and the folder in `seeds`.
    pub name: &'static str,
    /// Tries one input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "answers", run: answers },
    Target { name: "channel", run: channel },
    Target { name: "cipher", run: cipher },
    Target { name: "connect_info", run: connect_info },
    Target { name: "envelope", run: envelope },
    Target { name: "eth", run: eth },
    Target { name: "fanout", run: fanout },
    Target { name: "files", run: files },
    Target { name: "filter", run: filter },
    Target { name: "frame", run: frame },
    Target { name: "invite_code", run: invite_code },
    Target { name: "peer_url", run: peer_url },
    Target { name: "preflight", run: preflight },
    Target { name: "reassembly", run: reassembly },
    Target { name: "recovery", run: recovery },
    Target { name: "sds", run: sds },
    Target { name: "segment", run: segment },
    Target { name: "session", run: session },
    Target { name: "stream", run: stream },
    Target { name: "ticket", run: ticket },
    Target { name: "trie", run: trie },
    Target { name: "verified", run: verified },
    Target { name: "versions", run: versions },
    Target { name: "versions_binary", run: versions_binary },
    Target { name: "websocket", run: websocket },
];

/// A payload as bech32m text: a checksum that no fuzzer finds by itself.
fn sealed(prefix: &str, payload: &[u8]) -> String {
    let mut text = String::new();
    quorate_base::bech32m::write(&mut text, prefix, payload).expect("a prefix, and a string to write to");
    text
}
