use super::MemoryStore;
use crate::error::StoreError;
use crate::ports::{AccountEvent, EmptyQuarantine, ListEvents, Page, Quarantined, Shelf};

/// Up to `limit` of the items behind a position, and where they end if there are more.
fn page<T, P: Ord>(
    mut items: Vec<(P, T)>,
    after: Option<&P>,
    limit: usize,
    name: impl Fn(&P) -> String,
) -> Page<T> {
    items.retain(|(position, _)| after.is_none_or(|after| position > after));
    items.sort_by(|(one, _), (other, _)| one.cmp(other));
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(position, _)| name(position));
    Page { items: items.into_iter().map(|(_, item)| item).collect(), next }
}

fn position(name: &str) -> Option<(i64, String)> {
    let (at, id) = name.split_once('#')?;
    Some((at.parse().ok()?, id.to_owned()))
}

impl EmptyQuarantine for MemoryStore {
    async fn quarantined(&self, id: &str) -> Result<Option<Quarantined>, StoreError> {
        self.run("quarantined", |tables| tables.quarantine.get(id).cloned()).await
    }

    async fn quarantined_on(
        &self,
        shelf: Shelf,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Quarantined>, StoreError> {
        let after = after.and_then(position);
        self.run("quarantined_on", |tables| {
            let on_it = tables.quarantine.values().filter(|item| Shelf::of(item) == shelf);
            let items =
                on_it.map(|item| ((item.received_at.as_millisecond(), item.id.clone()), item.clone()));
            page(items.collect(), after.as_ref(), limit, |(at, id)| format!("{at}#{id}"))
        })
        .await
    }

    async fn mark_quarantined(&self, id: &str, token: &str) -> Result<bool, StoreError> {
        self.run("mark_quarantined", |tables| {
            let known = tables.quarantine.contains_key(id);
            if known {
                tables.quarantine_marks.insert(id.to_owned(), token.to_owned());
            }
            known
        })
        .await
    }

    async fn remove_quarantined(&self, id: &str, token: &str) -> Result<bool, StoreError> {
        self.run("remove_quarantined", |tables| {
            let ours = tables.quarantine_marks.get(id).is_some_and(|mark| mark == token);
            if ours {
                tables.quarantine_marks.remove(id);
                tables.quarantine.remove(id);
            }
            ours
        })
        .await
    }
}

impl ListEvents for MemoryStore {
    async fn events_of(
        &self,
        owner: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<AccountEvent>, StoreError> {
        let key = |event: &AccountEvent| {
            let at = if event.dated { event.at.as_millisecond() } else { 0 };
            format!("{}#{at:015}#{}", event.kind, event.hash)
        };
        self.run("events_of", |tables| {
            let of_owner = tables.events.values().filter(|event| event.owner == owner);
            let items = of_owner.map(|event| (key(event), event.clone())).collect();
            page(items, after.map(str::to_owned).as_ref(), limit, Clone::clone)
        })
        .await
    }
}
