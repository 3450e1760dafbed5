//! Operations on a verified request: it ends, and only with what was proven.

use bytes::Bytes;
use quorate_base::Mono;
use quorate_query::pool::{Node, Pool, PoolConfig};
use quorate_query::signer::{SignError, SignKind, SignRequest, Signature, Signed};
use quorate_query::verified::{
    Context, Parts, Prepared, State, SubRequest, Unproven, Verdict, Verified, VerifiedConfig, VerifiedOutput,
    Verifier,
};
use quorate_query::{Call, PeerError, Reason};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// Requests are numbers; each needs what a table says, and one byte is a proof.
struct Toy {
    table: [u8; 8],
}

const TRUE: u8 = 1;

fn signature(of: u8) -> SignRequest {
    SignRequest { account: Bytes::new(), message: Bytes::copy_from_slice(&[of]), kind: SignKind::Raw }
}

impl Toy {
    /// What a request needs: another one, a signature, both, or nothing.
    fn needs(&self, request: u8, shift: u8) -> Vec<SubRequest<u8>> {
        let rule = self.table[usize::from(request % 8)].rotate_right(u32::from(shift));
        let mut needs = Vec::new();
        if rule & 1 != 0 {
            needs.push(SubRequest::Query((rule >> 2) % 8));
        }
        if rule & 2 != 0 {
            needs.push(SubRequest::Sign(signature(request)));
        }
        needs
    }

    fn missing(needs: &[SubRequest<u8>], parts: Parts<'_, Self>) -> bool {
        needs.iter().any(|need| match need {
            SubRequest::Query(request) => parts.value(request).is_none(),
            SubRequest::Sign(request) => parts.signature(request).is_none(),
        })
    }
}

impl Verifier for Toy {
    type Request = u8;
    type Output = u8;

    fn prepare(&self, request: &u8, parts: Parts<'_, Self>) -> Prepared<u8, u8> {
        let needs = self.needs(*request, 0);
        if Self::missing(&needs, parts) { Prepared::Need(needs) } else { Prepared::Send }
    }

    fn encode(&self, request: &u8, _context: Context<'_, Self>) -> Result<Vec<Call>, Reason> {
        Call::plain(request.to_string(), &[0]).map(|call| vec![call]).map_err(Reason::new)
    }

    fn verify(&self, request: &u8, answers: &[Bytes], context: Context<'_, Self>) -> Verdict<u8, u8> {
        match answers.first().and_then(|answer| answer.first()).copied().unwrap_or_default() {
            TRUE => {
                let needs = self.needs(*request, 4);
                if Self::missing(&needs, context.parts) {
                    Verdict::Need(needs)
                } else {
                    Verdict::Verified(TRUE)
                }
            }
            2 => Verdict::Lie(Reason::new(PeerError::Closed)),
            3 => Verdict::Unusable {
                reason: Reason::new(PeerError::Closed),
                absent: vec![Bytes::from_static(b"key")],
            },
            _ => Verdict::Unproven(Unproven::Null),
        }
    }

    fn request(&self, call: &Call) -> Result<u8, Reason> {
        call.method().parse().map_err(Reason::new)
    }

    fn show(&self, output: &u8) -> Bytes {
        Bytes::copy_from_slice(&[*output])
    }

    fn name(&self, request: &u8) -> String {
        request.to_string()
    }
}

/// A head of 12 bytes (what needs what, how many nodes, how they are asked), then operations of two.
pub fn verified(input: &[u8]) {
    let Some((head, operations)) = input.split_at_checked(12) else { return };
    let mut table = [0; 8];
    table.copy_from_slice(&head[..8]);
    let mut pool = Pool::new(PoolConfig::default());
    for port in 1..=u16::from(head[8] % 6) {
        let Ok(endpoint) = format!("http://127.0.0.1:{port}/").parse() else { return };
        assert!(pool.insert(Node::at(endpoint)).is_ok(), "there is room");
    }
    let config = VerifiedConfig {
        race: NonZeroUsize::MIN.saturating_add(usize::from(head[9] % 4)),
        hedge: (head[10] & 1 != 0).then_some(Duration::from_millis(10)),
        audit: head[10] & 2 != 0,
        ..VerifiedConfig::default()
    };
    let mut now = Mono::ZERO;
    let mut machine = Verified::new(now, &mut pool, Arc::new(Toy { table }), 0, config, u64::from(head[11]));
    let (mut asked, mut signs, mut ended) = (Vec::new(), Vec::new(), None);
    let mut operations = operations.chunks_exact(2);
    loop {
        while let Some(output) = machine.poll_output() {
            match output {
                VerifiedOutput::Ask { exchange, .. } => asked.push(exchange),
                VerifiedOutput::Cancel { .. } => {}
                VerifiedOutput::Sign { id, .. } => signs.push(id),
                VerifiedOutput::Done(outcome) => {
                    assert!(ended.is_none(), "it ends once");
                    ended = Some(outcome.map(|success| assert_eq!(success.value, TRUE)).is_ok());
                }
            }
        }
        let state = if ended == Some(true) { State::Success } else { State::Error };
        assert!(ended.is_none() || machine.state() == state);
        let Some(&[operation, value]) = operations.next().and_then(|pair| pair.first_chunk::<2>()) else {
            break;
        };
        // Also what has ended long ago: late answers, repeated signatures.
        let exchange = asked.get(usize::from(value >> 3) % asked.len().max(1)).copied();
        let sign = signs.get(usize::from(value >> 3) % signs.len().max(1)).copied();
        match (operation % 5, exchange, sign) {
            (0 | 1, Some(exchange), _) => {
                let answer = Bytes::copy_from_slice(&[value % 8]);
                machine.handle_answers(now, &mut pool, exchange, vec![answer]);
            }
            (2, Some(exchange), _) => machine.handle_failure(now, &mut pool, exchange, PeerError::Closed),
            (3, _, Some(id)) => {
                let signed = Signature { message: Bytes::new(), bytes: Bytes::new() };
                let signed = match value % 4 {
                    0 => Err(SignError::UnknownAccount),
                    1 => Call::plain((value % 8).to_string(), &[0])
                        .map(|call| Signed::Needs(vec![call]))
                        .map_err(|error| SignError::Failed(Reason::new(error))),
                    _ => Ok(Signed::Signature(signed)),
                };
                machine.handle_signed(now, &mut pool, id, signed);
            }
            _ => {
                now = now.max(machine.poll_timeout().unwrap_or(now));
                machine.handle_timeout(now, &mut pool);
            }
        }
    }
    let mut steps = 0;
    while let Some(at) = machine.poll_timeout() {
        steps += 1;
        assert!(steps < 10_000, "it never ends");
        now = now.max(at);
        machine.handle_timeout(now, &mut pool);
        while machine.poll_output().is_some() {}
    }
}
