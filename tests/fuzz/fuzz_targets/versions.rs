//! Version summaries: any JSON is a summary or an error, a summary survives the way back, and two peers
//! that need and offer the same choose the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate_versioning::{SupportedApiVersionsSummary, mutual};

fuzz_target!(|data: &[u8]| {
    if let Ok(summary) = serde_json::from_slice::<SupportedApiVersionsSummary>(data) {
        let text = serde_json::to_string(&summary).expect("a summary is always JSON");
        assert_eq!(serde_json::from_str::<SupportedApiVersionsSummary>(&text).ok().as_ref(), Some(&summary));
        let choice = mutual(&summary, &summary, &summary, &summary);
        assert_eq!(choice.ours, choice.theirs);
    }
});
