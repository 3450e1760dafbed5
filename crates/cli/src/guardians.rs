//! `quorate guardians`: a federation to try things on.

use crate::exit::Failure;
use crate::{output, signal};
use clap::Args;
use quorate_query::{ClientConfig, InviteCode};
use quorate_testkit::guardians::{Fault, Guardians};
use serde_json::{Value, json};

/// Run guardians of a federation on 127.0.0.1 until interrupted, faulty ones among them, to try things on
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    n: u16,
    /// The first one's port, the others' following; without it ports are free ones
    #[arg(long, value_name = "P")]
    base_port: Option<u16>,
    /// What a guardian does wrong, by its number: liar, flipflop, slow=MS, hang, error=CODE, garbage, wrong-shape,
    /// wrong-id, duplicate, huge=BYTES, drop, refuse, blackhole
    #[arg(long, value_name = "I=KIND")]
    fault: Vec<String>,
    /// What all of them answer to a method, or one of them (I:METHOD=JSON)
    #[arg(long, value_name = "[I:]METHOD=JSON")]
    answer: Vec<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs them until interrupted.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let faults =
        arguments.fault.iter().map(|text| fault(text, arguments.n)).collect::<Result<Vec<_>, _>>()?;
    let answers =
        arguments.answer.iter().map(|text| answer(text, arguments.n)).collect::<Result<Vec<_>, _>>()?;
    let ports = match arguments.base_port {
        None => vec![0; usize::from(arguments.n)],
        Some(base) => {
            let last = base.checked_add(arguments.n - 1).filter(|_| base > 0);
            let last = last.ok_or_else(|| Failure::usage("the ports from --base-port on are too few"))?;
            (base..=last).collect()
        }
    };
    let guardians = Guardians::start_on(ports).await;
    let guardians = guardians.map_err(|error| Failure::usage(format!("a port cannot be had: {error}")))?;
    for (peer, method, value) in answers {
        match peer {
            Some(peer) => guardians.guardian(peer).set_answer(&method, value),
            None => guardians.set_answer(&method, &value),
        }
    }
    for (peer, fault) in faults {
        guardians.guardian(peer).set_fault(fault).await;
    }
    announce(&guardians, arguments.json)?;
    signal::interrupted().await;
    Ok(())
}

fn announce(guardians: &Guardians, json: bool) -> Result<(), Failure> {
    let invite = invite(guardians)?;
    let urls = guardians.urls();
    if json {
        output::json(&json!({ "event": "guardians", "urls": urls, "invite": invite.to_string() }));
        return Ok(());
    }
    for (peer, url) in urls.iter().enumerate() {
        output::line(&format!("guardian {peer}  {url}"));
    }
    output::line(&format!("invite code {invite}"));
    output::line(&format!("try: quorate query --peers {} session_count", urls.join(",")));
    Ok(())
}

/// An invitation to these guardians.
pub(crate) fn invite(guardians: &Guardians) -> Result<InviteCode, Failure> {
    let refused = |error: &dyn std::error::Error| Failure::failed(format!("no invite code: {error}"));
    let config = ClientConfig::try_from(guardians.config()).map_err(|error| refused(&error))?;
    let urls = config.endpoints().iter().map(|(peer, endpoint)| (*peer, endpoint.url.clone())).collect();
    InviteCode::of_federation(&urls, config.federation_id(), None).map_err(|error| refused(&error))
}

fn number(text: &str, n: u16) -> Option<usize> {
    text.parse::<u16>().ok().filter(|peer| *peer < n).map(usize::from)
}

fn fault(text: &str, n: u16) -> Result<(usize, Fault), Failure> {
    let (peer, kind) = text.split_once('=').unwrap_or((text, ""));
    let peer = number(peer, n)
        .ok_or_else(|| Failure::usage(format!("--fault {text}: there is no such guardian")))?;
    let fault = kind.parse().map_err(|error| Failure::usage(format!("--fault {text}: {error}")))?;
    Ok((peer, fault))
}

fn answer(text: &str, n: u16) -> Result<(Option<usize>, String, Value), Failure> {
    let refused = |why: String| Failure::usage(format!("--answer {text}: {why}"));
    let (name, value) = text.split_once('=').ok_or_else(|| refused("METHOD=JSON is missing".to_owned()))?;
    let value = serde_json::from_str(value).map_err(|error| refused(error.to_string()))?;
    match name.split_once(':') {
        None => Ok((None, name.to_owned(), value)),
        Some((peer, method)) => {
            let peer = number(peer, n).ok_or_else(|| refused("there is no such guardian".to_owned()))?;
            Ok((Some(peer), method.to_owned(), value))
        }
    }
}
