//! Bad input is the caller's to mend: each answer says how, and none is a failure of ours.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shared::domain::Timestamp;

use crate::support::api::{CLIENTS, EXCHANGE, MARK_READ, MESSAGES, ONBOARD, SEND};
use crate::support::{Case, World, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases!["refusals":
        Beside a_body_that_is_not_an_object_is_refused_on_every_route,
        Beside a_missing_or_ill_formed_member_is_named,
        Beside a_body_that_is_too_large_is_refused,
        Beside pages_have_limits_and_cursors,
        Beside a_bad_limit_or_cursor_is_refused,
        Beside the_history_is_paged_and_cut_by_time,
        Beside an_unknown_route_is_not_found,
    ]
}

const POSTS: [&str; 4] = [EXCHANGE, ONBOARD, SEND, MARK_READ];

async fn a_body_that_is_not_an_object_is_refused_on_every_route(world: &World) -> Result<()> {
    for path in POSTS {
        for (body, code) in [
            ("", "not_json"),
            ("{\"botId\":", "not_json"),
            ("\u{0}", "not_json"),
            ("[]", "not_an_object"),
            ("\"text\"", "not_an_object"),
            ("null", "not_an_object"),
        ] {
            world.admin().post_bytes(path, &[], body).await?.refused(400, code)?;
        }
        world.admin().post_bytes(path, &[], vec![0xff, 0xfe]).await?.refused(400, "not_json")?;
    }
    Ok(())
}

async fn a_missing_or_ill_formed_member_is_named(world: &World) -> Result<()> {
    let send = json!({"botId": "b", "to": "15550100999", "type": "text", "text": {"body": "Hi"}});
    let with = |body: &Value, name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        body
    };
    let without = json!({});
    let onboard = json!({"onboardingId": "ob_0000000000000000000000"});
    for (path, body, code, member) in [
        (EXCHANGE, without.clone(), "missing_member", "botId"),
        (EXCHANGE, json!({"botId": "b"}), "missing_member", "code"),
        (EXCHANGE, json!({"botId": "b", "code": true}), "invalid_member", "code"),
        (EXCHANGE, json!({"botId": "a b", "code": "AQ1"}), "invalid_member", "botId"),
        (EXCHANGE, json!({"botId": "x".repeat(65), "code": "AQ1"}), "invalid_member", "botId"),
        (ONBOARD, without.clone(), "missing_member", "onboardingId"),
        (ONBOARD, with(&onboard, "wabaId", json!("../1")), "invalid_member", "wabaId"),
        (ONBOARD, with(&onboard, "pin", json!("12345")), "invalid_member", "pin"),
        (ONBOARD, with(&onboard, "phoneNumberId", json!({})), "invalid_member", "phoneNumberId"),
        (MARK_READ, json!({"botId": "b"}), "missing_member", "messageId"),
        (MARK_READ, json!({"botId": "b", "messageId": "wamid.A", "typing": 1}), "invalid_member", "typing"),
        (SEND, without, "missing_member", "botId"),
        (SEND, with(&send, "botId", json!([])), "invalid_member", "botId"),
    ] {
        let problem = world.admin().post(path, &body).await?.refused(400, code)?;
        ensure!(problem["member"] == member, "{path}: expected {member}: {problem}");
    }
    world.admin().post(SEND, &send).await?.refused(404, "client_not_found")?;
    let key = "k".repeat(256);
    world.admin().post_with_key(SEND, &key, &send).await?.refused(400, "invalid_idempotency_key")?;
    Ok(())
}

async fn a_body_that_is_too_large_is_refused(world: &World) -> Result<()> {
    for path in POSTS {
        let body = json!({"botId": "b", "padding": "x".repeat(300 * 1024)});
        world.admin().post(path, &body).await?.refused(413, "body_too_large")?;
    }
    // The gateway's own limit comes first.
    let answer = world.admin().post_bytes(SEND, &[], vec![b' '; 10 * 1024 * 1024 + 1]).await?;
    ensure!(answer.status == 413, "{answer}");
    Ok(())
}

async fn pages_have_limits_and_cursors(world: &World) -> Result<()> {
    let bot = world.new_bot();
    let mut wanted = Vec::new();
    for _ in 0..3 {
        wanted.push(json!(world.client_of(world.admin(), &bot).await?.phone()));
    }
    wanted.sort_by_key(Value::to_string);
    let first = world.admin().get(&format!("{CLIENTS}?botId={bot}&limit=2")).await?.ok()?;
    let cursor = first["nextCursor"].as_str().context("three clients do not fit on a page of two")?;
    let second = world.admin().get(&format!("{CLIENTS}?botId={bot}&limit=2&cursor={cursor}")).await?.ok()?;
    let items = [&first, &second].map(|page| page["items"].as_array().cloned().unwrap_or_default());
    ensure!(items[0].len() == 2 && items[1].len() == 1 && second["nextCursor"].is_null(), "{first} {second}");
    let found: Vec<Value> =
        items.concat().into_iter().map(|client| client["phoneNumberId"].clone()).collect();
    ensure!(found == wanted, "found {found:?}, wanted {wanted:?}");
    Ok(())
}

async fn a_bad_limit_or_cursor_is_refused(world: &World) -> Result<()> {
    let history = format!("{MESSAGES}/{}", world.new_bot());
    for path in [CLIENTS, &history] {
        for query in
            ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=1.5", "cursor=%00", "cursor=nonsense"]
        {
            let answer = world.admin().get(&format!("{path}?{query}")).await?;
            ensure!(answer.status == 400, "{query}: {answer}");
            let code = answer.json()?["code"].as_str().unwrap_or_default().to_owned();
            answer.refused(400, &code)?;
            ensure!(!code.is_empty(), "{query}: no code");
        }
        for query in ["limit=1", "limit=100"] {
            world.admin().get(&format!("{path}?{query}")).await?.ok()?;
        }
    }
    for query in ["from=yesterday", "to=5", "phoneNumberId=abc"] {
        let answer = world.admin().get(&format!("{history}?{query}")).await?;
        ensure!(answer.status == 400, "{query}: {answer}");
    }
    Ok(())
}

async fn the_history_is_paged_and_cut_by_time(world: &World) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    for n in 1..=3 {
        client.hears(&customer, &format!("Message {n}")).await?;
        client.answers(&customer, n).await?;
    }
    let all = client.settled(&customer).await?;
    ensure!(all.len() == 6, "{all:?}");
    let path = format!("{MESSAGES}/{}?customer={customer}", client.bot);
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.api.get(&format!("{path}&limit=4{cursor}")).await?.ok()?;
        found.extend(page["items"].as_array().context("no items")?.iter().map(|m| m["messageId"].clone()));
        match page["nextCursor"].as_str() {
            Some(next) => {
                cursor =
                    format!("&cursor={}", next.replace('#', "%23").replace('+', "%2B").replace('=', "%3D"))
            }
            None => break,
        }
    }
    let ids: Vec<Value> = all.iter().map(|message| message["messageId"].clone()).collect();
    ensure!(found == ids, "in pages {found:?}, at once {ids:?}");

    let from = time_of(&all[2])?;
    let page = client.api.get(&format!("{path}&from={from}")).await?.ok()?;
    let times = page["items"].as_array().context("no items")?.iter().map(time_of);
    let times: Vec<Timestamp> = times.collect::<Result<_>>()?;
    let newer = all.iter().filter_map(|message| time_of(message).ok()).filter(|at| *at >= from).count();
    ensure!(times.iter().all(|at| *at >= from) && times.len() == newer, "from {from}: {page}");
    Ok(())
}

fn time_of(message: &Value) -> Result<Timestamp> {
    Ok(message["timestamp"].as_str().with_context(|| format!("no time: {message}"))?.parse()?)
}

async fn an_unknown_route_is_not_found(world: &World) -> Result<()> {
    for path in ["/api/whatsapp/nothing", "/api/"] {
        let answer = world.admin().get(path).await?;
        ensure!(answer.status == 404, "{answer}");
    }
    Ok(())
}
