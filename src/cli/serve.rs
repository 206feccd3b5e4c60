//! `recsys serve`: the service layer in the foreground, until Ctrl-C or SIGTERM.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::project_view::ProjectView;
use crate::console::say;
use crate::serve::project::Watched;
use crate::serve::{Service, ServiceError, Started, start};

/// Answer over HTTP from the artifacts of a run.
///
/// Reads the artifacts that a service file names, then answers until Ctrl-C or SIGTERM: requests in
/// flight are finished, accepted events are on disk. The artifacts may be rebuilt meanwhile.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:
  recsys serve                                 what services/default.yaml says
  recsys serve services/default.yaml --port 9000
  curl -X POST 'http://127.0.0.1:8000/recommendations?user_id=7&k=10'
  curl -X POST 'http://127.0.0.1:8000/put?user_id=7&track_id=42'
  curl http://127.0.0.1:8000/similar/42/10")]
pub struct ServeArgs {
    /// The service file
    #[arg(value_name = "SERVICE", default_value = "services/default.yaml")]
    pub service: PathBuf,
    /// The address to listen on, in place of the file's; 0.0.0.0 lets other machines in
    #[arg(long)]
    pub host: Option<String>,
    /// The port to listen on, in place of the file's; 0 takes a free one
    #[arg(long)]
    pub port: Option<u16>,
    /// The pipeline that the page shows; by default the one that was released last
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
}

/// Runs the service until it is stopped.
///
/// # Errors
/// When it cannot start or the system ends it; [`ServiceError::exit_code`] tells them apart.
pub fn serve(args: &ServeArgs, root: &Path) -> Result<(), ServiceError> {
    let mut service = Service::read(&args.service)?;
    service.host = args.host.clone().unwrap_or(service.host);
    service.port = args.port.unwrap_or(service.port);
    service.project.pipelines = Watched::new(ProjectView::new(root, args.pipeline.clone()));
    say("loading the artifacts …");
    start(&service, |started| _ = say(&welcome(started)), stop_asked())?;
    say("stopped; every accepted event is on disk");
    Ok(())
}

fn welcome(started: &Started) -> String {
    let Started { address, n_tracks, n_users, n_similar, loading } = started;
    format!(
        "loaded {n_users} users, {n_tracks} tracks, {n_similar} of them with similar ones, in {:.1} s\n\
         answering on http://{address} (Ctrl-C stops)",
        loading.as_secs_f64()
    )
}

/// Resolves at the first Ctrl-C or SIGTERM.
async fn stop_asked() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
