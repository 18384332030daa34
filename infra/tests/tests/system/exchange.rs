//! The signup code becomes a token: once, and whatever goes wrong in between.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::support::api::EXCHANGE;
use crate::support::sim::{lost_answer, outage};
use crate::support::{Case, World, cases};

pub(crate) fn cases() -> Vec<Case> {
    cases!["exchange":
        Alone a_code_survives_an_outage_of_meta,
        Alone a_token_whose_answer_was_lost_is_fetched_another_way,
        Alone an_expired_code_says_so,
        Beside an_exchange_answers_with_the_grant_and_never_the_token,
        Beside the_same_code_again_answers_the_same,
        Beside a_code_works_for_one_bot_only,
        Beside an_invented_code_is_refused,
        Beside many_exchanges_of_one_code_at_once_end_in_one_onboarding,
    ]
}

async fn an_exchange_answers_with_the_grant_and_never_the_token(world: &World) -> Result<()> {
    let signup = world.sim().sign_up(json!({})).await?;
    let answer = world.admin().exchange(&world.new_bot(), &signup.code).await?;
    ensure!(!answer.text.contains("EAA") && !answer.text.contains(&signup.code), "{answer}");
    let body = answer.ok()?;
    ensure!(body["grant"]["wabaIds"] == json!([signup.waba]), "another account: {body}");
    let scopes = body["grant"]["scopes"].as_array().map_or(0, Vec::len);
    ensure!(scopes >= 2 && body["expiresAt"].is_string(), "{body}");
    Ok(())
}

async fn the_same_code_again_answers_the_same(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({})).await?;
    let first = api.exchange(&bot, &signup.code).await?.ok()?;
    let second = api.exchange(&bot, &signup.code).await?.ok()?;
    ensure!(first == second, "first {first}, then {second}");
    Ok(())
}

async fn a_code_works_for_one_bot_only(world: &World) -> Result<()> {
    let api = world.admin();
    let signup = world.sim().sign_up(json!({})).await?;
    world.exchange(&api, &world.new_bot(), &signup).await?;
    api.exchange(&world.new_bot(), &signup.code).await?.refused(409, "code_spent")?;
    Ok(())
}

async fn an_invented_code_is_refused(world: &World) -> Result<()> {
    let code = format!("AQ{}", "invented".repeat(20));
    world.must_stay_secret(&code);
    let answer = world.admin().exchange(&world.new_bot(), &code).await?;
    ensure!(!answer.text.contains(&code), "the code is repeated: {answer}");
    let problem = answer.refused(400, "code_refused")?;
    ensure!(problem["meta"]["code"].is_i64(), "Meta's own words are missing: {problem}");
    Ok(())
}

async fn an_expired_code_says_so(world: &World) -> Result<()> {
    let signup = world.sim().sign_up(json!({})).await?;
    world.sim().post("clock", &json!({"advanceSeconds": 31})).await?;
    let answer = world.admin().exchange(&world.new_bot(), &signup.code).await;
    world.sim().post("clock", &json!({"advanceSeconds": -31})).await?;
    answer?.refused(400, "code_expired")?;
    Ok(())
}

async fn a_code_survives_an_outage_of_meta(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({})).await?;
    world.sim().fault("oauth/access_token", &outage()).await?;
    let problem = api.exchange(&bot, &signup.code).await?.refused(503, "meta_unavailable")?;
    ensure!(problem["retryable"] == true, "{problem}");
    let onboarding = world.exchange(&api, &bot, &signup).await?;
    world.onboard(&api, &signup, &onboarding).await?;
    Ok(())
}

/// The one gap that Meta leaves: the code is spent, and its token never reached us.
async fn a_token_whose_answer_was_lost_is_fetched_another_way(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({})).await?;
    world.sim().fault("oauth/access_token", &lost_answer()).await?;
    api.exchange(&bot, &signup.code).await?.refused(503, "meta_unavailable")?;
    let problem = api.exchange(&bot, &signup.code).await?.refused(409, "code_spent")?;
    let onboarding = problem["onboardingId"].as_str().unwrap_or_default().to_owned();
    let active = world.onboard(&api, &signup, &onboarding).await?;
    ensure!(active["client"]["phoneNumberId"] == signup.phone, "{active}");
    Ok(())
}

async fn many_exchanges_of_one_code_at_once_end_in_one_onboarding(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({})).await?;
    let body = json!({"botId": bot, "code": signup.code, "signup": {"wabaId": signup.waba}});
    let (a, b, c) =
        tokio::join!(api.post(EXCHANGE, &body), api.post(EXCHANGE, &body), api.post(EXCHANGE, &body));
    let mut exchanged = Vec::new();
    for answer in [a?, b?, c?] {
        match answer.status {
            200 => exchanged.push(answer.ok()?["onboardingId"].clone()),
            // Told to come back in a moment.
            _ => drop(answer.refused(409, "exchange_running")?),
        }
    }
    exchanged.dedup();
    ensure!(exchanged.len() == 1, "onboardings {exchanged:?}");
    ensure!(world.exchange(&api, &bot, &signup).await? == exchanged[0], "another onboarding afterwards");
    Ok(())
}
