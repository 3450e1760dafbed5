//! A peer URL from any text: only the canonical form is taken, and its parts make up the whole.

use quorate_wire::PeerUrl;

/// Any text is a URL or an error, and a URL is its own text.
pub fn peer_url(input: &[u8]) {
    let Ok(url) = PeerUrl::try_from(input) else { return };
    assert_eq!(url.as_str().as_bytes(), input, "only the canonical form is taken");
    assert!(input.len() <= PeerUrl::MAX_LEN);
    assert_eq!(url.as_str().parse::<PeerUrl>().as_ref(), Ok(&url));

    let origin = format!("{}://{}", url.scheme().as_str(), url.addr());
    let path = url.as_str().strip_prefix(&origin).expect("scheme and address begin the URL");
    assert_eq!(url.peer_id(), path.rsplit_once('/').map(|(_, id)| id));
    assert_eq!(url.is_peer(), !path.is_empty());

    let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
    assert_eq!(url.addr(), format!("{host}:{}", url.port()));

    let json = serde_json::to_string(&url).expect("it is a string");
    assert_eq!(serde_json::from_str::<PeerUrl>(&json).expect("it was written"), url);
}
