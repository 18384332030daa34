//! Every function does its work with the role that the template gives it, and no more.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test crate")]

use serde_json::json;
use switchboard::{Options, Ports, Stack, StackInfo};

/// What the logs of functions say about refused calls.
fn refusals(stack: &StackInfo) -> Vec<String> {
    let mut found = Vec::new();
    for log in std::fs::read_dir(&stack.logs).unwrap() {
        let text = std::fs::read_to_string(log.unwrap().path()).unwrap();
        found.extend(text.lines().filter(|line| line.contains("AccessDenied")).map(str::to_owned));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_suffice_for_a_signup_an_answer_and_the_history() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        state_dir: temp.path().to_path_buf(),
        ports: Ports::Free,
        quiet: true,
        enforce_roles: true,
        ..Options::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let played = switchboard::demo::run(&stack.info, true).await;
    assert_eq!(refusals(&stack.info), Vec::<String>::new());
    played.unwrap();

    let http = switchboard::client().unwrap();
    let admin = &stack.info.tokens.as_ref().unwrap().admin;
    let clients = http.get(format!("{}/api/whatsapp/clients", stack.info.api_url)).bearer_auth(admin);
    assert_eq!(clients.send().await.unwrap().status(), 200);
    let message =
        json!({"botId": "demo-bakery", "to": "15550100123", "type": "text", "text": {"body": "Fresh!"}});
    let send = http.post(format!("{}/api/whatsapp/send-message", stack.info.api_url)).bearer_auth(admin);
    let sent = send.header("idempotency-key", "roles-1").json(&message).send().await.unwrap();
    assert_eq!(refusals(&stack.info), Vec::<String>::new());
    assert_eq!(sent.status(), 200);
    stack.stop().await.unwrap();
}
