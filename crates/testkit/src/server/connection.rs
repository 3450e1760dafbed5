//! One connection to a scripted server: a websocket or HTTP, by what comes first.

use super::{Reaction, Service, http};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_websockets::{Message, ServerBuilder};

/// The longest request head.
const MAX_HEAD: usize = 8 << 10;
/// Answers that wait for their time.
const QUEUE: usize = 1_024;
/// How long it waits for the rest of a head.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the head of a request says.
struct Head {
    websocket: bool,
    let_in: bool,
}

pub(crate) async fn serve(stream: TcpStream, service: Arc<dyn Service>) {
    // Small messages that somebody waits for.
    let _ = stream.set_nodelay(true);
    let Ok(Some(head)) = tokio::time::timeout(PATIENCE, peek(&stream, &*service)).await else { return };
    match head {
        Head { let_in: false, .. } => refuse(stream).await,
        Head { websocket: true, .. } => websocket(stream, service).await,
        Head { websocket: false, .. } => http::serve(stream, service).await,
    }
}

/// Looks at the head and leaves it where it is.
async fn peek(stream: &TcpStream, service: &dyn Service) -> Option<Head> {
    let mut buffer = vec![0; MAX_HEAD];
    let mut seen = 0;
    loop {
        let length = stream.peek(&mut buffer).await.ok()?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(buffer.get(..length)?).ok()?.is_complete() {
            let header = |name: &str| {
                request
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case(name))
                    .map(|header| header.value)
            };
            return Some(Head {
                websocket: header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")),
                let_in: service.lets_in(header("authorization")),
            });
        }
        // Peeking does not wait for more than was there.
        if length == seen {
            if length == 0 || length == MAX_HEAD {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seen = length;
    }
}

async fn refuse(mut stream: TcpStream) {
    // The peer may be gone already.
    let _ = stream
        .write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await;
    let _ = stream.shutdown().await;
}

async fn websocket(stream: TcpStream, service: Arc<dyn Service>) {
    let Ok((_, mut socket)) = ServerBuilder::new().accept(stream).await else { return };
    let (later, mut due) = mpsc::channel::<Vec<u8>>(QUEUE);
    loop {
        let message = tokio::select! {
            biased;
            Some(answer) = due.recv() => {
                if socket.send(text(answer)).await.is_err() {
                    return;
                }
                continue;
            }
            message = socket.next() => message,
        };
        let Some(Ok(message)) = message else { return };
        if message.is_close() {
            service.said_goodbye();
            return;
        }
        if !message.is_text() && !message.is_binary() {
            continue;
        }
        match service.react(message.as_payload()) {
            Reaction::Nothing => {}
            Reaction::Close => return,
            Reaction::Say(Duration::ZERO, answers) => {
                for answer in answers {
                    // What is fed leaves when the socket is read next.
                    if socket.feed(text(answer)).await.is_err() {
                        return;
                    }
                }
            }
            Reaction::Say(after, answers) => {
                let later = later.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    for answer in answers {
                        // The connection may be gone by then.
                        let _ = later.send(answer).await;
                    }
                });
            }
        }
    }
}

/// Text where it is text; a server that sends garbage sends it as binary.
fn text(answer: Vec<u8>) -> Message {
    match String::from_utf8(answer) {
        Ok(answer) => Message::text(answer),
        Err(garbage) => Message::binary(Bytes::from(garbage.into_bytes())),
    }
}
