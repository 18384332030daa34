//! What stops a client: payment, a lock, a dead token. Each needs Meta's word, and ends by it.

use super::*;
use crate::domain::grant::Grant;
use crate::domain::seal::SealContext;
use crate::domain::secret::AccessToken;
use crate::flows::testing::{token_care, token_settings};

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Desk {
    /// Sends with the client as it is stored.
    async fn send_anew(&self, n: u32) -> Delivery {
        let client = self.stored();
        let intent = Message { id: format!("msg_{n}").parse().unwrap(), ..self.intent("Hi") };
        self.process.sender(&self.world).deliver(&client, &intent, &recipient()).await.unwrap()
    }

    fn stored(&self) -> Client {
        self.world.store.with(|t| t.clients[&self.client.phone_number_id].clone())
    }

    fn grant(&self) -> Grant {
        self.world.store.with(|t| t.grants[&self.client.grant_id].clone())
    }

    fn refuses(&self, code: i64) {
        self.world.graph.fail_next("send", GraphFault::Refused(refusal(400, code, "No")));
    }

    /// Meta takes the client's token no more.
    fn revoke(&self) {
        self.world.graph.with(|meta| meta.tokens.values_mut().for_each(|t| t.facts.is_valid = false));
    }

    /// A new signup: another token, sealed as the grant's next.
    async fn sign_up_again(&self) {
        let text = "EAAanother";
        self.world.graph.with(|meta| {
            let mut token = meta.tokens.values().next().unwrap().clone();
            token.facts.is_valid = true;
            meta.tokens.insert(text.to_owned(), token);
        });
        let token = AccessToken::try_from(text.to_owned()).unwrap();
        let grant = self.grant();
        let sealed = self.world.seal.seal(token.expose(), SealContext::GrantToken(&grant.id)).await.unwrap();
        let version = grant.token_version + 1;
        let fresh = Grant { token: Some(sealed), token_version: version, dead_since: None, ..grant };
        self.world.store.with(|t| t.grants.insert(fresh.id.clone(), fresh));
    }
}

fn paused(delivery: &Delivery) -> Pause {
    match delivery {
        Delivery::Held(Held { reason: HeldReason::Paused(pause), .. }) => *pause,
        other => panic!("it is paused: {other:?}"),
    }
}

#[tokio::test]
async fn payment_and_locks_pause_the_client_and_nothing_is_sent_meanwhile() {
    for (code, reason) in
        [(131_042, PauseReason::Payment), (131_031, PauseReason::Locked), (368, PauseReason::Locked)]
    {
        let it = Desk::new().await;
        it.refuses(code);
        let pause = paused(&it.send_anew(1).await);
        let now = it.world.clock.now();
        assert_eq!(pause, Pause { reason, since: now, until: now + HOUR });
        assert_eq!(it.stored().pause, Some(pause));
        it.world.clock.advance(HOUR - Duration::from_millis(1));
        assert_eq!(paused(&it.send_anew(2).await), pause);
        assert_eq!((it.sends(), it.world.store.with(|t| t.messages.len())), (1, 1), "{code}");
    }
}

#[tokio::test]
async fn after_a_pause_one_send_finds_out_and_the_others_wait_for_it() {
    let it = Desk::new().await;
    it.refuses(131_042);
    let first = paused(&it.send_anew(1).await);
    it.world.clock.advance(HOUR);
    it.refuses(131_042);
    let (one, two) = tokio::join!(it.send_anew(2), it.send_anew(3));
    assert_eq!(it.sends(), 2, "one of them was sent");
    let known = it.stored().pause.unwrap();
    assert!([paused(&one), paused(&two)].contains(&known));
    assert_eq!((known.since, known.until), (first.since, it.world.clock.now() + HOUR));

    it.world.clock.advance(HOUR);
    it.refuses(131_042);
    let third = paused(&it.send_anew(4).await);
    assert_eq!(third.until, it.world.clock.now() + 2 * HOUR, "longer each time");

    it.world.clock.advance(2 * HOUR);
    assert!(matches!(it.send_anew(5).await, Delivery::Accepted(_)));
    assert_eq!(it.stored().pause, None, "a success ends it");
    assert!(matches!(it.send_anew(1).await, Delivery::Accepted(_)), "the refused message may still go out");
}

#[tokio::test]
async fn a_send_that_died_while_it_found_out_leaves_the_pause_to_the_next() {
    let it = Desk::new().await;
    it.refuses(131_042);
    it.send_anew(1).await;
    it.world.clock.advance(HOUR);
    it.world.steps.fault_next("begin_send", Fault::CrashBefore);
    let client = it.stored();
    assert!(it.process.sender(&it.world).deliver(&client, &it.intent("Hi"), &recipient()).await.is_err());
    it.world.steps.restart();
    assert!(matches!(it.send_anew(2).await, Delivery::Held(_)));
    it.world.clock.advance(Duration::from_secs(60));
    assert!(matches!(it.send_anew(2).await, Delivery::Accepted(_)));
    assert_eq!(it.stored().pause, None);
}

#[tokio::test]
async fn a_token_is_dead_only_by_metas_own_word() {
    for code in [0, 102, 104, 190] {
        let it = Desk::new().await;
        it.refuses(code);
        assert!(matches!(it.send_anew(1).await, Delivery::NotSent { .. }), "Meta calls it valid");
        it.refuses(code);
        it.world.graph.fail_next("token_facts", GraphFault::NotSent);
        assert!(matches!(it.send_anew(1).await, Delivery::NotSent { .. }), "Meta was not reached");
        it.refuses(code);
        it.world.graph.fail_next("token_facts", GraphFault::Refused(refusal(400, 190, "The app's token")));
        assert!(matches!(it.send_anew(1).await, Delivery::NotSent { .. }), "Meta did not say");
        assert_eq!((it.grant().dead_since, it.stored().reconnect_since), (None, None), "{code}");
        assert!(matches!(it.send_anew(1).await, Delivery::Accepted(_)));
    }
}

#[tokio::test]
async fn a_dead_token_marks_grant_and_client_and_a_new_signup_clears_them() {
    let it = Desk::new().await;
    it.revoke();
    assert!(matches!(it.send_anew(1).await, Delivery::NoToken(_)));
    let now = it.world.clock.now();
    assert_eq!((it.grant().dead_since, it.stored().reconnect_since), (Some(now), Some(now)));
    assert!(matches!(it.send_anew(1).await, Delivery::NoToken(_)));
    assert_eq!((it.sends(), it.world.graph.calls("token_facts")), (1, 1), "Meta is not asked again");

    let another_copy = Process::default();
    let intent = Message { id: "msg_2".parse().unwrap(), ..it.intent("Hi") };
    let delivery = another_copy.sender(&it.world).deliver(&it.stored(), &intent, &recipient()).await.unwrap();
    assert!(matches!(delivery, Delivery::NoToken(_)));

    it.sign_up_again().await;
    assert!(matches!(it.send_anew(1).await, Delivery::Accepted(_)), "the refused message may go out");
    assert_eq!(it.stored().reconnect_since, None);
}

#[tokio::test]
async fn a_token_that_a_send_finds_dead_is_replaced_at_the_next_look_which_is_due_at_once() {
    let it = Desk::new().await;
    let settings = token_settings();
    token_care(&it.world, &settings).run_due(1).await.unwrap();
    assert!(it.grant().care_at > Some(it.world.clock.now()), "it would be looked at tomorrow");
    it.revoke();
    assert!(matches!(it.send_anew(1).await, Delivery::NoToken(_)));
    token_care(&it.world, &settings).run_due(1).await.unwrap();
    assert_eq!((it.grant().dead_since, it.stored().reconnect_since), (None, None));
    assert!(matches!(it.send_anew(1).await, Delivery::Accepted(_)));
}

#[tokio::test]
async fn of_a_token_that_is_known_to_be_dead_no_look_is_asked_for_again() {
    let it = Desk::new().await;
    it.send_anew(1).await;
    it.revoke();
    let now = it.world.clock.now();
    it.world.store.mark_dead(&it.client.grant_id, 1, now).await.unwrap();
    let tomorrow = Some(now + 24 * HOUR);
    it.world.store.with(|t| t.grants.get_mut(&it.client.grant_id).unwrap().care_at = tomorrow);
    assert!(matches!(it.send_anew(2).await, Delivery::NoToken(_)), "it was still in memory");
    assert_eq!(it.grant().care_at, tomorrow);
}

#[tokio::test]
async fn a_token_that_was_swapped_meanwhile_is_not_marked() {
    let it = Desk::new().await;
    it.send_anew(1).await;
    it.revoke();
    it.sign_up_again().await;
    assert!(matches!(it.send_anew(2).await, Delivery::NotSent { .. }), "the old one was still in memory");
    assert_eq!((it.grant().dead_since, it.world.graph.calls("token_facts")), (None, 0));
    assert!(matches!(it.send_anew(2).await, Delivery::Accepted(_)));
}
