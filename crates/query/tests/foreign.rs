//! Guardians that are none of ours, on bare sockets: what is allowed and unusual is taken, what breaks the protocol or never ends is
//! refused with its cause, and one of four changes nothing.

use quorate_query::{
    Call, ClientSettings, ConnectError, ConnectFault, Federation, Malformed, PeerError, PeerId, websocket,
};
use quorate_testkit::guardians::Guardians;
use std::io::Result;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far beyond what anything on loopback takes.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_ANSWER: usize = 64 << 10;
/// The id of the client's first request.
const ID: &str = "1";

/// What a guardian does once a websocket is there.
#[derive(Clone)]
enum Manner {
    /// Sends this after the first request.
    Says(Vec<u8>),
    /// Sends this over and over from the first request on, and reads nothing any more.
    Floods(Vec<u8>),
    /// Sends this before it is asked anything.
    Early(Vec<u8>),
    /// Sends the one with the handshake, the other after the first request.
    Welcome(Vec<u8>, Vec<u8>),
    /// Answers the handshake with this instead.
    Head(Vec<u8>),
    /// Reads a long request bit by bit, with a ping after each, and sends this then.
    Ponders(Vec<u8>),
    /// Answers handshake and request byte by byte.
    Drips(Vec<u8>),
}

async fn guardian(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let manner = manner.clone();
            // That the client hangs up is what most of these tests are about.
            tokio::spawn(async move { drop(serve(stream, manner).await) });
        }
    });
    url
}

async fn serve(mut stream: TcpStream, manner: Manner) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("text");
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    let accept = websocket::accept(key.expect("the client asks for a websocket"));
    let welcome = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    match manner {
        Manner::Head(bytes) => stream.write_all(&bytes).await?,
        Manner::Early(bytes) => stream.write_all(&[welcome.as_bytes(), &bytes].concat()).await?,
        Manner::Welcome(early, bytes) => {
            stream.write_all(&[welcome.as_bytes(), &early].concat()).await?;
            stream.read_u8().await?;
            stream.write_all(&bytes).await?;
        }
        Manner::Says(bytes) => {
            stream.write_all(welcome.as_bytes()).await?;
            stream.read_u8().await?;
            stream.write_all(&bytes).await?;
        }
        Manner::Drips(bytes) => {
            for byte in welcome.as_bytes() {
                stream.write_u8(*byte).await?;
            }
            stream.read_u8().await?;
            for byte in bytes {
                stream.write_u8(byte).await?;
            }
        }
        Manner::Ponders(bytes) => {
            stream.write_all(welcome.as_bytes()).await?;
            let mut head = [0; 14];
            stream.read_exact(&mut head).await?;
            assert_eq!(head[1], 0xff, "a masked frame of more than 64 KiB");
            let mut left = u64::from_be_bytes(head[2..10].try_into().expect("eight bytes"));
            while left > 0 {
                let piece = left.min(256 << 10);
                tokio::io::copy(&mut (&mut stream).take(piece), &mut tokio::io::sink()).await?;
                left -= piece;
                stream.write_all(&frame(0x89, b"")).await?;
            }
            stream.write_all(&bytes).await?;
        }
        Manner::Floods(bytes) => {
            stream.write_all(welcome.as_bytes()).await?;
            stream.read_u8().await?;
            loop {
                stream.write_all(&bytes).await?;
            }
        }
    }
    // Until the client hangs up.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

/// A frame of a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        length @ 0..=125 => vec![length as u8],
        length @ 126..=0xffff => [&[126][..], &(length as u16).to_be_bytes()].concat(),
        length => [&[127][..], &(length as u64).to_be_bytes()].concat(),
    };
    [&[first][..], &length, payload].concat()
}

fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

fn answer(id: &str, value: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{value}}}"#)
}

fn settings() -> ClientSettings {
    let mut settings = ClientSettings::new().expect("cryptography");
    settings.max_answer_bytes = MAX_ANSWER;
    settings
}

/// What one guardian of that manner comes to, asked alone.
async fn ask(manner: Manner) -> std::result::Result<u64, PeerError> {
    let url = guardian(manner).await;
    let endpoint = url.parse().expect("a URL");
    let federation = Federation::at([(PeerId(0), endpoint)], settings()).expect("one");
    federation.ask(PeerId(0), &Call::bare("session_count"), PATIENCE).await
}

/// Three guardians that answer 42, and one of that manner.
async fn one_of_four(manner: Manner) -> u64 {
    let honest = Guardians::start(3).await.expect("loopback ports");
    let mut urls = vec![guardian(manner).await];
    urls.extend(honest.urls());
    let endpoints = (0..).map(PeerId).zip(urls.iter().map(|url| url.parse().expect("a URL")));
    Federation::at(endpoints, settings()).expect("four").session_count().await.expect("three are honest")
}

#[tokio::test]
async fn what_is_allowed_and_unusual_is_taken() {
    let whole = answer(ID, "42");
    let (first, rest) = whole.as_bytes().split_at(5);
    let fragments = rest.iter().map(|byte| frame(0, &[*byte])).collect::<Vec<_>>().concat();
    let interrupted =
        [frame(0x01, first), frame(0x89, b"still there?"), fragments, frame(0x80, b"")].concat();
    for (manner, what) in [
        (Manner::Says(frame(0x82, whole.as_bytes())), "a binary frame"),
        (Manner::Says(interrupted), "a fragment a byte, and a ping between"),
        (Manner::Says([frame(0x89, &[b'x'; 125]).repeat(50), text(&whole)].concat()), "fifty pings first"),
        (Manner::Says([text(&whole), text(&answer(ID, "43"))].concat()), "two answers: the first counts"),
        (Manner::Says(text(r#"{"result":42,"error":null,"more":[{}],"id":1}"#)), "another order, no version"),
        (Manner::Says(text(&format!(" {whole}\n"))), "white space"),
        (
            Manner::Says(
                [
                    text(&answer("7", "43")),
                    text(&answer("\"1\"", "44")),
                    text(&answer("-1", "45")),
                    text(&whole),
                ]
                .concat(),
            ),
            "answers to questions that were never asked come first",
        ),
        (Manner::Drips(text(&whole)), "byte by byte"),
        (Manner::Welcome(frame(0x89, b"hello"), text(&whole)), "a ping with the handshake"),
    ] {
        assert_eq!(ask(manner).await.expect(what), 42, "{what}");
    }
}

#[tokio::test]
async fn what_breaks_the_protocol_is_refused_with_its_cause() {
    let huge = format!("\"{}\"", "a".repeat(MAX_ANSWER));
    let nested = [b"{\"id\":1,\"result\":".as_slice(), &b"[".repeat(20_000), b"}"].concat();
    for (bytes, cause) in [
        (text(&answer("7", "42")), Malformed::UnknownId),
        (text(&answer("\"1\"", "42")), Malformed::UnknownId),
        // So many that the right one behind them is too late.
        ([text(&answer("7", "42")).repeat(17), text(&answer(ID, "42"))].concat(), Malformed::UnknownId),
        (text(&answer(ID, &huge)), Malformed::TooLarge { max: MAX_ANSWER }),
        (
            vec![0x81, 127, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Malformed::TooLarge { max: MAX_ANSWER },
        ),
        (
            frame(0x01, &[b'a'; 40_000]).into_iter().chain(frame(0, &[b'a'; 40_000])).collect(),
            Malformed::TooLarge { max: MAX_ANSWER },
        ),
        (vec![0x81, 0x82, 0, 0, 0, 0, b'{', b'}'], Malformed::Framing),
        (frame(0xc1, b"{}"), Malformed::Framing),
        (frame(0x80, b"{}"), Malformed::Framing),
        (frame(0x81, b"\xff\xfe"), Malformed::NotJsonRpc),
        (text(""), Malformed::NotJsonRpc),
        (text("[]"), Malformed::NotJsonRpc),
        (frame(0x81, &nested), Malformed::NotJsonRpc),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let error = ask(Manner::Says(bytes.clone())).await.expect_err(&shown);
        assert!(matches!(&error, PeerError::Malformed(found) if *found == cause), "{shown}: {error}");
        assert_eq!(one_of_four(Manner::Says(bytes)).await, 42, "{shown}");
    }
}

#[tokio::test]
async fn floods_end_with_the_connection() {
    for (bytes, cause) in [
        (frame(0x89, &[b'x'; 125]).repeat(100), Malformed::Unasked),
        (frame(0x8a, b"").repeat(100), Malformed::Unasked),
        (text(r#"{"jsonrpc":"2.0","method":"news","params":[]}"#).repeat(100), Malformed::Unasked),
        (frame(0x01, b"").into_iter().chain(frame(0, b"").repeat(100)).collect(), Malformed::Framing),
        (frame(0x01, b"a"), Malformed::Framing),
    ] {
        let error = ask(Manner::Floods(bytes.clone())).await.expect_err("a flood");
        assert!(matches!(&error, PeerError::Malformed(found) if *found == cause), "{error}");
        assert_eq!(one_of_four(Manner::Floods(bytes)).await, 42);
    }
}

#[tokio::test]
async fn a_guardian_that_answers_before_it_is_asked_is_known_by_it() {
    let url = guardian(Manner::Early(text(&answer(ID, "42")))).await;
    let federation = Federation::at([(PeerId(0), url.parse().expect("a URL"))], settings()).expect("one");
    let mut causes = Vec::new();
    while causes.len() < 5 {
        let asked = federation.ask::<u64>(PeerId(0), &Call::bare("session_count"), PATIENCE).await;
        let error = asked.expect_err("an answer to no question");
        let is_known = match &error {
            PeerError::Malformed(Malformed::UnknownId) => true,
            PeerError::Connect(ConnectError { fault: ConnectFault::Lost(cause), .. }) => {
                matches!(**cause, PeerError::Malformed(Malformed::UnknownId))
            }
            _ => false,
        };
        assert!(is_known, "{error}");
        causes.push(error);
    }
}

#[tokio::test]
async fn what_answers_otherwise_than_a_websocket_is_told_apart() {
    let head = |line: &str| format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").into_bytes();
    for (bytes, status) in [
        (head("404 Not Found"), Some(404)),
        (head("401 Unauthorized"), Some(401)),
        (head("301 Moved\r\nlocation: ws://127.0.0.1:1/"), Some(301)),
        (head("200 OK"), Some(200)),
        (head("101 Switching Protocols"), None),
        (
            head(
                "101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: AAAA",
            ),
            None,
        ),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n".to_vec(), None),
        (
            [b"HTTP/1.1 101 Switching Protocols\r\n".as_slice(), &b"x: aaaaaaaaaaaaaaaa\r\n".repeat(2_000)]
                .concat(),
            None,
        ),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..40.min(bytes.len())]).into_owned();
        let error = ask(Manner::Head(bytes.clone())).await.expect_err(&shown);
        let PeerError::Connect(ConnectError { fault, .. }) = &error else { panic!("{shown}: {error}") };
        match status {
            Some(expected) => assert!(
                matches!(fault, ConnectFault::Refused { status } if *status == expected),
                "{shown}: {error}"
            ),
            None => assert!(matches!(fault, ConnectFault::NotWebsocket), "{shown}: {error}"),
        }
        assert_eq!(one_of_four(Manner::Head(bytes)).await, 42, "{shown}");
    }
}

#[tokio::test]
async fn a_long_request_goes_on_while_something_else_comes() {
    const LENGTH: usize = 12 << 20;
    let url = guardian(Manner::Ponders(text(&answer(ID, "42")))).await;
    let mut settings = settings();
    settings.max_request_bytes = 2 * LENGTH;
    let federation = Federation::at([(PeerId(0), url.parse().expect("a URL"))], settings).expect("one");
    let call = Call::new("submit_transaction", &"a".repeat(LENGTH)).expect("JSON");
    assert_eq!(federation.ask::<u64>(PeerId(0), &call, PATIENCE).await.expect("read to its end"), 42);
}
