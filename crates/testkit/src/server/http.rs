//! A scripted server's HTTP/1.1: POST with a JSON-RPC request, connections kept.

use super::{Reaction, Service};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest head and body.
const MAX_BYTES: usize = 4 << 20;

pub(super) async fn serve(mut stream: TcpStream, service: Arc<dyn Service>) {
    let mut buffer = Vec::new();
    while let Some((head, length)) = read_head(&mut stream, &mut buffer).await {
        while buffer.len() < head + length {
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let rest = buffer.split_off(head + length);
        let request = std::mem::replace(&mut buffer, rest);
        let (after, answers) = match service.react(request.get(head..).unwrap_or_default()) {
            Reaction::Say(after, answers) => (after, answers),
            Reaction::Close => return,
            // Held open until the peer gives up.
            Reaction::Nothing => std::future::pending().await,
        };
        // A timer of nothing would still cost a millisecond.
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        // HTTP has one answer to a request; what a duplicating server says twice stands behind it.
        for answer in answers {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            if stream.write_all(&[head.as_bytes(), &answer].concat()).await.is_err() {
                return;
            }
        }
    }
}

/// Reads until a head is complete; its length, and that of the body.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(usize, usize)> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = request.parse(buffer).ok()? {
            let length =
                request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
            let length: usize = std::str::from_utf8(length.value).ok()?.parse().ok()?;
            return (head + length <= MAX_BYTES).then_some((head, length));
        }
        if buffer.len() > MAX_BYTES || stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
