//! Message templates of a bot's accounts: read from our records, changed at Meta.

mod changes;
mod limits;
mod list;
mod refusals;
mod samples;
#[cfg(test)]
mod tests;

use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::{Body, Request};
use serde_json::{Value, json};
use shared::api::templates::{SyncStatus, SyncedAccount, SyncedAccounts};
use shared::domain::client::{Client, ClientStatus};
use shared::domain::ids::{BotId, PhoneNumberId, TemplateId, WabaId};
use shared::domain::secret::AccessToken;
use shared::domain::template::{Filling, Template, preview};
use shared::flows::templates::{self as flow, Synced, Syncing};
use shared::flows::tokens::Tokens;
use shared::http::{
    ApiError, Caller, GATEWAY_CLAIM, Members, RequestKey, Response, StatusCode, json as answer, meta, once,
    path_parameter, query_parameter, scheduled,
};
use shared::ports::{
    Clock, IdempotencyKeys, ListClients, ReadClients, RequestTemplateSyncs, Seal, TemplateGraph,
};

/// How many accounts one run of the schedule looks at; the next run takes the rest.
const DUE_AT_ONCE: usize = 100;
/// Most numbers of a bot that are looked at for its accounts.
const MOST_NUMBERS: usize = 100;
/// A call begins to read no further account after this: reading one may take 22 seconds, a call has 29.
const SYNC_TIME: Duration = Duration::from_secs(5);

/// All records that it uses: dynamodb on templates, clients, grants, idempotency.
pub(crate) trait Records:
    flow::Records + RequestTemplateSyncs + ReadClients + ListClients + IdempotencyKeys
{
}
impl<T> Records for T where
    T: flow::Records + RequestTemplateSyncs + ReadClients + ListClients + IdempotencyKeys
{
}

pub(crate) struct Desk<'a, S, K, G, C> {
    pub(crate) store: &'a S,
    pub(crate) seal: &'a K,  // kms:Decrypt
    pub(crate) graph: &'a G, // the Graph API; no AWS permission
    pub(crate) clock: &'a C,
    pub(crate) tokens: &'a Tokens,
}

impl<S: Records, K: Seal, G: TemplateGraph, C: Clock> Desk<'_, S, K, G, C> {
    pub(crate) async fn handle(&self, request: &Request) -> Result<Response<Body>, ApiError> {
        if scheduled(request).as_deref() == Some("sync-templates") {
            let due = self.syncing().run_due(DUE_AT_ONCE).await?;
            return Ok(answer(StatusCode::OK, &json!({ "due": due })));
        }
        let caller = Caller::of(request)?;
        let bot: BotId = path_parameter(request, "botId", "bot_not_found")?;
        caller.check(&bot)?;
        let path = request.uri().path().to_owned();
        // Behind /api/whatsapp/templates/{botId}.
        let rest: Vec<&str> = path.trim_matches('/').split('/').skip(4).collect();
        match (request.method(), rest.as_slice()) {
            (&Method::GET, _) => self.list(&bot, request).await,
            (_, ["samples"]) => self.upload(&bot, request).await,
            (_, ["sync"]) => self.sync(&bot, request).await,
            (_, [_, "preview"]) => self.preview(&bot, request).await,
            _ => {
                // A key of one template's is no key of another's.
                let route = format!("templates {} {path}", request.method());
                let key = RequestKey::of(request, &caller, &route)?;
                let change = self.change(&bot, request, &rest);
                once(self.store, self.clock, GATEWAY_CLAIM, key.as_ref(), change).await
            }
        }
    }

    async fn change(
        &self,
        bot: &BotId,
        request: &Request,
        rest: &[&str],
    ) -> Result<Response<Body>, ApiError> {
        match (request.method(), rest) {
            (&Method::POST, []) => self.create(bot, request).await,
            (&Method::POST, [_, "unpause"]) => self.unpause(bot, request).await,
            (&Method::PUT, [_]) => self.edit(bot, request).await,
            (&Method::DELETE, [_]) => self.delete(bot, request).await,
            _ => Err(ApiError::not_found("template_not_found")),
        }
    }

    fn syncing(&self) -> Syncing<'_, S, K, G, C> {
        let Self { store, seal, graph, clock, tokens } = *self;
        Syncing { store, seal, graph, clock, tokens }
    }

    /// The bot's clients whose templates may be seen: those that are onboarded, or the one that is named.
    async fn clients(&self, bot: &BotId, only: Option<&PhoneNumberId>) -> Result<Vec<Client>, ApiError> {
        let seen =
            |client: &Client| matches!(client.status(), ClientStatus::Active | ClientStatus::Suspended);
        match only {
            Some(phone) => {
                let client = self.store.client(phone).await?.filter(|it| it.bot_id == *bot && seen(it));
                Ok(vec![client.ok_or_else(|| ApiError::not_found("client_not_found"))?])
            }
            None => {
                let mut clients = self.store.clients_of(bot, None, MOST_NUMBERS).await?.items;
                clients.retain(seen);
                // One for each account.
                clients.sort_by(|a, b| a.waba_id.cmp(&b.waba_id));
                clients.dedup_by(|a, b| a.waba_id == b.waba_id);
                Ok(clients)
            }
        }
    }

    /// The client on whose account something is to be done: the one named, or the bot's only one.
    async fn client(&self, bot: &BotId, only: Option<&PhoneNumberId>) -> Result<Client, ApiError> {
        let mut clients = self.clients(bot, only).await?;
        if clients.len() > 1 {
            return Err(ApiError::bad_request(
                "phone_number_required",
                "The bot has several WhatsApp accounts.",
                "Send phoneNumberId: a number of the account.",
            ));
        }
        clients.pop().ok_or_else(|| ApiError::not_found("client_not_found"))
    }

    /// A template of the bot's, with a client of its account. A foreign one looks like an unknown one.
    async fn template(&self, bot: &BotId, request: &Request) -> Result<(Template, Client), ApiError> {
        let id: TemplateId = path_parameter(request, "template", "template_not_found")?;
        for client in self.clients(bot, None).await? {
            let known = self.store.template(&client.waba_id, &id).await?;
            if let Some(template) = known.filter(|it| it.deleted_at().is_none()) {
                return Ok((template, client));
            }
        }
        Err(ApiError::not_found("template_not_found"))
    }

    async fn token(&self, client: &Client) -> Result<AccessToken, ApiError> {
        let opened = self.tokens.of(self.store, self.seal, self.clock, &client.grant_id).await?;
        opened.map(|opened| opened.token).ok_or_else(meta::reconnect)
    }

    /// The list is read soon: what we have of it may be old.
    async fn ask_for_sync(&self, waba: &WabaId) {
        if let Err(error) = self.store.request_sync(waba, self.clock.now()).await {
            tracing::warn!(wabaId = %waba, error = %shared::error::Chain(&error), "its list is read at its time only");
        }
    }

    async fn preview(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let members = Members::of(request)?;
        let (template, _) = self.template(bot, request).await?;
        let Some(content) = &template.content else {
            return Err(ApiError::conflict(
                "template_incomplete",
                "What the template says is not known yet.",
                "Sync the templates, and ask again.",
            ));
        };
        let filling = match (members.all().get("components"), members.all().get("parameters")) {
            (Some(Value::Array(components)), _) => Filling::of_message(components),
            (None | Some(Value::Null), Some(texts)) => Filling::of_body(texts),
            (None | Some(Value::Null), None) => Filling::default(),
            (Some(_), _) => return Err(changes::invalid("components", "must be a list")),
        };
        Ok(answer(StatusCode::OK, &preview(&content.is.components, &filling)))
    }

    /// Reads the lists of the bot's accounts now; those for which there is no time soon.
    async fn sync(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let only: Option<PhoneNumberId> = query_parameter(request, "phoneNumberId")?;
        let begun = self.clock.now();
        let (mut accounts, mut complete) = (Vec::new(), true);
        for client in self.clients(bot, only.as_ref()).await? {
            let waba = &client.waba_id;
            let synced = if self.clock.now() > begun + SYNC_TIME {
                self.ask_for_sync(waba).await;
                Synced::Begun
            } else {
                self.syncing().account(waba).await?
            };
            complete &= matches!(synced, Synced::Complete);
            accounts.push(self.synced(waba, synced));
        }
        let status = if complete { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(answer(status, &SyncedAccounts { accounts }))
    }

    fn synced(&self, waba: &WabaId, synced: Synced) -> SyncedAccount {
        let (status, error) = match synced {
            Synced::Complete => (SyncStatus::Complete, None),
            Synced::Begun => (SyncStatus::Begun, None),
            Synced::Busy => (SyncStatus::Running, None),
            Synced::NoClient => (SyncStatus::Failed, Some(meta::reconnect())),
            Synced::Failed(error) => (SyncStatus::Failed, Some(meta::refusal(error))),
        };
        SyncedAccount { waba_id: waba.clone(), status, error: error.map(|error| error.problem()) }
    }
}
