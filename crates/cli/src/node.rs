//! `quorate node`: a peer of the transport layer that a person or a script drives.
//!
//! The rule: what happens is one line on standard output, what is asked for is one line on standard input, and
//! a peer that does not answer holds up neither.

mod command;
mod event;
mod handler;
mod ids;
mod outgoing;

use crate::exit::{Failure, chain};
use crate::signal::interrupted;
use command::{Command, Line};
use event::Event;
use handler::{Handler, Preflights};
use ids::{payload_of, space_of};
use outgoing::{Job, Outgoing};
use quorate::base::{TokioClock, Wall};
use quorate::iroh::{IrohConfig, IrohTransport, Protocols, RelayConfig, RelayUrl};
use quorate::transport::{
    BlockList, Inbox, InboxConfig, InboxMessage, ModuleRegistration, Overflow, Rule, SpaceRegistration,
    Subject, Transport, TransportConfig, TxImp, TxImpHnd, Verdict,
};
use quorate::wire::{ModuleId, PeerUrl};
use serde_json::Value;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the counters are looked at for violations that no connection tells of.
const LOOK: Duration = Duration::from_millis(250);
/// How long what was asked for before `quit` may take.
const CONCLUDING: Duration = Duration::from_secs(15);
/// How long taking leave of everybody may take.
const PARTING: Duration = Duration::from_secs(3);
/// How often an idle connection gives a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// After how long without one a peer counts as gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of each peer that wait to be written to standard output: a message of any size, and one that is on its way.
const PEER_BYTES: NonZeroUsize = NonZeroUsize::MIN.saturating_add((16 << 20) - 1);
/// The same of all peers.
const TOTAL_BYTES: NonZeroUsize = NonZeroUsize::MIN.saturating_add((64 << 20) - 1);
/// How long a peer is slowed down by who does not read standard output, before its messages are dropped.
const READER: Duration = Duration::from_secs(60);
/// Events that wait to be written.
const EVENTS: usize = 1_024;
/// What an echo begins with.
const ECHO: &[u8] = b"re:";

/// Be a peer: write what happens, line by line, and do what standard input says
///
/// Commands on standard input: notify URL SPACE TEXT, module URL SPACE NAME TEXT, block URL, unblock URL, disconnect
/// URL [REASON], peers, stats, quit. A space or a text that begins with `b64:` is bytes as base64url.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen [default: 127.0.0.1, a free port]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Be reached through this relay, and reach others through theirs; Kitsune2 nodes too
    #[arg(long, value_name = "URL")]
    relay: Option<RelayUrl>,
    /// Speak to relays without TLS, too
    #[arg(long, requires = "relay")]
    allow_plain_text: bool,
    /// A space to be in: text, or bytes as b64:…; may be given again
    #[arg(long = "space", value_name = "ID", required = true)]
    spaces: Vec<String>,
    /// A module to have in each space; may be given again
    #[arg(long = "module", value_name = "NAME")]
    modules: Vec<String>,
    /// A peer to connect to; may be given again
    #[arg(long, value_name = "URL")]
    connect: Vec<PeerUrl>,
    /// Answer every payload with `re:` before it, but for those that begin so
    #[arg(long)]
    echo: bool,
    /// Send this as the preflight, and accept any [default: this version's summary, which must fit the peer's]
    #[arg(long, value_name = "TEXT")]
    preflight: Option<String>,
    /// Write JSON to standard output: one object per event, one event per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A node while it runs.
struct Node {
    transport: Transport,
    blocked: Arc<BlockList>,
    outgoing: Outgoing,
    inbox: Inbox,
    events: mpsc::Receiver<Event>,
    /// Violations that were told.
    told: Value,
    /// Violations that the last look saw.
    seen: Value,
    /// Dropped messages that were told.
    dropped: u64,
    echo: bool,
    json: bool,
    _registrations: Vec<(SpaceRegistration, Vec<ModuleRegistration>)>,
}

/// Runs until it is told to end.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut node = Node::start(&arguments).await?;
    for peer in &arguments.connect {
        node.outgoing.push(peer.clone(), Job::Connect);
    }
    node.drive(command::lines()).await;
    // Who does not answer is left without a word.
    let _ = tokio::time::timeout(PARTING, node.transport.close()).await;
    node.drain_events();
    Ok(())
}

impl Node {
    async fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let spaces = arguments.spaces.iter().map(|space| space_of(space)).collect::<Result<Vec<_>, _>>()?;
        let preflights = match &arguments.preflight {
            Some(text) => Preflights::Verbatim(payload_of(text)?),
            None => Preflights::versions()?,
        };
        let (told, events) = mpsc::channel(EVENTS);
        let clock = TokioClock::new();
        let blocked = Arc::new(BlockList::new(Verdict::Allow, move || -> Wall { clock.now().wall }));
        let handler = Handler::new(told.clone(), preflights);
        let hnd = TxImpHnd::new(Arc::new(handler), TransportConfig::default());
        let hnd = hnd.map_err(|error| Failure::usage(chain(&error)))?;
        let transport = bind(arguments, hnd).await?;
        let config = InboxConfig {
            peer_bytes: PEER_BYTES,
            total_bytes: TOTAL_BYTES,
            overflow: Overflow::Slow(READER),
        };
        let (handlers, inbox) = Inbox::new(config).map_err(|error| Failure::usage(chain(&error)))?;

        let twice = |error: &dyn std::error::Error| {
            Failure::usage(format!("a space or module is named twice: {error}"))
        };
        let mut registrations = Vec::new();
        for space in spaces {
            let member = Arc::new(handler::Member::new(
                space.clone(),
                told.clone(),
                blocked.clone(),
                registrations.is_empty(),
            ));
            let registered = transport.register_space_handler(space.clone(), handlers.space_over(member));
            let (registered, _) = registered.map_err(|error| twice(&error))?;
            let modules = arguments.modules.iter().map(|name| {
                let module = ModuleId::from(name.as_str());
                transport.register_module_handler(space.clone(), module, handlers.module())
            });
            let modules = modules.collect::<Result<Vec<_>, _>>().map_err(|error| twice(&error))?;
            registrations.push((registered, modules));
        }
        let outgoing = Outgoing::new(transport.clone(), told);
        let (echo, json) = (arguments.echo, arguments.json);
        let counts = count_violations(&transport);
        Ok(Self {
            transport,
            blocked,
            outgoing,
            inbox,
            events,
            told: counts.clone(),
            seen: counts,
            dropped: 0,
            echo,
            json,
            _registrations: registrations,
        })
    }

    /// Until somebody says that it is over.
    async fn drive(&mut self, mut commands: mpsc::Receiver<Line>) {
        let mut looks = tokio::time::interval(LOOK);
        let mut end = std::pin::pin!(interrupted());
        let mut asked = true;
        loop {
            // One command in each turn, so that neither side keeps the other waiting.
            if let Ok(line) = commands.try_recv()
                && !self.obey_line(line)
            {
                return self.conclude(end).await;
            }
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(event) = self.events.recv() => self.tell(event),
                Some(message) = self.inbox.recv() => self.receive(message),
                line = commands.recv(), if asked => match line {
                    // Nobody asks for anything any more; what happens is told all the same.
                    None => asked = false,
                    Some(line) => if !self.obey_line(line) {
                        return self.conclude(end).await;
                    },
                },
                _ = looks.tick() => self.look(),
            }
        }
    }

    /// Does what was asked for before the end, and tells what happens meanwhile.
    async fn conclude(&mut self, mut end: impl Future<Output = ()> + Unpin) {
        let mut jobs = self.outgoing.finish();
        let done = async { while jobs.join_next().await.is_some() {} };
        let mut done = std::pin::pin!(tokio::time::timeout(CONCLUDING, done));
        loop {
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(event) = self.events.recv() => self.tell(event),
                Some(message) = self.inbox.recv() => self.receive(message),
                _ = &mut done => return,
            }
        }
    }

    /// `false`: it said that it is over.
    fn obey_line(&mut self, line: Line) -> bool {
        match line.and_then(|line| Command::parse(&line)) {
            Ok(Command::Quit) => return false,
            Ok(command) => self.obey(command),
            Err(reason) => self.write(&Event::Error { peer: None, reason }),
        }
        true
    }

    fn tell(&mut self, event: Event) {
        if let Event::Disconnect { peer, reason } = &event {
            // What it had sent came before.
            while let Some(message) = self.inbox.try_recv() {
                self.receive(message);
            }
            let (peer, reason) = (peer.clone(), reason.clone());
            self.seen = count_violations(&self.transport);
            self.tell_violations(Some((&peer, reason.as_deref())));
        }
        self.write(&event);
    }

    fn receive(&mut self, InboxMessage { peer, space, module, data }: InboxMessage) {
        if self.echo && !data.starts_with(ECHO) {
            let data = [ECHO, &data].concat().into();
            let (space, module) = (space.clone(), module.clone());
            self.outgoing.push(peer.clone(), Job::Send { space, module, data });
        }
        self.write(&Event::Message { peer, space, module, data });
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Send { peer, space, module, data } => {
                self.outgoing.push(peer, Job::Send { space, module, data });
            }
            Command::Disconnect { peer, reason } => self.outgoing.push(peer, Job::Disconnect { reason }),
            Command::Block { peer } => {
                let rule = Rule::block(Subject::peer(&peer), "blocked by hand");
                if let Err(error) = self.blocked.set(rule) {
                    self.write(&Event::Error { peer: Some(peer), reason: chain(&error) });
                }
            }
            Command::Unblock { peer } => {
                if let Ok(false) | Err(_) = self.blocked.remove(&Subject::peer(&peer), None) {
                    self.write(&Event::Error { peer: Some(peer), reason: "it was not blocked".to_owned() });
                }
            }
            Command::Peers => self.write(&Event::Peers(self.transport.connected_peers())),
            Command::Stats => self.write(&Event::Stats(Box::new(self.transport.stats()))),
            Command::Quit => {}
        }
    }

    /// Tells of violations for which no connection ended since the last look.
    fn look(&mut self) {
        self.tell_violations(None);
        self.seen = count_violations(&self.transport);
        let dropped = self.inbox.stats().dropped;
        if dropped > self.dropped {
            let reason = format!(
                "{} messages were dropped: they came faster than this is read",
                dropped - self.dropped
            );
            self.dropped = dropped;
            self.write(&Event::Error { peer: None, reason });
        }
    }

    /// Tells of the violations that were seen and not told; `ended` is the connection that just did.
    fn tell_violations(&mut self, ended: Option<(&PeerUrl, Option<&str>)>) {
        let before = std::mem::replace(&mut self.told, self.seen.clone());
        let kinds = self.seen.as_object().cloned().unwrap_or_default();
        for (kind, count) in kinds {
            if count.as_u64() > before[&kind].as_u64() {
                let reason = match ended {
                    Some((_, Some(reason))) => format!("{kind}: {reason}"),
                    _ => kind,
                };
                let peer = ended.map(|(peer, _)| peer.clone());
                self.write(&Event::Violation { peer, reason });
            }
        }
    }

    fn drain_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.tell(event);
        }
    }

    fn write(&self, event: &Event) {
        event.write(self.json);
    }
}

async fn bind(arguments: &Arguments, hnd: Arc<TxImpHnd>) -> Result<Transport, Failure> {
    let default = IrohConfig::default();
    let relay = arguments
        .relay
        .clone()
        .map(|url| RelayConfig { allow_plain_text: arguments.allow_plain_text, ..RelayConfig::new(url) });
    // Kitsune2's addresses are those of relays: without one, nobody speaks it.
    let protocols = if relay.is_some() { Protocols::Both } else { Protocols::Quorate };
    let bind_addr = arguments.listen.unwrap_or(default.bind_addr);
    let config = IrohConfig {
        bind_addr,
        relay,
        protocols,
        keep_alive: KEEP_ALIVE,
        idle_timeout: IDLE_TIMEOUT,
        ..default
    };
    let bound = IrohTransport::bind(config, Arc::clone(&hnd)).await;
    let imp = bound.map_err(|error| Failure::usage(format!("cannot listen: {}", chain(&error))))?;
    Ok(Transport::new(hnd, imp as Arc<dyn TxImp>))
}

/// Violations by kind. They are numbers, so this cannot fail.
fn count_violations(transport: &Transport) -> Value {
    serde_json::to_value(transport.totals().violations).unwrap_or_default()
}
