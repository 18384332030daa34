//! What our records of templates add: choices outside the window, and consent to marketing. They may lag behind Meta,
//! so they refuse nothing that Meta may take: of an unknown, paused or rejected template, Meta is the judge.

use shared::api::sending::Choice;
use shared::domain::client::Client;
use shared::domain::conversation::Conversation;
use shared::domain::draft::Draft;
use shared::domain::ids::{TemplateId, TemplateName};
use shared::domain::template::{APPROVED, MARKETING};
use shared::error::{Chain, StoreError};
use shared::http::ApiError;
use shared::ports::{Clock, MessageGraph, Random, Seal, TokenGraph};

use super::{Order, Records, Send};

/// Most templates that are offered; the list of templates has them all.
const MOST_CHOICES: usize = 20;
/// Templates that are read at once, and how often at most, until there are enough.
const AT_ONCE: usize = 100;
const MOST_READS: usize = 3;

impl<S, K, G, C, R> Send<'_, S, K, G, C, R>
where
    S: Records,
    K: Seal,
    G: MessageGraph + TokenGraph,
    C: Clock,
    R: Random,
{
    /// Approved templates that may be sent instead. Without them the refusal is the same.
    pub(super) async fn choices(&self, client: &Client) -> Vec<Choice> {
        self.approved(client).await.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "no templates are offered");
            Vec::new()
        })
    }

    async fn approved(&self, client: &Client) -> Result<Vec<Choice>, StoreError> {
        let mut choices = Vec::new();
        let mut after: Option<TemplateId> = None;
        for _ in 0..MOST_READS {
            let page = self.sender.store.templates_on(&client.waba_id, after.as_ref(), AT_ONCE).await?;
            let approved = page.items.iter().filter(|it| it.has_status(APPROVED)).map(|it| {
                let category = it.category.as_ref().map(|known| known.is.word.clone());
                Choice { name: it.name.clone().into(), language: it.language.clone(), category }
            });
            choices.extend(approved);
            after = page.next.and_then(|next| next.parse().ok());
            if choices.len() >= MOST_CHOICES || after.is_none() {
                break;
            }
        }
        choices.truncate(MOST_CHOICES);
        Ok(choices)
    }

    /// The category of the template that is to be sent, as far as we know it.
    pub(super) async fn category(&self, order: &Order) -> Result<Option<String>, StoreError> {
        let Some((name, language)) = template_of(&order.draft) else { return Ok(None) };
        let known = self.sender.store.templates_named(&order.client.waba_id, &name).await?;
        let found = known.into_iter().find(|it| it.language == language && it.deleted_at().is_none());
        Ok(found.and_then(|template| template.category).map(|known| known.is.word))
    }
}

/// Marketing to somebody who wants none is refused before the call.
pub(super) fn check_consent(
    category: Option<&str>,
    conversation: Option<&Conversation>,
) -> Result<(), ApiError> {
    let refuses = conversation.is_some_and(|conversation| conversation.marks.refuses_marketing());
    if refuses && category == Some(MARKETING) { Err(opted_out()) } else { Ok(()) }
}

/// Name and language of the template that is to be sent.
fn template_of(draft: &Draft) -> Option<(TemplateName, String)> {
    if draft.kind != "template" {
        return None;
    }
    let message = draft.recorded();
    let name = message.pointer("/template/name")?.as_str()?.parse().ok()?;
    let language = message.pointer("/template/language/code")?.as_str()?.to_owned();
    Some((name, language))
}

fn opted_out() -> ApiError {
    ApiError::conflict(
        "recipient_opted_out",
        "The customer wants no marketing messages from this business.",
        "Send this customer no marketing any more.",
    )
}
