//! The client of S3: made when it is first used, with the keys of the settings or, without them, what
//! Amazon's own tools would take (profiles, roles).

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use crate::storage::error::Failure;
use crate::storage::settings::Settings;

/// The region of servers that know none.
const REGION: &str = "us-east-1";

/// A client that is made when it is first asked for.
#[derive(Default)]
pub struct Lazy(OnceCell<Client>);

impl Lazy {
    /// The client.
    ///
    /// # Errors
    /// None; kept for those who wait.
    pub async fn get(&self, settings: &Settings) -> Result<&Client, Failure> {
        Ok(self.0.get_or_init(|| make(settings)).await)
    }
}

async fn make(settings: &Settings) -> Client {
    let http = http();
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http.clone())
        .force_path_style(settings.path_style)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.timeout).build());
    config.set_endpoint_url(settings.endpoint.clone());
    let mut region = settings.region.clone();
    match &settings.keys {
        Some(keys) => {
            let token = keys.token.clone();
            let keys = Credentials::new(&keys.id, &keys.secret, token, None, "environment");
            config = config.credentials_provider(keys);
        }
        None => {
            let shared = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
            region = region.or_else(|| shared.region().map(ToString::to_string));
            config.set_credentials_provider(shared.credentials_provider());
        }
    }
    let region = Region::new(region.unwrap_or_else(|| REGION.to_owned()));
    Client::from_conf(config.region(region).build())
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
