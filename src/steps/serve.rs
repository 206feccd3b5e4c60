//! `serve`: the service layer as a step, started on request when everything before it is done.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data_type;
use crate::serve::{Service, start};
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

const POLL: Duration = Duration::from_millis(100);

/// Parameters of `serve`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// The service file with host, port, blending and events; without one its defaults hold. The
    /// artifacts are always the inputs of the step.
    pub service: Option<PathBuf>,
    /// The address to listen on, in place of the service file's.
    pub host: Option<String>,
    /// The port to listen on, in place of the service file's; 0 takes a free one.
    pub port: Option<u16>,
}

impl Step for Serve {
    const KIND: &'static str = "serve";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Answers over HTTP from the artifacts of a run, until it is stopped";
    const EXAMPLE: &'static str = "\
serve:
  uses: serve
  inputs:
    recommendations: rank.recommendations
    similar: similar.similar
    top_popular: popularity.top_popular
    items: preprocess.items
  with: { service: services/default.yaml }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("recommendations", &[data_type::RECOMMENDATIONS], "the final lists of the users"),
        InputPort::new("similar", &[data_type::SIMILAR], "for online recommendations and similar tracks"),
        InputPort::new("top_popular", &[data_type::TOP_POPULAR], "for new users and short lists"),
        InputPort::new("items", &[data_type::ITEMS], "the tracks"),
        InputPort::new("model", &[data_type::FACTORS], "factors of `als`, for fold-in and reasons")
            .optional(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[];
    const SERVICE: bool = true;

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let mut service = match &self.service {
            Some(path) => Service::read(&ctx.root().join(path))?,
            None => Service::default(),
        }
        .under(ctx.root());
        service = service.listening(self.host.clone(), self.port)?;
        service.artifacts.recommendations = ctx.input("recommendations").to_owned();
        service.artifacts.similar = ctx.input("similar").to_owned();
        service.artifacts.top_popular = ctx.input("top_popular").to_owned();
        service.artifacts.items = ctx.input("items").to_owned();
        service.artifacts.model = ctx.optional_input("model").map(ToOwned::to_owned);

        let cancelled = async {
            while !ctx.is_cancelled() {
                tokio::time::sleep(POLL).await;
            }
        };
        start(
            &service,
            |started| {
                tracing::info!(?started, "the service answers");
                ctx.progress(0, None, "requests", format!("http://{}", started.address));
            },
            cancelled,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn its_inputs_are_checked_and_the_service_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        fs::write(folder.path().join("service.yaml"), format!("port: {port}\n")).unwrap();
        let refusal = || {
            let inputs = ["recommendations", "similar", "top_popular", "items"]
                .map(|port| (port, folder.path().join(port)));
            let step = Serve { service: Some("service.yaml".into()), ..Serve::default() };
            step.run(&Context::standalone(inputs, [], folder.path().to_owned())).unwrap_err().to_string()
        };
        for port in ["recommendations", "top_popular", "items"] {
            fs::write(folder.path().join(port), "").unwrap();
        }
        assert!(refusal().ends_with("(similar) is not there"), "{}", refusal());
        fs::write(folder.path().join("similar"), "").unwrap();
        assert_eq!(refusal(), format!("port {port} is already in use"));
    }
}
