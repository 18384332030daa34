use serde_json::json;

use super::{Ids, Must, at, early, eventually};
use crate::domain::ids::{TemplateId, WabaId};
use crate::domain::template::{Category, Content, Fact, Round, Source, Status, SyncState, Template};
use crate::ports::{ReadTemplates, RequestTemplateSyncs, TemplateSyncs, WriteTemplates};

fn template(ids: &Ids, waba: &WabaId, n: u32, name: &str) -> Template {
    let name = name.parse().expect("a name");
    Template { version: 1, ..Template::named(waba, &ids.number(n), &name, "en_US", at(0)) }
}

/// [`ReadTemplates`] and [`WriteTemplates`].
pub async fn templates(store: &(impl ReadTemplates + WriteTemplates + RequestTemplateSyncs), unique: &str) {
    let ids = Ids::new("templates", unique);
    let waba = ids.waba(1);
    a_template_is_written_once_per_version(store, &ids, &waba).await;
    lists_are_by_id_and_of_one_account(store, &ids).await;
    languages_share_a_name(store, &ids).await;
}

async fn a_template_is_written_once_per_version(
    store: &(impl ReadTemplates + WriteTemplates),
    ids: &Ids,
    waba: &WabaId,
) {
    let mut it = template(ids, waba, 1, "order_update");
    let read = async || store.template(waba, &ids.number(1)).await.must();
    assert_eq!(read().await, None);
    assert!(!store.save_template(&Template { version: 2, ..it.clone() }).await.must(), "nothing to follow");
    assert!(store.save_template(&it).await.must());
    assert!(!store.save_template(&it).await.must(), "the same version again");
    assert_eq!(read().await, Some(it.clone()));
    let components =
        json!([{"type": "BODY", "text": "Hi {{1}}", "example": {"body_text": [["1", "2.50"]], "n": 2.5}}]);
    let status = Status { reason: Some("ABUSIVE_CONTENT".to_owned()), ..Status::of("REJECTED") };
    for fact in [
        Fact::Status(status),
        Fact::Category(Category { word: "UTILITY".to_owned(), coming: None }),
        Fact::Quality("GREEN".to_owned()),
        Fact::Content(Content { components, parameter_format: None, ttl_seconds: Some(-1) }),
    ] {
        assert!(it.note(&fact, Source::Event, at(5)));
    }
    it.version = 2;
    it.updated_at = at(6);
    assert!(store.save_template(&it).await.must());
    assert_eq!(read().await, Some(it.clone()), "as it was written");
    let late = Template { quality: None, ..it.clone() };
    assert!(!store.save_template(&late).await.must(), "another was faster");
    assert_eq!(read().await, Some(it));
}

async fn lists_are_by_id_and_of_one_account(
    store: &(impl ReadTemplates + WriteTemplates + RequestTemplateSyncs),
    ids: &Ids,
) {
    let (waba, other) = (ids.waba(2), ids.waba(3));
    store.request_sync(&waba, at(0)).await.must();
    for (waba, n) in [(&waba, 22), (&waba, 20), (&other, 21), (&waba, 23)] {
        assert!(store.save_template(&template(ids, waba, n, "a")).await.must());
    }
    let page = async |after: Option<&TemplateId>, limit: usize| {
        let page = store.templates_on(&waba, after, limit).await.must();
        (page.items.into_iter().map(|it| it.id).collect::<Vec<_>>(), page.next)
    };
    let [a, b, c] = [20, 22, 23].map(|n| ids.number::<TemplateId>(n));
    assert_eq!(page(None, 2).await, (vec![a.clone(), b.clone()], Some(b.to_string())));
    assert_eq!(page(Some(&b), 2).await, (vec![c.clone()], None));
    assert_eq!(page(None, 3).await, (vec![a, b, c.clone()], None));
    assert_eq!(page(Some(&c), 3).await, (vec![], None));
}

async fn languages_share_a_name(store: &(impl ReadTemplates + WriteTemplates), ids: &Ids) {
    let (waba, other) = (ids.waba(4), ids.waba(5));
    for (waba, n, name, language) in [
        (&waba, 30, "news", "en"),
        (&waba, 31, "news", "de"),
        (&waba, 32, "newsflash", "en"),
        (&other, 33, "news", "en"),
    ] {
        let it = Template { language: language.to_owned(), ..template(ids, waba, n, name) };
        assert!(store.save_template(&it).await.must());
    }
    let name = "news".parse().expect("a name");
    let languages = async || {
        let mut found: Vec<_> =
            store.templates_named(&waba, &name).await.must().into_iter().map(|it| it.language).collect();
        found.sort();
        found
    };
    eventually("both languages of a name", languages, |found| *found == ["de", "en"]).await;
}

/// [`RequestTemplateSyncs`] and [`TemplateSyncs`].
pub async fn template_syncs(store: &(impl RequestTemplateSyncs + TemplateSyncs), unique: &str) {
    let ids = Ids::new("template_syncs", unique);
    let [a, b, c] = [1, 2, 3].map(|n| ids.waba(n));
    let due = async |seconds: i64, wanted: &[&WabaId]| {
        let ask = async || {
            let mut found = store.due_syncs(early(seconds), 100).await.must();
            found.retain(|waba| [&a, &b, &c].contains(&waba));
            found
        };
        eventually("the due accounts", ask, |found| found.iter().eq(wanted.iter().copied())).await;
    };
    store.request_sync(&a, early(200)).await.must();
    store.request_sync(&a, early(120)).await.must();
    store.request_sync(&a, early(300)).await.must();
    store.request_sync(&b, early(110)).await.must();
    due(109, &[]).await;
    due(120, &[&b, &a]).await;

    let claimed = store.claim_sync(&a, early(120), early(150)).await.must();
    assert_eq!(claimed, Some(SyncState::default()));
    assert_eq!(store.claim_sync(&a, early(149), early(180)).await.must(), None, "somebody has it");
    due(149, &[&b]).await;
    due(150, &[&b, &a]).await;
    let round = Round { began_at: early(120), cursor: Some("next".to_owned()), seen: vec![ids.number(7)] };
    let state = SyncState { round: Some(round), synced_at: Some(early(60)), failures: 3 };
    assert!(!store.save_sync(&a, early(180), &state, None).await.must(), "not that claim");
    assert!(store.save_sync(&a, early(150), &state, Some(early(160))).await.must());
    assert!(!store.save_sync(&a, early(150), &SyncState::default(), None).await.must(), "it was given back");
    due(159, &[&b]).await;
    due(160, &[&b, &a]).await;
    assert_eq!(store.claim_sync(&a, early(160), early(190)).await.must(), Some(state.clone()));
    assert_eq!(
        store.claim_sync(&a, early(190), early(220)).await.must(),
        Some(state.clone()),
        "its claim ran out"
    );
    assert!(!store.save_sync(&a, early(190), &state, None).await.must(), "of the one that lost it");
    assert!(store.save_sync(&a, early(220), &state, None).await.must());
    due(9_999, &[&b]).await;
    store.request_sync(&a, early(400)).await.must();
    due(9_999, &[&b, &a]).await;
    assert!(store.claim_sync(&c, early(500), early(600)).await.must().is_some(), "an unknown account");
    due(9_999, &[&b, &a, &c]).await;
}
