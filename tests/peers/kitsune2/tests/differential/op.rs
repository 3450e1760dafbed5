//! The operations, how they are drawn from a seed, and the bytes of the frames among them.
//!
//! Frames are written here by hand: neither side's encoder has a part in it.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;

/// The ids: none, one byte, the usual 32, one that is long. The last of each is never registered.
pub(crate) const SPACES: [&[u8]; 5] = [b"", b"s", &[7; 32], &[9; 100], b"nobody's"];
pub(crate) const MODULES: [&str; 5] =
    ["k2gossip", "Fetch", "", "a module whose name is longer than most, with é", "nobody's"];
pub(crate) const URLS: [&str; 6] = [
    "ws://host:80/aa",
    "wss://host:443/bb",
    "http://127.0.0.1:8080/cc",
    "https://[::1]:443/relay/path/dd",
    "https://host:443/relay/ee",
    "ws://host:80/ff",
];

/// One operation. Connections are numbered modulo those that are open, so that a sequence from which
/// something was taken out still means something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    RegisterSpace(u8),
    RegisterModule(u8, u8),
    UnregisterSpace(u8),
    Veto { who: Vetoer, on: bool },
    Block { space: u8, url: u8, on: bool },
    BlockCheckFails { space: u8, on: bool },
    Agents { space: u8, agents: Agents },
    GatherFails(bool),
    Connect { url: u8, spoofed: bool },
    Recv { connection: u8, frame: FrameSpec, linger: bool },
    End { connection: u8, reason: bool },
    SendNotify { url: u8, space: u8, data: Data },
    SendModule { url: u8, space: u8, module: u8, data: Data },
    Disconnect { url: u8, reason: bool },
    Listening(u8),
    ListeningFor { space: u8, url: u8 },
    ForgetAddress(u8),
    Unresponsive(u8),
    Stats,
    ResetCounts,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Vetoer {
    Handler,
    Space(u8),
    Module(u8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Agents {
    #[default]
    Some,
    None,
    Fails,
}

/// What a payload is, which decides what a handler does with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Data {
    Empty,
    Bytes(u32),
    /// The handler says no.
    Refuse,
    /// The handler panics.
    Panic,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FrameSpec {
    pub(crate) kind: i32,
    pub(crate) data: Data,
    pub(crate) space: Option<u8>,
    pub(crate) module: Option<u8>,
    pub(crate) damage: Damage,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Damage {
    None,
    /// Fields that nobody knows, and one that comes twice.
    Strange,
    Truncated,
    BadUtf8,
    WrongType,
    Garbage(u64),
}

impl Op {
    /// The name that the report counts it under.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RegisterSpace(_) => "register space",
            Self::RegisterModule(..) => "register module",
            Self::UnregisterSpace(_) => "unregister space",
            Self::Veto { on: true, who } => match who {
                Vetoer::Handler => "veto by the handler",
                Vetoer::Space(_) => "veto by a space",
                Vetoer::Module(..) => "veto by a module",
            },
            Self::Veto { .. } => "veto lifted",
            Self::Block { on: true, .. } => "block",
            Self::Block { .. } => "unblock",
            Self::BlockCheckFails { .. } => "block check fails or recovers",
            Self::Agents { agents, .. } => match agents {
                Agents::Some => "local agents",
                Agents::None => "no local agents",
                Agents::Fails => "look for agents fails",
            },
            Self::GatherFails(_) => "gathering fails or recovers",
            Self::Connect { spoofed: false, .. } => "connect",
            Self::Connect { .. } => "connect under another's URL",
            Self::Recv { frame, linger, .. } => frame.name(*linger),
            Self::End { reason: true, .. } => "connection ends with a reason",
            Self::End { .. } => "connection ends",
            Self::SendNotify { space, .. } if usize::from(*space) == SPACES.len() - 1 => {
                "send to nobody's space"
            }
            Self::SendNotify { .. } => "send notify",
            Self::SendModule { .. } => "send module message",
            Self::Disconnect { reason: true, .. } => "disconnect with a reason",
            Self::Disconnect { .. } => "disconnect",
            Self::Listening(_) => "new address",
            Self::ListeningFor { .. } => "new address of a space",
            Self::ForgetAddress(_) => "address of a space forgotten",
            Self::Unresponsive(_) => "unresponsive peer",
            Self::Stats => "stats",
            Self::ResetCounts => "reset counts",
            Self::Close => "close",
        }
    }

    /// All names, for the report.
    pub(crate) const NAMES: [&str; 48] = [
        "register space",
        "register module",
        "unregister space",
        "veto by the handler",
        "veto by a space",
        "veto by a module",
        "veto lifted",
        "block",
        "unblock",
        "block check fails or recovers",
        "local agents",
        "no local agents",
        "look for agents fails",
        "gathering fails or recovers",
        "connect",
        "connect under another's URL",
        "recv preflight",
        "recv bad preflight",
        "recv notify",
        "recv notify without space",
        "recv module message",
        "recv module message without space",
        "recv module message without module",
        "recv disconnect",
        "recv kind 0",
        "recv unknown kind",
        "recv what the handler refuses",
        "recv what makes the handler panic",
        "recv with strange fields",
        "recv truncated",
        "recv bad UTF-8",
        "recv wrong wire type",
        "recv garbage",
        "recv, and keep the connection whatever happens",
        "connection ends with a reason",
        "connection ends",
        "send to nobody's space",
        "send notify",
        "send module message",
        "disconnect with a reason",
        "disconnect",
        "new address",
        "new address of a space",
        "address of a space forgotten",
        "unresponsive peer",
        "stats",
        "reset counts",
        "close",
    ];

    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let space = |rng: &mut Rng| rng.u8(..4);
        let any_space = |rng: &mut Rng| if rng.u8(..8) == 0 { 4 } else { rng.u8(..4) };
        // One peer is met more often than the others, so that it has several connections.
        let url = if rng.bool() { 0 } else { rng.u8(..URLS.len() as u8) };
        match rng.u8(..100) {
            0..8 => Self::RegisterSpace(space(rng)),
            8..16 => Self::RegisterModule(space(rng), rng.u8(..4)),
            16..18 => Self::UnregisterSpace(any_space(rng)),
            18..20 => Self::Veto {
                who: match rng.u8(..3) {
                    0 => Vetoer::Handler,
                    1 => Vetoer::Space(space(rng)),
                    _ => Vetoer::Module(space(rng), rng.u8(..4)),
                },
                on: rng.u8(..3) == 0,
            },
            20..24 => Self::Block { space: space(rng), url, on: rng.bool() },
            24 => Self::BlockCheckFails { space: space(rng), on: rng.u8(..3) == 0 },
            25..27 => Self::Agents {
                space: space(rng),
                agents: match rng.u8(..6) {
                    0 => Agents::None,
                    1 => Agents::Fails,
                    _ => Agents::Some,
                },
            },
            27 => Self::GatherFails(rng.u8(..3) == 0),
            28..38 => Self::Connect { url, spoofed: rng.u8(..12) == 0 },
            38..70 => Self::Recv {
                connection: rng.u8(..),
                frame: FrameSpec::draw(rng, any_space),
                linger: rng.u8(..6) == 0,
            },
            70..73 => Self::End { connection: rng.u8(..), reason: rng.bool() },
            73..80 => Self::SendNotify { url, space: any_space(rng), data: Data::draw_harmless(rng) },
            80..88 => {
                let (space, module) = (any_space(rng), rng.u8(..5));
                Self::SendModule { url, space, module, data: Data::draw_harmless(rng) }
            }
            88..91 => Self::Disconnect { url, reason: rng.bool() },
            91 => Self::Listening(url),
            92 if rng.bool() => Self::ListeningFor { space: space(rng), url },
            92 if rng.u8(..4) == 0 => Self::ForgetAddress(space(rng)),
            92 => Self::Listening(url),
            93..95 => Self::Unresponsive(url),
            95..98 => Self::Stats,
            98 if rng.u8(..3) == 0 => Self::ResetCounts,
            _ if rng.u8(..4) == 0 => Self::Close,
            _ => Self::Stats,
        }
    }
}

/// Some spaces and modules, and a connection past its preflight: where most things happen.
pub(crate) fn beginning(rng: &mut Rng) -> Vec<Op> {
    let mut ops = Vec::new();
    for space in 0..4 {
        if rng.u8(..4) > 0 {
            ops.push(Op::RegisterSpace(space));
        }
        ops.extend((0..4).filter(|_| rng.bool()).map(|module| Op::RegisterModule(space, module)));
    }
    rng.shuffle(&mut ops);
    for connection in 0..rng.u8(..3) {
        let preflight =
            FrameSpec { kind: 1, data: Data::Bytes(9), space: None, module: None, damage: Damage::None };
        ops.push(Op::Connect { url: rng.u8(..URLS.len() as u8), spoofed: false });
        ops.push(Op::Recv { connection, frame: preflight, linger: false });
    }
    ops
}

impl Data {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u16(..400) {
            0..30 => Self::Empty,
            30..50 => Self::Refuse,
            50 => Self::Panic,
            51 => Self::Bytes(rng.u32(60_000..70_000)),
            _ => Self::Bytes(rng.u32(1..300)),
        }
    }

    fn draw_harmless(rng: &mut Rng) -> Self {
        match Self::draw(rng) {
            Self::Refuse | Self::Panic => Self::Empty,
            data => data,
        }
    }

    pub(crate) fn bytes(self) -> Bytes {
        match self {
            Self::Empty => Bytes::new(),
            Self::Bytes(len) => (0..len).map(|at| (at * 31 + len) as u8 | 0x80).collect::<Vec<_>>().into(),
            Self::Refuse => Bytes::from_static(b"refuse"),
            Self::Panic => Bytes::from_static(b"panic"),
        }
    }
}

impl FrameSpec {
    fn draw(rng: &mut Rng, any_space: fn(&mut Rng) -> u8) -> Self {
        // Preflights are frequent, because nothing else is delivered before one.
        let kind = match rng.u8(..24) {
            0..8 => 1,
            8..13 => 2,
            13..19 => 3,
            19 => 15,
            20 => 0,
            21 => [4, 14, 16, 1_000, -1, i32::MIN, i32::MAX][rng.usize(..7)],
            22 => 2,
            _ => 3,
        };
        let (needs_space, needs_module) = (matches!(kind, 2 | 3), kind == 3);
        let given = |rng: &mut Rng, needed| rng.u8(..10) < if needed { 9 } else { 2 };
        Self {
            kind,
            data: Data::draw(rng),
            space: given(rng, needs_space).then(|| any_space(rng)),
            module: given(rng, needs_module).then(|| rng.u8(..5)),
            damage: match rng.u8(..40) {
                0 | 1 => Damage::Strange,
                2 => Damage::Truncated,
                3 => Damage::BadUtf8,
                4 => Damage::WrongType,
                5 => Damage::Garbage(rng.u64(..)),
                _ => Damage::None,
            },
        }
    }

    fn name(&self, linger: bool) -> &'static str {
        match self.damage {
            Damage::Strange => return "recv with strange fields",
            Damage::Truncated => return "recv truncated",
            Damage::BadUtf8 => return "recv bad UTF-8",
            Damage::WrongType => return "recv wrong wire type",
            Damage::Garbage(_) => return "recv garbage",
            Damage::None if linger => return "recv, and keep the connection whatever happens",
            Damage::None => {}
        }
        match (self.kind, self.data, self.space, self.module) {
            (1, Data::Refuse, ..) => "recv bad preflight",
            (1, ..) => "recv preflight",
            (2 | 3, Data::Refuse, Some(_), _) => "recv what the handler refuses",
            (2 | 3, Data::Panic, Some(_), _) => "recv what makes the handler panic",
            (2, _, Some(_), _) => "recv notify",
            (2, ..) => "recv notify without space",
            (3, _, Some(_), Some(_)) => "recv module message",
            (3, _, Some(_), None) => "recv module message without module",
            (3, ..) => "recv module message without space",
            (15, ..) => "recv disconnect",
            (0, ..) => "recv kind 0",
            _ => "recv unknown kind",
        }
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        if let Damage::Garbage(seed) = self.damage {
            let mut rng = Rng::with_seed(seed);
            let len = rng.usize(1..60);
            out.extend((0..len).map(|_| rng.u8(..)));
            return out.freeze();
        }
        if self.kind != 0 {
            out.put_u8(0x08);
            varint(&mut out, i64::from(self.kind) as u64);
        }
        if self.damage == Damage::Strange {
            field(&mut out, 0x1a, b"a space that another replaces");
            out.put_slice(&[
                0x28, 0x01, 0x31, 1, 2, 3, 4, 5, 6, 7, 8, 0x3a, 0x02, b'h', b'i', 0x45, 1, 2, 3, 4,
            ]);
        }
        let space = self.space.or((self.damage == Damage::Strange).then_some(1));
        let data = self.data.bytes();
        if !data.is_empty() {
            field(&mut out, 0x12, &data);
        }
        if let Some(space) = space {
            field(&mut out, 0x1a, SPACES[usize::from(space)]);
        }
        if let Some(module) = self.module {
            field(&mut out, 0x22, MODULES[usize::from(module)].as_bytes());
        }
        match self.damage {
            Damage::BadUtf8 => field(&mut out, 0x22, b"\xff\xfe"),
            Damage::WrongType => out.put_slice(&[0x10, 0x01]),
            Damage::Truncated => out.put_slice(&[0x12, 0x05, b'x']),
            _ => {}
        }
        out.freeze()
    }
}

fn field(out: &mut BytesMut, key: u8, bytes: &[u8]) {
    out.put_u8(key);
    varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}
