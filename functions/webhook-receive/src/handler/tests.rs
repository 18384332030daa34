use serde_json::Value;
use shared::domain::parcel::Content;
use shared::testing::{Fault, Sample, World, answered, refused};

use super::*;

const EVENT: &str = include_str!("../../../../events/webhook-receive.json");
const SIGNATURE: &str = "x-hub-signature-256";

async fn receive_at(world: &World, sample: &Sample) -> Result<Response<Body>, ApiError> {
    let secret = AppSecret::try_from("corpus-open-not-a-real-app-secret".to_owned()).unwrap();
    handle(&world.queues, &world.clock, &Kept::fixed(secret), &sample.request()).await
}

#[tokio::test]
async fn a_signed_webhook_is_on_the_queue_unchanged_by_one_call_and_answered_200_without_a_body() {
    let world = World::new();
    assert_eq!(answered(receive_at(&world, &Sample::of(EVENT)).await), (200, Value::Null));
    let event: Value = serde_json::from_str(EVENT).unwrap();
    let queued = world.queues.inbound();
    assert_eq!(queued.len(), 1);
    assert!(
        matches!(&queued[0].item.content, Content::Body(body) if body == event["body"].as_str().unwrap())
    );
    assert_eq!(world.steps.log(), ["send_inbound"]);
}

#[tokio::test]
async fn what_meta_did_not_sign_is_401_and_nothing_is_kept() {
    let world = World::new();
    let right = Sample::of(EVENT).request().headers()[SIGNATURE].to_str().unwrap().to_owned();
    let wrong = [
        None,
        Some(String::new()),
        Some(right.to_uppercase()),
        Some(right.replace("sha256", "sha1")),
        Some(right.replace("sha256=", "")),
        Some(format!("{right}0")),
        Some(format!("sha256={}", "0".repeat(64))),
    ];
    for header in wrong {
        let sample = Sample::of(EVENT).header(SIGNATURE, header.as_deref());
        assert_eq!(
            refused(receive_at(&world, &sample).await),
            (401, "bad_signature".to_owned()),
            "{header:?}"
        );
    }
    let altered = Sample::of(EVENT).text("{\"object\":\"whatsapp_business_account\"}");
    assert_eq!(refused(receive_at(&world, &altered).await), (401, "bad_signature".to_owned()));
    assert_eq!(world.steps.count(), 0);
}

#[tokio::test]
async fn what_is_not_durable_is_not_answered_200_so_that_meta_sends_it_again() {
    let world = World::new();
    for fault in [Fault::FailBefore, Fault::FailAfter] {
        world.steps.fault_next("send_inbound", fault);
        assert_eq!(refused(receive_at(&world, &Sample::of(EVENT)).await).0, 503);
    }
    assert_eq!(answered(receive_at(&world, &Sample::of(EVENT)).await).0, 200);
}
