//! `quorate inspect`: bytes from anywhere, as fields or as the byte that is wrong.

use crate::support::{Run, run, text};

const FRAME: &str = "0803120161 1a0162 220163";

#[test]
fn bytes_come_as_digits_in_a_file_or_on_standard_input() {
    let temp = tempfile::tempdir().unwrap();
    let (raw, digits) = (temp.path().join("raw"), temp.path().join("digits"));
    std::fs::write(&raw, b"\x08\x03\x12\x01a\x1a\x01b\x22\x01c").unwrap();
    std::fs::write(&digits, format!("{FRAME}\n")).unwrap();
    let expected = run(["inspect", "--json", FRAME]).with(0).json();
    assert_eq!((&expected["as"], &expected["bytes"]), (&"frame".into(), &11.into()));
    assert_eq!(expected["fields"]["module"], "c");
    for path in [&raw, &digits] {
        assert_eq!(run(["inspect", "--json", text(path)]).with(0).json(), expected);
    }
    for words in [&["inspect", "--json"][..], &["inspect", "--json", "-"]] {
        let mut piped = Run::interactive(words);
        piped.ask(FRAME);
        assert_eq!(piped.ended().with(0).json(), expected);
    }
    let shown = run(["inspect", FRAME]).with(0).stdout;
    assert!(shown.starts_with("frame, 11 bytes\n") && shown.contains("\n  module: \"c\"\n"), "{shown}");
}

#[test]
fn the_offending_byte_is_pointed_at() {
    let ended = run(["inspect", "--as", "frame", "0803 120161 1a0962"]).with(2);
    ended.saying(&["no frame: byte 5 (0x1a): ", "ends inside a field"]);
    let failed = run(["inspect", "--json", "--as", "stream", "0100000002 0803 07"]).with(2).json();
    assert_eq!(failed["faults"][0]["offset"], 7);
    run(["inspect", "ffffff"]).with(2).saying(&["nothing that is known", "no SDS message", "no envelope"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    run(["inspect", "/nowhere/at/all"]).with(2).saying(&["/nowhere/at/all", "No such file"]);
    run(["inspect", "abc"]).with(2).saying(&["abc", "odd number"]);
    run(["inspect", "--as", "letter", "00"]).with(2).saying(&["letter", "envelope"]);
}
