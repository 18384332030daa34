//! Meta's handshake, and who may deliver webhooks.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shared::domain::raw::sha256;

use crate::support::api::WEBHOOKS;
use crate::support::world::signature;
use crate::support::{Case, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["webhooks":
        Beside the_handshake_answers_the_challenge_to_the_right_word_only,
        Beside what_meta_did_not_sign_is_refused_and_nothing_is_kept,
        Beside the_simulators_bad_signatures_are_refused,
        Beside what_nobody_understands_is_kept_and_answered_200,
    ]
}

fn handshake(token: &str, mode: &str) -> String {
    format!("{WEBHOOKS}?hub.mode={mode}&hub.verify_token={token}&hub.challenge=1158201444")
}

async fn the_handshake_answers_the_challenge_to_the_right_word_only(world: &World) -> Result<()> {
    let token = world.info.verify_token.clone().unwrap_or_default();
    let answer = world.anybody().get(&handshake(&token, "subscribe")).await?;
    ensure!(answer.status == 200 && answer.text == "1158201444", "{answer}");
    for (token, mode) in [("wrong", "subscribe"), ("", "subscribe"), (token.as_str(), "unsubscribe")] {
        world.anybody().get(&handshake(token, mode)).await?.refused(403, "wrong_verify_token")?;
    }
    Ok(())
}

/// A webhook with one message of its own.
fn message_body(world: &World) -> (String, String) {
    let wamid = format!("wamid.SIGNATURE{:08}", world.unique());
    let message = json!({
        "id": wamid, "from": world.new_customer(), "timestamp": "1795200000", "type": "text",
        "text": {"body": "Forged?"},
    });
    let value = json!({
        "messaging_product": "whatsapp", "metadata": {"phone_number_id": "117"}, "messages": [message],
    });
    let changes = json!([{"field": "messages", "value": value}]);
    (
        wamid,
        json!({"object": "whatsapp_business_account", "entry": [{"id": "228", "changes": changes}]})
            .to_string(),
    )
}

async fn is_recorded(world: &World, wamid: &str) -> Result<bool> {
    Ok(world.cloud.item("messages", ("messageId", wamid)).await?.is_some())
}

async fn what_meta_did_not_sign_is_refused_and_nothing_is_kept(world: &World) -> Result<()> {
    let (wamid, body) = message_body(world);
    let right = world.signature(body.as_bytes());
    let hex = right.trim_start_matches("sha256=").to_owned();
    let forged = [
        None,
        Some(String::new()),
        Some(hex.clone()),
        Some(format!("sha1={hex}")),
        Some(format!("SHA256={hex}")),
        Some(format!("sha256={}", hex.to_uppercase())),
        Some(format!("sha256={}", &hex[..63])),
        Some(format!("{right}00")),
        Some(signature("another-secret-of-another-app", body.as_bytes())),
        Some(world.signature(format!("{body} ").as_bytes())),
    ];
    for header in &forged {
        let headers: Vec<(&str, &str)> =
            header.iter().map(|value| ("x-hub-signature-256", value.as_str())).collect();
        let answer = world.anybody().post_bytes(WEBHOOKS, &headers, body.clone()).await?;
        answer.refused(401, "bad_signature")?;
    }
    // A genuine one overtakes nothing: once it is there, a forged one would have been.
    let (later, genuine) = message_body(world);
    ensure!(world.deliver(genuine).await? == 200, "a genuine webhook was refused");
    eventually("the genuine message is recorded", async || {
        ensure!(is_recorded(world, &later).await?, "no {later}");
        Ok(())
    })
    .await?;
    ensure!(!is_recorded(world, &wamid).await?, "a forged message was recorded");
    Ok(())
}

async fn the_simulators_bad_signatures_are_refused(world: &World) -> Result<()> {
    let (_, body) = message_body(world);
    for kind in ["none", "wrong"] {
        let call = world.http.post(format!("{}/_sim/webhooks", world.info.meta_url));
        let answer = call.header("X-Sim-Signature", kind).body(body.clone()).send().await?;
        let answer: Value = serde_json::from_str(&answer.text().await?)?;
        ensure!(answer["status"] == 401, "{kind}: {answer}");
    }
    Ok(())
}

async fn what_nobody_understands_is_kept_and_answered_200(world: &World) -> Result<()> {
    let unique = world.unique();
    let marked = |start: &[u8]| [start, unique.to_string().as_bytes()].concat();
    let bodies: [Vec<u8>; 9] = [
        Vec::new(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"null".to_vec(),
        marked(b"not json at all "),
        marked(b"\xff\xfe\x80 no text either "),
        marked(b"{\"object\":\"whatsapp_business_account\",\"entry\":[{\"id\":\"1\",\"chang"),
        format!("{{\"object\":\"page\",\"entry\":[{{\"id\":\"{unique}\"}}]}}").into_bytes(),
        format!("{{\"object\":\"whatsapp_business_account\",\"entry\":{unique}}}").into_bytes(),
    ];
    for body in &bodies {
        let status = world.deliver(body.clone()).await?;
        ensure!(status == 200, "{status} to {:?}", String::from_utf8_lossy(body));
    }
    for body in &bodies {
        eventually("it is in quarantine, as it came", async || {
            let kept = world.quarantined(&sha256(body)).await?;
            ensure!(kept == *body, "kept {:?}", String::from_utf8_lossy(&kept));
            Ok(())
        })
        .await?;
    }
    Ok(())
}
