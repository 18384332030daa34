//! What an event means for a template is noted on it. A template that was not known becomes known by its name; the
//! account's list is then read, because an event tells only a part.

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::account::account_of;
use crate::domain::template::event_of;
use crate::domain::webhook::Piece;
use crate::error::StoreError;
use crate::flows::templates::{Told, note};
use crate::ports::{Clock, SendFetches, SendInbound, SendNudges};

use super::{Ingest, Records};

impl<S: Records, I: SendInbound, Q: SendNudges, F: SendFetches, C: Clock> Ingest<'_, S, I, Q, F, C> {
    /// Acts on a change of a template field, whose event was at `at`.
    pub(super) async fn note_template(
        &self,
        piece: &Piece<'_>,
        field: &str,
        value: &Value,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(event) = event_of(field, value) else { return Ok(()) };
        let Some(waba) = account_of(value, piece.entry_id.as_deref()) else { return Ok(()) };
        let now = self.clock.now();
        let (id, name, language) = (&event.id, &event.name, event.language.as_str());
        let told = Told { waba: &waba, id, name, language, at, facts: &event.facts };
        let template = note(self.store, &told, now).await?;
        tracing::debug!(wabaId = %waba, templateId = %id, field, "an event of a template");
        // Also at a repetition: the first may have died here.
        if template.content.is_none() || field == "message_template_components_update" {
            self.store.request_sync(&waba, now).await?;
        }
        Ok(())
    }
}
