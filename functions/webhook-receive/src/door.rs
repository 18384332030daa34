//! Where webhooks have a domain name of their own, on which callers must show a certificate, no other way leads in.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use shared::http::ApiError;

/// Whom Meta's client certificate names, as API Gateway writes it (Meta, *Webhooks, Getting Started*, read 2026-11).
/// The trust store holds Meta's CA, which may have signed others.
const SUBJECT: &str = "CN=client.webhooks.fbclientcerts.com";

/// The way in for webhooks.
pub(crate) struct Door {
    /// The domain name for webhooks; `None` = any.
    pub(crate) domain: Option<String>,
}

impl Door {
    /// Whether the request came by the right way.
    ///
    /// # Errors
    /// 401, as for a webhook that Meta did not sign.
    pub(crate) fn check(&self, request: &Request) -> Result<(), ApiError> {
        let Some(domain) = &self.domain else { return Ok(()) };
        let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
            return Err(ApiError::bad_signature());
        };
        let shown =
            context.authentication.as_ref().and_then(|it| it.client_cert.as_ref()?.subject_dn.as_deref());
        let is_meta = shown.is_some_and(|subject| subject.split(',').any(|part| part.trim() == SUBJECT));
        let here = context.domain_name.as_deref() == Some(domain);
        if here && is_meta { Ok(()) } else { Err(ApiError::bad_signature()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::testing::Sample;

    use super::*;

    const EVENT: &str = include_str!("../../../events/webhook-receive.json");

    /// The sample, as it came by `domain` with a certificate for `subject`.
    fn came(domain: &str, subject: Option<&str>) -> Request {
        let mut event: Value = serde_json::from_str(EVENT).unwrap();
        event["requestContext"]["domainName"] = domain.into();
        if let Some(subject) = subject {
            event["requestContext"]["authentication"] = json!({"clientCert": {
                "clientCertPem": "-", "issuerDN": "CN=Meta", "serialNumber": "1", "subjectDN": subject,
                "validity": {"notBefore": "Jan 1 00:00:00 2026 GMT", "notAfter": "Jan 1 00:00:00 2027 GMT"}}});
        }
        Sample::of(&event.to_string()).request()
    }

    #[test]
    fn without_a_domain_of_their_own_webhooks_may_come_by_any() {
        assert!(Door { domain: None }.check(&came("any.example", None)).is_ok());
    }

    #[test]
    fn with_one_they_must_come_by_it_with_metas_certificate() {
        let door = Door { domain: Some("hooks.partner.example".to_owned()) };
        let meta = "C=US, O=Meta Platforms, CN=client.webhooks.fbclientcerts.com";
        for subject in [meta, SUBJECT, "CN=client.webhooks.fbclientcerts.com,O=Meta"] {
            assert!(door.check(&came("hooks.partner.example", Some(subject))).is_ok(), "{subject}");
        }
        for (domain, subject) in [
            ("api.partner.example", Some(meta)),
            ("hooks.partner.example", None),
            ("hooks.partner.example", Some("CN=other.fbclientcerts.com")),
            ("hooks.partner.example", Some("CN=client.webhooks.fbclientcerts.com.evil.example")),
        ] {
            let refused = door.check(&came(domain, subject)).unwrap_err();
            assert_eq!(
                (refused.status().as_u16(), refused.code()),
                (401, "bad_signature"),
                "{domain} {subject:?}"
            );
        }
    }
}
