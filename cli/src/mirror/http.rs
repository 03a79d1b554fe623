//! `--http-listen`: metrics and health for machines. Nothing is written through it.
//!
//! `/healthz` answers while the process lives. `/readyz` answers 200 once the source was looked at and every partition
//! has its claim, before that 503 with what is missing.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metric_names;
use crate::failure::Failure;

/// What is missing until the mirror is ready; `None` once it is.
pub type Readiness = watch::Sender<Option<String>>;

/// Opens the port, starts recording, and serves until `shutdown`.
pub async fn serve(address: &str, shutdown: CancellationToken) -> Result<Readiness, Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!("--http-listen {address}: can't listen there: {error}; choose a free address and port"))
    })?;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder)
        .map_err(|error| Failure::failed(format!("--http-listen {address}: can't record metrics: {error}")))?;
    metric_names::describe();
    let (readiness, missing) = watch::channel(Some("starting".to_owned()));
    let given = address.to_owned();
    tokio::spawn(async move {
        let server = axum::serve(listener, routes(metrics, missing));
        if let Err(error) = server.with_graceful_shutdown(shutdown.cancelled_owned()).await {
            tracing::warn!(address = %given, %error, "metrics are no longer served");
        }
    });
    tracing::info!(%address, "serving metrics and health");
    Ok(readiness)
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
