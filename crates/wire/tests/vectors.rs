//! The known answers of `vectors/frames.json`, through the public API.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use quorate_wire::stream::{encode_data, encode_preflight};
use quorate_wire::{Frame, FrameKind, ModuleId, PeerUrl, SpaceId, StreamDecoder, StreamFrame, StreamLimits};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    frames: Vec<FrameVector>,
    decoded_only: Vec<FrameVector>,
    refused: Vec<Refused>,
    streams: Vec<StreamVector>,
    urls: Urls,
}

#[derive(Deserialize)]
struct FrameVector {
    name: String,
    bytes: String,
    kind: i32,
    data: String,
    space: Option<String>,
    module: Option<ModuleId>,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    bytes: String,
}

#[derive(Deserialize)]
struct StreamVector {
    name: String,
    bytes: String,
    url: Option<PeerUrl>,
    frame: String,
}

#[derive(Deserialize)]
struct Urls {
    accepted: Vec<String>,
    refused: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/frames.json")).expect("the vectors are JSON of this shape")
}

fn hex(text: &str) -> Bytes {
    HEXLOWER.decode(text.as_bytes()).expect("bytes stand in hex").into()
}

impl FrameVector {
    fn frame(&self) -> Frame {
        let data = hex(&self.data);
        let space = self.space.as_deref().map(|space| SpaceId::from(hex(space)));
        let module = self.module.clone();
        match FrameKind::from(self.kind) {
            FrameKind::Preflight => Frame::Preflight { data },
            FrameKind::Disconnect => Frame::Disconnect { reason: data },
            FrameKind::Notify => Frame::Notify { space: space.expect("a notify has a space"), data },
            FrameKind::Module => {
                let space = space.expect("a module frame has a space");
                Frame::Module { space, module: module.expect("a module frame has a module"), data }
            }
            FrameKind::Unspecified | FrameKind::Unknown(_) => {
                Frame::Other { kind: self.kind, data, space, module }
            }
        }
    }
}

#[test]
fn frames_are_written_and_read_as_the_vectors_say() {
    for vector in vectors().frames {
        assert_eq!(vector.frame().encode().to_bytes(), hex(&vector.bytes), "{}", vector.name);
        assert_eq!(Frame::decode(hex(&vector.bytes)), Ok(vector.frame()), "{}", vector.name);
    }
}

#[test]
fn what_others_may_write_is_read() {
    for vector in vectors().decoded_only {
        assert_eq!(Frame::decode(hex(&vector.bytes)), Ok(vector.frame()), "{}", vector.name);
    }
}

#[test]
fn what_is_no_frame_is_refused() {
    for vector in vectors().refused {
        assert!(Frame::decode(hex(&vector.bytes)).is_err(), "{}", vector.name);
    }
}

#[test]
fn stream_frames_are_written_and_read_as_the_vectors_say() {
    let limits = StreamLimits::default();
    for vector in vectors().streams {
        let mut decoder = StreamDecoder::new(limits);
        decoder.push(hex(&vector.bytes));
        let frame = hex(&vector.frame);
        let encoded = Frame::decode(frame.clone()).unwrap().encode();
        let (expected, bytes) = match vector.url {
            Some(url) => {
                let bytes = encode_preflight(&url, encoded, &limits);
                (StreamFrame::Preflight { url, frame }, bytes)
            }
            None => (StreamFrame::Data { frame }, encode_data(encoded, &limits)),
        };
        assert_eq!(decoder.poll(), Ok(Some(expected)), "{}", vector.name);
        assert_eq!(bytes.unwrap().to_bytes(), hex(&vector.bytes), "{}", vector.name);
    }
}

#[test]
fn urls_are_accepted_and_refused_as_the_vectors_say() {
    let Urls { accepted, refused } = vectors().urls;
    for text in accepted {
        assert_eq!(text.parse::<PeerUrl>().map(|url| url.to_string()), Ok(text));
    }
    for text in refused {
        assert!(text.parse::<PeerUrl>().is_err(), "{text}");
    }
}
