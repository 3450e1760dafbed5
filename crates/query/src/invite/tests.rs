//! Codes that Fedimint 0.13 wrote, and codes that nobody should have written.

use super::*;
use quorate_versioning::encoding::DecodeFault;

const LIVE: &str = "fed11qgqpu8rhwden5te0vejkg6tdd9h8gepwd4cxcumxv4jzuen0duhsqqfqh6nl7sgk72caxfx8khtfnn8y436q3nhyrkev3qp8ugdhdllnh86qmp42pm";
const TEST: &str =
    "fed11qgqq6zmhwvaz7tm5v4ehgvf0qyqjq2329g4z52329g4z52329g4z52329g4z52329g4z52329g4z52323gk62r";
const TEST_BASE32: &str =
    "fedimint200qg5sejjeuinge5rs8nos518002l85ahak2l85ahak2l85ahak2l85ahak2l85ahak2l85ahak2l85";
const PRIVATE: &str = "fed11qvqq6zmhwvaz7tm5v4ehgvf0qyqjq2329g4z52329g4z52329g4z52329g4z52329g4z52329g4z5232qg9s5ctsd90hxetrwfjhgcm5qyg";

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn test_code() -> InviteCode {
    let guardians = BTreeMap::from([(PeerId(1), url("ws://test1"))]);
    InviteCode::new(guardians, FederationId([0x2a; 32]), None).unwrap()
}

fn code_of(bytes: &[u8]) -> Result<InviteCode, InviteError> {
    text::to_bech32m(bytes).unwrap().parse()
}

#[test]
fn codes_of_fedimint_are_read_and_written_back() {
    assert_eq!(test_code().to_string(), TEST);
    assert_eq!(test_code().to_base32(), TEST_BASE32);
    assert_eq!(TEST_BASE32.parse(), Ok(test_code()));
    assert_eq!(TEST_BASE32.to_uppercase().parse(), Ok(test_code()));
    assert_eq!(format!(" {}\n", TEST.to_uppercase()).parse(), Ok(test_code()));
    let private: InviteCode = PRIVATE.parse().unwrap();
    assert_eq!((private.api_secret(), private.to_string()), (Some("api_secret"), PRIVATE.to_owned()));
    let live: InviteCode = LIVE.parse().unwrap();
    let id = live.federation().to_string();
    assert!(id.starts_with("bea7ff41") && id.ends_with("b9f4"), "{id}");
    assert_eq!(id.parse(), Ok(live.federation()));
}

#[test]
fn the_json_is_the_text() {
    let json = serde_json::to_string(&test_code()).unwrap();
    assert_eq!(json, format!("\"{TEST}\""));
    assert_eq!(serde_json::from_str::<InviteCode>(&json).unwrap(), test_code());
}

#[test]
fn an_invitation_of_a_federation_names_f_and_one_guardians() {
    let guardians: BTreeMap<_, _> =
        (0..7).map(|peer| (PeerId(peer), url(&format!("wss://guardian{peer}/")))).collect();
    let code = InviteCode::of_federation(&guardians, FederationId([1; 32]), None).unwrap();
    assert_eq!(code.guardians().keys().map(|peer| peer.0).collect::<Vec<_>>(), [0, 1, 2]);
    let none = InviteCode::of_federation(&BTreeMap::new(), FederationId([1; 32]), None);
    assert_eq!(none, Err(InviteError::NoGuardian));
}

#[test]
fn a_secret_is_sent_and_not_shown() {
    let private: InviteCode = PRIVATE.parse().unwrap();
    let endpoints = private.endpoints().unwrap();
    assert!(endpoints[0].1.authorization().is_some());
    assert!(!format!("{private:?}").contains("api_secret\""), "{private:?}");
}

#[test]
fn a_part_of_a_kind_to_come_is_kept() {
    let mut bytes = test_code().to_bytes();
    bytes[0] += 1;
    bytes.extend([9, 2, 0xab, 0xcd]);
    let code = code_of(&bytes).unwrap();
    assert_eq!((code.federation(), code.to_bytes()), (FederationId([0x2a; 32]), bytes));
}

#[test]
fn what_is_mistyped_is_refused() {
    let wrong = |text: &str| text.parse::<InviteCode>().expect_err(text);
    assert_eq!(wrong(&TEST.replacen("qgqq6", "qgqq7", 1)), InviteError::Text(TextError::Checksum));
    assert_eq!(wrong(&TEST[..TEST.len() - 1]), InviteError::Text(TextError::Checksum));
    assert_eq!(wrong(&TEST.replacen("fed1", "lnbc", 1)), InviteError::Text(TextError::Prefix));
    assert_eq!(wrong("fed11!"), InviteError::Text(TextError::Character));
    assert_eq!(wrong(""), InviteError::Text(TextError::Character));
    assert_eq!(wrong("fedimintw0"), InviteError::Text(TextError::Character));
    assert_eq!(wrong("fedimint000"), InviteError::Text(TextError::Padding));
    assert_eq!(wrong(&format!("fedimint{}", "0".repeat(70_000))), InviteError::Text(TextError::TooLong));
}

#[test]
fn what_was_written_wrongly_is_refused() {
    let good = test_code().to_bytes();
    let mut longer = good.clone();
    longer.push(0);
    let left_over = DecodeError { at: good.len(), fault: DecodeFault::LeftOver { count: 1 } };
    assert_eq!(code_of(&longer), Err(InviteError::Bytes(left_over)));
    for length in 1..good.len() {
        code_of(&good[..length]).expect_err("a prefix");
    }
    // The guardian alone, the federation alone, the guardian twice.
    let (guardian, federation) = (&good[1..16], &good[16..]);
    assert_eq!(code_of(&[&[1], guardian].concat()), Err(InviteError::NoFederation));
    assert_eq!(code_of(&[&[1], federation].concat()), Err(InviteError::NoGuardian));
    assert_eq!(code_of(&[&[3], guardian, guardian, federation].concat()), Err(InviteError::Twice));
    assert_eq!(code_of(&[&[3], guardian, federation, federation].concat()), Err(InviteError::Twice));
}
