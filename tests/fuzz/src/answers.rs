//! JSON-RPC from any bytes: an answer, a batch or an error, whatever the status, and JSON that is compared as it was written.

use quorate_query::jsonrpc::{Incoming, read_batch, read_http_answer, read_message};
use quorate_query::{Answer, ExactJson, PeerError};

/// The id of the first question.
const FIRST: u64 = 7;

/// The first bytes are the status and how many questions there were, the rest is the body.
pub fn answers(input: &[u8]) {
    let [status, count, body @ ..] = input else { return };
    let body = body.to_vec().into();
    let message = read_message(&body);
    if let Ok(Incoming::Answer { answer: Ok(Answer(result)), .. }) = &message {
        assert!(body.as_ptr_range().contains(&result.as_ptr()), "a slice of what came");
        let _ = Answer(result.clone()).decode::<ExactJson>().map(|exact| {
            let written = exact.to_string();
            assert_eq!(serde_json::from_str::<ExactJson>(&written).expect("what it wrote"), exact);
            assert_eq!(
                serde_json::from_str::<ExactJson>(&format!("{exact:#}")).expect("over lines too"),
                exact
            );
        });
    }
    let status = [200, 204, 400, 401, 429, 500, 503][usize::from(*status) % 7];
    match read_http_answer(status, &body, FIRST) {
        Ok(_) => {
            assert!(status < 300 && matches!(message, Ok(Incoming::Answer { id: FIRST, answer: Ok(_) })));
        }
        Err(PeerError::Http { status: kept, .. }) => assert!(kept == status && status >= 300),
        Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
    }
    let count = usize::from(*count % 8);
    if let Ok(answers) = read_batch(status, &body, FIRST, count) {
        assert_eq!(answers.len(), count);
    }
}
