//! A request without its id, and an answer without its envelope.

use crate::error::PeerError;
use bytes::Bytes;
use quorate_versioning::ModuleInstanceId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A method and its parameters, written once for all peers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Call {
    method: Arc<str>,
    params: Arc<str>,
    /// A further member of the request, as it is written: `"name":json`.
    member: Option<Arc<str>>,
    whole: bool,
}

/// The one parameter that Fedimint's methods take.
#[derive(Serialize)]
struct ApiRequest<'a, T> {
    auth: Option<&'a str>,
    params: &'a T,
}

impl Call {
    /// A call of a federation without parameters: `[{"auth":null,"params":null}]`.
    pub fn bare(method: impl Into<Arc<str>>) -> Self {
        Self::written(method.into(), r#"[{"auth":null,"params":null}]"#.into())
    }

    /// A call of a federation: its servers take an array of one object, `[{"auth":null,"params":…}]`.
    ///
    /// # Errors
    ///
    /// When `params` cannot be written as JSON.
    pub fn new<T: Serialize>(method: impl Into<Arc<str>>, params: &T) -> Result<Self, serde_json::Error> {
        Self::plain(method, &[ApiRequest { auth: None, params }])
    }

    /// The same with the password of a guardian.
    ///
    /// # Errors
    ///
    /// When `params` cannot be written as JSON.
    pub fn with_auth<T: Serialize>(
        method: impl Into<Arc<str>>,
        params: &T,
        auth: &str,
    ) -> Result<Self, serde_json::Error> {
        Self::plain(method, &[ApiRequest { auth: Some(auth), params }])
    }

    /// A call with `params` as JSON-RPC has them: an array or an object.
    ///
    /// # Errors
    ///
    /// When `params` cannot be written as JSON.
    pub fn plain<T: Serialize>(method: impl Into<Arc<str>>, params: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::written(method.into(), serde_json::to_string(params)?.into()))
    }

    const fn written(method: Arc<str>, params: Arc<str>) -> Self {
        Self { method, params, member: None, whole: false }
    }

    /// With a further member beside method and params, as some protocols have (`in3`). The last one counts.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as JSON.
    pub fn with_member<T: Serialize>(mut self, name: &str, value: &T) -> Result<Self, serde_json::Error> {
        let member = format!("{}:{}", serde_json::to_string(name)?, serde_json::to_string(value)?);
        self.member = Some(member.into());
        Ok(self)
    }

    /// The answer is to be the whole response object, members beside the result included, whether it has a result or an error.
    #[must_use]
    pub const fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// The same method of a module instance: `module_{id}_{method}`.
    #[must_use]
    pub fn of_module(mut self, id: ModuleInstanceId) -> Self {
        self.method = format!("module_{id}_{}", self.method).into();
        self
    }

    /// The method.
    pub const fn method(&self) -> &Arc<str> {
        &self.method
    }

    /// The parameters, as JSON.
    pub fn params(&self) -> &str {
        &self.params
    }

    /// The further member, as JSON writes it.
    pub(crate) fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// How many bytes it has, without its envelope.
    #[cfg(feature = "tokio")]
    pub(crate) fn len(&self) -> usize {
        self.method.len() + self.params.len() + self.member().map_or(0, str::len)
    }

    /// Whether the answer is to be the whole response object.
    pub const fn wants_whole(&self) -> bool {
        self.whole
    }
}

/// What a peer answered: the JSON of the result, a slice of what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub Bytes);

impl Answer {
    /// The value.
    ///
    /// # Errors
    ///
    /// [`PeerError::Decode`] when it has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PeerError> {
        serde_json::from_slice(&self.0).map_err(|error| PeerError::Decode(Arc::new(error)))
    }
}
