//! `quorate invite`: what stands in an invite code, and codes from what stands in them.

use crate::exit::{Failure, chain};
use crate::output;
use clap::{Args, Subcommand};
use quorate_query::{ConnectInfo, Endpoint, EndpointError, FederationId, InviteCode, PeerId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

/// Read and write the invite codes of federations
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Show what stands in a code: an invite code (fed11…, fedimint…), or the connect info of 2023
    Decode {
        /// The code
        code: String,
        /// Print one JSON object instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Write a code
    Encode {
        /// A guardian: its number and its URL
        #[arg(long, value_name = "I=URL", required = true)]
        peer: Vec<String>,
        /// The federation's id: 64 hexadecimal digits
        #[arg(long, value_name = "HEX")]
        federation: String,
        /// The secret of a private federation
        #[arg(long, value_name = "SECRET")]
        api_secret: Option<String>,
        /// In base32 instead of bech32m
        #[arg(long)]
        base32: bool,
    },
}

/// Reads or writes.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.job {
        Job::Decode { code, json } => decode(&code, json),
        Job::Encode { peer, federation, api_secret, base32 } => {
            encode(&peer, &federation, api_secret, base32)
        }
    }
}

fn decode(code: &str, as_json: bool) -> Result<(), Failure> {
    let told = match code.parse::<InviteCode>() {
        Ok(invite) => {
            let guardians =
                invite.guardians().iter().map(|(peer, url)| (peer.to_string(), url.as_str().into()));
            json!({
                "kind": "invite",
                "federation": invite.federation(),
                "guardians": guardians.collect::<serde_json::Map<String, Value>>(),
                "api_secret": invite.api_secret(),
            })
        }
        Err(error) => match code.parse::<ConnectInfo>() {
            Ok(info) => json!({
                "kind": "connect info",
                "url": info.url().as_str(),
                "key": data_encoding::HEXLOWER.encode(info.key()),
                "token": data_encoding::HEXLOWER.encode(info.token()),
            }),
            Err(_) => return Err(Failure::usage(chain(&error))),
        },
    };
    if as_json {
        output::json(&told);
        return Ok(());
    }
    for (name, value) in told.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::Object(guardians) => {
                for (peer, url) in guardians {
                    output::line(&format!("guardian {peer}  {}", url.as_str().unwrap_or_default()));
                }
            }
            value => output::line(&format!("{name}  {}", value.as_str().unwrap_or_default())),
        }
    }
    Ok(())
}

/// An address that a guardian of today can have: one that is asked here, or by other clients over iroh.
fn address(text: &str) -> Result<Url, String> {
    match text.parse::<Endpoint>() {
        Err(EndpointError::Scheme) => {}
        Err(error) => return Err(error.to_string()),
        Ok(endpoint) => return Ok(endpoint.url().clone()),
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "iroh" if url.has_host() => Ok(url),
        "iroh" => Err("the URL has no host".to_owned()),
        scheme => Err(format!("no guardian speaks {scheme}: the schemes are ws, wss, http, https and iroh")),
    }
}

fn encode(
    peers: &[String],
    federation: &str,
    api_secret: Option<String>,
    base32: bool,
) -> Result<(), Failure> {
    let guardian = |text: &String| {
        let refused = |why: String| Failure::usage(format!("--peer {text}: {why}"));
        let (peer, url) = text.split_once('=').ok_or_else(|| refused("I=URL is missing".to_owned()))?;
        let peer = peer.parse().map(PeerId).map_err(|error| refused(error.to_string()))?;
        Ok((peer, address(url).map_err(refused)?))
    };
    let mut guardians = BTreeMap::new();
    for text in peers {
        let (peer, url) = guardian(text)?;
        if guardians.insert(peer, url).is_some() {
            return Err(Failure::usage(format!("--peer {text}: guardian {peer} is there already")));
        }
    }
    let federation: FederationId = federation.parse().map_err(|error| Failure::usage(chain(&error)))?;
    let invite =
        InviteCode::new(guardians, federation, api_secret).map_err(|error| Failure::usage(chain(&error)))?;
    output::line(&if base32 { invite.to_base32() } else { invite.to_string() });
    Ok(())
}
