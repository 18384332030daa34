//! Read receipts: given as often as asked, and what Meta's refusals of them mean.

use super::*;
use crate::domain::client::{Pause, PauseReason};

impl Desk {
    async fn mark(&self) -> Receipt {
        let wamid = "wamid.A".parse().unwrap();
        self.process.sender(&self.world).mark_read(&self.client, &wamid, true).await.unwrap()
    }

    fn receipts(&self) -> usize {
        self.world.graph.with(|meta| meta.read.len())
    }

    fn next_receipt(&self, fault: GraphFault) {
        self.world.graph.fail_next("mark_read", fault);
    }

    fn needs_reconnect(&self) -> bool {
        self.world.store.with(|t| t.clients[&self.client.phone_number_id].reconnect_since.is_some())
    }
}

#[tokio::test]
async fn a_receipt_is_given_each_time_and_counts_against_no_rate() {
    let it = Desk::new().await;
    for _ in 0..100 {
        assert!(matches!(it.mark().await, Receipt::Given));
    }
    let read = it.world.graph.with(|meta| meta.read.clone());
    assert_eq!(read[0], (it.client.phone_number_id.clone(), "wamid.A".parse().unwrap(), true));
    assert_eq!(read.len(), 100);
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::Accepted(_)));
}

#[tokio::test]
async fn a_paused_client_still_says_that_it_read() {
    let mut it = Desk::new().await;
    let now = it.world.clock.now();
    it.client.pause = Some(Pause::after(None, PauseReason::Payment, now));
    assert!(matches!(it.mark().await, Receipt::Given));
}

#[tokio::test]
async fn what_meta_did_not_take_may_be_given_again() {
    let it = Desk::new().await;
    for fault in [
        GraphFault::NotSent,
        GraphFault::UnclearBefore,
        GraphFault::UnclearAfter,
        GraphFault::Refused(refusal(500, 2, "Down")),
        GraphFault::Refused(refusal(400, 190, "No")), // Meta calls the token valid all the same.
    ] {
        it.next_receipt(fault);
        assert!(matches!(it.mark().await, Receipt::NotGiven { pause, .. } if !pause.is_zero()));
        assert!(matches!(it.mark().await, Receipt::Given));
    }
    assert!(!it.needs_reconnect());
}

#[tokio::test]
async fn too_fast_holds_what_meta_says_is_too_fast() {
    let it = Desk::new().await;
    it.next_receipt(GraphFault::Refused(refusal(400, 80_007, "Too many calls")));
    assert!(matches!(it.mark().await, Receipt::NotGiven { error: Some(_), .. }));
    assert!(matches!(it.mark().await, Receipt::Held(held) if held.reason == HeldReason::Account));
    assert!(matches!(it.deliver(&it.intent("Hi")).await.unwrap(), Delivery::Held(_)));
    assert_eq!((it.world.graph.calls("mark_read"), it.receipts()), (1, 0));
}

#[tokio::test]
async fn a_refusal_for_good_is_told() {
    let it = Desk::new().await;
    for code in [100, 131_009, 131_042] {
        it.next_receipt(GraphFault::Refused(refusal(400, code, "No")));
        assert!(matches!(it.mark().await, Receipt::Refused(error) if error.code == code));
    }
}

#[tokio::test]
async fn a_dead_token_is_found_out_by_a_receipt_too() {
    let it = Desk::new().await;
    it.world.graph.with(|meta| meta.tokens.values_mut().for_each(|t| t.facts.is_valid = false));
    assert!(matches!(it.mark().await, Receipt::NoToken(Some(error)) if error.code == 190));
    assert!(it.needs_reconnect());
    assert!(it.world.store.with(|t| t.grants[&it.client.grant_id].dead_since.is_some()));
    assert!(matches!(it.mark().await, Receipt::NoToken(None)));
    assert_eq!(it.world.graph.calls("mark_read"), 1, "Meta is not asked again");
}
