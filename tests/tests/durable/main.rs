//! Channels on a store: what outlives power cuts, in process and in virtual time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy does not see that helpers belong to tests")]

mod a_restart_goes_on_where_it_was;
mod half_a_payload_crosses_once;
mod member;
mod power_cuts_lose_nothing;
mod what_serves_others_is_learnt_again;
