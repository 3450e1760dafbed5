//! A toy protocol and a world of one machine, one pool and one clock.

use super::*;
use crate::call::Call;
use crate::error::Reason;
use crate::pool::{Node, Pool, PoolConfig};
use crate::signer::{SignKind, SignRequest, Signature};
use serde_json::{Value, json};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

mod needs;
mod race;
mod rounds;
mod sequences;

/// A protocol whose proof of a number is its double.
#[derive(Debug, Clone, Default)]
struct Doubles {
    /// What a request needs before it is sent.
    before: Vec<(&'static str, Vec<SubRequest<String>>)>,
    /// What its answers need before they can be judged.
    after: Vec<(&'static str, Vec<SubRequest<String>>)>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Because(&'static str);

impl Doubles {
    fn needs(table: &[(&'static str, Vec<SubRequest<String>>)], request: &str) -> Vec<SubRequest<String>> {
        table.iter().find(|(name, _)| *name == request).map(|(_, needs)| needs.clone()).unwrap_or_default()
    }

    fn missing(needs: &[SubRequest<String>], parts: Parts<'_, Self>) -> bool {
        needs.iter().any(|need| match need {
            SubRequest::Query(request) => parts.value(request).is_none(),
            SubRequest::Sign(request) => parts.signature(request).is_none(),
        })
    }
}

impl Verifier for Doubles {
    type Request = String;
    type Output = u64;

    fn prepare(&self, request: &String, parts: Parts<'_, Self>) -> Prepared<String, u64> {
        match request.as_str() {
            "one" => return Prepared::Local(1),
            "nonsense" => return Prepared::Refuse(Reason::new(Because("it makes no sense"))),
            "stubborn" => return Prepared::Need(vec![query("one")]),
            _ => {}
        }
        let needs = Self::needs(&self.before, request);
        if Self::missing(&needs, parts) { Prepared::Need(needs) } else { Prepared::Send }
    }

    fn encode(&self, request: &String, context: Context<'_, Self>) -> Result<Vec<Call>, Reason> {
        let call = Call::plain(request.as_str(), &json!([])).map_err(Reason::new)?;
        call.with_member("witnesses", &context.witnesses.len()).map(|call| vec![call]).map_err(Reason::new)
    }

    fn verify(
        &self,
        request: &String,
        answers: &[Bytes],
        context: Context<'_, Self>,
    ) -> Verdict<String, u64> {
        let answer: Value =
            answers.first().and_then(|answer| serde_json::from_slice(answer).ok()).unwrap_or_default();
        if answer["absent"].is_string() {
            let absent =
                vec![Bytes::copy_from_slice(answer["absent"].as_str().unwrap_or_default().as_bytes())];
            return Verdict::Unusable { reason: Reason::new(Because("not final")), absent };
        }
        let (result, proof) = (answer["result"].as_u64(), answer["proof"].as_u64());
        let Some(result) = result else {
            return Verdict::Unproven(match &answer["result"] {
                Value::Array(_) => Unproven::Empty,
                _ if !answer["error"].is_null() => Unproven::Refused { code: 3, message: "no".to_owned() },
                _ => Unproven::Null,
            });
        };
        if proof != Some(result * 2) {
            return Verdict::Lie(Reason::new(Because("the proof is not the double")));
        }
        let mut needs = Self::needs(&self.after, request);
        // The answer itself may say that it needs more.
        let named = answer["needs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        needs.extend(named.map(query));
        if Self::missing(&needs, context.parts) { Verdict::Need(needs) } else { Verdict::Verified(result) }
    }

    fn request(&self, call: &Call) -> Result<String, Reason> {
        Ok(call.method().to_string())
    }

    fn show(&self, output: &u64) -> Bytes {
        output.to_string().into()
    }

    fn name(&self, request: &String) -> String {
        request.clone()
    }
}

fn query(request: &str) -> SubRequest<String> {
    SubRequest::Query(request.to_owned())
}

fn signature(message: &'static str) -> SubRequest<String> {
    SubRequest::Sign(sign_request(message))
}

fn sign_request(message: &'static str) -> SignRequest {
    SignRequest { account: "me".into(), message: message.into(), kind: SignKind::Hash }
}

fn honest(value: u64) -> Value {
    json!({ "result": value, "proof": value * 2 })
}

fn null() -> Value {
    json!({ "result": null })
}

fn refusal() -> Value {
    json!({ "error": { "code": 3, "message": "no" } })
}

fn lie() -> Value {
    json!({ "result": 7, "proof": 13 })
}

/// Calls and their values, as texts.
type Shown = Vec<(String, String)>;

/// One machine, its pool, its time and what it wants done.
struct World {
    machine: Verified<Doubles>,
    pool: Pool,
    now: Mono,
    /// Questions that are out, in the order in which they were asked.
    asked: Vec<(ExchangeId, NodeId, String)>,
    signs: Vec<(SignId, SignRequest, Shown)>,
    done: Option<Result<Success<u64>, VerifiedError>>,
    total: usize,
}

fn pool(nodes: u16) -> Pool {
    let mut pool = Pool::new(PoolConfig::default());
    for port in 0..nodes {
        let mut node = Node::at(format!("http://127.0.0.1:{}/", 1_000 + port).parse().expect("a URL"));
        node.key = format!("key {port}").into();
        pool.insert(node).expect("room");
    }
    pool
}

fn config(race: usize) -> VerifiedConfig {
    VerifiedConfig { race: NonZeroUsize::new(race).expect("not zero"), ..VerifiedConfig::default() }
}

impl World {
    fn new(nodes: u16, config: VerifiedConfig) -> Self {
        Self::asking("value", Doubles::default(), pool(nodes), config)
    }

    fn asking(request: &str, verifier: Doubles, mut pool: Pool, config: VerifiedConfig) -> Self {
        let now = Mono::ZERO;
        let machine = Verified::new(now, &mut pool, Arc::new(verifier), request.to_owned(), config, 7);
        let (asked, signs) = (Vec::new(), Vec::new());
        let mut world = Self { machine, pool, now, asked, signs, done: None, total: 0 };
        world.drain();
        world
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                VerifiedOutput::Ask { exchange, node, calls, .. } => {
                    self.total += 1;
                    self.asked.push((exchange, node, calls[0].method().to_string()));
                }
                VerifiedOutput::Cancel { exchange, .. } => {
                    let before = self.asked.len();
                    self.asked.retain(|(other, ..)| *other != exchange);
                    assert_eq!(self.asked.len() + 1, before, "only what is out is cancelled, and once");
                }
                VerifiedOutput::Sign { id, request, fetched } => {
                    let fetched = fetched.into_iter().map(|(call, value)| {
                        (call.method().to_string(), String::from_utf8_lossy(&value).into_owned())
                    });
                    self.signs.push((id, request, fetched.collect()));
                }
                VerifiedOutput::Done(outcome) => {
                    assert!(self.done.is_none(), "it ends once");
                    self.done = Some(outcome);
                }
            }
        }
    }

    /// The question that was asked at this place answers; what is known of the node.
    fn answer(&mut self, place: usize, answer: Value) -> NodeId {
        let (exchange, node, _) = self.asked.remove(place);
        self.late_answer(exchange, answer);
        node
    }

    fn late_answer(&mut self, exchange: ExchangeId, answer: Value) {
        let answers = vec![Bytes::from(answer.to_string())];
        self.machine.handle_answers(self.now, &mut self.pool, exchange, answers);
        self.drain();
    }

    fn fail(&mut self, place: usize) -> NodeId {
        let (exchange, node, _) = self.asked.remove(place);
        self.machine.handle_failure(self.now, &mut self.pool, exchange, PeerError::Closed);
        self.drain();
        node
    }

    fn sign(&mut self, signed: Result<Signed, SignError>) {
        let (id, ..) = self.signs.remove(0);
        self.machine.handle_signed(self.now, &mut self.pool, id, signed);
        self.drain();
    }

    /// Lets time pass until the machine wants to be told.
    fn sleep(&mut self) {
        self.now = self.machine.poll_timeout().expect("it waits for something").max(self.now);
        self.machine.handle_timeout(self.now, &mut self.pool);
        self.drain();
    }

    fn value(&self) -> u64 {
        self.done.as_ref().expect("it has ended").as_ref().expect("a value").value
    }

    fn failure(&self) -> &VerifiedError {
        self.done.as_ref().expect("it has ended").as_ref().expect_err("no value")
    }

    fn place_of(&self, request: &str) -> usize {
        self.asked.iter().position(|(_, _, asked)| asked == request).expect("it is asked")
    }
}
