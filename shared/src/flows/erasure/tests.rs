use std::cell::Cell;

use serde_json::json;

use super::*;
use crate::flows::testing::CUSTOMER;
use crate::flows::testing::shop::{BSUID, OTHER, Shop};
use crate::testing::Fault;

impl Shop {
    async fn erase(&self, after: Option<&str>, has_time: impl Fn() -> bool) -> Result<Progress, StoreError> {
        let parts: &crate::testing::Parts = &self.world;
        let name = CustomerKey::try_from(CUSTOMER.to_owned()).unwrap();
        let id = self.conversation(CUSTOMER).expect("whoever is not erased is found");
        Erasure { store: &parts.store, files: &parts.files, clock: &parts.clock }
            .run(&self.client, &name, &id, after, has_time)
            .await
    }

    /// How many records of each kind there are, of the one and of the other customer. The account's own
    /// records are left out.
    fn records(&self, phone: &str, bsuid: &str) -> Vec<(&'static str, usize)> {
        let names = [phone, bsuid].map(|name| CustomerKey::try_from(name.to_owned()).unwrap());
        let is_theirs = |id: &ConversationId| {
            names.iter().any(|name| ConversationId::new(&self.client.phone_number_id, name) == *id)
        };
        self.world.store.with(|tables| {
            let parts = tables.messages.values().filter(|m| is_theirs(&m.conversation_id));
            let parts: Vec<_> = parts.filter(|m| matches!(m.raw, Raw::Parts(_))).collect();
            vec![
                ("messages", tables.messages.values().filter(|m| is_theirs(&m.conversation_id)).count()),
                ("large", parts.len()),
                ("conversations", tables.conversations.keys().filter(|id| is_theirs(id)).count()),
                ("aliases", tables.aliases.keys().filter(|(_, name)| name == phone || name == bsuid).count()),
                ("files", tables.media.values().filter(|it| is_theirs(&it.conversation_id)).count()),
                ("pairs", tables.pairs.keys().filter(|id| is_theirs(id)).count()),
                (
                    "events",
                    tables
                        .events
                        .values()
                        .filter(|event| match &event.raw {
                            Raw::Plain(text) => mentions(&value_of(text), &names),
                            _ => false,
                        })
                        .count(),
                ),
            ]
        })
    }

    fn kept_files(&self) -> usize {
        self.world.files.all().len()
    }

    fn stored_parts(&self) -> usize {
        self.world.store.with(|tables| tables.blobs.len())
    }

    fn wamids(&self) -> usize {
        self.world.store.with(|tables| tables.wamids.len())
    }
}

#[tokio::test]
async fn whoever_is_erased_leaves_nothing_and_nobody_else_loses_anything() {
    let shop = Shop::new().await;
    let other = shop.records(OTHER, "US.bob");
    assert_eq!(other, shop.records(CUSTOMER, BSUID), "both said and got the same");
    assert!(other.iter().all(|(_, count)| *count > 0), "all kinds are there: {other:?}");
    let (parts, wamids) = (shop.stored_parts(), shop.wamids());
    assert_eq!(shop.kept_files(), 2);
    let done = shop.erase(None, || true).await.unwrap();
    assert_eq!(done, Progress::Done(Erased { messages: 4, events: 2, large: 1, files: 1, names: 2 }));
    let left = shop.records(CUSTOMER, BSUID);
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
    assert_eq!(shop.records(OTHER, "US.bob"), other);
    assert_eq!((shop.stored_parts() * 2, shop.wamids() * 2), (parts, wamids));
    assert_eq!(shop.conversation(CUSTOMER), None);
    let kept = shop.world.files.all();
    assert!(kept.len() == 1 && kept.keys().all(|key| key.ends_with("/880002")), "{:?}", kept.keys());
}

#[tokio::test]
async fn that_it_happened_stays_known_and_not_to_whom() {
    let shop = Shop::new().await;
    shop.erase(None, || true).await.unwrap();
    let notes =
        shop.world.store.with(|t| t.events.values().filter(|e| e.kind == KIND).cloned().collect::<Vec<_>>());
    let [AccountEvent { raw: Raw::Plain(raw), .. }] = &notes[..] else { panic!("one note: {notes:?}") };
    assert_eq!(
        value_of(raw)["erased"],
        json!({"messages": 4, "events": 2, "large": 1, "files": 1, "names": 2})
    );
    assert!(!raw.contains(CUSTOMER) && !raw.contains(BSUID), "{raw}");
}

#[tokio::test]
async fn whichever_call_stops_it_the_next_one_erases_the_rest() {
    let calls = {
        let shop = Shop::new().await;
        let before = shop.world.steps.count();
        shop.erase(None, || true).await.unwrap();
        shop.world.steps.count() - before
    };
    assert!(calls > 15, "{calls}");
    for call in 0..calls {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let shop = Shop::new().await;
            shop.world.steps.fault_at(shop.world.steps.count() + call, fault);
            let _ = shop.erase(None, || true).await;
            shop.world.steps.restart();
            shop.world.steps.clear_faults();
            if shop.conversation(CUSTOMER).is_some() {
                let done = shop.erase(None, || true).await.unwrap();
                assert!(matches!(done, Progress::Done(_)), "{done:?}");
            }
            let left = shop.records(CUSTOMER, BSUID);
            assert!(left.iter().all(|(_, count)| *count == 0), "call {call}, {fault:?}: {left:?}");
            assert_eq!(shop.kept_files(), 1, "call {call}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn when_time_runs_out_it_says_where_to_go_on_and_ends() {
    let shop = Shop::new().await;
    let mut after = None;
    let mut messages = 0;
    for calls in 1.. {
        assert!(calls < 50, "it never ends");
        let left = Cell::new(2);
        let has_time = || {
            left.set(left.get() - 1);
            left.get() >= 0
        };
        match shop.erase(after.as_deref(), has_time).await.unwrap() {
            Progress::More(erased, position) => {
                messages += erased.messages;
                after = Some(position);
            }
            Progress::Done(erased) => {
                assert_eq!(messages + erased.messages, 4);
                assert!(calls > 1);
                break;
            }
        }
    }
    assert!(shop.records(CUSTOMER, BSUID).iter().all(|(_, count)| *count == 0));
}
