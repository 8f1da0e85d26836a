//! The server: listeners, threads and signals around the applications.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::{Config, Https, Listen};
use pingora_core::apps::http_app::HttpServer;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::background::{BackgroundService, background_service};
use pingora_core::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::copies::COPIES;
use crate::demo::DemoStore;
use crate::front::DataFront;
use crate::log;
use crate::metrics::METRICS;
use crate::reload::Reloads;
use crate::resolve::System;
use crate::snapshot::Snapshot;
use crate::upstream::Upstreams;

/// After SIGTERM, requests that run have this long to end.
const GRACE_SECONDS: u64 = 30;

/// And copies so long: what they began takes time to be taken back.
const LAST_CALL: Duration = Duration::from_secs(20);

/// Listeners' buffers. The default costs an idle connection 92 KiB.
const BUFFER_BYTES: usize = 4 * 1024;

/// Where a configuration comes from.
pub enum Origin {
    /// Demo mode, with its store.
    Demo(Box<DemoStore>),
    /// A file, and all the files that were read with it.
    File(PathBuf, Vec<PathBuf>),
}

/// Serves until told to stop.
///
/// # Errors
/// The configuration cannot be run; an address is taken.
pub fn run(config: Config, origin: Origin) -> anyhow::Result<()> {
    hide_panics();
    let (listen, admin) = (config.listen.clone(), config.admin);
    let addresses = listen.http.iter().chain(listen.https.iter().map(|tls| &tls.address));
    addresses.chain([&admin]).try_for_each(|address| is_free(*address))?;
    let current = Arc::new(ArcSwap::from_pointee(Snapshot::new(config)?));
    METRICS.loaded_now();
    current.load().tell();
    let open = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(watch::Sender::new(false));
    let lifecycle = Lifecycle {
        ready: Arc::clone(&ready),
        open: Arc::clone(&open),
        listen: first(&listen),
        greeting: match &origin {
            Origin::Demo(store) => Some(store.greeting.clone()),
            Origin::File(..) => None,
        },
    };

    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut server = Server::new_with_opt_and_conf(None, settings(threads));
    let front = DataFront { current: Arc::clone(&current), upstreams: Upstreams::new(System), open };
    server.add_service(data(&listen, front)?);
    server.add_service(operators(admin, Admin { ready }));
    server.add_service(background_service("lifecycle", lifecycle));
    match origin {
        Origin::Demo(store) => {
            server.add_service(background_service("store", StoreService(Mutex::new(Some(*store)))));
        }
        Origin::File(file, files) => {
            server.add_service(background_service("reloads", Reloads::new(file, files, current)));
        }
    }
    server.run(RunArgs { shutdown_signal: Box::new(Signals) });
    log::flush();
    Ok(())
}

/// The data listeners.
fn data(listen: &Listen, front: DataFront) -> anyhow::Result<Service<DataFront>> {
    let mut data = Service::new("data".to_owned(), front);
    let buffers = L4BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES);
    for address in &listen.http {
        data.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
    }
    for tls in &listen.https {
        data.add_listener(ListenerConfig::tcp(tls.address.to_string()).tls(certificate(tls)?));
    }
    Ok(data)
}

/// A listener's certificate. Tried here, as the framework panics where it cannot be used.
fn certificate(tls: &Https) -> anyhow::Result<TlsSettings> {
    let (cert, key) = (tls.cert.display().to_string(), tls.key.display().to_string());
    let usable = pingora_core::tls::load_certs_and_key_files(&cert, &key).ok().flatten();
    usable.with_context(|| format!("{cert}, {key}: not a certificate and its key"))?;
    TlsSettings::intermediate(&cert, &key).map_err(|_| anyhow::anyhow!("{cert}: not usable"))
}

/// The operators' listener.
fn operators(address: SocketAddr, admin: Admin) -> Service<HttpServer<Admin>> {
    let mut operators = Service::new("admin".to_owned(), HttpServer::new_app(admin));
    operators.threads = Some(1);
    operators.add_tcp(&address.to_string());
    operators
}

fn first(listen: &Listen) -> Option<SocketAddr> {
    listen.http.first().copied().or_else(|| listen.https.first().map(|tls| tls.address))
}

fn settings(threads: usize) -> ServerConf {
    ServerConf {
        threads,
        grace_period_seconds: Some(GRACE_SECONDS),
        graceful_shutdown_timeout_seconds: Some(1),
        max_retries: 0,
        ..ServerConf::default()
    }
}

/// The framework only notes that it cannot listen, and goes on without.
fn is_free(address: SocketAddr) -> anyhow::Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => bail!("cannot listen on {address}: {error}"),
    }
}

/// A panic's message may hold bytes of a request: only its place is told.
fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a panic, which is a fault of ours");
    }));
}

/// SIGTERM and SIGINT drain.
struct Signals;

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("signals cannot be received");
            return ShutdownSignal::FastShutdown;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("stopping: no new connections, requests that run have {GRACE_SECONDS} seconds");
        ShutdownSignal::GracefulTerminate
    }
}

/// Tells when the listeners stand, and ends the process once all is drained.
struct Lifecycle {
    ready: Arc<watch::Sender<bool>>,
    open: Arc<AtomicUsize>,
    listen: Option<SocketAddr>,
    greeting: Option<String>,
}

#[async_trait]
impl BackgroundService for Lifecycle {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        self.wait_for_listeners().await;
        self.ready.send_replace(true);
        tracing::info!("ready");
        if let Some(greeting) = &self.greeting {
            let _ = std::io::stderr().write_all(greeting.as_bytes());
        }
        let _ = shutdown.wait_for(|stopping| *stopping).await;
        self.ready.send_replace(false);
        // The framework would sleep through the whole grace period, however early the last request ends.
        let last_call = Instant::now() + LAST_CALL;
        let mut called = false;
        while self.open.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if !called && Instant::now() > last_call {
                called = true;
                COPIES.abandon();
            }
        }
        tracing::info!("stopped");
        log::flush();
        std::process::exit(0);
    }
}

impl Lifecycle {
    async fn wait_for_listeners(&self) {
        let Some(address) = self.listen else { return };
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The demo's store, on this process's threads.
struct StoreService(Mutex<Option<DemoStore>>);

#[async_trait]
impl BackgroundService for StoreService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let Some(DemoStore { store, socket, .. }) = self.0.lock().ok().and_then(|mut held| held.take())
        else {
            return;
        };
        // There is no file to be read again; the signal must not end the process.
        let _hangups = signal(SignalKind::hangup());
        match tokio::net::TcpListener::from_std(socket) {
            // It outlives the listeners, so that requests that run can end.
            Ok(socket) => {
                if let Err(error) = Arc::new(store).serve(socket, std::future::pending::<()>()).await {
                    tracing::error!(%error, "the embedded store stopped");
                }
            }
            Err(error) => tracing::error!(%error, "the embedded store has no socket"),
        };
    }
}
