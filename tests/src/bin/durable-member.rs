//! The participant of the crash test that is killed: a channel on a store, over one TCP connection.
//!
//! `durable-member STORE LOG PORT LAST`: sends the numbers up to LAST, keeps what it was told in LOG, ends by being killed.

use quorate_base::{RedbStore, TokioClock};
use quorate_channel::{Channel, NoCipher, SendOptions};
use quorate_tests::crash::{AppLog, KILLED, PER_SECOND, STAYS, config, identity, payload};
use quorate_tests::wire::{Line, read_envelope};
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, log, port, last] = arguments.as_slice() else { return Err("STORE LOG PORT LAST".into()) };
    let (port, last): (u16, u32) = (port.parse()?, last.parse()?);
    let log = AppLog::open(Path::new(log))?;
    let (cursor, next) = (log.cursor(), log.tried.iter().max().map_or(1, |number| number + 1));
    let store = Arc::new(RedbStore::open(store)?);
    let line = Arc::new(Line::default());
    let (mut from, to) = TcpStream::connect(("127.0.0.1", port)).await?.into_split();
    line.connect(to).await;
    let config = config(STAYS, Some(PER_SECOND));
    let (identity, clock) = (identity(KILLED), TokioClock::new());
    let opened = Channel::open(store, Some(cursor), identity, config, Box::new(NoCipher), clock, line);
    let (channel, mut events) = opened.await?;
    let log = Arc::new(Mutex::new(log));

    let reader = channel.clone();
    tokio::spawn(async move {
        while let Ok(envelope) = read_envelope(&mut from).await {
            reader.handle_envelope(envelope);
        }
    });
    let (sender, kept) = (channel.clone(), log.clone());
    tokio::spawn(async move {
        let log = || kept.lock().unwrap_or_else(PoisonError::into_inner);
        for number in next..=last {
            if log().try_send(number).is_err() {
                return;
            }
            loop {
                match sender.send(payload(number), SendOptions::default()).await {
                    Ok(_) if log().accept(number).is_ok() => break,
                    Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(5)).await,
                    _ => return,
                }
            }
        }
    });
    let mut told = 0;
    while let Some(event) = events.next_logged().await {
        let Some(seq) = event.seq else { continue };
        log.lock().unwrap_or_else(PoisonError::into_inner).event(seq, &event.event)?;
        told += 1;
        if told % 16 == 0 {
            channel.confirm(seq).await?;
        }
    }
    Err("the channel was closed".into())
}
