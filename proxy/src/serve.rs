//! The server: listeners, threads and signals around the applications.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::{Config, Listen};
use pingora_core::apps::http_app::HttpServer;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server, ShutdownWatch};
use pingora_core::services::background::{BackgroundService, background_service};
use pingora_core::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::certificates;
use crate::collector::Exports;
use crate::cors::CorsRules;
use crate::demo::DemoStore;
use crate::file;
use crate::front::DataFront;
use crate::keys::Keys;
use crate::lifecycle::{Ends, Lifecycle, Stop};
use crate::log;
use crate::metrics::METRICS;
use crate::proxies::BeforeTls;
use crate::reload::Reloads;
use crate::resolve::System;
use crate::snapshot::Snapshot;
use crate::sockets::{Inherited, Listening, Sockets};
use crate::upstream::Upstreams;

/// Longer than a configuration lets requests run on: it is not the framework that ends the process.
const GRACE_SECONDS: u64 = 90_000;

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
pub fn run(config: Config, origin: Origin, inherited: Inherited) -> anyhow::Result<()> {
    hide_panics();
    log::configure(config.log);
    let (listen, admin) = (config.listen.clone(), config.admin);
    let addresses = listen.http.iter().chain(listen.https.iter().map(|tls| &tls.address));
    let addresses: Vec<_> = addresses.chain([&admin]).copied().collect();
    let sockets = Arc::new(Sockets::open(&addresses, inherited)?);
    let warnings = match &origin {
        Origin::File(path, _) => file::warnings(path, &config),
        Origin::Demo(_) => Vec::new(),
    };
    let mut snapshot = Snapshot::new(config)?;
    snapshot.warnings = warnings;
    snapshot.warnings().for_each(|warning| tracing::warn!("{warning}"));
    let current = Arc::new(ArcSwap::from_pointee(snapshot));
    METRICS.loaded_now();
    current.load().tell();
    let open = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(watch::Sender::new(false));
    let (stop, standing) = (Arc::new(Stop::default()), Arc::new(watch::Sender::new(0)));
    let (close_admin, admin_closes) = watch::channel(false);
    let lifecycle = Lifecycle {
        ready: Arc::clone(&ready),
        stop: Arc::clone(&stop),
        current: Arc::clone(&current),
        open: Arc::clone(&open),
        standing: Arc::clone(&standing),
        services: 2,
        sockets: Arc::clone(&sockets),
        close_admin,
        greeting: match &origin {
            Origin::Demo(store) => Some(store.greeting.clone()),
            Origin::File(..) => None,
        },
    };
    let ends = Ends { stop: Arc::clone(&stop), ready: Arc::clone(&ready), current: Arc::clone(&current) };

    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut server = Server::new_with_opt_and_conf(None, settings(threads));
    let front = DataFront {
        current: Arc::clone(&current),
        upstreams: Upstreams::new(System),
        open,
        peers: Arc::default(),
        cors: CorsRules::default(),
        budget: Arc::default(),
        stop,
    };
    let service = data(&listen, front)?;
    let (own_sockets, own_standing) = (Arc::clone(&sockets), Arc::clone(&standing));
    server.add_service(Listening { service, sockets: own_sockets, standing: own_standing, until: None });
    let service = operators(admin, Admin::new(admin, ready, Arc::clone(&current)));
    // Operators look on while the data listeners drain.
    server.add_service(Listening { service, sockets, standing, until: Some(admin_closes) });
    server.add_service(background_service("lifecycle", lifecycle));
    server.add_service(background_service("keys", Keys::new(Arc::clone(&current))));
    match origin {
        Origin::Demo(store) => {
            server.add_service(background_service("store", StoreService(Mutex::new(Some(*store)))));
        }
        Origin::File(file, files) => {
            server.add_service(background_service("traces", Exports));
            server.add_service(background_service("reloads", Reloads::new(file, files, current)));
        }
    }
    server.run(RunArgs { shutdown_signal: Box::new(ends) });
    log::flush();
    Ok(())
}

/// The data listeners.
fn data(listen: &Listen, front: DataFront) -> anyhow::Result<Service<DataFront>> {
    let current = Arc::clone(&front.current);
    let mut data = Service::new("data".to_owned(), front);
    data.endpoints().set_pre_tls_callback(Arc::new(BeforeTls(Arc::clone(&current))));
    let buffers = L4BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES);
    for address in &listen.http {
        data.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
    }
    for tls in &listen.https {
        let settings = certificates::settings(tls.address, Arc::clone(&current))?;
        data.add_listener(ListenerConfig::tcp(tls.address.to_string()).l4_buffer(buffers).tls(settings));
    }
    Ok(data)
}

/// The operators' listener.
fn operators(address: SocketAddr, admin: Admin) -> Service<HttpServer<Admin>> {
    let mut operators = Service::new("admin".to_owned(), HttpServer::new_app(admin));
    operators.threads = Some(1);
    operators.add_tcp(&address.to_string());
    operators
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

/// A panic's message may hold bytes of a request: only its place is told.
fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, "a panic, which is a fault of ours");
    }));
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
