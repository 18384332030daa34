use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use shared::domain::template::{DELETED, Fact, Shown, Source, Status};
use shared::testing::{
    FakeGraph, FakeSeal, Fault, FixedClock, GraphFault, MemoryStore, Parts, Sample, World, answered, refusal,
    refused,
};

use super::*;

const EVENT: &str = include_str!("../../../../events/templates.json");
const SCHEDULE: &str = include_str!("../../../../events/templates-schedule.json");

const LIST: &str = "GET /api/whatsapp/templates/{botId}";
const CREATE: &str = "POST /api/whatsapp/templates/{botId}";
const EDIT: &str = "PUT /api/whatsapp/templates/{botId}/{template}";
const DELETE: &str = "DELETE /api/whatsapp/templates/{botId}/{template}";
const UNPAUSE: &str = "POST /api/whatsapp/templates/{botId}/{template}/unpause";
const PREVIEW: &str = "POST /api/whatsapp/templates/{botId}/{template}/preview";
const SAMPLES: &str = "POST /api/whatsapp/templates/{botId}/samples";
const SYNC: &str = "POST /api/whatsapp/templates/{botId}/sync";

struct Shop {
    world: World,
    client: Client,
    tokens: Tokens,
}

impl Shop {
    async fn new() -> Self {
        let world = World::new();
        let (client, _) = world.active_client(&bot(), 1).await;
        Self { world, client, tokens: Tokens::default() }
    }

    fn desk(&self) -> Desk<'_, MemoryStore, FakeSeal, FakeGraph, FixedClock> {
        let parts: &Parts = &self.world;
        let Parts { store, seal, graph, clock, .. } = parts;
        Desk { store, seal, graph, clock, tokens: &self.tokens }
    }

    async fn call(&self, sample: &Sample) -> Result<Response<Body>, ApiError> {
        self.desk().handle(&sample.request()).await
    }

    /// A template of the account, as Meta's list would show it; its id.
    async fn known(&self, client: &Client, id: u32, name: &str, language: &str, facts: &[Fact]) -> String {
        let id = id.to_string().parse().unwrap();
        let facts: Vec<_> = facts.iter().map(|fact| (Source::Shown, fact.clone())).collect();
        let told = flow::Told {
            waba: &client.waba_id,
            id: &id,
            name: &name.parse().unwrap(),
            language,
            at: self.world.clock.now() - Duration::from_secs(60),
            facts: &facts,
        };
        flow::note(&self.world.store, &told, self.world.clock.now()).await.unwrap();
        id.to_string()
    }

    /// The account's templates at Meta.
    fn at_meta(&self) -> Vec<Shown> {
        self.world.graph.with(|meta| meta.templates_of(&self.client.waba_id).clone())
    }

    async fn created(&self, name: &str) -> String {
        let (status, it) = answered(self.call(&to(CREATE, &[]).body(&greeting(name))).await);
        assert_eq!(status, 201, "{it}");
        it["id"].as_str().unwrap().to_owned()
    }
}

fn bot() -> BotId {
    "demo-bakery".parse().unwrap()
}

fn to(route: &str, parameters: &[(&str, &str)]) -> Sample {
    let mut all = vec![("botId", "demo-bakery")];
    all.extend(parameters);
    Sample::of(EVENT).query(&[]).route(route, &all).body(&json!({}))
}

fn greeting(name: &str) -> Value {
    json!({"name": name, "language": "en_US", "category": "UTILITY", "messageSendTtlSeconds": 600,
           "components": [{"type": "BODY", "text": "Hello {{1}}, welcome"}]})
}

fn status(word: &str) -> Fact {
    Fact::Status(Status::of(word))
}

fn category(word: &str) -> Fact {
    Fact::Category(shared::domain::template::Category { word: word.to_owned(), coming: None })
}

/// The ids of all pages of this size.
async fn pages(shop: &Shop, filter: &[(&str, &str)], limit: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        assert!(pages.len() < 20, "it never ends");
        let mut query = filter.to_vec();
        query.extend([("limit", limit), ("cursor", cursor.as_str())]);
        let (status, it) = answered(shop.call(&to(LIST, &[]).query(&query)).await);
        assert_eq!(status, 200, "{it}");
        let items = it["items"].as_array().unwrap();
        pages.push(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect());
        match it["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn the_sample_event_lists_what_is_approved_with_every_member() {
    let shop = Shop::new().await;
    shop.known(&shop.client, 1, "ready", "en", &[status("APPROVED"), category("UTILITY")]).await;
    shop.known(&shop.client, 2, "news", "en", &[status("REJECTED")]).await;
    let (status, it) = answered(shop.call(&Sample::of(EVENT)).await);
    assert_eq!((status, it["items"].as_array().unwrap().len()), (200, 1));
    let item = it["items"][0].as_object().unwrap();
    for member in [
        "id",
        "wabaId",
        "name",
        "language",
        "status",
        "statusSince",
        "reason",
        "detail",
        "advice",
        "category",
        "comingCategory",
        "quality",
        "components",
        "parameterFormat",
        "messageSendTtlSeconds",
        "createdAt",
        "updatedAt",
        "deletedAt",
    ] {
        assert!(item.contains_key(member), "{member}");
    }
    assert_eq!((&item["name"], &item["category"]), (&json!("ready"), &json!("UTILITY")));
}

#[tokio::test]
async fn pages_of_any_size_show_every_template_of_the_bots_accounts_once() {
    let shop = Shop::new().await;
    let (second, _) = shop.world.active_client(&bot(), 2).await;
    let (foreign, _) = shop.world.active_client(&"other-bot".parse().unwrap(), 3).await;
    for n in [11, 12, 13] {
        shop.known(&shop.client, n, "a", &n.to_string(), &[status("APPROVED"), category("MARKETING")]).await;
    }
    shop.known(&shop.client, 14, "gone", "en", &[status(DELETED)]).await;
    shop.known(&second, 21, "b", "en", &[status("PAUSED"), category("UTILITY")]).await;
    shop.known(&foreign, 31, "c", "en", &[status("APPROVED")]).await;
    for limit in ["1", "2", "3", "4", "100"] {
        let pages = pages(&shop, &[], limit).await;
        assert_eq!(pages.concat(), ["11", "12", "13", "21"], "{pages:?}");
        assert!(pages.iter().all(|page| !page.is_empty() && page.len() <= limit.parse().unwrap()));
    }
    assert_eq!(pages(&shop, &[("status", "paused")], "1").await.concat(), ["21"]);
    assert_eq!(pages(&shop, &[("status", "DELETED")], "1").await.concat(), ["14"]);
    assert_eq!(pages(&shop, &[("category", "MARKETING")], "2").await.concat(), ["11", "12", "13"]);
    let phone = second.phone_number_id.to_string();
    assert_eq!(pages(&shop, &[("phoneNumberId", &phone)], "2").await.concat(), ["21"]);
    let foreign_cursor = format!("{}.0", foreign.waba_id);
    let (_, it) = answered(shop.call(&to(LIST, &[]).query(&[("cursor", &foreign_cursor)])).await);
    assert_eq!(it["items"], json!([]), "a forged cursor shows nobody else's");
}

#[tokio::test]
async fn callers_who_may_not_and_foreign_things_are_told_as_elsewhere() {
    let shop = Shop::new().await;
    let (foreign, _) = shop.world.active_client(&"other-bot".parse().unwrap(), 3).await;
    let theirs = shop.known(&foreign, 31, "c", "en", &[status("APPROVED")]).await;
    let ours = shop.known(&shop.client, 11, "a", "en", &[status(DELETED)]).await;
    let other = json!({"bots": "[x]", "sub": "x"});
    let edit = json!({"category": "UTILITY"});
    let phone = foreign.phone_number_id.to_string();
    for (sample, expected) in [
        (to(LIST, &[]).nobody(), (401, "unauthenticated")),
        (to(LIST, &[]).page("[demo-bakery]"), (403, "scope_insufficient")),
        (to(LIST, &[]).claims(other), (404, "bot_not_found")),
        (to(LIST, &[]).query(&[("phoneNumberId", &phone)]), (404, "client_not_found")),
        (to(LIST, &[]).query(&[("limit", "0")]), (400, "invalid_parameter")),
        (to(LIST, &[]).query(&[("status", "a b")]), (400, "invalid_parameter")),
        (to(LIST, &[]).query(&[("cursor", "x")]), (400, "invalid_parameter")),
        (to(EDIT, &[("template", &theirs)]).body(&edit), (404, "template_not_found")),
        (to(EDIT, &[("template", "999")]).body(&edit), (404, "template_not_found")),
        (to(EDIT, &[("template", &ours)]).body(&edit), (404, "template_not_found")),
        (to(EDIT, &[("template", "a b")]).body(&edit), (404, "template_not_found")),
        (to(PREVIEW, &[("template", &theirs)]), (404, "template_not_found")),
        (to(UNPAUSE, &[("template", &theirs)]), (404, "template_not_found")),
        (to(SYNC, &[]).query(&[("phoneNumberId", &phone)]), (404, "client_not_found")),
    ] {
        let (status, code) = refused(shop.call(&sample).await);
        assert_eq!((status, code.as_str()), expected);
    }
    assert_eq!(shop.world.graph.with(|meta| meta.calls.len()), 0);
}

#[tokio::test]
async fn a_new_template_is_metas_first_and_then_listed() {
    let shop = Shop::new().await;
    let mut body = greeting("welcome");
    body["cta_url_link_tracking_opted_out"] = json!(true);
    body["phoneNumberId"] = json!(shop.client.phone_number_id);
    let (status, it) = answered(shop.call(&to(CREATE, &[]).body(&body)).await);
    assert_eq!((status, &it["status"], &it["category"]), (201, &json!("PENDING"), &json!("UTILITY")));
    assert_eq!((&it["messageSendTtlSeconds"], &it["components"]), (&json!(600), &body["components"]));
    let meta = shop.at_meta().remove(0);
    assert_eq!(meta.content.unwrap().ttl_seconds, Some(600), "under Meta's names");
    assert_eq!(pages(&shop, &[], "5").await.concat(), [it["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn what_meta_would_refuse_is_named_before_the_call() {
    let shop = Shop::new().await;
    let with = |member: &str, value: Value| {
        let mut body = greeting("welcome");
        body[member] = value;
        body
    };
    for (member, body) in [
        ("name", with("name", json!("Upper case"))),
        ("name", with("name", Value::Null)),
        ("language", with("language", json!("en-US!"))),
        ("category", with("category", json!("NEWS"))),
        ("components", with("components", json!([]))),
        ("components", with("components", json!([{"text": "no type"}]))),
        ("parameterFormat", with("parameterFormat", json!("OTHER"))),
        ("messageSendTtlSeconds", with("messageSendTtlSeconds", json!(43_201))),
    ] {
        let (status, it) = answered(shop.call(&to(CREATE, &[]).body(&body)).await);
        assert_eq!((status, &it["code"], &it["member"]), (400, &json!("invalid_template"), &json!(member)));
    }
    assert_eq!(refused(shop.call(&to(EDIT, &[("template", "1")])).await).1, "invalid_template");
    assert_eq!(shop.world.graph.with(|meta| meta.calls.len()), 0);
}

#[tokio::test]
async fn the_longest_texts_of_a_template_pass_and_one_character_more_is_named_before_the_call() {
    let text = |length: usize| "😀".repeat(length / 2) + &"x".repeat(length % 2);
    let components = |more: [usize; 7]| {
        let [header, body, footer, label, url, coupon, buttons] = more;
        let mut all = vec![
            json!({"type": "URL", "text": text(25 + label), "url": format!("https://{}", "x".repeat(1992 + url))}),
            json!({"type": "COPY_CODE", "example": "x".repeat(15 + coupon)}),
        ];
        all.resize(10 + buttons, json!({"type": "QUICK_REPLY", "text": "No"}));
        json!([
            {"type": "HEADER", "format": "TEXT", "text": text(60 + header)},
            {"type": "body", "text": text(1024 + body)},
            {"type": "FOOTER", "text": text(60 + footer)},
            {"type": "BUTTONS", "buttons": all},
        ])
    };
    let shop = Shop::new().await;
    let refusal = async |components: Value| {
        let mut body = greeting("welcome");
        body["components"] = components;
        answered(shop.call(&to(CREATE, &[]).body(&body)).await).1["member"].clone()
    };
    assert_eq!(refusal(components([0; 7])).await, Value::Null);
    for (n, member) in [
        (0, "components[0].text"),
        (1, "components[1].text"),
        (2, "components[2].text"),
        (3, "components[3].buttons[0].text"),
        (4, "components[3].buttons[0].url"),
        (5, "components[3].buttons[1].example"),
        (6, "components[3].buttons"),
    ] {
        let mut more = [0; 7];
        more[n] = 1;
        assert_eq!(refusal(components(more)).await, json!(member));
    }
    let card = json!([{"type": "CAROUSEL", "cards": [{"components": components([0, 1, 0, 0, 0, 0, 0])}]}]);
    assert_eq!(refusal(card).await, json!("components[0].cards[0].components[1].text"));
    assert_eq!(shop.world.graph.calls("create_template"), 1);
}

#[tokio::test]
async fn several_accounts_must_be_told_apart() {
    let shop = Shop::new().await;
    shop.world.active_client(&bot(), 2).await;
    let code = refused(shop.call(&to(CREATE, &[]).body(&greeting("welcome"))).await);
    assert_eq!(code, (400, "phone_number_required".to_owned()));
}

#[tokio::test]
async fn the_same_key_creates_once() {
    let shop = Shop::new().await;
    let sample = to(CREATE, &[]).body(&greeting("welcome")).header("idempotency-key", Some("k"));
    let first = answered(shop.call(&sample).await);
    assert_eq!(answered(shop.call(&sample).await), first);
    assert_eq!((first.0, shop.world.graph.calls("create_template")), (201, 1));
}

#[tokio::test]
async fn metas_refusals_and_silences_are_told_apart() {
    let shop = Shop::new().await;
    for (fault, expected) in [
        (GraphFault::Refused(refusal(400, 2_388_299, "Variables")), (422, "refused_by_meta")),
        (GraphFault::Refused(refusal(400, 80_007, "Too many")), (429, "rate_limited")),
        (GraphFault::Refused(refusal(503, 2, "Down")), (503, "meta_unavailable")),
        (GraphFault::Refused(refusal(401, 190, "Token")), (409, "client_needs_reconnect")),
        (GraphFault::NotSent, (503, "meta_unavailable")),
        (GraphFault::UnclearAfter, (502, "outcome_unknown")),
    ] {
        shop.world.graph.fail_next("create_template", fault);
        let (status, it) = answered(shop.call(&to(CREATE, &[]).body(&greeting("welcome"))).await);
        assert_eq!((status, it["code"].as_str()), (expected.0, Some(expected.1)));
    }
    // Meta did it in the last one: the list is read soon, and then shows it.
    assert!(shop.world.store.with(|t| t.template_syncs[&shop.client.waba_id].due_at.is_some()));
    shop.call(&Sample::of(SCHEDULE)).await.unwrap();
    assert_eq!(pages(&shop, &[], "5").await.concat().len(), 1);
    shop.world.store.with(|t| t.grants.clear());
    let shop = Shop { tokens: Tokens::default(), ..shop };
    let code = refused(shop.call(&to(CREATE, &[]).body(&greeting("more"))).await);
    assert_eq!(code, (409, "client_needs_reconnect".to_owned()));
}

#[tokio::test]
async fn what_meta_did_is_answered_even_if_our_record_lags() {
    let shop = Shop::new().await;
    shop.world.steps.fault_next("save_template", Fault::FailBefore);
    let (status, it) = answered(shop.call(&to(CREATE, &[]).body(&greeting("welcome"))).await);
    assert_eq!((status, &it["status"]), (201, &json!("PENDING")));
    assert!(pages(&shop, &[], "5").await.concat().is_empty());
    shop.call(&Sample::of(SCHEDULE)).await.unwrap();
    assert_eq!(pages(&shop, &[], "5").await.concat().len(), 1);
}

#[tokio::test]
async fn an_edit_replaces_what_it_names() {
    let shop = Shop::new().await;
    let id = shop.created("welcome").await;
    shop.world.clock.advance(Duration::from_secs(60));
    let edit = json!({"components": [{"type": "BODY", "text": "Hi {{1}}, welcome"}]});
    let (status, it) = answered(shop.call(&to(EDIT, &[("template", &id)]).body(&edit)).await);
    assert_eq!((status, &it["components"]), (200, &edit["components"]));
    assert_eq!(it["messageSendTtlSeconds"], 600, "the rest stays");
    assert_eq!(shop.at_meta()[0].content.as_ref().unwrap().components, edit["components"]);
}

#[tokio::test]
async fn deleting_takes_one_language_or_all() {
    let shop = Shop::new().await;
    let mut ids = Vec::new();
    for language in ["en_US", "de", "fr"] {
        let mut body = greeting("welcome");
        body["language"] = json!(language);
        let (_, it) = answered(shop.call(&to(CREATE, &[]).body(&body)).await);
        ids.push(it["id"].as_str().unwrap().to_owned());
    }
    let one = to(DELETE, &[("template", "welcome")]).query(&[("language", "de")]);
    let (status, it) = answered(shop.call(&one).await);
    assert_eq!((status, &it["deleted"]), (200, &json!([ids[1]])));
    assert_eq!(pages(&shop, &[], "5").await.concat(), [&*ids[0], &*ids[2]]);
    assert_eq!(refused(shop.call(&one).await), (404, "template_not_found".to_owned()));
    let (status, it) = answered(shop.call(&to(DELETE, &[("template", "welcome")])).await);
    assert_eq!((status, it["deleted"].as_array().unwrap().len()), (200, 2));
    assert!(pages(&shop, &[], "5").await.concat().is_empty() && shop.at_meta().is_empty());
    let unknown = refused(shop.call(&to(DELETE, &[("template", "welcome")])).await);
    assert_eq!(unknown, (422, "refused_by_meta".to_owned()), "of an unknown name, Meta is the judge");
}

#[tokio::test]
async fn a_pause_is_ended_at_meta_and_the_list_read_soon() {
    let shop = Shop::new().await;
    let id = shop.created("welcome").await;
    let (status, _) = answered(shop.call(&to(UNPAUSE, &[("template", &id)])).await);
    assert_eq!((status, shop.world.graph.acts("unpause_template")), (200, 1));
    shop.world.clock.advance(Duration::from_secs(60));
    shop.call(&Sample::of(SCHEDULE)).await.unwrap();
    let (_, it) = answered(shop.call(&to(LIST, &[])).await);
    assert_eq!(it["items"][0]["status"], "APPROVED");
}

#[tokio::test]
async fn a_preview_shows_the_filled_text_and_names_what_is_missing() {
    let shop = Shop::new().await;
    let id = shop.created("welcome").await;
    let show = async |body: Value| answered(shop.call(&to(PREVIEW, &[("template", &id)]).body(&body)).await);
    let (code, it) = show(json!({"parameters": ["Ann"]})).await;
    assert_eq!((code, &it["text"], it.get("missing")), (200, &json!("Hello Ann, welcome"), None));
    let components = json!([{"type": "body", "parameters": [{"type": "text", "text": "Bob"}]}]);
    assert_eq!(show(json!({"components": components})).await.1["body"], "Hello Bob, welcome");
    let (_, it) = show(json!({})).await;
    assert_eq!((&it["text"], &it["missing"]), (&json!("Hello {{1}}, welcome"), &json!(["body.1"])));
    assert_eq!(show(json!({"components": "x"})).await.1["code"], "invalid_template");
    let stub = shop.known(&shop.client, 5, "stub", "en", &[status("APPROVED")]).await;
    let code = refused(shop.call(&to(PREVIEW, &[("template", &stub)])).await);
    assert_eq!(code, (409, "template_incomplete".to_owned()));
}

#[tokio::test]
async fn a_sample_is_uploaded_and_answers_its_handle() {
    let shop = Shop::new().await;
    let body = |mime: &str, base64: &str| json!({"fileName": "cake.png", "mimeType": mime, "base64": base64});
    let upload = async |body: &Value| answered(shop.call(&to(SAMPLES, &[]).body(body)).await);
    let (status, it) = upload(&body("image/png", "iVBORw==")).await;
    assert_eq!((status, &it["handle"]), (200, &json!("4:cake.png:4")));
    let large = STANDARD.encode(vec![7; 4 * 1024 * 1024]);
    assert_eq!(upload(&body("video/mp4", &large)).await.0, 200);
    let larger = STANDARD.encode(vec![7; 4 * 1024 * 1024 + 1]);
    for (body, expected) in [
        (body("image/gif", "iVBORw=="), (400, "invalid_template")),
        (body("image/png", "%%"), (400, "invalid_template")),
        (body("image/png", ""), (400, "invalid_template")),
        (body("image/png", &larger), (400, "invalid_template")),
        (body("image/png", &"A".repeat(6_000_000)), (413, "body_too_large")),
        (json!({}), (400, "missing_member")),
    ] {
        let (status, it) = upload(&body).await;
        assert_eq!((status, it["code"].as_str()), (expected.0, Some(expected.1)));
    }
    assert_eq!(shop.world.graph.calls("upload_sample"), 2);
}

#[tokio::test]
async fn a_sync_reads_the_bots_accounts_now_and_says_how_it_went() {
    let shop = Shop::new().await;
    let (second, _) = shop.world.active_client(&bot(), 2).await;
    shop.world.graph.with(|meta| {
        let shown = |id: &str| Shown {
            id: id.parse().unwrap(),
            name: "ready".parse().unwrap(),
            language: "en".to_owned(),
            status: Some(Status::of("APPROVED")),
            category: None,
            quality: None,
            content: None,
        };
        meta.templates_of(&second.waba_id).push(shown("21"));
        meta.templates_of(&shop.client.waba_id).push(shown("11"));
    });
    let (status, it) = answered(shop.call(&to(SYNC, &[])).await);
    assert_eq!((status, &it["accounts"][1]["status"]), (200, &json!("complete")));
    assert_eq!(pages(&shop, &[], "5").await.concat(), ["11", "21"]);
    shop.world.graph.fail_next("templates", GraphFault::Refused(refusal(400, 80_007, "Too many")));
    let phone = shop.client.phone_number_id.to_string();
    let (status, it) = answered(shop.call(&to(SYNC, &[]).query(&[("phoneNumberId", &phone)])).await);
    assert_eq!((status, &it["accounts"][0]["status"]), (202, &json!("failed")));
    assert_eq!(it["accounts"][0]["error"]["code"], "rate_limited");
}

#[tokio::test]
async fn the_schedule_reads_what_is_due_and_no_caller_can_pose_as_it() {
    let shop = Shop::new().await;
    shop.world.store.request_sync(&shop.client.waba_id, shop.world.clock.now()).await.unwrap();
    let posing = to(CREATE, &[]).text(SCHEDULE).nobody();
    assert_eq!(refused(shop.call(&posing).await).0, 401);
    let (status, it) = answered(shop.call(&Sample::of(SCHEDULE)).await);
    assert_eq!((status, &it["due"]), (200, &json!(1)));
    assert_eq!(answered(shop.call(&Sample::of(SCHEDULE)).await).1["due"], 0);
}
