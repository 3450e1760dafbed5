//! Ethereum answers that carry their proof, checked.
//!
//! **What it is.** A node's JSON answer goes in with the question it was asked and whom the caller trusts; a
//! typed value comes out, or the place in the JSON where the answer contradicts its proof. Headers are
//! hashed, accounts, storage, transactions and receipts looked up in the tries whose roots the headers hold, and
//! what the node says beside them must agree. The proofs are those of IN3 nodes (`in3.proof`), which for
//! accounts are EIP-1186.
//!
//! **What it does not do.** It opens no connection and asks nobody. It follows no
//! chain: a header that nobody vouches for makes a value [`Consistent`], never [`Anchored`]. It runs no
//! contract code, so `eth_call` is not among the [questions](Question). It does not believe a node that
//! something does not exist unless a trie shows it.
//!
//! ```
//! use quorate_eth::{Depth, Question, Trust, Unproven, Verdict, verify};
//! use serde_json::json;
//!
//! let address = "0x00000000219ab540356cbb839cbe05303d7705fa";
//! let question = Question::parse("eth_getBalance", &json!([address, "latest"]))?;
//! // A node that says that there is nothing, and proves nothing:
//! let answer = json!({ "id": 1, "jsonrpc": "2.0", "result": null });
//! let verdict = verify(&question, &answer, &Trust::nobody(), Depth::Standard)?;
//! assert_eq!(verdict, Verdict::Unproven(Unproven::Null));
//! // One that names a sum, and proves nothing:
//! let answer = json!({ "id": 1, "jsonrpc": "2.0", "result": "0xde0b6b3a7640000" });
//! let error = verify(&question, &answer, &Trust::nobody(), Depth::Standard).unwrap_err();
//! assert_eq!(error.to_string(), "$.in3.proof: it is missing");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No features, no runtime; it builds for `wasm32-unknown-unknown`. More in `docs/eth.md`.

pub mod answer;
pub mod case;
mod error;
mod filter;
mod header;
mod json;
mod payment;
mod question;
mod recover;
mod request;
mod signer;
pub mod trie;
mod trust;
mod verifier;
mod verify;

pub use answer::Answer;
pub use error::{QuestionError, Reason, Rejected};
pub use filter::LogFilter;
pub use header::{Header, MAX_FIELDS, Seal};
pub use question::{AccountField, BlockId, Question};
pub use quorate_query::verified::Unproven;
pub use request::{EthRequest, Payment};
pub use signer::{LocalSigner, NotAKey};
pub use trust::{Anchor, Anchored, Consistent, Trust, Verified, signed_message};
pub use verifier::EthVerifier;
pub use verify::{Depth, Verdict, verify};
