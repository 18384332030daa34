//! AWS: one set of settings and one HTTP connector for all service clients. Put together by hand:
//! on Lambda, region and credentials are in the environment and stay the same for the process, and the
//! SDK's usual search through profiles and the system's certificates costs most of a cold start.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;

use crate::config;
use crate::error::{Chain, ConfigError, StoreError};

/// The roots that AWS's endpoints are signed by: Amazon Root CA 1 to 4 and Starfield Services Root G2
/// (Amazon Trust Services, repository, 2026), from Mozilla's list as Debian ships it.
const ROOTS: &str = include_str!("../../roots/aws.pem");

/// A service of the same region answers a connection in milliseconds; waiting longer only eats the
/// function's time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For one try. A batch of 1 MiB must fit.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// For all tries of one call: below every function's own limit, so that it can still answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// What all AWS clients of a process share.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    /// What a service without an SDK client is called with.
    region: String,
    credentials: Credentials,
    endpoint: Option<Url>,
}

impl Aws {
    /// Reads what Lambda sets (`AWS_REGION` and the credentials) and `AWS_ENDPOINT_URL`, the address of
    /// an emulator.
    ///
    /// # Errors
    /// [`ConfigError`] if one of them is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        let credentials = Credentials::new(
            config::required("AWS_ACCESS_KEY_ID")?,
            config::required("AWS_SECRET_ACCESS_KEY")?,
            config::optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let endpoint = config::parsed_optional("AWS_ENDPOINT_URL")?;
        Ok(Self::new(config::required("AWS_REGION")?, credentials, endpoint.as_ref()))
    }

    /// The same from given values. `endpoint` replaces every service's address.
    #[must_use]
    pub fn new(region: String, credentials: Credentials, endpoint: Option<&Url>) -> Self {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .http_client(connector())
            .retry_config(RetryConfig::standard())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            );
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        Self { config: config.build(), region, credentials, endpoint: endpoint.cloned() }
    }

    /// The region.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Who we are.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What replaces every service's address.
    pub(super) fn endpoint(&self) -> Option<&Url> {
        self.endpoint.as_ref()
    }

    /// A client of DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// A client of KMS.
    #[must_use]
    pub fn kms(&self) -> aws_sdk_kms::Client {
        aws_sdk_kms::Client::new(&self.config)
    }

    /// A client of SQS.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// A client of Secrets Manager.
    #[must_use]
    pub fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }
}

/// Speaks HTTPS with our roots, and plain HTTP where an emulator's address asks for it.
fn connector() -> SharedHttpClient {
    let tls = TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(ROOTS))
        .build()
        .expect("no setting of it can fail");
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https()
}

/// The same roots, for a client that is not the SDK's.
pub(super) fn roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(ROOTS.as_bytes()).flatten());
    store
}

/// A failed call in words. The SDK's error is not kept: it holds the raw answer, which for `Decrypt` or
/// `GetSecretValue` can be the secret.
pub(super) fn failure<E, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let words = match error.as_service_error() {
        Some(refusal) => {
            let code = refusal.code().unwrap_or("unknown error");
            format!("{code}: {}", refusal.message().unwrap_or("no message"))
        }
        None => Chain(error).to_string(),
    };
    StoreError::service(operation, words)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Clients of a local server.
    pub(in crate::adapters) fn at(endpoint: &Url) -> Aws {
        let credentials = Credentials::new("test", "test", None, None, "test");
        Aws::new("us-east-1".to_owned(), credentials, Some(endpoint))
    }

    #[test]
    fn the_roots_are_five_and_readable() {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(ROOTS.as_bytes()).collect();
        assert_eq!(certificates.unwrap().len(), 5);
        assert_eq!(roots().len(), 5);
    }
}
