//! Starts a real stack, restarts it on other ports, and looks at what is left.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test crate")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use switchboard::{Options, Ports, Stack, StackInfo};

fn options(state_dir: &Path) -> Options {
    Options { state_dir: state_dir.to_path_buf(), ports: Ports::Free, quiet: true, ..Options::default() }
}

/// Meta's handshake, which goes through the front, the HTTP API, a function and a secret.
async fn handshake(stack: &StackInfo) -> String {
    let token = stack.verify_token.as_deref().unwrap();
    let query = [("hub.mode", "subscribe"), ("hub.verify_token", token), ("hub.challenge", "1158201444")];
    let url = format!("{}/api/webhooks/whatsapp", stack.api_url);
    let answer = switchboard::client().unwrap().get(url).query(&query).send().await.unwrap();
    answer.text().await.unwrap()
}

async fn status(stack: &StackInfo, path: &str, token: Option<&str>) -> u16 {
    let call = switchboard::client().unwrap().get(format!("{}{path}", stack.api_url));
    let call = match token {
        Some(token) => call.bearer_auth(token),
        None => call,
    };
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_starts_answers_plays_the_demo_moves_and_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("stack.json");

    let stack = Stack::start(options(temp.path())).await.unwrap();
    let first = stack.info.clone();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written: StackInfo = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written.api_url, first.api_url);
    assert_eq!(handshake(&first).await, "1158201444");

    let clients = "/api/whatsapp/clients";
    let tokens = first.tokens.as_ref().unwrap();
    assert_eq!(status(&first, clients, None).await, 401);
    assert_eq!(status(&first, clients, Some("not.a.token")).await, 401);
    assert_eq!(status(&first, clients, Some(&tokens.bots["demo-bakery"])).await, 200);
    assert_eq!(status(&first, "/api/no-such-thing", Some(&tokens.admin)).await, 404);

    switchboard::demo::run(&first, true).await.unwrap();

    stack.stop().await.unwrap();
    assert!(!file.exists());
    for address in [&first.api_url, &first.meta_url, &first.aws_endpoint] {
        assert!(switchboard::client().unwrap().get(address).send().await.is_err(), "{address} still answers");
    }

    let stack = Stack::start(options(temp.path())).await.unwrap();
    let second = stack.info.clone();
    assert_eq!(second.verify_token, first.verify_token, "kept");
    assert_eq!(second.tables, first.tables, "kept");
    assert!(second.queues["inbound"].starts_with(&second.aws_endpoint), "queues follow the port");
    assert_eq!(handshake(&second).await, "1158201444");
    stack.stop().await.unwrap();
}
