use std::time::Duration;

use super::*;
use crate::flows::testing::shop::{BSUID, OTHER, Shop};
use crate::flows::testing::{CUSTOMER, Process, parcel, text, webhook};
use crate::ports::Clock;
use crate::testing::Fault;
use serde_json::json;

impl Shop {
    /// All that is kept of a customer.
    async fn export(&self, phone: &str) -> Vec<Kept> {
        let id = self.conversation(phone).expect("the customer wrote");
        let mut place = Place::default();
        let mut all = Vec::new();
        loop {
            // As a caller sends it.
            place = place.to_string().parse().unwrap();
            let page = Export { store: &self.world.store }.page(&self.client, &id, &place).await.unwrap();
            all.extend(page.0);
            match page.1 {
                Some(next) => place = next,
                None => return all,
            }
        }
    }
}

fn events(kept: &[Kept]) -> Vec<&str> {
    kept.iter()
        .filter_map(|kept| match kept {
            Kept::Event(event, _) => Some(event.kind.as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn everything_of_the_customer_is_told_with_what_came_and_nothing_of_another_one() {
    let shop = Shop::new().await;
    let kept = shop.export(CUSTOMER).await;
    let Kept::Conversation(conversation, names) = &kept[0] else { panic!("{:?}", kept[0]) };
    assert_eq!(Some(conversation.id.clone()), shop.conversation(CUSTOMER));
    assert_eq!(names.iter().map(AsRef::as_ref).collect::<Vec<_>>(), [CUSTOMER, BSUID]);
    let messages: Vec<(&Message, &Value)> = kept
        .iter()
        .filter_map(|kept| match kept {
            Kept::Message(message, raw, _) => Some((&**message, raw)),
            _ => None,
        })
        .collect();
    assert_eq!(messages.len(), 4, "three came, one was answered");
    let files: Vec<_> = kept.iter().filter(|kept| matches!(kept, Kept::Message(_, _, Some(_)))).collect();
    assert_eq!(files.len(), 1, "the picture's");
    assert!(messages.is_sorted_by_key(|(message, _)| std::cmp::Reverse(message.time_key())));
    assert!(messages.iter().all(|(_, raw)| raw.is_object()), "the one in parts, too");
    assert_eq!(events(&kept), ["automatic_events", "user_preferences"]);
    let all = format!("{kept:?}");
    assert!(!all.contains(OTHER) && !all.contains("US.bob"), "{all}");
}

#[tokio::test]
async fn many_messages_come_in_pages_each_once() {
    let shop = Shop::new().await;
    let process = Process::default();
    for n in 0..PAGE * 2 {
        shop.world.clock.advance(Duration::from_secs(1));
        let mut hello = text(&shop.world, &format!("wamid.many{n}"), "Hello");
        hello["from"] = CUSTOMER.into();
        let body = webhook(&shop.client.phone_number_id, json!({"messages": [hello]}));
        process.ingest(&shop.world).parcel(&parcel(&shop.world, body)).await.unwrap();
    }
    let kept = shop.export(CUSTOMER).await;
    let ids: std::collections::BTreeSet<_> = kept
        .iter()
        .filter_map(|kept| match kept {
            Kept::Message(message, ..) => Some(message.id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((ids.len(), kept.len()), (PAGE * 2 + 4, PAGE * 2 + 7));
}

#[tokio::test]
async fn what_another_bot_had_or_another_number_got_is_not_told() {
    let mut shop = Shop::new().await;
    let own = shop.client.clone();
    shop.client.bot_id = "other-bot".parse().unwrap();
    let kept = shop.export(CUSTOMER).await;
    assert_eq!(events(&kept).len(), kept.len(), "neither conversation nor messages: {kept:?}");
    shop.client.signed_up_at = shop.world.clock.now() + Duration::from_secs(1);
    assert_eq!(shop.export(CUSTOMER).await, []);
    shop.client = own;
    assert!(is_of(&shop.client, &json!({"entry": [{"changes": [{"value": {}}]}]})));
    let foreign = json!({"metadata": {"phone_number_id": "9"}});
    assert!(!is_of(&shop.client, &json!({"entry": [{"changes": [{"value": foreign}]}]})));
}

#[tokio::test]
async fn what_is_damaged_hides_nothing_else_and_what_fails_may_be_repeated() {
    let shop = Shop::new().await;
    shop.world.store.with(|tables| tables.blobs.clear());
    let kept = shop.export(CUSTOMER).await;
    let nulls = kept.iter().filter(|kept| matches!(kept, Kept::Message(_, Value::Null, _))).count();
    assert_eq!((nulls, kept.len()), (1, 7));
    let id = shop.conversation(CUSTOMER).unwrap();
    shop.world.steps.fault_next("list_messages", Fault::FailBefore);
    let export = Export { store: &shop.world.store };
    let place = Place::Messages(None);
    assert!(export.page(&shop.client, &id, &place).await.is_err());
    assert_eq!(export.page(&shop.client, &id, &place).await.unwrap().0.len(), 4);
}

#[test]
fn only_places_are_places() {
    for text in ["", "messages", "conversation.x", "elsewhere.", &format!("events.{}", "x".repeat(1025))] {
        assert_eq!(text.parse::<Place>(), Err(InvalidPlace), "{text}");
    }
    let place = Place::Messages(Some("000000000000001#a.b".to_owned()));
    assert_eq!(place.to_string().parse(), Ok(place));
}
