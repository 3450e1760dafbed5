//! `cargo xtask bench --peers kitsune2`: theirs, ours and the ratio.

use quorate_peers_kitsune2::bench::{codec, in_process, measure::Pair};

const SIZES: [(usize, &str); 3] = [(32, "32 B"), (1 << 10, "1 KiB"), (64 << 10, "64 KiB")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("CPU ns per message, medians of rounds in turn; the ratio is theirs / ours\n");
    println!("{:<34}{:>9}{:>12}{:>12}{:>9}", "", "payload", "Kitsune2", "Quorate", "ratio");
    let rows: [(&str, fn(usize) -> Pair); 3] = [
        ("encode", codec::encode),
        ("encode into one buffer", codec::encode_to_one_buffer),
        ("decode", codec::decode),
    ];
    for (name, measure) in rows {
        for (size, payload) in SIZES {
            line(name, payload, measure(size));
        }
    }
    for (size, payload) in SIZES {
        line("send to handler, in process", payload, in_process::send_to_handler(size)?);
    }
    Ok(())
}

fn line(name: &str, payload: &str, pair: Pair) {
    println!("{name:<34}{payload:>9}{:>12.0}{:>12.0}{:>8.1}x", pair.theirs, pair.ours, pair.ratio);
}
