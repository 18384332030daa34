//! Pages of templates: account after account, by id.

use lambda_http::{Body, Request};
use shared::api::{self, templates::TemplateItem};
use shared::domain::ids::{BotId, PhoneNumberId, TemplateId, WabaId};
use shared::domain::template::{DELETED, Template};
use shared::http::{ApiError, Limit, Response, StatusCode, json as answer, query_parameter};
use shared::ports::{Clock, Seal, TemplateGraph};

use super::{Desk, Records};

/// Templates that are read at once.
const AT_ONCE: usize = 100;
/// So many are looked at for one page; a filter that few match then leaves a page short, and its cursor goes on.
const MOST_LOOKED_AT: usize = 1000;

/// Where the next page begins: in which account, after which template.
struct Cursor {
    waba: WabaId,
    after: TemplateId,
}

impl TryFrom<String> for Cursor {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let (waba, after) = value.split_once('.').ok_or(())?;
        Ok(Self { waba: waba.parse().map_err(|_| ())?, after: after.parse().map_err(|_| ())? })
    }
}

/// One of Meta's words, whatever its case.
struct Word(String);

impl TryFrom<String> for Word {
    type Error = ();
    fn try_from(value: String) -> Result<Self, ()> {
        let fits = value.len() <= 64 && value.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        if fits { Ok(Self(value.to_uppercase())) } else { Err(()) }
    }
}

/// What is asked for. Deleted templates are shown to who asks for them.
struct Filter {
    status: Option<String>,
    category: Option<String>,
}

impl Filter {
    fn takes(&self, it: &Template) -> bool {
        let status = match &self.status {
            Some(word) => it.has_status(word),
            None => !it.has_status(DELETED),
        };
        status && self.category.as_ref().is_none_or(|word| it.has_category(word))
    }
}

impl<S: Records, K: Seal, G: TemplateGraph, C: Clock> Desk<'_, S, K, G, C> {
    pub(super) async fn list(&self, bot: &BotId, request: &Request) -> Result<Response<Body>, ApiError> {
        let limit = Limit::of(request)?;
        let only: Option<PhoneNumberId> = query_parameter(request, "phoneNumberId")?;
        let filter = Filter {
            status: query_parameter::<Word>(request, "status")?.map(|word| word.0),
            category: query_parameter::<Word>(request, "category")?.map(|word| word.0),
        };
        let cursor: Option<Cursor> = query_parameter(request, "cursor")?;
        // A cursor can only lead to the bot's own accounts: others are not among them.
        let wabas = self.clients(bot, only.as_ref()).await?.into_iter().map(|client| client.waba_id);
        let wabas = wabas.filter(|waba| cursor.as_ref().is_none_or(|cursor| *waba >= cursor.waba)).collect();
        let (items, next) = self.page(wabas, cursor, &filter, limit).await?;
        let items = items.iter().map(TemplateItem::of).collect();
        Ok(answer(StatusCode::OK, &api::Page { items, next_cursor: next }))
    }

    async fn page(
        &self,
        wabas: Vec<WabaId>,
        cursor: Option<Cursor>,
        filter: &Filter,
        limit: usize,
    ) -> Result<(Vec<Template>, Option<String>), ApiError> {
        let mut items: Vec<Template> = Vec::new();
        let mut looked_at = 0;
        for waba in wabas {
            let mut after = cursor.as_ref().filter(|cursor| cursor.waba == waba).map(|c| c.after.clone());
            loop {
                let page = self.store.templates_on(&waba, after.as_ref(), AT_ONCE).await?;
                for it in page.items {
                    after = Some(it.id.clone());
                    looked_at += 1;
                    if filter.takes(&it) {
                        if items.len() == limit {
                            let next = items.last().map(position);
                            return Ok((items, next));
                        }
                        items.push(it);
                    } else if looked_at >= MOST_LOOKED_AT {
                        let next = position(&it);
                        return Ok((items, Some(next)));
                    }
                }
                if page.next.is_none() {
                    break;
                }
            }
        }
        Ok((items, None))
    }
}

fn position(it: &Template) -> String {
    format!("{}.{}", it.waba_id, it.id)
}
