//! What is a peer URL, and what is nearly one.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn url(text: &str) -> PeerUrl {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn kitsune2s_vectors_hold() {
    for (text, addr, peer_id) in [
        ("ws://a.b:80", "a.b:80", None),
        ("ws://1.1.1.1:80", "1.1.1.1:80", None),
        ("ws://[::1]:80", "[::1]:80", None),
        ("wss://a.b:443/foo", "a.b:443", Some("foo")),
        ("ws://a.b:80/a/b/c", "a.b:80", Some("c")),
    ] {
        let url = url(text);
        assert_eq!((url.as_str(), url.addr(), url.peer_id()), (text, addr, peer_id));
        assert_eq!(url.is_peer(), peer_id.is_some());
    }
    for (text, error) in [
        ("ws://a.b", PeerUrlError::NotCanonical),
        ("wss://a.b", PeerUrlError::NotCanonical),
        ("w://a.b:80", PeerUrlError::Scheme),
        ("ws://a.b:80/", PeerUrlError::EmptySegment),
        ("ws://a.b:80/foo/", PeerUrlError::EmptySegment),
        ("ws://a.b:80//foo", PeerUrlError::EmptySegment),
        ("ws://a.b:80/foo//bar", PeerUrlError::EmptySegment),
    ] {
        assert_eq!(text.parse::<PeerUrl>(), Err(error), "{text}");
    }
}

#[test]
fn every_scheme_has_the_same_rules() {
    for scheme in Scheme::ALL {
        let url = url(&format!("{scheme}://127.0.0.1:4433/{ID}"));
        assert_eq!(url.scheme(), scheme);
        assert_eq!((url.host(), url.port()), ("127.0.0.1", 4_433));
        assert_eq!(url.socket_addr(), Some(([127, 0, 0, 1], 4_433).into()));
        assert_eq!(url.peer_id(), Some(ID));
        for bad in ["A.b:80", "a.b", "[0:0::1]:80", "127.1:80", "0x7f.0.0.1:80", "a.b:080", "a.b:80/x/"] {
            let text = format!("{scheme}://{bad}");
            assert!(text.parse::<PeerUrl>().is_err(), "{text}");
        }
        let upper = format!("{}://a.b:80", scheme.as_str().to_uppercase());
        assert_eq!(upper.parse::<PeerUrl>(), Err(PeerUrlError::Scheme));
    }
}

#[test]
fn the_port_is_written_even_where_it_is_the_schemes_own() {
    for text in ["ws://a.b:80", "http://a.b:80", "wss://a.b:443", "https://a.b:443", "quic://a.b:80"] {
        assert_eq!(url(text).as_str(), text);
    }
    for text in ["quic://a.b", "mem://a.b", "https://a.b", "ws://a.b/foo", "quic://a.b/foo"] {
        assert_eq!(text.parse::<PeerUrl>(), Err(PeerUrlError::NotCanonical), "{text}");
    }
}

#[test]
fn only_the_canonical_form_is_a_peer_url() {
    for text in [
        "ws://user@a.b:80",
        "ws://a.b:80?x=1",
        "ws://a.b:80/foo?x=1",
        "ws://a.b:80/foo#x",
        "ws://a.b:80/a/../b",
        "ws://a.b:80/./b",
        "ws://a.b:80/a b",
        "ws://a.b:80\\foo",
        "ws://a.b:80/foo\n",
        " ws://a.b:80",
        "ws:a.b:80",
        "ws:///a.b:80",
        "ws://bücher.example:80",
        "ws://[0:0:0:0:0:0:0:1]:80",
        "ws://[::FFFF]:80",
    ] {
        let error = text.parse::<PeerUrl>().unwrap_err();
        assert!(matches!(error, PeerUrlError::NotCanonical | PeerUrlError::Scheme), "{text}: {error:?}");
    }
}

#[test]
fn what_is_no_url_says_what_is_wrong() {
    for (text, error) in [
        ("", PeerUrlError::Syntax),
        ("a.b", PeerUrlError::Syntax),
        ("ftp://a.b:80", PeerUrlError::Scheme),
        ("ws://", PeerUrlError::NoHost),
        ("quic://:80", PeerUrlError::NoHost),
        ("ws://999.1.1.1:80", PeerUrlError::NoHost),
        ("ws://[::1:80", PeerUrlError::NoHost),
        ("ws://a.b:65536", PeerUrlError::Syntax),
        ("ws://a.b:x", PeerUrlError::Syntax),
    ] {
        assert_eq!(text.parse::<PeerUrl>(), Err(error), "{text}");
    }
    assert_eq!(PeerUrl::try_from(&b"ws://a.b:80/\xff"[..]), Err(PeerUrlError::NotUtf8));
}

#[test]
fn a_url_has_a_longest_length() {
    let longest = format!("ws://a.b:80/{}", "x".repeat(PeerUrl::MAX_LEN - 12));
    assert_eq!(longest.len(), PeerUrl::MAX_LEN);
    assert_eq!(url(&longest).as_str(), longest);
    let longer = longest + "x";
    assert_eq!(longer.parse::<PeerUrl>(), Err(PeerUrlError::TooLong { len: PeerUrl::MAX_LEN + 1 }));
}

#[test]
fn an_ipv6_host_loses_its_brackets_and_keeps_its_address() {
    let v6 = url("quic://[2001:db8::1]:4433/id");
    assert_eq!((v6.host(), v6.addr()), ("2001:db8::1", "[2001:db8::1]:4433"));
    assert_eq!(v6.socket_addr(), "[2001:db8::1]:4433".parse().ok());
    assert_eq!(url("ws://a.b:80").socket_addr(), None);
}

#[test]
fn tls_is_of_the_scheme() {
    let tls: Vec<_> = Scheme::ALL.into_iter().filter(|scheme| scheme.uses_tls()).collect();
    assert_eq!(tls, [Scheme::Wss, Scheme::Https]);
}

#[test]
fn serde_reads_borrowed_and_owned_text() {
    let url = url("mem://hub.test:1/a");
    let json = serde_json::to_string(&url).unwrap();
    assert_eq!(json, r#""mem://hub.test:1/a""#);
    assert_eq!(serde_json::from_str::<PeerUrl>(&json).unwrap(), url);
    assert_eq!(serde_json::from_reader::<_, PeerUrl>(json.as_bytes()).unwrap(), url);
    assert_eq!(serde_json::from_value::<PeerUrl>(serde_json::json!("mem://hub.test:1/a")).unwrap(), url);
    assert!(serde_json::from_str::<PeerUrl>(r#""mem://hub.test/a""#).is_err());
}

#[test]
fn a_map_finds_a_url_by_its_text() {
    let map = HashMap::from([(url("ws://a.b:80"), 1)]);
    assert_eq!(map.get("ws://a.b:80"), Some(&1));
}

#[test]
fn the_parts_put_together_are_the_url() {
    for text in ["ws://a.b:80/a/b/c", "quic://[::1]:9/x", "mem://h:1"] {
        let url = url(text);
        let path = &url.as_str()[url.scheme().as_str().len() + 3 + url.addr().len()..];
        assert_eq!(format!("{}://{}{path}", url.scheme(), url.addr()), text);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = text.parse::<PeerUrl>();
    }

    #[test]
    fn what_is_accepted_is_kept_as_it_is(
        text in "(ws|quic|http|mem)://([a-z0-9.]{1,12}|[0-9]{1,3}\\.[0-9]\\.0\\.1|\\[[0-9a-f:]{2,9}\\]):[0-9]{1,5}(/[a-zA-Z0-9%.~-]{0,4}){0,3}"
    ) {
        if let Ok(url) = text.parse::<PeerUrl>() {
            prop_assert_eq!(url.as_str(), &text);
            prop_assert_eq!(url.addr().rsplit_once(':').unwrap().1, url.port().to_string());
            prop_assert_eq!(url.peer_id().is_some(), text.matches('/').count() > 2);
            prop_assert_eq!(PeerUrl::try_from(text.as_bytes()), Ok(url));
        }
    }
}
