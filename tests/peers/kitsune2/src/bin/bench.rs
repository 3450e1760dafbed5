//! `cargo xtask bench --peers kitsune2`: theirs, ours and the ratio.

use quorate_peers_kitsune2::bench::{codec, in_process, measure::Pair, two};
use quorate_testkit::{netns, relay::Relay};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SIZES: [(usize, &str); 3] = [(32, "32 B"), (1 << 10, "1 KiB"), (64 << 10, "64 KiB")];

/// Sizes, and how many messages of each make a round.
const TWO: [(usize, &str, usize); 3] =
    [(32, "32 B", 20_000), (1 << 10, "1 KiB", 20_000), (64 << 10, "64 KiB", 1_500)];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", kind, relay] => return runtime.block_on(two::serve(kind, relay)),
        ["two"] => return runtime.block_on(two_processes()),
        _ => {}
    }
    println!("CPU ns per message, medians of rounds in turn; the ratio is theirs / ours\n");
    println!("{:<34}{:>9}{:>12}{:>12}{:>9}", "", "payload", "Kitsune2", "Quorate", "ratio");
    let rows: [(&str, fn(usize) -> Pair); 4] = [
        ("encode", codec::encode),
        ("encode into one buffer", codec::encode_to_one_buffer),
        ("decode", codec::decode_in_place),
        ("decode into a frame of its own", codec::decode),
    ];
    for (name, measure) in rows {
        for (size, payload) in SIZES {
            line(name, payload, measure(size));
        }
    }
    for (size, payload) in SIZES {
        line("send to handler, in process", payload, in_process::send_to_handler(size)?);
    }
    apart()
}

/// The second half, in a network namespace: Kitsune2's transport looks for paths on every interface there is.
fn apart() -> Result<(), Failure> {
    let Some(mut again) = netns::command(std::env::current_exe()?) else {
        println!("skipped: two processes over iroh (`unshare -n` and `unshare -rn` both fail here)");
        return Ok(());
    };
    let status = again.arg("two").status()?;
    if status.success() { Ok(()) } else { Err(format!("two processes over iroh: {status}").into()) }
}

async fn two_processes() -> Result<(), Failure> {
    let relay = Relay::start().await;
    println!("\ntwo processes over iroh on loopback; medians of rounds in turn");
    println!(
        "kitsune2/0: through a relay, then direct; quorate/1: direct. No limits on how much a peer may send.\n"
    );
    println!(
        "{:<22}{:>9}{:>12}{:>12}{:>12}{:>12}{:>9}{:>9}",
        "", "payload", "Kitsune2", "kitsune2/0", "quorate/1", "bare iroh", "/theirs", "/bare"
    );
    for (size, payload, messages) in TWO {
        let row = two::measure(&relay.url(), size, messages).await?;
        let megabytes = row.messages.map(|rate| rate * size as f64 / 1e6);
        columns("messages/s", payload, row.messages, 0);
        columns("MB/s", payload, megabytes, 1);
        columns("round trip, us", payload, row.round_trip_us, 0);
        columns("sender's CPU us", payload, row.cpu_us, 1);
    }
    Ok(())
}

/// The ratios are those of `kitsune2/0`: beside theirs, and beside the bare stream.
fn columns(name: &str, payload: &str, values: [f64; 4], digits: usize) {
    let [theirs, ours, direct, bare] = values;
    println!(
        "{name:<22}{payload:>9}{theirs:>12.digits$}{ours:>12.digits$}{direct:>12.digits$}{bare:>12.digits$}{:>8.2}x{:>8.2}x",
        ours / theirs,
        ours / bare
    );
}

fn line(name: &str, payload: &str, pair: Pair) {
    println!("{name:<34}{payload:>9}{:>12.0}{:>12.0}{:>8.1}x", pair.theirs, pair.ours, pair.ratio);
}
