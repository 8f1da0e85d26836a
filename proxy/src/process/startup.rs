//! Starts the server: listeners, background services, threads and signals.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use arc_swap::access::Map;
use async_trait::async_trait;
use blobfish_config::{Config, Listeners};
use pingora::apps::http_app::HttpServer;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};
use pingora::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::admin::admin_api::Admin;
use crate::inbound::certificates;
use crate::inbound::certificates::ActiveCertificates;
use crate::inbound::file_descriptors;
use crate::inbound::proxy_protocol::ProxyHeaderReader;
use crate::inbound::shutdown::Shutdown;
use crate::process::config_file;
use crate::process::demo::DemoStore;
use crate::process::lifecycle::{Lifecycle, ShutdownWaiter};
use crate::process::reload::ConfigReloader;
use crate::process::sockets::{InheritedSockets, ListeningService, Sockets};
use crate::request::active_config::ActiveConfig;
use crate::request::cors_rules::CorsRulesCache;
use crate::request::fair_queue::FairQueue;
use crate::request::server::DataServer;
use crate::request::small_parts_cleanup::SmallPartsCleanup;
use crate::target::client::TargetClient;
use crate::target::collector_client::CollectorClient;
use crate::target::credential_refresher::{ActiveTargets, CredentialRefresher};
use crate::target::dns::SystemDns;
use crate::telemetry::access_log;
use crate::telemetry::exporter::SpanExporter;
use crate::telemetry::metrics::METRICS;

/// Longer than any configurable drain timeout, so that `Lifecycle` ends the process and not Pingora.
const GRACE_PERIOD_SECONDS: u64 = 90_000;

/// Buffer size of connections, as small as possible: reads and writes are larger, so that they bypass these buffers, and an
/// idle connection keeps them. With Pingora's default, an idle connection uses 92 KiB.
const BUFFER_BYTES: usize = 64;

/// The origin of the configuration.
pub(crate) enum ConfigSource {
    /// Demo mode, with its store.
    Demo(Box<DemoStore>),
    /// A file, and all files that it refers to.
    File(PathBuf, Vec<PathBuf>),
}

/// Serves until the process shuts down.
///
/// # Errors
/// The configuration cannot be used; an address is in use.
pub(crate) fn run_server(
    config: Config,
    source: ConfigSource,
    inherited: InheritedSockets,
) -> anyhow::Result<()> {
    install_panic_hook();
    access_log::configure(config.log);
    let (listen, admin) = (config.listen.clone(), config.admin);
    let addresses = listen.http.iter().chain(listen.https.iter().map(|tls| &tls.address));
    let addresses: Vec<_> = addresses.chain([&admin]).copied().collect();
    let sockets = Arc::new(Sockets::open(&addresses, inherited)?);
    file_descriptors::raise_descriptor_limit();
    if let Some(warning) = file_descriptors::descriptor_limit_warning(config.limits.connections_max) {
        tracing::warn!("configuration: {warning}");
    }
    let warnings = match &source {
        ConfigSource::File(path, _) => config_file::find_warnings(path, &config),
        ConfigSource::Demo(_) => Vec::new(),
    };
    let mut config = ActiveConfig::new(config)?;
    config.warnings = warnings;
    config.warnings().for_each(|warning| tracing::warn!("configuration: {warning}"));
    let current = Arc::new(ArcSwap::from_pointee(config));
    METRICS.record_config_loaded();
    current.load().publish_metrics();
    let open_connections = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(watch::Sender::new(false));
    let (shutdown, accepting_services) = (Arc::new(Shutdown::default()), Arc::new(watch::Sender::new(0)));
    let (close_admin, admin_shutdown) = watch::channel(false);
    let lifecycle = Lifecycle {
        ready: Arc::clone(&ready),
        shutdown: Arc::clone(&shutdown),
        current: Arc::clone(&current),
        open_connections: Arc::clone(&open_connections),
        accepting_services: Arc::clone(&accepting_services),
        services_total: 2,
        sockets: Arc::clone(&sockets),
        close_admin,
        greeting: match &source {
            ConfigSource::Demo(store) => Some(store.greeting.clone()),
            ConfigSource::File(..) => None,
        },
    };
    let shutdown_trigger = ShutdownWaiter {
        shutdown: Arc::clone(&shutdown),
        ready: Arc::clone(&ready),
        current: Arc::clone(&current),
    };

    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut server = Server::new_with_opt_and_conf(None, build_server_conf(threads));
    let data_server = DataServer {
        active_config: Arc::clone(&current),
        target_client: TargetClient::new(SystemDns, file_descriptors::idle_target_connections_max()),
        fair_queue: FairQueue::new(),
        open_count: open_connections,
        connections_per_address: Arc::default(),
        cors_rules: CorsRulesCache::default(),
        buffer_budget: Arc::default(),
        shutdown,
    };
    let service = build_data_service(&listen, data_server)?;
    let (own_sockets, own_accepting) = (Arc::clone(&sockets), Arc::clone(&accepting_services));
    server.add_service(ListeningService {
        service,
        sockets: own_sockets,
        accepting_services: own_accepting,
        shutdown: None,
    });
    let service = build_admin_service(admin, Admin::new(admin, ready, Arc::clone(&current)));
    // The admin listener stays open while the data listeners drain, so that operators can watch the drain.
    server.add_service(ListeningService {
        service,
        sockets,
        accepting_services,
        shutdown: Some(admin_shutdown),
    });
    server.add_service(background_service("lifecycle", lifecycle));
    let targets: ActiveTargets =
        Arc::new(Map::new(Arc::clone(&current), |config: &ActiveConfig| &config.targets));
    server.add_service(background_service("keys", CredentialRefresher::new(targets)));
    server.add_service(background_service("sweep", SmallPartsCleanup::new(Arc::clone(&current))));
    match source {
        ConfigSource::Demo(store) => {
            server.add_service(background_service("store", StoreService(Mutex::new(Some(*store)))));
        }
        ConfigSource::File(file, files) => {
            server.add_service(background_service("traces", SpanExporter(Arc::new(CollectorClient::new()))));
            server.add_service(background_service("reloads", ConfigReloader::new(file, files, current)));
        }
    }
    server.run(RunArgs { shutdown_signal: Box::new(shutdown_trigger) });
    access_log::flush();
    Ok(())
}

/// Builds the service of the data listeners.
fn build_data_service(listen: &Listeners, server: DataServer) -> anyhow::Result<Service<DataServer>> {
    let current = Arc::clone(&server.active_config);
    let mut service = Service::new("data".to_owned(), server);
    let listeners = Map::new(Arc::clone(&current), |config: &ActiveConfig| &config.settings.listen);
    service.endpoints().set_pre_tls_callback(Arc::new(ProxyHeaderReader(Arc::new(listeners))));
    let certificates: ActiveCertificates =
        Arc::new(Map::new(current, |config: &ActiveConfig| &config.certificates));
    let buffers = L4BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES);
    for address in &listen.http {
        service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
    }
    for tls in &listen.https {
        let settings = certificates::build_tls_settings(tls.address, Arc::clone(&certificates))?;
        service.add_listener(ListenerConfig::tcp(tls.address.to_string()).l4_buffer(buffers).tls(settings));
    }
    Ok(service)
}

/// Builds the service of the admin listener.
fn build_admin_service(address: SocketAddr, admin: Admin) -> Service<HttpServer<Admin>> {
    let mut service = Service::new("admin".to_owned(), HttpServer::new_app(admin));
    // One thread, so that expensive admin requests do not take processor time from clients.
    service.threads = Some(1);
    service.add_tcp(&address.to_string());
    service
}

fn build_server_conf(threads: usize) -> ServerConf {
    ServerConf {
        threads,
        grace_period_seconds: Some(GRACE_PERIOD_SECONDS),
        graceful_shutdown_timeout_seconds: Some(1),
        max_retries: 0,
        ..ServerConf::default()
    }
}

/// Logs only the location of a panic, because its message may contain bytes of a request.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%location, "panic; this is a bug in Blobfish");
    }));
}

/// The embedded store of the demo, on the threads of this process.
struct StoreService(Mutex<Option<DemoStore>>);

#[async_trait]
impl BackgroundService for StoreService {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let Some(DemoStore { store, socket, .. }) = self.0.lock().ok().and_then(|mut slot| slot.take())
        else {
            return;
        };
        // Demo mode has no file to reload, but an unhandled SIGHUP would end the process.
        let _hangups = signal(SignalKind::hangup());
        match tokio::net::TcpListener::from_std(socket) {
            // The store keeps running after the listeners are closed, so that running requests can finish.
            Ok(socket) => {
                if let Err(error) = Arc::new(store).serve(socket, std::future::pending::<()>()).await {
                    tracing::error!(%error, "the embedded store stopped");
                }
            }
            Err(error) => tracing::error!(%error, "the embedded store cannot use its socket"),
        };
    }
}
