//! `appsecret_proof` on every call: an app with "Require App Secret" is refused without.

use std::collections::BTreeSet;

use super::*;
use crate::ports::{MediaGraph, SampleFile, TemplateGraph};

/// The methods of a file of ports that call Meta.
fn declared(source: &str) -> BTreeSet<String> {
    // A trait ends with the only brace that begins a line.
    let traits = source.split("pub trait ").skip(1).filter_map(|it| it.split("\n}").next());
    let graphs = traits.filter(|it| it.split(':').next().is_some_and(|name| name.ends_with("Graph")));
    let methods = graphs.flat_map(|it| it.split("    fn ").skip(1));
    methods.filter_map(|it| it.split('(').next()).map(str::to_owned).collect()
}

/// Enough of an answer for each call to go on to its last request.
fn any_answer() -> Value {
    json!({"id": "upload:1?sig=2", "h": "3", "data": [], "success": true, "access_token": "EAAanswer",
        "messages": [{"id": "wamid.A="}], "allocation_config_id": "4", "url": "https://lookaside.fbsbx.com/x"})
}

#[tokio::test]
async fn every_call_proves_that_it_is_the_apps() {
    let server = Scripted::start(move |_| Act::json(200, &any_answer()));
    let graph = graph(server.url.clone());
    let file = || SampleFile { name: "a.png", mime_type: "image/png", bytes: b"\x89PNG" };
    let (token, waba, phone, business) = (token(), waba(), phone(), business());
    let (code, pin) = ("AQcode".to_owned(), "123456".to_owned());
    let (code, pin) = (SignupCode::try_from(code).unwrap(), Pin::try_from(pin).unwrap());
    let (template, allocation) = ("5".parse().unwrap(), "6".parse().unwrap());
    let (body, wamid, media) = (json!({}), "wamid.Q".parse().unwrap(), "7".parse().unwrap());
    let name = "ready".parse().unwrap();
    let mut called = BTreeSet::new();
    // What is answered is the business of other tests.
    macro_rules! call {
        ($($method:ident($($argument:expr),*);)*) => {$(
            let before = server.requests().len();
            let _ = graph.$method($($argument),*).await;
            let requests = server.requests().split_off(before);
            assert!(!requests.is_empty(), "{} asks nothing", stringify!($method));
            for request in requests {
                assert!(is_proven(&request), "{}: {:?}", stringify!($method), asked(&request));
            }
            called.insert(stringify!($method).to_owned());
        )*};
    }
    call! {
        exchange_code(&code);
        token_facts(&token);
        renew_token(&token);
        token_user(&token);
        client_business(&token);
        account(&waba, &token);
        numbers(&waba, &token);
        number(&phone, &token);
        subscription(&waba, &token);
        is_subscribed(&waba, &token);
        subscribe(&waba, &token);
        unsubscribe(&waba, &token);
        clear_callback(&phone, &token);
        register(&phone, &pin, &token);
        system_user();
        is_assigned(&waba, "8");
        assign(&waba, "8");
        allocations(&business);
        receiving_credential(&allocation);
        share_credit(&waba, "USD");
        allocation(&allocation);
        revoke_credit(&allocation);
        fetch_business_token(&business);
        derive_business_token(&business, std::slice::from_ref(&waba));
        send(&phone, &body, &token);
        mark_read(&phone, &wamid, true, &token);
        media_info(&phone, &media, &token);
        upload_media(&phone, file(), &token);
        create_template(&waba, &body, &token);
        templates(&waba, None, &token);
        edit_template(&template, &body, &token);
        delete_template(&waba, &name, None, &token);
        unpause_template(&template, &token);
        upload_sample(file(), &token);
    }
    // A file's own host is not the Graph API: its addresses are signed, and take the token alone.
    let outside = ["download_media", "usage"].map(str::to_owned);
    let ports = [
        include_str!("../../../ports/graph.rs"),
        include_str!("../../../ports/media.rs"),
        include_str!("../../../ports/templates.rs"),
    ];
    let all: BTreeSet<String> = ports.into_iter().flat_map(declared).collect();
    assert_eq!(called.union(&outside.into()).cloned().collect::<BTreeSet<_>>(), all, "none is forgotten");
}

/// Calls that name the app's secret itself need no proof (Meta, Graph API, secure requests).
fn is_proven(request: &Request) -> bool {
    if request.query("client_secret").is_some() {
        return request.query("client_secret").as_deref() == Some(APP_SECRET);
    }
    let header = request.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("Bearer ").or(header.strip_prefix("OAuth ")).unwrap_or_default();
    let Ok(token) = AccessToken::try_from(token.to_owned()) else { return false };
    request.query("appsecret_proof") == Some(appsecret_proof(&app_secret(), &token))
}
