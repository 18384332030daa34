//! Getting and examining tokens (Meta, Embedded Signup onboarding guides; Graph API, `debug_token`).

use serde::Deserialize;

use super::wire::{self, Ref, flag, int, missing, text, texts};
use super::{Actor, Graph, unclear};
use crate::domain::Timestamp;
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{BusinessId, WabaId};
use crate::domain::secret::{AccessToken, SignupCode};
use crate::error::GraphError;
use crate::ports::TokenGraph;

impl TokenGraph for Graph {
    async fn exchange_code(&self, code: &SignupCode) -> Result<AccessToken, GraphError> {
        let call = self
            .get(&["oauth", "access_token"])
            .query(&[("client_id", &self.app_id)])
            .by(Actor::ClientSecret)
            .secret_query("code", code.expose());
        call.send::<Token>().await?.into_token()
    }

    async fn token_facts(&self, token: &AccessToken) -> Result<TokenFacts, GraphError> {
        let call = self.get(&["debug_token"]).secret_query("input_token", token.expose()).by(Actor::App);
        call.send::<Debugged>().await?.data.into_facts()
    }

    async fn renew_token(&self, token: &AccessToken) -> Result<AccessToken, GraphError> {
        let call = self
            .get(&["oauth", "access_token"])
            .query(&[("grant_type", "fb_exchange_token"), ("client_id", &self.app_id)])
            .query(&[("set_token_expires_in_60_days", "true")])
            .by(Actor::ClientSecret)
            .secret_query("fb_exchange_token", token.expose());
        call.send::<Token>().await?.into_token()
    }

    async fn token_user(&self, token: &AccessToken) -> Result<String, GraphError> {
        let me: Ref = self.get(&["me"]).query(&[("fields", "id")]).token(token).send().await?;
        me.id.ok_or_else(|| missing("id"))
    }

    async fn client_business(&self, token: &AccessToken) -> Result<Option<BusinessId>, GraphError> {
        let me: Me = self.get(&["me"]).query(&[("fields", "client_business_id")]).token(token).send().await?;
        Ok(me.client_business_id.and_then(|id| id.parse().ok()))
    }
}

/// An answer that is a token.
#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default, deserialize_with = "text")]
    access_token: Option<String>,
}

impl Token {
    pub(super) fn into_token(self) -> Result<AccessToken, GraphError> {
        let token = self.access_token.ok_or_else(|| missing("access_token"))?;
        AccessToken::try_from(token).map_err(unclear)
    }
}

#[derive(Deserialize)]
struct Me {
    #[serde(default, deserialize_with = "text")]
    client_business_id: Option<String>,
}

#[derive(Deserialize)]
struct Debugged {
    data: Facts,
}

#[derive(Deserialize)]
struct Facts {
    #[serde(default, deserialize_with = "flag")]
    is_valid: bool,
    #[serde(default, deserialize_with = "text")]
    app_id: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    granular_scopes: Vec<Granular>,
    #[serde(default, deserialize_with = "int")]
    expires_at: Option<i64>,
}

#[derive(Deserialize)]
struct Granular {
    scope: String,
    #[serde(default, deserialize_with = "texts")]
    target_ids: Option<Vec<String>>,
}

impl Facts {
    fn into_facts(self) -> Result<TokenFacts, GraphError> {
        let expires_at = match self.expires_at {
            None | Some(0) => None,
            Some(seconds) => Some(Timestamp::from_second(seconds).map_err(|_| wire::missing("expires_at"))?),
        };
        Ok(TokenFacts {
            is_valid: self.is_valid,
            management_wabas: self.targets("whatsapp_business_management"),
            messaging_wabas: self.targets("whatsapp_business_messaging"),
            app_id: self.app_id.unwrap_or_default(),
            scopes: self.scopes.unwrap_or_default(),
            expires_at,
        })
    }

    /// In Meta's order: the newest first.
    fn targets(&self, scope: &str) -> Option<Vec<WabaId>> {
        let granted = self.granular_scopes.iter().find(|granted| granted.scope == scope)?;
        Some(granted.target_ids.as_ref()?.iter().filter_map(|id| id.parse().ok()).collect())
    }
}
