//! A verified request from end to end, and verification alone: theirs, ours, and the ratio, from one run.
//!
//! From end to end: one honest node over HTTP on loopback, one request after the other. Verification alone: a recorded response,
//! read from its JSON each time; theirs through its transport hook, without a network.

use quorate_eth::case::parse_body;
use quorate_eth::{Depth, Question, Trust, verify};
use quorate_peers_in3::{Nodes, Request, Theirs, question};
use quorate_testkit::proof_nodes::ProofFault;
use serde_json::json;
use std::time::Instant;

const ROUNDS: usize = 5;
/// How long a round takes, about, in microseconds; theirs decides how many requests that is.
const ROUND: f64 = 400_000.0;

#[tokio::main]
async fn main() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let mut theirs = Theirs::start();
    println!("µs, medians of {ROUNDS} rounds, in turns");
    println!("{:<28} {:>10} {:>10} {:>8}", "a verified request", "theirs", "ours", "ratio");
    for request in nodes.requests() {
        let client = nodes.ours(1);
        let (mut their, mut our) = (Vec::new(), Vec::new());
        let times = times(theirs.ask(&nodes.urls(), 1, &request, 1).micros);
        for _ in 0..ROUNDS {
            their.push(theirs.ask(&nodes.urls(), 1, &request, times).micros);
            let began = Instant::now();
            for _ in 0..times {
                client.ask(question(&request)).await.expect("an honest node");
            }
            our.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(times));
        }
        line(request.0, median(their), median(our));
    }
    println!("{:<28} {:>10} {:>10} {:>8}", "verification alone", "theirs", "ours", "ratio");
    for request in nodes.requests() {
        let (mut their, mut our) = (Vec::new(), Vec::new());
        let response = nodes.chain.answer(&json!(1), request.0, &request.1, &Default::default());
        let times = times(theirs.verify(&response, &request, 1).micros);
        for _ in 0..ROUNDS {
            let said = theirs.verify(&response, &request, times);
            said.outcome.expect("it is honest");
            their.push(said.micros);
            our.push(verify_recorded(&request, response.to_string().as_bytes(), times));
        }
        line(request.0, median(their), median(our));
    }
}

fn verify_recorded(request: &Request, body: &[u8], times: u32) -> f64 {
    let question = Question::parse(request.0, &request.1).expect("a question");
    let began = Instant::now();
    for _ in 0..times {
        let response = parse_body(body).expect("JSON");
        let verdict = verify(&question, &response, &Trust::nobody(), Depth::Standard);
        assert!(verdict.is_ok(), "it is honest");
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

/// How many requests make a round.
fn times(micros: f64) -> u32 {
    ((ROUND / micros) as u32).clamp(3, 500)
}

fn line(method: &str, their: f64, our: f64) {
    println!("{method:<28} {their:>10.0} {our:>10.0} {:>8.1}", their / our);
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
