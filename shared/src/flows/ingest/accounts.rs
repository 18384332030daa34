//! What an event means for clients is noted on them, and a client that left gets its off-boarding. Both may be
//! repeated and come in any order; Meta and KMS are left to the off-boarding.

use serde_json::Value;

use crate::domain::Timestamp;
use crate::domain::account::{Ban, Change, Noted, Told, Whom, account_of, digits, told};
use crate::domain::client::Client;
use crate::domain::offboarding::Offboarding;
use crate::domain::webhook::Piece;
use crate::error::StoreError;
use crate::ports::{Clock, SendFetches, SendInbound, SendNudges};
use crate::telemetry::{metric, unit};

use super::{Ingest, Records};

impl<S: Records, I: SendInbound, Q: SendNudges, F: SendFetches, C: Clock> Ingest<'_, S, I, Q, F, C> {
    /// Acts on a change of any field but `messages`, whose event was at `at`.
    pub(super) async fn act_on(
        &self,
        piece: &Piece<'_>,
        field: &str,
        value: &Value,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let told = told(field, value);
        let waba = account_of(value, piece.entry_id.as_deref());
        let Some(waba) = waba.filter(|_| !told.is_empty()) else { return Ok(()) };
        let clients = self.store.clients_on(&waba).await?;
        for Told { whom, change } in &told {
            for client in concerned(whom, &clients) {
                self.note(client, Noted { at, change: change.clone() }).await?;
            }
        }
        Ok(())
    }

    async fn note(&self, client: &Client, noted: Noted) -> Result<(), StoreError> {
        let id = &client.phone_number_id;
        let aspect = noted.aspect();
        unit::client(id);
        tracing::debug!(clientId = %id, aspect, "an event of the account");
        if client.account.get(&aspect) != Some(&noted) && is_trouble(&noted.change) {
            tracing::warn!(metric = metric::ACCOUNT_TROUBLE, clientId = %id, aspect, "Meta stops or threatens a client");
        }
        let now = self.clock.now();
        let Some(client) = self.store.note_account(id, &noted, now).await? else { return Ok(()) };
        // Also at a repetition: the first may have died here.
        if matches!(noted.change, Change::Removed(_)) && client.is_removed() {
            self.store.start_offboarding(&Offboarding::of(&client, now)).await?;
        }
        Ok(())
    }
}

/// The clients of the account that an event is about.
fn concerned<'c>(whom: &'c Whom, clients: &'c [Client]) -> impl Iterator<Item = &'c Client> {
    clients.iter().filter(move |client| match whom {
        Whom::Account => true,
        Whom::Phone(id) => client.phone_number_id == *id,
        Whom::Number(number) => match &client.display_phone_number {
            Some(shown) => is_same_number(&digits(shown), number),
            // Not known yet: it can be no other.
            None => clients.len() == 1,
        },
    })
}

/// Some countries write a number with a digit more behind the country code, or without it, so the end decides
/// (Argentina, Brazil, Mexico).
pub(super) fn is_same_number(a: &str, b: &str) -> bool {
    const END: usize = 8;
    let end = |digits: &str| digits.get(digits.len().saturating_sub(END)..).map(str::to_owned);
    a == b || (a.len() > END && b.len() > END && a[..2] == b[..2] && end(a) == end(b))
}

/// What somebody should hear of at once.
fn is_trouble(change: &Change) -> bool {
    match change {
        Change::Removed(_) | Change::BanAnnounced(_) | Change::Restriction(_) | Change::Violation(_) => true,
        Change::Ban(ban) => *ban == Ban::Disabled,
        Change::Review(decision) => decision == "REJECTED",
        _ => false,
    }
}
