//! Frames of every size: each small one, and both sides of every border that a buffer could have.

use super::{MakeImp, Node, SPACE};
use bytes::Bytes;
use quorate_transport::{SendError, SendOutcome, TransportConfig};
use tokio::join;

/// Up to here every size is tried.
const EVERY: usize = 2_100;
/// Bytes around a payload on a stream: the tests try this much on both sides of a border.
const AROUND: [usize; 5] = [5, 11, 16, 27, 48];

/// Payloads of 0 bytes to the limit arrive as they were, in order; one byte more is refused and nothing of it is sent.
pub async fn frames_of_every_size_arrive_whole(make: &impl MakeImp) {
    let config = TransportConfig::trusted();
    let (a, mut b) = (Node::new(make, config.clone()).await, Node::new(make, config).await);
    let largest = largest_payload(&a, &b).await;
    // One buffer; each size is a slice of it that begins elsewhere, so that no two payloads are alike.
    let bytes: Bytes = (0..largest + EVERY).map(|at| (at % 251) as u8).collect();
    let payload = |size: usize| bytes.slice(size % EVERY..size % EVERY + size);
    let sizes: Vec<usize> = sizes(largest);

    let b_url = b.url();
    let sending = async {
        for size in &sizes {
            let sent = a.transport.send_space_notify(&b_url, &SPACE, payload(*size)).await;
            assert_eq!(sent, Ok(SendOutcome::HandedOff));
        }
    };
    let receiving = async {
        for size in &sizes {
            let data = b.next_data().await;
            assert!(
                data == payload(*size),
                "{size} bytes did not arrive as they were, but as {}",
                data.len()
            );
        }
    };
    join!(sending, receiving);

    let beyond = a.transport.send_space_notify(&b_url, &SPACE, vec![0; largest + 1].into()).await;
    assert!(matches!(beyond, Err(SendError::TooLarge { .. })), "{beyond:?}");
    a.notify(&b, "still here").await;
    assert_eq!(b.next_data().await, "still here");
}

/// How large a payload may be, which follows from how large the frame around it may be.
#[expect(clippy::panic, reason = "a check that fails has to fail")]
async fn largest_payload(a: &Node, b: &Node) -> usize {
    let limit = TransportConfig::trusted().max_frame_bytes.get();
    match a.transport.send_space_notify(&b.url(), &SPACE, vec![0; limit].into()).await {
        Err(SendError::TooLarge { len, max }) => limit - (len - max),
        other => panic!("a frame above the limit was not refused: {other:?}"),
    }
}

fn sizes(largest: usize) -> Vec<usize> {
    let powers = (11..usize::BITS).map(|power| 1_usize << power).take_while(|power| *power < largest);
    let borders = powers.flat_map(|power| {
        let around = AROUND.into_iter().flat_map(move |by| [power - by, power + by]);
        [power - 1, power, power + 1].into_iter().chain(around)
    });
    // Large frames only on both sides of their borders, or the suite would move gigabytes.
    let borders =
        borders.filter(|size| *size < 1 << 20 || size.is_power_of_two() || (size + 1).is_power_of_two());
    (0..EVERY).chain(borders).chain([largest - 1, largest]).collect()
}
