//! Whether two sides did the same, and if not, which difference on our list it is.
//!
//! Each rule is as narrow as it can be: it says what both sides must have returned and whom they must
//! have called. What no rule names is a disagreement, and the test fails.

use crate::event::{Event, Outcome, Who, phase};
use crate::op::{Data, Op, Vetoer};
use crate::script::vetoer;
use quorate_transport::MAX_REASON_BYTES;
use std::collections::BTreeSet;

/// Our default limit for the payload of a preflight.
const MAX_PREFLIGHT: usize = 64 << 10;

/// Our default limit for the connections of one peer.
const CONNECTIONS_OF_PEER: usize = 4;

/// What one side did at one operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) outcome: Outcome,
    pub(crate) events: Vec<Event>,
}

/// A difference on purpose: a case of one that `docs/transport.md` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    PanicIsContained,
    DuplicateIsAnError,
    VetoIsTakenBack,
    FirstFrameIsNoPreflight,
    SecondPreflight,
    PreflightTooLarge,
    LongGoodbyeIsCut,
    TooManyConnectionsOfPeer,
    ModuleWithoutModule,
    UnknownSpaceIsAnError,
    BlockedSendSaysSo,
    CountsAreBounded,
    CountsAreReset,
    ErrorsEndTheConnection,
    UrlOfAnotherKey,
    ModulesLearnAddresses,
    RegisteringAfterClose,
    OwnAddressIsForgotten,
}

impl Difference {
    pub(crate) const ALL: [Self; 18] = [
        Self::PanicIsContained,
        Self::DuplicateIsAnError,
        Self::VetoIsTakenBack,
        Self::FirstFrameIsNoPreflight,
        Self::SecondPreflight,
        Self::PreflightTooLarge,
        Self::LongGoodbyeIsCut,
        Self::TooManyConnectionsOfPeer,
        Self::ModuleWithoutModule,
        Self::UnknownSpaceIsAnError,
        Self::BlockedSendSaysSo,
        Self::CountsAreBounded,
        Self::CountsAreReset,
        Self::ErrorsEndTheConnection,
        Self::UrlOfAnotherKey,
        Self::ModulesLearnAddresses,
        Self::RegisteringAfterClose,
        Self::OwnAddressIsForgotten,
    ];

    /// How the list in `docs/transport.md` calls it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::PanicIsContained => "No callback under a lock",
            Self::DuplicateIsAnError => "A duplicate registration",
            Self::VetoIsTakenBack => "A veto is taken back",
            Self::FirstFrameIsNoPreflight | Self::SecondPreflight => "The first frame must be a preflight",
            Self::PreflightTooLarge | Self::LongGoodbyeIsCut | Self::TooManyConnectionsOfPeer => {
                "Limits are the core's"
            }
            Self::ModuleWithoutModule => "A module frame without its module is a violation",
            Self::UnknownSpaceIsAnError | Self::BlockedSendSaysSo => "A send to an unknown space is an error",
            Self::CountsAreBounded | Self::CountsAreReset => "Block counts",
            Self::ErrorsEndTheConnection => "Errors close the connection",
            Self::UrlOfAnotherKey => "The URL is bound to the key",
            Self::ModulesLearnAddresses => "Modules are told of new addresses",
            Self::RegisteringAfterClose => "Registering after close is an error",
            Self::OwnAddressIsForgotten => "A space's own address",
        }
    }
}

/// What the comparison needs to know besides.
pub(crate) struct Facts {
    /// Everybody who is registered, the handler included.
    pub(crate) registered: BTreeSet<Who>,
    pub(crate) vetoes: BTreeSet<Vetoer>,
    /// The spaces that have ever had an address of their own.
    pub(crate) addressed: BTreeSet<u8>,
    /// How many connections there are to the URL that is dialed.
    pub(crate) connections: usize,
    /// Where the connection was that a frame came in on.
    pub(crate) phase: Option<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Awaiting,
    Ready,
    /// An error ended it, and the backend goes on all the same.
    Failed,
}

/// `Ok(None)`: the same. `Ok(Some(…))`: a difference on purpose. `Err`: neither.
pub(crate) fn compare(
    op: &Op,
    theirs: &Step,
    ours: &Step,
    facts: &Facts,
) -> Result<Option<Difference>, String> {
    let verdict = match op {
        Op::Connect { .. } => connect(theirs, ours, facts),
        _ if theirs == ours && theirs.outcome != Outcome::Panicked => Some(None),
        Op::RegisterSpace(space) => registered(theirs, ours, facts.addressed.contains(space)),
        Op::RegisterModule(..) => registered(theirs, ours, false),
        Op::Recv { frame, .. } => recv(frame.data, theirs, ours, facts),
        Op::SendNotify { .. } | Op::SendModule { .. } => send(theirs, ours),
        Op::Listening(_) | Op::ListeningFor { .. } => listening(theirs, ours, facts),
        _ => None,
    };
    verdict.ok_or_else(|| format!("at {op:?}\n  theirs: {theirs:?}\n  ours:   {ours:?}"))
}

fn registered(theirs: &Step, ours: &Step, addressed: bool) -> Option<Option<Difference>> {
    let difference = match (&theirs.outcome, &ours.outcome) {
        (Outcome::Panicked, Outcome::Duplicate) => Difference::DuplicateIsAnError,
        (Outcome::Url(None) | Outcome::Ok, Outcome::Closed) => Difference::RegisteringAfterClose,
        (Outcome::Url(Some(_)), Outcome::Url(Some(_))) if addressed => Difference::OwnAddressIsForgotten,
        _ => return None,
    };
    (theirs.events == ours.events).then_some(Some(difference))
}

fn recv(data: Data, theirs: &Step, ours: &Step, facts: &Facts) -> Option<Option<Difference>> {
    let quiet = without_ends(&ours.events).next().is_none();
    let awaiting = facts.phase == Some(Phase::Awaiting);
    let difference = match (&theirs.outcome, &ours.outcome) {
        (Outcome::Panicked, Outcome::Panicked) if data == Data::Panic => {
            // Whoever was called before the panic was called on both sides.
            let same = without_ends(&theirs.events).eq(without_ends(&ours.events));
            return same.then_some(Some(Difference::PanicIsContained));
        }
        (Outcome::Goodbye(whole), Outcome::Goodbye(cut)) if cut.len() > MAX_REASON_BYTES - 4 => {
            let same = whole.starts_with(cut.as_str()) && theirs.events == ours.events;
            return (same && whole.len() > MAX_REASON_BYTES).then_some(Some(Difference::LongGoodbyeIsCut));
        }
        (_, Outcome::Ended) if facts.phase == Some(Phase::Failed) => Difference::ErrorsEndTheConnection,
        (_, Outcome::NotPreflight) if awaiting => Difference::FirstFrameIsNoPreflight,
        (_, Outcome::TooLarge) if awaiting && data.bytes().len() > MAX_PREFLIGHT => {
            Difference::PreflightTooLarge
        }
        (_, Outcome::SecondPreflight) if facts.phase == Some(Phase::Ready) => Difference::SecondPreflight,
        (Outcome::Ok | Outcome::Refused, Outcome::MissingModule) => Difference::ModuleWithoutModule,
        _ => return None,
    };
    // Their handlers may have been called. Ours must not have been.
    quiet.then_some(Some(difference))
}

fn send(theirs: &Step, ours: &Step) -> Option<Option<Difference>> {
    let unsent = !theirs.events.iter().any(|event| matches!(event, Event::Sent { .. }));
    let same = theirs.outcome == Outcome::Ok && unsent && theirs.events == ours.events;
    match ours.outcome {
        Outcome::UnknownSpace if same && ours.events.is_empty() => {
            Some(Some(Difference::UnknownSpaceIsAnError))
        }
        Outcome::Blocked if same => Some(Some(Difference::BlockedSendSaysSo)),
        _ => None,
    }
}

fn listening(theirs: &Step, ours: &Step, facts: &Facts) -> Option<Option<Difference>> {
    let but = |step: &Step, addressed: &BTreeSet<u8>| -> Vec<Event> {
        let others = step.events.iter().filter(|event| match event {
            Event::Listening { who: Who::Module { .. }, .. } => false,
            Event::Listening { who: Who::Space { space, .. }, .. } => !addressed.contains(space),
            _ => true,
        });
        others.cloned().collect()
    };
    if theirs.outcome != ours.outcome {
        None
    } else if but(theirs, &BTreeSet::new()) == but(ours, &BTreeSet::new()) {
        Some(Some(Difference::ModulesLearnAddresses))
    } else {
        (but(theirs, &facts.addressed) == but(ours, &facts.addressed))
            .then_some(Some(Difference::OwnAddressIsForgotten))
    }
}

/// Which of several vetoes comes first is up to the order of a hash map, on both sides.
fn connect(theirs: &Step, ours: &Step, facts: &Facts) -> Option<Option<Difference>> {
    if ours.outcome == Outcome::SpoofedUrl {
        return ours.events.is_empty().then_some(Some(Difference::UrlOfAnotherKey));
    }
    if ours.outcome == Outcome::TooManyOfPeer {
        let full = facts.connections >= CONNECTIONS_OF_PEER && ours.events.is_empty();
        return full.then_some(Some(Difference::TooManyConnectionsOfPeer));
    }
    if theirs.outcome != ours.outcome {
        return None;
    }
    for side in [theirs, ours] {
        told_in_order(side, facts).then_some(())?;
    }
    let rest = |step: &Step| -> Vec<Event> {
        let rest = step.events.iter().filter(|event| {
            !matches!(event, Event::Connect { .. } | Event::Disconnect { .. } | Event::Agents { .. })
        });
        rest.cloned().collect()
    };
    let ended = |step: &Step| -> BTreeSet<Who> {
        let ended = step.events.iter().filter_map(|event| match event {
            Event::Disconnect { who, .. } => Some(*who),
            _ => None,
        });
        ended.collect()
    };
    if rest(theirs) != rest(ours) || !ended(theirs).is_empty() {
        return None;
    }
    let mut told = told(ours);
    if told.iter().any(|who| facts.vetoes.contains(&vetoer(who))) {
        // Who refused has nothing to take back.
        told.retain(|who| !facts.vetoes.contains(&vetoer(who)));
    }
    match (ours.outcome.is_error(), ended(ours)) {
        (false, ended) => ended.is_empty().then_some(None),
        (true, ended) if ended != told => None,
        (true, ended) if ended.is_empty() => Some(None),
        (true, _) => Some(Some(Difference::VetoIsTakenBack)),
    }
}

fn told(step: &Step) -> BTreeSet<Who> {
    let told = step.events.iter().filter_map(|event| match event {
        Event::Connect { who, .. } => Some(*who),
        _ => None,
    });
    told.collect()
}

/// All who come before the first veto were told, nobody behind it, and nobody twice.
fn told_in_order(step: &Step, facts: &Facts) -> bool {
    let told = told(step);
    let once =
        step.events.iter().filter(|event| matches!(event, Event::Connect { .. })).count() == told.len();
    let vetoers = facts.registered.iter().filter(|who| facts.vetoes.contains(&vetoer(who)));
    let Some(vetoed) = vetoers.map(phase).min() else {
        return once && (told == facts.registered || step.outcome == Outcome::Closed);
    };
    let before = facts.registered.iter().filter(|who| phase(who) < vetoed);
    let refused = told.iter().filter(|who| phase(who) == vetoed && facts.vetoes.contains(&vetoer(who)));
    let outcome = step.outcome == Outcome::Refused || step.outcome == Outcome::Closed;
    let nobody_behind = told.iter().all(|who| phase(who) <= vetoed && facts.registered.contains(who));
    once && outcome
        && nobody_behind
        && refused.count() == 1
        && before.into_iter().all(|who| told.contains(who))
}

fn without_ends(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().filter(|event| !matches!(event, Event::Disconnect { .. }))
}
