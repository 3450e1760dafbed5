//! Causal delivery against a model that is too simple to be wrong: sets of messages, no bounds, no time.
//!
//! Some messages, each of one or more segments, follow others. Their segments arrive in any order, some twice,
//! some never. Before anything is given up, exactly that is delivered whose whole past is there; after
//! everything was given up, exactly what is whole; always in an order that inverts nothing, and each gap names what is missing.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as a test does")]

use proptest::prelude::*;
use quorate_base::{Mono, Now, Wall};
use quorate_channel::sds::{Arrival, Delivery, Dependency, Incoming, IncomingConfig, IncomingEvent, Verdict};
use quorate_channel::segment::{ReassemblyLimits, Segmenter};
use quorate_channel::{JoinPolicy, MessageId, Missing, SenderTag, StructuredId};
use std::collections::BTreeSet;
use std::time::Duration;

const SENDERS: usize = 4;
const LOST_AFTER: Duration = Duration::from_secs(60);
const REASSEMBLY: Duration = Duration::from_secs(300);

/// A message of the model: named by its place in the list.
#[derive(Debug, Clone)]
struct Message {
    sender: usize,
    /// The number of its first segment.
    sequence: u64,
    segments: usize,
    /// Those that it cites; what its sender sent before is in its past without that.
    cites: BTreeSet<usize>,
    /// Whether its sender uses ids that say nothing.
    opaque: bool,
}

/// What arrives: message, segment. What is not in it was lost.
type Arrivals = Vec<(usize, usize)>;

#[derive(Debug)]
struct Model {
    messages: Vec<Message>,
    arrived: BTreeSet<(usize, usize)>,
}

impl Model {
    fn is_whole(&self, message: usize) -> bool {
        (0..self.messages[message].segments).all(|segment| self.arrived.contains(&(message, segment)))
    }

    /// What `message` follows at first hand.
    fn past(&self, message: usize) -> BTreeSet<usize> {
        let this = &self.messages[message];
        let before = (0..message).filter(|other| {
            let other = &self.messages[*other];
            !this.opaque && other.sender == this.sender
        });
        before.chain(this.cites.iter().copied()).collect()
    }

    /// Whole, and so is everything that it follows.
    fn is_deliverable(&self, message: usize) -> bool {
        self.is_whole(message) && self.past(message).into_iter().all(|past| self.is_deliverable(past))
    }
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let cites = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let one = (0..SENDERS, 1..4usize, cites);
    prop::collection::vec(one, 1..24).prop_map(|drawn| {
        let mut next = [0; SENDERS];
        let mut messages: Vec<Message> = Vec::new();
        for (sender, segments, cites) in drawn {
            let cites = if messages.is_empty() {
                BTreeSet::new()
            } else {
                cites.into_iter().map(|index| index.index(messages.len())).collect()
            };
            // The last sender is of another kind; its payloads are of one segment, as it cites by id.
            let opaque = sender == SENDERS - 1;
            let segments = if opaque { 1 } else { segments };
            messages.push(Message { sender, sequence: next[sender], segments, cites, opaque });
            next[sender] += segments as u64;
        }
        messages
    })
}

/// All segments, without some, some twice, in any order.
fn scenario() -> impl Strategy<Value = (Vec<Message>, Arrivals)> {
    messages().prop_flat_map(|messages| {
        let all: Arrivals = messages
            .iter()
            .enumerate()
            .flat_map(|(number, message)| (0..message.segments).map(move |segment| (number, segment)))
            .collect();
        let copies = prop::collection::vec(prop_oneof![1 => Just(0), 8 => Just(1), 2 => Just(2)], all.len());
        let arrivals = copies.prop_map(move |copies| {
            let repeated = all.iter().zip(copies).flat_map(|(arrival, copies)| vec![*arrival; copies]);
            repeated.collect::<Arrivals>()
        });
        (Just(messages), arrivals.prop_shuffle())
    })
}

fn at(time: Duration) -> Now {
    Now::new(Mono::from_origin(time), Wall::from_unix(Duration::from_secs(1_000_000) + time))
}

fn payload(number: usize, segments: usize) -> Vec<u8> {
    vec![number as u8; segments * 128 - 1]
}

fn id(messages: &[Message], number: usize, segment: usize) -> MessageId {
    let message = &messages[number];
    if message.opaque {
        return format!("opaque {number}").into();
    }
    let hash =
        Segmenter::new(256).cut(payload(number, message.segments).into()).unwrap().next().unwrap().hash;
    let content = [hash[0], hash[1], hash[2], hash[3]];
    let sequence = message.sequence + segment as u64;
    StructuredId { tag: SenderTag([message.sender as u8 + 1; 6]), sequence, content }.to_message_id()
}

fn arrival(messages: &[Message], (number, segment): (usize, usize)) -> Arrival {
    let message = &messages[number];
    let cite = |cited: &usize| Dependency {
        // The last segment stands for the payload.
        id: id(messages, *cited, messages[*cited].segments - 1),
        time: None,
        hint: None,
        sender: None,
    };
    Arrival {
        sender: format!("{}", message.sender).into(),
        id: id(messages, number, segment),
        time: 1_000_000_000 + number as u64,
        history: message.cites.iter().map(cite).collect(),
        oldest: Some(0),
        sent_at: None,
        segment: Segmenter::new(256)
            .cut(payload(number, message.segments).into())
            .unwrap()
            .nth(segment)
            .unwrap(),
    }
}

/// What the machine says now: the numbers of the messages delivered, and what is missing.
fn drain(incoming: &mut Incoming) -> (Vec<usize>, Vec<Missing>) {
    let (mut delivered, mut missing) = (Vec::new(), Vec::new());
    while let Some(event) = incoming.poll_event() {
        match event {
            IncomingEvent::Deliver(Delivery { payload, .. }) => delivered.push(usize::from(payload[0])),
            IncomingEvent::Gap(gap) => missing.extend(gap),
        }
    }
    (delivered, missing)
}

/// Whether `missing` names a segment of `message` (or the whole of it).
fn names(missing: &Missing, messages: &[Message], message: usize) -> bool {
    let of = &messages[message];
    match missing {
        Missing::Segments { tag, sequences, .. } => {
            let all = of.sequence..of.sequence + of.segments as u64;
            !of.opaque
                && tag.0[0] == of.sender as u8 + 1
                && sequences.start < all.end
                && all.start < sequences.end
        }
        Missing::Message(id) => *id == self::id(messages, message, 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exactly_what_the_model_delivers((messages, arrivals) in scenario()) {
        let config = IncomingConfig {
            lost_after: LOST_AFTER,
            join: JoinPolicy::Since(Wall::from_unix_millis(0)),
            reassembly: ReassemblyLimits {
                bytes: 1 << 24,
                bytes_per_sender: 1 << 24,
                sets: 1_024,
                sets_per_sender: 1_024,
                timeout: REASSEMBLY,
                evict: false,
            },
            max_participants: 16,
        };
        let mut incoming = Incoming::new(at(Duration::ZERO), SenderTag([0xff; 6]), config);
        let mut model = Model { messages: messages.clone(), arrived: BTreeSet::new() };
        let mut order = Vec::new();
        for (number, segment) in arrivals {
            let verdict = incoming.handle_arrival(at(Duration::from_secs(1)), arrival(&messages, (number, segment)));
            let is_new = model.arrived.insert((number, segment));
            prop_assert_eq!(verdict, if is_new { Verdict::Accepted } else { Verdict::Duplicate });
            let (delivered, missing) = drain(&mut incoming);
            order.extend(delivered);
            prop_assert!(missing.is_empty(), "nothing is given up yet");
            let expected: BTreeSet<_> = (0..messages.len()).filter(|one| model.is_deliverable(*one)).collect();
            prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), expected);
        }

        // Then nothing arrives any more, and time passes.
        let mut missing = Vec::new();
        let mut steps = 0;
        while let Some(next) = incoming.poll_timeout() {
            incoming.handle_timeout(at(next.elapsed()));
            let (delivered, gaps) = drain(&mut incoming);
            order.extend(delivered);
            missing.extend(gaps);
            steps += 1;
            prop_assert!(steps < 2_000, "time does not pass");
            prop_assert!(next.elapsed() < REASSEMBLY + LOST_AFTER * 20, "it never ends");
        }
        let whole: BTreeSet<_> = (0..messages.len()).filter(|one| model.is_whole(*one)).collect();
        prop_assert_eq!(&order.iter().copied().collect::<BTreeSet<_>>(), &whole, "all that is whole, in the end");
        prop_assert_eq!(order.len(), whole.len(), "each once");
        for (place, message) in order.iter().enumerate() {
            for past in model.past(*message).iter().filter(|past| whole.contains(past)) {
                prop_assert!(order[..place].contains(past), "{message} came before {past}, which it follows");
            }
            let lost = model.past(*message).into_iter().filter(|past| !whole.contains(past)).collect::<Vec<_>>();
            for past in lost {
                prop_assert!(missing.iter().any(|gap| names(gap, &messages, past)), "no gap names {past}");
            }
        }
        for one in &whole {
            prop_assert!(!missing.iter().any(|gap| names(gap, &messages, *one)), "a gap names {one}, which is whole");
        }
        prop_assert_eq!((incoming.bytes(), incoming.waiting()), (0, 0));
    }
}
