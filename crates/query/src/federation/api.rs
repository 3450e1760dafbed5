//! The federation's API as methods: [`crate::query::api`], asked.

use super::Federation;
use crate::attempts::AttemptsConfig;
use crate::call::Call;
use crate::client::ClientSettings;
use crate::config::{ClientConfig, WrongFederation};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::PeerError;
use crate::invite::InviteCode;
use crate::peer::PeerId;
use crate::query::{Query, api};
use crate::report::QueryError;
use crate::status::StatusResponse;
use crate::strategy::QueryStrategy;
use crate::transaction::{OutcomeError, TransactionStatus};
use quorate_versioning::{ModuleInstanceId, Negotiation, SupportedApiVersionsSummary};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why a call of the API has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The parameters cannot be written as JSON. Nobody was asked.
    #[error("the parameters cannot be written as JSON: {0}")]
    Params(#[from] serde_json::Error),
    /// The federation has no value.
    #[error(transparent)]
    Query(#[from] QueryError<PeerId>),
}

/// Why nobody could join a federation by its invite code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// An address cannot be spoken to by this client.
    #[error("the address of a guardian cannot be used: {0}")]
    Endpoint(#[from] EndpointError),
    /// The federation does not answer as it should.
    #[error(transparent)]
    Query(#[from] QueryError<PeerId>),
    /// A quorum of the guardians agrees on a config that names others.
    #[error(transparent)]
    WrongFederation(#[from] WrongFederation),
    /// It has no guardian.
    #[error(transparent)]
    Empty(#[from] super::EmptyFederation),
}

impl Federation {
    /// The federation of an invite code, and its config: asks the guardians that the code names, believes none who cannot show guardians that
    /// hash to the federation's id, and then asks those for the config on which a quorum agrees.
    ///
    /// # Errors
    ///
    /// [`JoinError`], within twice the deadline of `patience`.
    pub async fn join(
        invite: &InviteCode,
        settings: ClientSettings,
        patience: AttemptsConfig,
    ) -> Result<(Self, ClientConfig), JoinError> {
        let named = Self::at(invite.endpoints()?, settings.clone())?;
        let guardians = named.run(api::guardians_of(invite.federation()).with_config(patience)).await?;
        let endpoints = guardians.endpoints().iter().map(|(peer, guardian)| {
            let endpoint = Endpoint::new(guardian.url.clone())?;
            Ok((
                *peer,
                match invite.api_secret() {
                    Some(secret) => endpoint.with_api_secret(secret),
                    None => endpoint,
                },
            ))
        });
        let federation = Self::at(endpoints.collect::<Result<Vec<_>, EndpointError>>()?, settings)?;
        let agreed = federation.run(api::client_config(federation.num_peers()).with_config(patience)).await?;
        Ok((federation, agreed.verified(invite.federation())?))
    }

    /// The value on which a quorum agrees.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when there is none.
    pub async fn agreed<A: DeserializeOwned + Eq>(&self, call: Call) -> Result<A, QueryError<PeerId>> {
        self.run(api::agreed(self.num_peers(), call)).await
    }

    /// What a client that needs `client` can use. One answer of the federation; [`Discovery`](crate::Discovery) goes on from there.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when fewer than a quorum answer.
    pub async fn version(
        &self,
        client: SupportedApiVersionsSummary,
    ) -> Result<Negotiation<PeerId, ModuleInstanceId>, QueryError<PeerId>> {
        self.run(api::version(client, self.num_peers(), self.peers())).await
    }

    /// How far the consensus is.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when no quorum agrees.
    pub async fn session_count(&self) -> Result<u64, QueryError<PeerId>> {
        self.run(api::session_count(self.num_peers())).await
    }

    /// The same of the seed's servers.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when no quorum agrees.
    pub async fn fetch_epoch_count(&self) -> Result<u64, QueryError<PeerId>> {
        self.run(api::fetch_epoch_count(self.num_peers())).await
    }

    /// What each guardian of a quorum says about itself.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when fewer than a quorum answer.
    pub async fn status(&self) -> Result<BTreeMap<PeerId, StatusResponse>, QueryError<PeerId>> {
        self.run(api::status(self.num_peers())).await
    }

    /// The config on which a quorum agrees.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when no quorum agrees.
    pub async fn client_config(&self) -> Result<ClientConfig, QueryError<PeerId>> {
        self.run(api::client_config(self.num_peers())).await
    }

    /// The config of a seed's server that the caller's check hands back.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when none does.
    pub async fn config<T: Serialize + Sync, E: Error + Send + Sync + 'static>(
        &self,
        info: &T,
        check: impl FnMut(ClientConfig) -> Result<ClientConfig, E> + Send,
    ) -> Result<ClientConfig, ApiError> {
        Ok(self.run(api::config(info, check)?).await?)
    }

    /// The hash of the config (the seed's servers), in hexadecimal.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when no quorum agrees.
    pub async fn config_hash(&self) -> Result<String, QueryError<PeerId>> {
        self.run(api::config_hash(self.num_peers())).await
    }

    /// Stores a backup with a quorum.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when no quorum took it; some may have.
    pub async fn backup<T: Serialize + Sync>(&self, request: &T) -> Result<(), ApiError> {
        Ok(self.run(api::backup(self.num_peers(), request)?).await?)
    }

    /// The different backups that a quorum has under `id`. Each is one guardian's word.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when fewer than a quorum answer.
    pub async fn recover<T, B>(&self, id: &T) -> Result<Vec<B>, ApiError>
    where
        T: Serialize + Sync,
        B: DeserializeOwned + PartialEq,
    {
        let found = self.run(api::recover(self.num_peers(), id)?).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Hands a transaction in; what the federation answers, such as its id. `method` is `transaction` for the seed's servers and
    /// `submit_transaction` for today's.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when no quorum gives one answer; some may have taken it.
    pub async fn submit_transaction<T, A>(&self, method: &'static str, transaction: &T) -> Result<A, ApiError>
    where
        T: Serialize + Sync,
        A: DeserializeOwned + Eq,
    {
        Ok(self.run(api::submit(self.num_peers(), method, transaction)?).await?)
    }

    /// What became of a transaction, as far as is known.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when no quorum agrees.
    pub async fn fetch_transaction<T, O>(&self, id: &T) -> Result<Option<TransactionStatus<O>>, ApiError>
    where
        T: Serialize + Sync,
        O: DeserializeOwned + Eq,
    {
        Ok(self.run(api::fetch_transaction(self.num_peers(), id)?).await?)
    }

    /// What became of a transaction, when it is decided.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when no quorum agrees within `timeout`.
    pub async fn await_transaction<T, O>(
        &self,
        id: &T,
        timeout: Duration,
    ) -> Result<TransactionStatus<O>, ApiError>
    where
        T: Serialize + Sync,
        O: DeserializeOwned + Eq,
    {
        Ok(self.run(api::wait_transaction(self.num_peers(), id, timeout)?).await?)
    }

    /// What became of an output, as far as is known, through the caller's decoder.
    ///
    /// # Errors
    ///
    /// [`OutcomeError`].
    pub async fn fetch_output<T, O, R, E>(
        &self,
        id: &T,
        index: u64,
        decode: impl FnOnce(O) -> Result<R, E>,
    ) -> Result<Option<R>, OutcomeError>
    where
        T: Serialize + Sync,
        O: DeserializeOwned + Eq,
        E: Error + Send + Sync + 'static,
    {
        let status = self.fetch_transaction(id).await.map_err(outcome_error)?;
        status.map(|status| status.output(index, decode)).transpose()
    }

    /// What became of an output, when it is decided, through the caller's decoder.
    ///
    /// # Errors
    ///
    /// [`OutcomeError`]; [`OutcomeError::Timeout`] when it is not decided within `timeout`.
    pub async fn await_output<T, O, R, E>(
        &self,
        id: &T,
        index: u64,
        timeout: Duration,
        decode: impl FnOnce(O) -> Result<R, E>,
    ) -> Result<R, OutcomeError>
    where
        T: Serialize + Sync,
        O: DeserializeOwned + Eq,
        E: Error + Send + Sync + 'static,
    {
        // The query's own deadline stands behind this one, for its account of the peers.
        let patience = timeout.saturating_add(Duration::from_secs(1));
        let waiting = tokio::time::timeout(timeout, self.await_transaction(id, patience)).await;
        waiting.map_err(|_| OutcomeError::Timeout(timeout))?.map_err(outcome_error)?.output(index, decode)
    }

    /// One epoch, decoded and proven by the caller (the seed's servers).
    ///
    /// # Errors
    ///
    /// [`ApiError`] when nobody can prove one.
    pub async fn fetch_epoch_history<A, D, E>(
        &self,
        epoch: u64,
        decode: impl FnMut(A) -> Result<D, E> + Send,
        verify: impl FnMut(&D) -> bool + Send,
    ) -> Result<D, ApiError>
    where
        A: DeserializeOwned,
        D: Eq,
        E: Error + Send + Sync + 'static,
    {
        Ok(self.run(api::fetch_epoch_history(self.num_peers(), epoch, decode, verify)?).await?)
    }

    /// Any call of a module instance, with any strategy.
    ///
    /// # Errors
    ///
    /// [`QueryError`] when the strategy has no value.
    pub async fn call_module<A, S>(
        &self,
        id: ModuleInstanceId,
        query: Query<S, A>,
    ) -> Result<S::Output, QueryError<PeerId>>
    where
        A: DeserializeOwned,
        S: QueryStrategy<PeerId, A>,
    {
        self.module(id).run(query).await
    }
}

fn outcome_error(error: ApiError) -> OutcomeError {
    match error {
        ApiError::Query(error) => OutcomeError::Query(error),
        ApiError::Params(error) => OutcomeError::Decode(PeerError::Decode(Arc::new(error))),
    }
}
