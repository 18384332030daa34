use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::client::Client;
use crate::domain::ids::BotId;
use crate::domain::template::{Category, Content, Shown, Status, SyncState};
use crate::flows::tokens::Tokens;
use crate::ports::{Clock, RequestTemplateSyncs, TemplateSyncs};
use crate::testing::{GraphFault, SignedUp, World, refusal};

struct Desk {
    world: World,
    client: Client,
    it: SignedUp,
    tokens: Tokens,
}

impl Desk {
    async fn new() -> Self {
        let world = World::new();
        let bot: BotId = "demo-bakery".parse().unwrap();
        let (client, it) = world.active_client(&bot, 1).await;
        Self { world, client, it, tokens: Tokens::default() }
    }

    /// Meta has these templates, by their ids.
    fn meta_has(&self, ids: &[u32]) {
        let shown = ids.iter().map(|id| shown(*id, "APPROVED")).collect();
        self.world.graph.with(|meta| *meta.templates_of(&self.client.waba_id) = shown);
    }

    async fn sync(&self) -> Synced {
        self.runner().account(&self.client.waba_id).await.unwrap()
    }

    fn runner(
        &self,
    ) -> Syncing<
        '_,
        crate::testing::MemoryStore,
        crate::testing::FakeSeal,
        crate::testing::FakeGraph,
        crate::testing::FixedClock,
    > {
        let parts: &crate::testing::Parts = &self.world;
        Syncing {
            store: &parts.store,
            seal: &parts.seal,
            graph: &parts.graph,
            clock: &parts.clock,
            tokens: &self.tokens,
        }
    }

    /// Ids and states of what is recorded.
    fn known(&self) -> Vec<(String, String)> {
        let word = |it: &Template| it.status.as_ref().map(|known| known.is.word.clone()).unwrap_or_default();
        self.world.store.with(|t| t.templates.values().map(|it| (it.id.to_string(), word(it))).collect())
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.world.store.with(|t| t.template_syncs[&self.client.waba_id].due_at)
    }

    async fn event(&self, id: u32, fact: Fact, at: Timestamp) {
        let (id, name) = (id.to_string().parse().unwrap(), "ready".parse().unwrap());
        let facts = [(Source::Event, fact)];
        let told =
            Told { waba: &self.client.waba_id, id: &id, name: &name, language: "en", at, facts: &facts };
        note(&self.world.store, &told, self.world.clock.now()).await.unwrap();
    }
}

fn shown(id: u32, status: &str) -> Shown {
    let components = json!([{"type": "BODY", "text": format!("Number {id}")}]);
    Shown {
        id: id.to_string().parse().unwrap(),
        name: "ready".parse().unwrap(),
        language: format!("x{id}"),
        status: Some(Status::of(status)),
        category: Some(Category { word: "UTILITY".to_owned(), coming: None }),
        quality: None,
        content: Some(Content { components, parameter_format: None, ttl_seconds: None }),
    }
}

fn states(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(id, word)| ((*id).to_owned(), (*word).to_owned())).collect()
}

#[tokio::test]
async fn every_page_is_read_and_what_is_as_it_was_is_not_written_again() {
    let desk = Desk::new().await;
    desk.meta_has(&[1, 2, 3, 4, 5]);
    assert!(matches!(desk.sync().await, Synced::Complete));
    assert_eq!((desk.known().len(), desk.world.graph.calls("templates")), (5, 3));
    assert_eq!(desk.due_at(), Some(desk.world.clock.now() + Duration::from_secs(3600)));
    let before = desk.world.store.with(|t| t.templates.clone());
    desk.world.clock.advance(Duration::from_secs(3600));
    assert!(matches!(desk.sync().await, Synced::Complete));
    assert_eq!(desk.world.store.with(|t| t.templates.clone()), before);
}

#[tokio::test]
async fn what_vanished_is_deleted_and_what_changed_behind_our_back_is_seen() {
    let desk = Desk::new().await;
    desk.meta_has(&[1, 2, 3]);
    desk.sync().await;
    desk.world.clock.advance(Duration::from_secs(60));
    desk.world.graph.with(|meta| {
        let all = meta.templates_of(&desk.client.waba_id);
        all.remove(0);
        all[0] = shown(2, "PAUSED");
    });
    desk.sync().await;
    assert_eq!(desk.known(), states(&[("1", "DELETED"), ("2", "PAUSED"), ("3", "APPROVED")]));
    desk.world.clock.advance(Duration::from_secs(60));
    desk.meta_has(&[1, 2, 3]);
    desk.sync().await;
    assert_eq!(desk.known()[0].1, "APPROVED", "it was only left out");
}

#[tokio::test]
async fn an_event_of_after_the_list_is_not_undone_by_it() {
    let desk = Desk::new().await;
    desk.meta_has(&[1]);
    desk.sync().await;
    desk.world.clock.advance(Duration::from_secs(60));
    // Meta's clock has whole seconds.
    let at = Timestamp::from_second(desk.world.clock.now().as_second()).unwrap();
    desk.event(1, Fact::Status(Status::of("PAUSED")), at).await;
    desk.event(7, Fact::Status(Status::of("APPROVED")), at).await;
    desk.sync().await;
    assert_eq!(desk.known(), states(&[("1", "PAUSED"), ("7", "APPROVED")]), "the list was of before");
    desk.world.clock.advance(Duration::from_secs(60));
    desk.sync().await;
    assert_eq!(desk.known(), states(&[("1", "APPROVED"), ("7", "DELETED")]));
}

#[tokio::test]
async fn a_round_without_time_goes_on_where_it_stopped_and_forgets_nothing() {
    let desk = Desk::new().await;
    desk.meta_has(&[1, 2, 3, 4, 5, 9]);
    desk.sync().await;
    desk.meta_has(&[1, 2, 3, 4, 5]);
    desk.world.clock.advance(Duration::from_secs(60));
    let began_at = desk.world.clock.now();
    let waba = &desk.client.waba_id;
    // The first page was read by a run that had no time for more.
    let claim = began_at + Duration::from_secs(60);
    desk.world.store.claim_sync(waba, began_at, claim).await.unwrap().unwrap();
    let seen = ["1", "2"].map(|id| id.parse().unwrap()).to_vec();
    let round = crate::domain::template::Round { began_at, cursor: Some("2".to_owned()), seen };
    let state = SyncState { round: Some(round), synced_at: None, failures: 0 };
    desk.world.store.save_sync(waba, claim, &state, Some(began_at)).await.unwrap();

    let before = desk.world.graph.calls("templates");
    assert_eq!(desk.runner().run_due(10).await.unwrap(), 1);
    assert_eq!(desk.world.graph.calls("templates"), before + 2, "from the second page on");
    let deleted: Vec<_> = desk.known().into_iter().filter(|(_, word)| word == "DELETED").collect();
    assert_eq!(deleted, states(&[("9", "DELETED")]));
    let state = desk.world.store.with(|t| t.template_syncs[waba].state.clone());
    assert_eq!((state.round, state.synced_at), (None, Some(began_at)));
}

#[tokio::test]
async fn a_failure_is_tried_again_later_and_later_and_nothing_is_marked() {
    let desk = Desk::new().await;
    desk.meta_has(&[1, 2, 3]);
    desk.sync().await;
    desk.meta_has(&[1]);
    for minutes in [2, 4, 8, 16, 32, 60, 60] {
        desk.world.graph.fail_next("templates", GraphFault::UnclearBefore);
        assert!(matches!(desk.sync().await, Synced::Failed(_)));
        assert_eq!(desk.due_at(), Some(desk.world.clock.now() + Duration::from_secs(minutes * 60)));
        desk.world.clock.advance(Duration::from_secs(minutes * 60));
    }
    assert!(desk.known().iter().all(|(_, word)| word == "APPROVED"));
    assert!(matches!(desk.sync().await, Synced::Complete));
    assert_eq!(desk.known().iter().filter(|(_, word)| word == "DELETED").count(), 2);
}

#[tokio::test]
async fn a_cursor_that_meta_refuses_is_not_asked_for_again() {
    let desk = Desk::new().await;
    desk.meta_has(&[1, 2, 3, 4, 5]);
    let fail = |call| desk.world.graph.fail_at(call, GraphFault::Refused(refusal(400, 100, "Bad cursor")));
    fail(1);
    assert!(matches!(desk.sync().await, Synced::Failed(_)));
    assert!(matches!(desk.sync().await, Synced::Complete));
    assert_eq!(desk.known().len(), 5);
}

#[tokio::test]
async fn two_at_once_read_it_once() {
    let desk = Desk::new().await;
    desk.meta_has(&[1, 2]);
    let (one, two) = tokio::join!(desk.sync(), desk.sync());
    let busy = [&one, &two].iter().filter(|it| matches!(it, Synced::Busy)).count();
    assert_eq!((busy, desk.world.graph.calls("templates")), (1, 1));
}

#[tokio::test]
async fn an_account_whose_client_left_is_not_read_until_somebody_asks() {
    let desk = Desk::new().await;
    desk.world.store.request_sync(&desk.client.waba_id, desk.world.clock.now()).await.unwrap();
    desk.world.store.with(|t| t.grants.clear());
    assert_eq!(desk.runner().run_due(10).await.unwrap(), 1);
    assert_eq!((desk.due_at(), desk.world.graph.calls("templates")), (None, 0));
    assert_eq!(desk.runner().run_due(10).await.unwrap(), 0);
    assert_eq!(desk.it.waba_id, desk.client.waba_id);
}

#[tokio::test]
async fn one_account_that_fails_stops_no_other() {
    let desk = Desk::new().await;
    let (second, _) = desk.world.active_client(&"other-bot".parse().unwrap(), 2).await;
    for (waba, seconds) in [(&desk.client.waba_id, 0), (&second.waba_id, 1)] {
        desk.world.store.request_sync(waba, desk.world.clock.now()).await.unwrap();
        desk.world.clock.advance(Duration::from_secs(seconds));
    }
    desk.world.graph.fail_next("templates", GraphFault::NotSent);
    assert_eq!(desk.runner().run_due(10).await.unwrap(), 2);
    assert_eq!(desk.world.graph.calls("templates"), 2);
}

#[tokio::test]
async fn two_who_write_at_once_lose_nothing() {
    let desk = Desk::new().await;
    let now = desk.world.clock.now();
    tokio::join!(
        desk.event(1, Fact::Status(Status::of("APPROVED")), now),
        desk.event(1, Fact::Quality("GREEN".to_owned()), now),
        desk.event(1, Fact::Category(Category { word: "UTILITY".to_owned(), coming: None }), now),
    );
    let it = desk.world.store.with(|t| t.templates.values().next().cloned()).unwrap();
    assert_eq!((it.version, it.has_status("APPROVED"), it.has_category("UTILITY")), (3, true, true));
    assert_eq!(it.quality.unwrap().is, "GREEN");
    assert_eq!(Value::Null, json!(it.content));
}
