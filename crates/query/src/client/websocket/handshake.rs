//! How a websocket begins: an HTTP request that the server takes over.

use super::super::ClientSettings;
use super::super::stream::Stream;
use crate::endpoint::Endpoint;
use crate::error::ConnectFault;
use crate::websocket;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io::ErrorKind;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Opens a websocket; with it what the server sent behind its answer. The caller bounds the time.
pub(super) async fn open(
    endpoint: &Endpoint,
    settings: &ClientSettings,
) -> Result<(Stream, Bytes), ConnectFault> {
    let random = getrandom::u64().unwrap_or_default().to_ne_bytes();
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&random);
    nonce[8..].copy_from_slice(&getrandom::u64().unwrap_or_default().to_ne_bytes());
    let key = websocket::key(nonce);
    let request = request(endpoint, &key)?;
    let stream = TokioIo::new(Stream::open(endpoint, settings).await?);
    let handshake = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await;
    let (mut sender, mut connection) = handshake.map_err(|error| fault(&error))?;
    let answering = sender.send_request(request);
    tokio::pin!(answering);
    let mut served = false;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answering => break answer.map_err(|error| fault(&error))?,
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)), if !served => {
                // With the connection at an end the answer is there, or why there is none.
                served = true;
                if let Err(error) = ended {
                    return Err(fault(&error));
                }
            }
        }
    };
    check(&answer, &key)?;
    if !served {
        poll_fn(|cx| connection.poll_without_shutdown(cx)).await.map_err(|error| fault(&error))?;
    }
    let parts = connection.into_parts();
    Ok((parts.io.into_inner(), parts.read_buf))
}

fn request(endpoint: &Endpoint, key: &str) -> Result<Request<Empty<Bytes>>, ConnectFault> {
    let mut request = Request::get(endpoint.target())
        .header(HOST, endpoint.authority())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key);
    if let Some(credentials) = endpoint.authorization() {
        let mut value = HeaderValue::try_from(credentials).map_err(|_| ConnectFault::BadEndpoint)?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Empty::new()).map_err(|_| ConnectFault::BadEndpoint)
}

/// Whether the server speaks websocket with us.
fn check<B>(answer: &Response<B>, key: &str) -> Result<(), ConnectFault> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(ConnectFault::Refused { status: answer.status().as_u16() });
    }
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names =
        |name, word: &str| header(name).split(',').any(|value| value.trim().eq_ignore_ascii_case(word));
    match names(UPGRADE, "websocket")
        && names(CONNECTION, "upgrade")
        && header(SEC_WEBSOCKET_ACCEPT) == websocket::accept(key)
    {
        true => Ok(()),
        false => Err(ConnectFault::NotWebsocket),
    }
}

fn fault(error: &hyper::Error) -> ConnectFault {
    match error.is_parse() {
        true => ConnectFault::NotWebsocket,
        false => ConnectFault::Io(ErrorKind::ConnectionReset),
    }
}
