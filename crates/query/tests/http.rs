//! HTTP servers that say "later", on bare sockets: who is asked again, when, and who is not.

use quorate_query::query::Query;
use quorate_query::query::api;
use quorate_query::{
    AttemptsConfig, Call, ClientSettings, Explained, Federation, Malformed, NumPeers, PeerError, PeerId,
    PeerState, QueryFailure,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The answer to the client's request with that id.
fn right(id: usize) -> (String, String) {
    ("200 OK".to_owned(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":42}}"#))
}

fn refusal(head: &str, body: &str) -> (String, String) {
    (head.to_owned(), body.to_owned())
}

/// A guardian that gives these answers, one after the other.
async fn guardian(answers: Vec<(String, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            // One request on a connection; the client opens the next.
            let Some((head, body)) = answers.next() else { return };
            if read_request(&mut stream).await.is_err() {
                continue;
            }
            let answer = format!(
                "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            // That the client is gone is its own affair.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}]}") {
        bytes.push(stream.read_u8().await?);
    }
    Ok(())
}

/// Asks one guardian that gives these answers; what it comes to, and how often it was asked.
async fn ask(answers: Vec<(String, String)>, deadline: Duration) -> (Explained<u64>, u32) {
    let endpoint = guardian(answers).await.parse().expect("a URL");
    let settings = ClientSettings::new().expect("cryptography");
    let federation = Federation::at([(PeerId(0), endpoint)], settings).expect("one");
    let query: Query<_, u64> = api::session_count(NumPeers::new(1).expect("one"));
    let explained = federation.explain(query.with_config(AttemptsConfig::default().within(deadline))).await;
    let asked = explained.report.peers[0].asked;
    (explained, asked)
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn who_is_busy_for_now_is_asked_again() {
    let busy = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"request rate exceeded"}}"#;
    for first in [
        refusal("429 Too Many Requests", ""),
        refusal("429 Too Many Requests", busy),
        refusal("503 Service Unavailable", "<html>"),
        refusal("503 Service Unavailable\r\nretry-after: Fri, 31 Dec 2100 23:59:59 GMT", ""),
        refusal("502 Bad Gateway", ""),
    ] {
        let (explained, asked) = ask(vec![first.clone(), right(2)], PATIENCE).await;
        assert_eq!((explained.outcome.expect(&first.0), asked), (42, 2), "{first:?}");
    }
}

#[tokio::test]
async fn who_says_when_is_asked_then() {
    let first = refusal("429 Too Many Requests\r\nRetry-After: 1", "");
    let (explained, asked) = ask(vec![first, right(2)], PATIENCE).await;
    assert_eq!((explained.outcome.expect("later"), asked), (42, 2));
    assert!(explained.report.elapsed >= Duration::from_secs(1), "{:?}", explained.report.elapsed);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_waited_for() {
    let first = refusal("503 Service Unavailable\r\nretry-after: 99999999", "");
    let (explained, asked) = ask(vec![first, right(2)], PATIENCE).await;
    assert_eq!(asked, 1);
    let error = explained.outcome.expect_err("nobody is left");
    assert!(!matches!(error.failure, QueryFailure::Deadline), "{error}");
    assert!(error.to_string().contains("HTTP status 503 (asks to wait 3600 s)"), "{error}");
}

#[tokio::test]
async fn what_asking_again_cannot_mend_is_final() {
    let unread = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid request"}}"#;
    for (first, is_http) in [
        (refusal("400 Bad Request\r\nretry-after: 1", ""), true),
        (refusal("400 Bad Request\r\nretry-after: 1", unread), false),
        (refusal("404 Not Found", "<html>"), true),
        (refusal("500 Internal Server Error", ""), true),
    ] {
        let (explained, asked) = ask(vec![first.clone(), right(2)], PATIENCE).await;
        assert_eq!(asked, 1, "{first:?}");
        explained.outcome.expect_err(&first.0);
        let state = &explained.report.peers[0].state;
        let PeerState::Failed { error, .. } = state else { panic!("{first:?}: {state:?}") };
        assert_eq!(matches!(error, PeerError::Http { .. }), is_http, "{first:?}: {error}");
    }
}

#[tokio::test]
async fn interim_answers_without_an_end_are_too_much() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        read_request(&mut stream).await?;
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000);
        // Until the client hangs up.
        let mut sent = Ok(());
        while sent.is_ok() {
            sent = stream.write_all(&interim).await;
        }
        sent
    });
    let mut settings = ClientSettings::new().expect("cryptography");
    settings.max_answer_bytes = 64 << 10;
    let federation = Federation::at([(PeerId(0), url.parse().expect("a URL"))], settings).expect("one");
    let error = federation.ask::<u64>(PeerId(0), &Call::bare("session_count"), PATIENCE).await;
    let error = error.expect_err("it never answers");
    assert!(matches!(error, PeerError::Malformed(Malformed::TooLarge { .. })), "{error}");
}
