//! An iroh relay on loopback, plain text, started and stopped by the test.
//!
//! The rule: a relay that is stopped is gone as a process that was killed is, with all its sockets. It has a runtime of its own
//! for that: a client that comes while a [`Server`] shuts down is served on by a task that nobody ends.
//! It is used inside [`netns::alone`](crate::netns::alone), since a transport with a relay may look for
//! paths on every interface that it finds.

use iroh_relay::server::{Access, AccessControl, ClientRequest, RelayConfig, Server, ServerConfig};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};

/// A relay that runs until it is dropped or stopped.
pub struct Relay {
    /// Where the server and its clients' tasks live.
    runtime: Option<Runtime>,
    addr: SocketAddr,
    token: Option<&'static str>,
}

impl Relay {
    /// A relay for everybody, on a free port of `127.0.0.1`. Panics where it does not start.
    pub async fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), None).await
    }

    /// A relay for those who show this bearer token.
    pub async fn start_with_token(token: &'static str) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), Some(token)).await
    }

    /// Its URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Cuts off everybody. What it returns starts the relay again, at the same place.
    pub async fn stop(mut self) -> Stopped {
        if let Some(runtime) = self.runtime.take() {
            let ended = tokio::task::spawn_blocking(|| runtime.shutdown_timeout(Duration::from_secs(10)));
            ended.await.expect("a runtime ends without a panic");
        }
        Stopped { addr: self.addr, token: self.token }
    }

    async fn start_at(addr: SocketAddr, token: Option<&'static str>) -> Self {
        let mut relay = RelayConfig::new(addr);
        if let Some(token) = token {
            relay.access = Arc::new(Bearer(token));
        }
        let mut config = ServerConfig::default();
        config.relay = Some(relay);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("there is a thread for the relay");
        let (tell, told) = oneshot::channel();
        runtime.spawn(async move {
            let server = Server::spawn(config).await.expect("loopback has a free port");
            let _ = tell.send(server.http_addr());
            // It serves until it is dropped, with the runtime.
            std::future::pending::<()>().await;
        });
        let addr = told.await.ok().flatten().expect("the relay is served over HTTP");
        Self { runtime: Some(runtime), addr, token }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A relay that was stopped.
#[derive(Debug)]
pub struct Stopped {
    addr: SocketAddr,
    token: Option<&'static str>,
}

impl Stopped {
    /// Starts it again at the same place.
    pub async fn start(self) -> Relay {
        Relay::start_at(self.addr, self.token).await
    }
}

#[derive(Debug)]
struct Bearer(&'static str);

impl AccessControl for Bearer {
    async fn on_connect(&self, request: &ClientRequest) -> Access {
        match request.auth_token() {
            Some(token) if token == self.0 => Access::Allow,
            _ => Access::Deny { reason: Some("the token is not the one".into()) },
        }
    }
}
