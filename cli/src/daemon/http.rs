//! Metrics and health for machines, over HTTP. Nothing is written through it.
//!
//! `/healthz` answers while the process lives. `/readyz` answers 200 once the process does what it is for, before that
//! 503 with what is missing.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::failure::Failure;

/// What is missing until the process is ready; `None` once it is.
pub type Readiness = watch::Sender<Option<String>>;

/// A process that just started.
pub fn not_ready() -> Readiness {
    watch::Sender::new(Some("starting".to_owned()))
}

/// Opens the port, starts recording, and serves until `shutdown`. `setting` is what the user gave the address by.
pub async fn serve(
    setting: &str,
    address: &str,
    readiness: &Readiness,
    describe: fn(),
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!("{setting} {address}: can't listen there: {error}; choose a free address and port"))
    })?;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|error| Failure::failed(format!("{setting} {address}: can't record metrics: {error}")))?;
    describe();
    let missing = readiness.subscribe();
    let given = address.to_owned();
    tokio::spawn(async move {
        let server = axum::serve(listener, routes(metrics, missing));
        if let Err(error) = server.with_graceful_shutdown(shutdown.cancelled_owned()).await {
            tracing::warn!(address = %given, %error, "metrics are no longer served");
        }
    });
    tracing::info!(%address, "serving metrics and health");
    Ok(())
}

/// The same for a process of a fleet, where its configuration has an address: what it is ready for, and a guard that ends the
/// serving when it is dropped.
pub async fn open(address: Option<SocketAddr>, describe: fn()) -> Result<(Readiness, DropGuard), Failure> {
    let (readiness, served) = (not_ready(), CancellationToken::new());
    if let Some(address) = address {
        serve("http-listen", &address.to_string(), &readiness, describe, served.clone()).await?;
    }
    Ok((readiness, served.drop_guard()))
}

fn routes(metrics: PrometheusHandle, missing: watch::Receiver<Option<String>>) -> Router {
    let render = move || async move {
        metrics.run_upkeep();
        ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
    };
    let ready = move || async move {
        match missing.borrow().clone() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(text) => (StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n")),
        }
    };
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
}
