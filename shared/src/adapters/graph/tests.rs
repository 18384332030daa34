use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::super::scripted::{Act, Request, Scripted};
use super::*;
use crate::domain::ids::{PhoneNumberId, WabaId};
use crate::domain::secret::{Pin, SignupCode};
use crate::error::Chain;
use crate::ports::{AccountGraph, MessageGraph, PartnerGraph, TokenGraph};

const APP_SECRET: &str = "hush-app-secret";
const TOKEN: &str = "EAAhush-client";
const SYSTEM_TOKEN: &str = "EAAhush-system";

fn config(base_url: Url) -> GraphConfig {
    GraphConfig {
        base_url,
        version: "v26.0".to_owned(),
        app_id: "700".to_owned(),
        app_secret: Some(Kept::fixed(app_secret())),
        partner: Some(PartnerAccess {
            business_id: "900".parse().unwrap(),
            credit_line_id: "197".to_owned(),
            system_user_token: Kept::fixed(AccessToken::try_from(SYSTEM_TOKEN.to_owned()).unwrap()),
        }),
    }
}

fn graph(base_url: Url) -> Graph {
    Graph::with_timeout(config(base_url), Duration::from_millis(500)).unwrap()
}

#[test]
fn tokens_go_to_meta_or_to_a_private_address_only() {
    let tried = |address: &str| may_have_tokens(&address.parse().unwrap());
    for address in [
        "https://graph.facebook.com",
        "http://127.0.0.1:3001",
        "http://localhost:3001",
        "http://172.17.0.1:3001",
        "http://[::1]:3001",
    ] {
        assert!(tried(address), "{address}");
    }
    for address in [
        "http://graph.facebook.com",
        "https://graph.facebook.com:8443",
        "https://graph.facebook.com.example",
        "https://graph.facebook.example",
        "https://facebook.com",
        "http://203.0.113.7",
        "https://[2001:db8::1]",
        "data:text/plain,x",
    ] {
        assert!(!tried(address), "{address}");
    }
    let config = |address: &str| config(address.parse().unwrap());
    let refused = Graph::new(config("https://graph.facebook.example")).err().unwrap().to_string();
    assert!(refused.contains("GRAPH_BASE_URL") && refused.contains("graph.facebook.com"), "{refused}");
    assert!(Graph::new(config("https://graph.facebook.com")).is_ok());
}

/// A server that gives these answers in order, and the Graph API there.
fn answering(answers: impl IntoIterator<Item = Value>) -> (Scripted, Graph) {
    let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
    let server = Scripted::start(move |_| {
        let answer = answers.lock().unwrap().pop_front().expect("one answer per call");
        Act::json(if answer.get("error").is_some() { 400 } else { 200 }, &answer)
    });
    let graph = graph(server.url.clone());
    (server, graph)
}

fn app_secret() -> AppSecret {
    AppSecret::try_from(APP_SECRET.to_owned()).unwrap()
}
fn token() -> AccessToken {
    AccessToken::try_from(TOKEN.to_owned()).unwrap()
}
fn waba() -> WabaId {
    "228".parse().unwrap()
}
fn phone() -> PhoneNumberId {
    "117".parse().unwrap()
}
fn business() -> BusinessId {
    "339".parse().unwrap()
}

fn asked(request: &Request) -> (&str, &str) {
    (&request.method, request.target.path())
}

/// Nobody may see a secret or a query in an error.
fn is_clean(error: &GraphError) -> bool {
    let shown = format!("{error:?} {error} {}", Chain(error));
    !shown.contains("hush") && !shown.contains('?') && !shown.contains("appsecret_proof")
}

async fn send(act: impl Fn() -> Act + Send + Sync + 'static) -> GraphError {
    let server = Scripted::start(move |_| act());
    let error = graph(server.url.clone()).send(&phone(), &json!({}), &token()).await.unwrap_err();
    assert!(is_clean(&error), "{error:?}");
    assert_eq!(server.requests().len(), 1, "a send is never repeated");
    error
}

#[tokio::test]
async fn a_message_is_sent_with_token_and_proof_and_answers_its_wamid() {
    let (server, graph) =
        answering([json!({"messaging_product": "whatsapp", "messages": [{"id": "wamid.A="}]})]);
    let message = json!({"messaging_product": "whatsapp", "to": "15550100123", "type": "text"});
    assert_eq!(graph.send(&phone(), &message, &token()).await.unwrap().as_ref(), "wamid.A=");
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("POST", "/v26.0/117/messages"));
    assert_eq!(request.header("authorization"), Some("Bearer EAAhush-client"));
    assert_eq!(request.header("user-agent"), Some(concat!("switchboard/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.query("appsecret_proof").unwrap(), appsecret_proof(&app_secret(), &token()));
    assert!(!request.target.as_str().contains("EAA"));
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), message);
}

#[tokio::test]
async fn an_error_of_metas_is_a_refusal_whatever_its_status() {
    for status in [200, 400, 500] {
        let body = json!({"error": {"code": 131_047, "message": "Malformed access token EAAhush-client",
            "error_data": {"details": "outside the window, EAAhush-client"}, "fbtrace_id": "T"}});
        let error = send(move || Act::json(status, &body)).await;
        let refusal = error.refusal().expect("refused");
        assert_eq!(
            (refusal.code, refusal.status, &*refusal.details),
            (131_047, status, "outside the window, […]")
        );
    }
}

#[tokio::test]
async fn without_a_usable_answer_the_outcome_is_unclear() {
    let html = |status| move || Act::Answer(status, "text/html", "<html>hush?".to_owned());
    for error in [
        send(html(200)).await,
        send(html(404)).await,
        send(html(502)).await,
        send(|| Act::json(200, &json!({"messages": []}))).await,
        send(|| Act::Drop).await,
        send(|| Act::BreakOff).await,
        send(|| Act::Hang).await,
    ] {
        assert!(matches!(error, GraphError::Unclear(_)), "{error:?}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for base in [format!("http://{closed}"), "https://graph.facebook.invalid".to_owned()] {
        let graph = graph(base.parse().unwrap());
        let code = SignupCode::try_from("hush-code".to_owned()).unwrap();
        let error = graph.exchange_code(&code).await.unwrap_err();
        assert!(matches!(error, GraphError::NotSent(_)) && is_clean(&error), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_was_sent_nothing() {
    let server = Scripted::start(|_| Act::Drop);
    let mut base = server.url.clone();
    base.set_scheme("https").unwrap();
    let error = graph(base).send(&phone(), &json!({}), &token()).await.unwrap_err();
    assert!(matches!(error, GraphError::NotSent(_)) && is_clean(&error), "{error:?}");
}

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let (server, graph) = answering([json!({"access_token": TOKEN, "token_type": "bearer"})]);
    let code = SignupCode::try_from("hush-code".to_owned()).unwrap();
    assert_eq!(graph.exchange_code(&code).await.unwrap().expose(), TOKEN);
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("GET", "/v26.0/oauth/access_token"));
    let sent = ["client_id", "client_secret", "code"].map(|name| request.query(name).unwrap());
    assert_eq!(sent, ["700", APP_SECRET, "hush-code"]);
    assert_eq!((request.header("authorization"), request.query("redirect_uri")), (None, None));
}

#[tokio::test]
async fn a_code_that_meta_repeats_in_its_refusal_is_struck() {
    let text = "code hush-code of hush-app-secret was used";
    let (_server, graph) =
        answering([json!({"error": {"code": 100, "error_subcode": 36009, "message": text}})]);
    let code = SignupCode::try_from("hush-code".to_owned()).unwrap();
    let error = graph.exchange_code(&code).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().subcode, Some(36009));
    assert!(is_clean(&error), "{error:?}");
}

#[tokio::test]
async fn the_facts_of_a_token_are_read_in_any_form() {
    let scopes = json!([{"scope": "whatsapp_business_management", "target_ids": ["229", 228]},
                        {"scope": "whatsapp_business_messaging"}]);
    let (server, graph) = answering([
        json!({"data": {"app_id": 700, "is_valid": true, "expires_at": 0,
                        "scopes": ["whatsapp_business_management"], "granular_scopes": scopes}}),
        json!({"data": {"app_id": "700", "is_valid": true, "expires_at": "1795000000"}}),
        json!({"data": {"is_valid": false, "error": {"code": 190, "message": "expired"}}}),
    ]);
    let facts = graph.token_facts(&token()).await.unwrap();
    assert_eq!((facts.is_valid, &*facts.app_id, facts.expires_at), (true, "700", None));
    assert_eq!(facts.management_wabas.unwrap(), ["229", "228"].map(|id| id.parse().unwrap()));
    assert_eq!(facts.messaging_wabas, None);
    let facts = graph.token_facts(&token()).await.unwrap();
    assert_eq!(facts.expires_at.unwrap().as_second(), 1_795_000_000);
    assert!(!graph.token_facts(&token()).await.unwrap().is_valid);
    let request = server.requests().remove(0);
    assert_eq!(request.query("input_token").unwrap(), TOKEN);
    assert_eq!(request.header("authorization"), Some("Bearer 700|hush-app-secret"));
}

#[tokio::test]
async fn whose_a_token_is_is_asked_with_the_token_itself_and_for_what_every_token_has() {
    let (server, graph) = answering([json!({"id": 122})]);
    assert_eq!(graph.token_user(&token()).await.unwrap(), "122");
    let request = server.requests().remove(0);
    assert_eq!(request.query("fields").unwrap(), "id");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
}

#[tokio::test]
async fn the_client_business_may_be_missing() {
    let (_server, graph) = answering([json!({"client_business_id": 339, "id": "1"}), json!({"id": "1"})]);
    assert_eq!(graph.client_business(&token()).await.unwrap(), Some(business()));
    assert_eq!(graph.client_business(&token()).await.unwrap(), None);
}

#[tokio::test]
async fn an_account_shows_its_owner_and_who_pays() {
    let (_server, graph) = answering([
        json!({"id": "228", "name": "Bakery", "owner_business_info": {"id": "339"}, "primary_funding_id": 610}),
        json!({"id": "228"}),
    ]);
    let account = graph.account(&waba(), &token()).await.unwrap();
    assert_eq!(
        (account.owner_business_id, account.primary_funding_id.as_deref()),
        (Some(business()), Some("610"))
    );
    let bare = graph.account(&waba(), &token()).await.unwrap();
    assert_eq!((bare.owner_business_id, bare.primary_funding_id, bare.name), (None, None, None));
}

#[tokio::test]
async fn all_numbers_are_found_page_by_page() {
    let page = |ids: std::ops::Range<u32>, next: Option<&str>| {
        let data: Vec<Value> = ids.map(|id| json!({"id": id, "status": "CONNECTED"})).collect();
        json!({"data": data, "paging": {"cursors": {"before": "b", "after": format!("after-{}", data.len())}, "next": next}})
    };
    let (server, graph) =
        answering([page(0..3, Some("https://next.example")), page(3..103, None), page(103..104, None)]);
    let numbers = graph.numbers(&waba(), &token()).await.unwrap();
    assert_eq!(numbers.len(), 104);
    assert!(numbers.iter().all(crate::ports::Number::is_connected));
    let cursors: Vec<_> = server.requests().iter().map(|request| request.query("after")).collect();
    assert_eq!(cursors, [None, Some("after-3".to_owned()), Some("after-100".to_owned())]);
}

#[tokio::test]
async fn a_list_that_runs_in_a_circle_ends() {
    let server = Scripted::start(|_| {
        Act::json(200, &json!({"data": [{"id": 1}], "paging": {"cursors": {"after": "a"}, "next": "x"}}))
    });
    let error = graph(server.url.clone()).numbers(&waba(), &token()).await.unwrap_err();
    assert!(matches!(error, GraphError::Unclear(_)), "{error:?}");
    assert_eq!(server.requests().len(), MOST_PAGES);
}

#[tokio::test]
async fn a_version_that_lacks_a_field_is_asked_for_fewer() {
    let unknown = || json!({"error": {"code": 100, "message": "Tried accessing nonexisting field"}});
    let number = json!({"id": "117", "display_phone_number": "+1 555-010-0199", "is_on_biz_app": true});
    let (server, graph) =
        answering([unknown(), number.clone(), unknown(), json!({"data": [number]}), unknown(), unknown()]);
    let one = graph.number(&phone(), &token()).await.unwrap();
    assert_eq!((one.id.clone(), one.is_on_biz_app), (phone(), true));
    assert_eq!(graph.numbers(&waba(), &token()).await.unwrap(), [one]);
    assert_eq!(graph.number(&phone(), &token()).await.unwrap_err().refusal().unwrap().code, 100);
    let fields =
        server.requests().iter().map(|r| r.query("fields").unwrap().split(',').count()).collect::<Vec<_>>();
    assert_eq!(fields, [9, 5, 9, 5, 9, 5]);
}

#[tokio::test]
async fn an_account_is_subscribed_if_our_app_is_among_its_apps() {
    let app = |id: Value| json!({"data": [{"whatsapp_business_api_data": {"id": id, "name": "x"}}]});
    let (_server, graph) =
        answering([app(json!("700")), app(json!(700)), app(json!("701")), json!({"data": []})]);
    for expected in [true, true, false, false] {
        assert_eq!(graph.is_subscribed(&waba(), &token()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_read_receipt_names_the_message_and_wants_success() {
    let (server, graph) =
        answering([json!({"success": true}), json!({"success": true}), json!({"success": false})]);
    let wamid = "wamid.A=".parse().unwrap();
    graph.mark_read(&phone(), &wamid, false, &token()).await.unwrap();
    graph.mark_read(&phone(), &wamid, true, &token()).await.unwrap();
    let unconfirmed = graph.mark_read(&phone(), &wamid, true, &token()).await;
    assert!(matches!(unconfirmed, Err(GraphError::Unclear(_))));
    let requests = server.requests();
    assert_eq!(asked(&requests[0]), ("POST", "/v26.0/117/messages"));
    let body = |index: usize| serde_json::from_slice::<Value>(&requests[index].body).unwrap();
    let mut receipt = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A="});
    assert_eq!(body(0), receipt);
    receipt["typing_indicator"] = json!({"type": "text"});
    assert_eq!(body(1), receipt);
}

#[tokio::test]
async fn subscribing_sends_no_body_and_wants_success() {
    let (server, graph) =
        answering([json!({"success": true}), json!({"success": "true"}), json!({"success": false})]);
    graph.subscribe(&waba(), &token()).await.unwrap();
    graph.subscribe(&waba(), &token()).await.unwrap();
    assert!(matches!(graph.subscribe(&waba(), &token()).await, Err(GraphError::Unclear(_))));
    let request = server.requests().remove(0);
    assert_eq!((asked(&request), request.body.len()), (("POST", "/v26.0/228/subscribed_apps"), 0));
}

#[tokio::test]
async fn callbacks_of_account_and_number_are_read_and_the_numbers_is_removed() {
    let ours =
        json!({"whatsapp_business_api_data": {"id": "700"}, "override_callback_uri": "https://a.example/"});
    let other =
        json!({"whatsapp_business_api_data": {"id": "9"}, "override_callback_uri": "https://b.example/"});
    let plain = json!({"whatsapp_business_api_data": {"id": "700"}, "override_callback_uri": ""});
    let levels = json!({"application": "https://app.example/", "phone_number": "https://c.example/"});
    let (server, graph) = answering([
        json!({"data": [other, ours]}),
        json!({"data": [plain]}),
        json!({"data": [other]}),
        json!({"id": "117", "webhook_configuration": levels}),
        json!({"id": "117", "webhook_configuration": {"application": "https://app.example/"}}),
        json!({"success": true}),
    ]);
    for expected in [Some(Some("https://a.example/")), Some(None), None] {
        let found = graph.subscription(&waba(), &token()).await.unwrap();
        assert_eq!(found.as_ref().map(|it| it.callback.as_deref()), expected);
    }
    for expected in [Some("https://c.example/"), None] {
        let number = graph.number(&phone(), &token()).await.unwrap();
        assert_eq!(number.callback.as_deref(), expected, "only the number's own level");
    }
    graph.clear_callback(&phone(), &token()).await.unwrap();
    let request = server.requests().pop().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(asked(&request), ("POST", "/v26.0/117"));
    assert_eq!(body, json!({"webhook_configuration": {"override_callback_uri": ""}}));
}

#[tokio::test]
async fn registering_sends_the_pin_as_text_and_hides_it() {
    let (server, graph) = answering([
        json!({"success": true, "something_new": 1}),
        json!({"error": {"code": 133_005, "error_data": {"details": "204866 is not the PIN"}}}),
    ]);
    let pin = Pin::try_from("204866".to_owned()).unwrap();
    graph.register(&phone(), &pin, &token()).await.unwrap();
    let error = graph.register(&phone(), &pin, &token()).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().details, "[…] is not the PIN");
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(body, json!({"messaging_product": "whatsapp", "pin": "204866"}));
}

#[tokio::test]
async fn the_system_user_is_found_and_assigned() {
    let users = |tasks: Value| json!({"data": [{"id": 122, "tasks": tasks}]});
    let (server, graph) = answering([
        json!({"id": "122"}),
        users(json!(["MANAGE"])),
        users(json!(["DEVELOP"])),
        json!({"success": true}),
    ]);
    let user = graph.system_user().await.unwrap();
    assert!(graph.is_assigned(&waba(), &user).await.unwrap());
    assert!(!graph.is_assigned(&waba(), &user).await.unwrap());
    graph.assign(&waba(), &user).await.unwrap();
    let requests = server.requests();
    assert!(requests.iter().all(|r| r.header("authorization") == Some("Bearer EAAhush-system")));
    assert_eq!(requests[1].query("business").as_deref(), Some("900"));
    assert_eq!(asked(&requests[3]), ("POST", "/v26.0/228/assigned_users"));
    assert_eq!(
        (requests[3].query("user").unwrap(), requests[3].query("tasks").unwrap()),
        ("122".to_owned(), "['MANAGE']".to_owned())
    );
}

#[tokio::test]
async fn allocations_in_force_are_found_in_either_form() {
    let (server, graph) = answering([
        json!({"data": [{"id": 585, "request_status": "APPROVED"}, {"id": "586", "request_status": "DELETED"},
                        {"id": "587", "receiving_business": {"id": "1"}}]}),
        json!({"id": "585", "receiving_business": {"id": "339", "name": "Bakery"}}),
        json!({"data": []}),
        json!({"unexpected": true}),
    ]);
    for expected in [vec!["585"], vec!["585"], vec![]] {
        let found = graph.allocations(&business()).await.unwrap();
        assert_eq!(found.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), expected);
    }
    let unknown = graph.allocations(&business()).await.unwrap_err();
    assert!(matches!(unknown, GraphError::Unclear(_)), "it must not look like no allocation: {unknown:?}");
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("GET", "/v26.0/197/owning_credit_allocation_configs"));
    assert_eq!(request.query("receiving_business_id").as_deref(), Some("339"));
}

#[tokio::test]
async fn credit_is_shared_by_query_and_read_back() {
    let (server, graph) = answering([
        json!({"allocation_config_id": "585", "waba_id": "228"}),
        json!({"receiving_credential": {"id": "610"}, "id": "585"}),
        json!({"id": "585"}),
    ]);
    let allocation = graph.share_credit(&waba(), "USD").await.unwrap();
    assert_eq!(graph.receiving_credential(&allocation).await.unwrap().as_deref(), Some("610"));
    assert_eq!(graph.receiving_credential(&allocation).await.unwrap(), None);
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("POST", "/v26.0/197/whatsapp_credit_sharing_and_attach"));
    assert_eq!(
        (request.query("waba_currency"), request.query("waba_id")),
        (Some("USD".to_owned()), Some("228".to_owned()))
    );
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn what_was_given_is_taken_back_and_the_allocation_read_back() {
    let (server, graph) = answering([
        json!({"success": true}),
        json!({"id": "585", "receiving_business": {"id": "339"}, "request_status": "DELETED"}),
        json!({"id": "585", "receiving_business": {"id": 339}}),
        json!({"success": true}),
        json!({"success": false}),
    ]);
    let allocation = "585".parse().unwrap();
    graph.revoke_credit(&allocation).await.unwrap();
    for is_deleted in [true, false] {
        let state = graph.allocation(&allocation).await.unwrap();
        assert_eq!((state.business_id, state.is_deleted), (Some(business()), is_deleted));
    }
    graph.unsubscribe(&waba(), &token()).await.unwrap();
    let unconfirmed = graph.revoke_credit(&allocation).await.unwrap_err();
    assert!(matches!(unconfirmed, GraphError::Unclear(_)), "{unconfirmed:?}");
    let requests = server.requests();
    assert_eq!(asked(&requests[0]), ("DELETE", "/v26.0/585"));
    assert_eq!(requests[1].query("fields").as_deref(), Some("receiving_business,request_status"));
    assert_eq!(asked(&requests[3]), ("DELETE", "/v26.0/228/subscribed_apps"));
}

#[tokio::test]
async fn a_lost_business_token_is_fetched() {
    let (server, graph) = answering([json!({"access_token": TOKEN})]);
    assert_eq!(graph.fetch_business_token(&business()).await.unwrap().expose(), TOKEN);
    let request = server.requests().remove(0);
    assert_eq!(asked(&request), ("POST", "/v26.0/339/system_user_access_tokens"));
    assert_eq!(request.query("fetch_only").as_deref(), Some("true"));
    assert!(request.query("appsecret_proof").is_some());
}

#[tokio::test]
async fn tokens_are_renewed_by_metas_documented_ways() {
    let (server, graph) = answering([
        json!({"access_token": "EAAderived"}),
        json!({"access_token": "EAAnew",
        "token_type": "bearer", "expires_in": 5_183_944}),
    ]);
    let accounts = [waba(), "229".parse().unwrap()];
    let derived = graph.derive_business_token(&business(), &accounts).await.unwrap();
    assert_eq!(derived.expose(), "EAAderived");
    assert_eq!(graph.renew_token(&token()).await.unwrap().expose(), "EAAnew");
    let [derive, renew] = &server.requests()[..] else { panic!("two calls") };
    assert_eq!(asked(derive), ("POST", "/v26.0/339/system_user_access_tokens"));
    assert_eq!(derive.header("authorization"), Some("Bearer EAAhush-system"));
    for (name, value) in [("asset", r#"["228","229"]"#), ("set_token_expires_in_60_days", "true")] {
        assert_eq!(derive.query(name).as_deref(), Some(value));
    }
    assert_eq!(derive.query("fetch_only"), None);
    assert_eq!(asked(renew), ("GET", "/v26.0/oauth/access_token"));
    for (name, value) in [
        ("grant_type", "fb_exchange_token"),
        ("fb_exchange_token", TOKEN),
        ("client_id", "700"),
        ("client_secret", APP_SECRET),
        ("set_token_expires_in_60_days", "true"),
    ] {
        assert_eq!(renew.query(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_configured_is_named_and_nothing_is_sent() {
    let (server, mut graph) = answering([]);
    graph.partner = None;
    graph.app_secret = None;
    let partner = graph.system_user().await.unwrap_err();
    assert!(Chain(&partner).to_string().contains("SYSTEM_USER_TOKEN_ARN"), "{partner:?}");
    let app = graph.token_facts(&token()).await.unwrap_err();
    assert!(Chain(&app).to_string().contains("APP_SECRET_ARN"), "{app:?}");
    assert!(matches!((partner, app), (GraphError::NotSent(_), GraphError::NotSent(_))));
    assert!(server.requests().is_empty());
}

#[test]
fn a_version_is_checked() {
    for bad in ["26.0", "v26", "v26.", "v.0", "v26.0/x", ""] {
        assert!(!is_version(bad), "{bad}");
    }
    assert!(is_version("v26.0") && is_version("v9.10"));
}

#[test]
fn the_roots_are_digicerts() {
    assert!((4..20).contains(&roots().roots.len()), "{}", roots().roots.len());
}

mod media;
mod proof;
mod rotation;
mod templates;
