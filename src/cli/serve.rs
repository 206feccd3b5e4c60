//! `recsys serve`: the service layer in the foreground, until Ctrl-C or SIGTERM.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::project_view::ProjectView;
use crate::console::{LogFormat, say, tell_of_services};
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
  recsys serve services/four.yaml              four services, each on its port
  recsys serve services/four.yaml --only events --only similar
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
    /// Run only this service of the layout here, which reaches the others by URL; may be given again
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// How to tell on standard error what happens: text for people, JSON for programs
    #[arg(long, env = "RECSYS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// The pipeline that the page shows; by default the one that was released last
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
}

/// Runs the service until it is stopped.
///
/// # Errors
/// When it cannot start or the system ends it; [`ServiceError::exit_code`] tells them apart.
pub fn serve(args: &ServeArgs, root: &Path) -> Result<(), ServiceError> {
    tell_of_services(args.log_format);
    let mut service = Service::read(&args.service)?;
    if !args.only.is_empty() {
        service = service.only(&args.only)?;
    }
    service = service.listening(args.host.clone(), args.port)?;
    service.project.pipelines = Watched::new(ProjectView::new(root, args.pipeline.clone()));
    say("loading the artifacts …");
    start(&service, |started| _ = say(&welcome(started)), stop_asked())?;
    say("stopped; every accepted event is on disk");
    Ok(())
}

fn welcome(started: &Started) -> String {
    let Started { services, n_tracks, n_users, n_similar, loading, .. } = started;
    let seconds = loading.as_secs_f64();
    let mut text = format!(
        "loaded {n_users} users, {n_tracks} tracks, {n_similar} of them with similar ones, in {seconds:.1} s"
    );
    for (name, address) in services {
        let who = if services.len() > 1 { format!(": {name}") } else { String::new() };
        text.push_str(&format!("\nanswering on http://{address}{who}"));
    }
    text + " (Ctrl-C stops)"
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
