//! A question ready to be asked: a call, the strategy that judges its answers, and how patient to be.
//!
//! The rule: a question is a value. Both drivers run it, so the blocking and the async API are one list, [`api`].

pub mod api;

use crate::attempts::AttemptsConfig;
use crate::call::Call;
use quorate_versioning::ModuleInstanceId;
use std::marker::PhantomData;
use std::time::Duration;

/// A call and the strategy `S` that makes its answers, decoded to `A`, one value.
#[derive(Debug, Clone)]
pub struct Query<S, A> {
    /// What is asked.
    pub call: Call,
    /// What judges the answers.
    pub strategy: S,
    /// How often and how long peers are asked.
    pub config: AttemptsConfig,
    answers: PhantomData<fn() -> A>,
}

impl<S, A> Query<S, A> {
    /// With the default patience.
    pub fn new(call: Call, strategy: S) -> Self {
        Self { call, strategy, config: AttemptsConfig::default(), answers: PhantomData }
    }

    /// With another patience.
    #[must_use]
    pub const fn with_config(mut self, config: AttemptsConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.config = self.config.within(deadline);
        self
    }

    /// Allows every single attempt as long as the whole: for calls that wait on the other side.
    #[must_use]
    pub fn waiting(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self.config.attempt_timeout = deadline;
        self
    }

    /// The same question to a module instance.
    #[must_use]
    pub fn of_module(mut self, id: ModuleInstanceId) -> Self {
        self.call = self.call.of_module(id);
        self
    }
}
