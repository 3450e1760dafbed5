//! What a federation can be asked (seed `GlobalFederationApi`), as questions with the strategy that suits each.
//!
//! Payloads are the caller's: what Fedimint's own types are, and how they decode, stands in its modules. Where the seed reads with f + 1
//! votes, a quorum is asked here; the seed's strategies are there for those who want them ([`crate::strategy`]).

use super::Query;
use crate::call::Call;
use crate::config::{ClientConfig, WrongFederation};
use crate::invite::FederationId;
use crate::peer::PeerId;
use crate::status::StatusResponse;
use crate::strategy::{
    Decoded, FilterMap, FilterMapThreshold, NegotiateVersions, ThresholdConsensus, UnionResponsesSingle,
    VerifiableResponse,
};
use crate::transaction::TransactionStatus;
use quorate_versioning::{NumPeers, SupportedApiVersionsSummary};
use serde::Serialize;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

/// A question to which a quorum gives one answer.
pub type Agreed<A> = Query<ThresholdConsensus<PeerId, A>, A>;

/// A question to which a quorum's different answers are the value.
pub type Different<A> = Query<UnionResponsesSingle<PeerId, A>, A>;

/// Any method: the value on which a quorum agrees. For a module see [`Query::of_module`].
pub fn agreed<A: Eq>(peers: NumPeers, call: Call) -> Agreed<A> {
    Query::new(call, ThresholdConsensus::overcome_evil(peers))
}

/// `version`: what the federation can do with a client that needs `client`.
pub fn version(
    client: SupportedApiVersionsSummary,
    peers: NumPeers,
    named: impl IntoIterator<Item = PeerId>,
) -> Query<NegotiateVersions<PeerId>, SupportedApiVersionsSummary> {
    Query::new(Call::bare("version"), NegotiateVersions::new(client, peers, named))
}

/// `session_count`: how far the consensus is (today's servers).
pub fn session_count(peers: NumPeers) -> Agreed<u64> {
    agreed(peers, Call::bare("session_count"))
}

/// `fetch_epoch_count`: how far the consensus is (the seed's servers).
pub fn fetch_epoch_count(peers: NumPeers) -> Agreed<u64> {
    agreed(peers, Call::bare("fetch_epoch_count"))
}

/// `status`: what each guardian of a quorum says about itself. They need not agree.
pub fn status(peers: NumPeers) -> EachStatus {
    Query::new(Call::bare("status"), FilterMapThreshold::new(peers, |_, status| Ok(status)))
}

/// What each guardian of a quorum says about itself.
pub type EachStatus = Query<FilterMapThreshold<PeerId, StatusResponse, OwnStatus>, StatusResponse>;

/// A status as its guardian gives it.
pub type OwnStatus = fn(&PeerId, StatusResponse) -> Result<StatusResponse, Infallible>;

/// `client_config` from anybody whose guardians are those of `federation`: enough to know whom to ask, not more. What the id does
/// not cover can be one guardian's lie; ask all of them with [`client_config`] next.
pub fn guardians_of(
    federation: FederationId,
) -> Query<FilterMap<impl FnMut(ClientConfig) -> Result<ClientConfig, WrongFederation> + Send>, ClientConfig>
{
    Query::new(
        Call::bare("client_config"),
        FilterMap::new(move |config: ClientConfig| config.verified(federation)),
    )
}

/// `client_config`: the config on which a quorum agrees.
pub fn client_config(peers: NumPeers) -> Agreed<ClientConfig> {
    agreed(peers, Call::bare("client_config"))
}

/// `config` (the seed's servers): the first that the caller's check hands back, such as by the threshold signature under the key of the
/// connect info, which is the parameter.
///
/// # Errors
///
/// When `info` cannot be written as JSON.
pub fn config<T, E, C>(info: &T, check: C) -> Result<Query<FilterMap<C>, ClientConfig>, serde_json::Error>
where
    T: Serialize,
    E: Error + Send + Sync + 'static,
    C: FnMut(ClientConfig) -> Result<ClientConfig, E>,
{
    Ok(Query::new(Call::new("config", info)?, FilterMap::new(check)))
}

/// `config_hash` (the seed's servers): hexadecimal.
pub fn config_hash(peers: NumPeers) -> Agreed<String> {
    agreed(peers, Call::bare("config_hash"))
}

/// `server_config_consensus_hash`: the same of today's servers.
pub fn server_config_consensus_hash(peers: NumPeers) -> Agreed<String> {
    agreed(peers, Call::bare("server_config_consensus_hash"))
}

/// `backup`: stores the caller's signed backup with a quorum.
///
/// # Errors
///
/// When `request` cannot be written as JSON.
pub fn backup<T: Serialize>(peers: NumPeers, request: &T) -> Result<Agreed<()>, serde_json::Error> {
    Ok(agreed(peers, Call::new("backup", request)?))
}

/// `recover`: the different backups that a quorum of guardians has under `id`, `None` among them where one has none. Each is one
/// guardian's word: a backup is signed or encrypted by its owner, who checks it.
///
/// # Errors
///
/// When `id` cannot be written as JSON.
pub fn recover<T: Serialize, B: PartialEq>(
    peers: NumPeers,
    id: &T,
) -> Result<Different<Option<B>>, serde_json::Error> {
    Ok(Query::new(Call::new("recover", id)?, UnionResponsesSingle::new(peers.threshold())))
}

/// `transaction` (the seed's servers) or `submit_transaction` (today's): hands a transaction in; `A` is what they answer, such as
/// its id.
///
/// # Errors
///
/// When `transaction` cannot be written as JSON.
pub fn submit<T: Serialize, A: Eq>(
    peers: NumPeers,
    method: &'static str,
    transaction: &T,
) -> Result<Agreed<A>, serde_json::Error> {
    Ok(agreed(peers, Call::new(method, transaction)?))
}

/// `fetch_transaction`: what became of a transaction, as far as is known; `O` is the outcome of an output.
///
/// # Errors
///
/// When `id` cannot be written as JSON.
pub fn fetch_transaction<T: Serialize, O: Eq>(
    peers: NumPeers,
    id: &T,
) -> Result<Agreed<Option<TransactionStatus<O>>>, serde_json::Error> {
    Ok(agreed(peers, Call::new("fetch_transaction", id)?))
}

/// `wait_transaction`: the same, when it is decided; waits up to `deadline`.
///
/// # Errors
///
/// When `id` cannot be written as JSON.
pub fn wait_transaction<T: Serialize, O: Eq>(
    peers: NumPeers,
    id: &T,
    deadline: Duration,
) -> Result<Agreed<TransactionStatus<O>>, serde_json::Error> {
    Ok(agreed(peers, Call::new("wait_transaction", id)?).waiting(deadline))
}

/// `fetch_epoch_history`: one epoch, decoded by the caller and proven by the caller's check (a signature under the epoch's key).
///
/// The seed falls back to f + 1 equal unproven answers; here only a proof counts.
///
/// # Errors
///
/// Never for a number; the type is that of all calls with parameters.
pub fn fetch_epoch_history<A, D, E, F, V>(
    peers: NumPeers,
    epoch: u64,
    decode: F,
    verify: V,
) -> Result<Query<EpochHistory<V, F, D>, A>, serde_json::Error>
where
    D: Eq,
    E: Error + Send + Sync + 'static,
    F: FnMut(A) -> Result<D, E>,
    V: FnMut(&D) -> bool,
{
    let proven = VerifiableResponse::new(peers.total(), false, verify);
    Ok(Query::new(Call::new("fetch_epoch_history", &epoch)?, Decoded::new(proven, decode)))
}

/// Decode, then take the first that is proven.
pub type EpochHistory<V, F, D> = Decoded<VerifiableResponse<PeerId, D, V>, F, D>;
