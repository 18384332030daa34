//! A client's account and numbers (Meta, Embedded Signup onboarding guides; manage accounts; OpenAPI
//! v23.0).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Ref, flag, missing, text};
use super::{Actor, Graph};
use crate::domain::ids::{PhoneNumberId, WabaId};
use crate::domain::secret::{AccessToken, Pin};
use crate::error::GraphError;
use crate::ports::{Account, AccountGraph, Number, Subscription};

/// What we want to know of a number.
const NUMBER_FIELDS: &str = "id,display_phone_number,verified_name,quality_rating,status,code_verification_status,is_on_biz_app,throughput,webhook_configuration";
/// The same without what some versions lack: one field that Meta does not know refuses the whole call.
const FEWER_NUMBER_FIELDS: &str = "id,display_phone_number,verified_name,quality_rating,status";
/// Meta's code for an unknown field (and for much else).
const INVALID_PARAMETER: i64 = 100;

impl AccountGraph for Graph {
    async fn account(&self, waba: &WabaId, token: &AccessToken) -> Result<Account, GraphError> {
        let fields = "id,name,currency,owner_business_info,primary_funding_id";
        let call = self.get(&[waba.as_ref()]).query(&[("fields", fields)]).token(token);
        let account: WireAccount = call.send().await?;
        let owner = account.owner_business_info.and_then(|owner| owner.id);
        Ok(Account {
            owner_business_id: owner.and_then(|id| id.parse().ok()),
            primary_funding_id: account.primary_funding_id,
            name: account.name,
            currency: account.currency,
        })
    }

    async fn numbers(&self, waba: &WabaId, token: &AccessToken) -> Result<Vec<Number>, GraphError> {
        let path = [waba.as_ref(), "phone_numbers"];
        let numbers: Vec<WireNumber> =
            match self.list(&path, &[("fields", NUMBER_FIELDS)], Actor::Token(token)).await {
                Err(e) if is_invalid_parameter(&e) => {
                    self.list(&path, &[("fields", FEWER_NUMBER_FIELDS)], Actor::Token(token)).await?
                }
                other => other?,
            };
        numbers.into_iter().map(WireNumber::into_number).collect()
    }

    async fn number(&self, phone: &PhoneNumberId, token: &AccessToken) -> Result<Number, GraphError> {
        let number: WireNumber = match self.node(phone, NUMBER_FIELDS, token).await {
            Err(e) if is_invalid_parameter(&e) => self.node(phone, FEWER_NUMBER_FIELDS, token).await?,
            other => other?,
        };
        number.into_number()
    }

    async fn subscription(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> Result<Option<Subscription>, GraphError> {
        let apps: Vec<Subscribed> =
            self.list(&[waba.as_ref(), "subscribed_apps"], &[], Actor::Token(token)).await?;
        let ours = Some(self.app_id.as_str());
        let ours = apps.into_iter().find(|app| app.whatsapp_business_api_data.id.as_deref() == ours);
        Ok(ours.map(|app| Subscription { callback: set(app.override_callback_uri) }))
    }

    async fn is_subscribed(&self, waba: &WabaId, token: &AccessToken) -> Result<bool, GraphError> {
        Ok(self.subscription(waba, token).await?.is_some())
    }

    async fn subscribe(&self, waba: &WabaId, token: &AccessToken) -> Result<(), GraphError> {
        self.post(&[waba.as_ref(), "subscribed_apps"]).token(token).done().await
    }

    async fn unsubscribe(&self, waba: &WabaId, token: &AccessToken) -> Result<(), GraphError> {
        self.delete(&[waba.as_ref(), "subscribed_apps"]).token(token).done().await
    }

    async fn clear_callback(&self, phone: &PhoneNumberId, token: &AccessToken) -> Result<(), GraphError> {
        let body = json!({"webhook_configuration": {"override_callback_uri": ""}});
        self.post(&[phone.as_ref()]).json(&body).token(token).done().await
    }

    async fn register(
        &self,
        phone: &PhoneNumberId,
        pin: &Pin,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        let body = Registration { messaging_product: "whatsapp", pin: pin.expose() };
        let call = self.post(&[phone.as_ref(), "register"]).json(&body).hiding(pin.expose());
        call.token(token).done().await
    }
}

/// Written straight into the request, so that no copy of the PIN is left.
#[derive(Serialize)]
struct Registration<'a> {
    messaging_product: &'a str,
    pin: &'a str,
}

impl Graph {
    async fn node<T: DeserializeOwned>(
        &self,
        phone: &PhoneNumberId,
        fields: &str,
        token: &AccessToken,
    ) -> Result<T, GraphError> {
        self.get(&[phone.as_ref()]).query(&[("fields", fields)]).token(token).send().await
    }
}

fn is_invalid_parameter(error: &GraphError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.code == INVALID_PARAMETER)
}

#[derive(Deserialize)]
struct WireAccount {
    #[serde(default, deserialize_with = "text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    currency: Option<String>,
    #[serde(default, deserialize_with = "text")]
    primary_funding_id: Option<String>,
    #[serde(default)]
    owner_business_info: Option<Ref>,
}

#[derive(Deserialize)]
struct WireNumber {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "text")]
    display_phone_number: Option<String>,
    #[serde(default, deserialize_with = "text")]
    verified_name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    quality_rating: Option<String>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "text")]
    code_verification_status: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    is_on_biz_app: bool,
    #[serde(default)]
    throughput: Value,
    #[serde(default)]
    webhook_configuration: Value,
}

impl WireNumber {
    fn into_number(self) -> Result<Number, GraphError> {
        let id = self.id.and_then(|id| id.parse().ok()).ok_or_else(|| missing("phone number id"))?;
        Ok(Number {
            id,
            display_phone_number: self.display_phone_number,
            verified_name: self.verified_name,
            quality_rating: self.quality_rating,
            status: self.status,
            code_verification_status: self.code_verification_status,
            is_on_biz_app: self.is_on_biz_app,
            throughput: self.throughput["level"].as_str().map(str::to_owned),
            callback: set(self.webhook_configuration["phone_number"].as_str().map(str::to_owned)),
        })
    }
}

#[derive(Deserialize)]
struct Subscribed {
    whatsapp_business_api_data: Ref,
    #[serde(default, deserialize_with = "text")]
    override_callback_uri: Option<String>,
}

/// An address that is there; an empty one is none.
fn set(url: Option<String>) -> Option<String> {
    url.filter(|url| !url.is_empty())
}
