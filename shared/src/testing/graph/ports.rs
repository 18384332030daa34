use serde_json::Value;

use super::{FakeGraph, SYSTEM_USER};
use crate::domain::grant::TokenFacts;
use crate::domain::ids::{AllocationId, BusinessId, PhoneNumberId, WabaId, Wamid};
use crate::domain::rate::Usage;
use crate::domain::secret::{AccessToken, Pin, SignupCode};
use crate::error::GraphError;
use crate::ports::{
    Account, AccountGraph, AllocationState, MessageGraph, Number, PartnerGraph, Subscription, TokenGraph,
};

impl TokenGraph for FakeGraph {
    async fn exchange_code(&self, code: &SignupCode) -> Result<AccessToken, GraphError> {
        self.call("exchange_code", "", |meta| meta.exchange(code)).await
    }

    async fn token_facts(&self, token: &AccessToken) -> Result<TokenFacts, GraphError> {
        self.call("token_facts", "", |meta| {
            let unknown = || super::refusal(400, 100, "The input token is not a token.");
            meta.tokens.get(token.expose()).map(|known| known.facts.clone()).ok_or_else(unknown)
        })
        .await
    }

    async fn renew_token(&self, token: &AccessToken) -> Result<AccessToken, GraphError> {
        self.call("renew_token", "", |meta| {
            let known = meta.token(token)?.clone();
            Ok(meta.issue(known))
        })
        .await
    }

    async fn token_user(&self, token: &AccessToken) -> Result<String, GraphError> {
        self.call("token_user", "", |meta| meta.token(token).map(|_| SYSTEM_USER.to_owned())).await
    }

    async fn client_business(&self, token: &AccessToken) -> Result<Option<BusinessId>, GraphError> {
        self.call("client_business", "", |meta| Ok(meta.token(token)?.business_id.clone())).await
    }
}

impl AccountGraph for FakeGraph {
    async fn account(&self, waba: &WabaId, token: &AccessToken) -> Result<Account, GraphError> {
        self.call("account", waba.as_ref(), |meta| meta.account(waba, token)).await
    }

    async fn numbers(&self, waba: &WabaId, token: &AccessToken) -> Result<Vec<Number>, GraphError> {
        self.call("numbers", waba.as_ref(), |meta| meta.numbers_of(waba, token)).await
    }

    async fn number(&self, phone: &PhoneNumberId, token: &AccessToken) -> Result<Number, GraphError> {
        self.call("number", phone.as_ref(), |meta| Ok(meta.number_of(phone, token)?.number.clone())).await
    }

    async fn subscription(
        &self,
        waba: &WabaId,
        token: &AccessToken,
    ) -> Result<Option<Subscription>, GraphError> {
        self.call("subscription", waba.as_ref(), |meta| {
            let waba = meta.waba(waba, token)?;
            Ok(waba.subscribed.then(|| Subscription { callback: waba.callback.clone() }))
        })
        .await
    }

    async fn is_subscribed(&self, waba: &WabaId, token: &AccessToken) -> Result<bool, GraphError> {
        self.call("is_subscribed", waba.as_ref(), |meta| Ok(meta.waba(waba, token)?.subscribed)).await
    }

    async fn subscribe(&self, waba: &WabaId, token: &AccessToken) -> Result<(), GraphError> {
        self.call("subscribe", waba.as_ref(), |meta| {
            let waba = meta.waba(waba, token)?;
            // A plain subscription removes the override.
            (waba.subscribed, waba.callback) = (true, None);
            Ok(())
        })
        .await
    }

    async fn unsubscribe(&self, waba: &WabaId, token: &AccessToken) -> Result<(), GraphError> {
        self.call("unsubscribe", waba.as_ref(), |meta| {
            meta.waba(waba, token)?.subscribed = false;
            Ok(())
        })
        .await
    }

    async fn clear_callback(&self, phone: &PhoneNumberId, token: &AccessToken) -> Result<(), GraphError> {
        self.call("clear_callback", phone.as_ref(), |meta| {
            meta.number_of(phone, token)?.number.callback = None;
            Ok(())
        })
        .await
    }

    async fn register(
        &self,
        phone: &PhoneNumberId,
        pin: &Pin,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        self.call("register", phone.as_ref(), |meta| meta.register(phone, pin, token)).await
    }
}

impl PartnerGraph for FakeGraph {
    async fn system_user(&self) -> Result<String, GraphError> {
        self.call("system_user", "", |_| Ok(SYSTEM_USER.to_owned())).await
    }

    async fn is_assigned(&self, waba: &WabaId, system_user: &str) -> Result<bool, GraphError> {
        self.call("is_assigned", waba.as_ref(), |meta| {
            Ok(meta.partner_waba(waba)?.assigned.contains(system_user))
        })
        .await
    }

    async fn assign(&self, waba: &WabaId, system_user: &str) -> Result<(), GraphError> {
        self.call("assign", waba.as_ref(), |meta| {
            meta.partner_waba(waba)?.assigned.insert(system_user.to_owned());
            Ok(())
        })
        .await
    }

    async fn allocations(&self, business: &BusinessId) -> Result<Vec<AllocationId>, GraphError> {
        self.call("allocations", business.as_ref(), |meta| {
            let ours = meta.allocations.iter().filter(|a| a.business_id == *business);
            Ok(ours.map(|allocation| allocation.id.clone()).collect())
        })
        .await
    }

    async fn receiving_credential(&self, allocation: &AllocationId) -> Result<Option<String>, GraphError> {
        self.call("receiving_credential", allocation.as_ref(), |meta| {
            let known = meta.allocations.iter().find(|known| known.id == *allocation);
            Ok(known.map(|known| known.credential.clone()))
        })
        .await
    }

    async fn share_credit(&self, waba: &WabaId, currency: &str) -> Result<AllocationId, GraphError> {
        self.call("share_credit", waba.as_ref(), |meta| meta.share(waba, currency)).await
    }

    async fn allocation(&self, allocation: &AllocationId) -> Result<AllocationState, GraphError> {
        self.call("allocation", allocation.as_ref(), |meta| meta.allocation_state(allocation)).await
    }

    async fn revoke_credit(&self, allocation: &AllocationId) -> Result<(), GraphError> {
        self.call("revoke_credit", allocation.as_ref(), |meta| meta.revoke(allocation)).await
    }

    async fn fetch_business_token(&self, business: &BusinessId) -> Result<AccessToken, GraphError> {
        self.call("fetch_business_token", business.as_ref(), |meta| meta.existing_token(business)).await
    }

    async fn derive_business_token(
        &self,
        business: &BusinessId,
        accounts: &[WabaId],
    ) -> Result<AccessToken, GraphError> {
        self.call("derive_business_token", business.as_ref(), |meta| meta.derived_token(business, accounts))
            .await
    }
}

impl MessageGraph for FakeGraph {
    async fn send(
        &self,
        phone: &PhoneNumberId,
        message: &Value,
        token: &AccessToken,
    ) -> Result<Wamid, GraphError> {
        self.call("send", phone.as_ref(), |meta| meta.take_message(phone, message, token)).await
    }

    async fn mark_read(
        &self,
        phone: &PhoneNumberId,
        message: &Wamid,
        typing: bool,
        token: &AccessToken,
    ) -> Result<(), GraphError> {
        self.call("mark_read", phone.as_ref(), |meta| {
            meta.number_of(phone, token)?;
            meta.read.push((phone.clone(), message.clone(), typing));
            Ok(())
        })
        .await
    }

    fn usage(&self) -> Vec<Usage> {
        self.with(|meta| std::mem::take(&mut meta.usage))
    }
}
