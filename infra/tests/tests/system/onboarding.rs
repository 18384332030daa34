//! Every ending of Embedded Signup has its path.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::api::{CLIENTS, ONBOARD};
use crate::support::{Case, Signup, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["onboarding":
        Beside an_active_client_is_listed,
        Beside a_wrong_pin_is_said_and_the_right_one_continues,
        Beside an_unverified_number_waits_and_continues,
        Beside a_signup_without_a_number_waits_for_one,
        Beside a_coexistence_number_is_not_registered,
        Beside ids_that_the_token_does_not_cover_are_refused,
        Beside the_same_bot_signs_up_again_as_an_update,
        Beside another_bot_does_not_take_an_active_number,
        Beside all_numbers_of_one_signup_share_its_grant,
        Beside a_finished_onboarding_answers_the_same_again,
        Beside the_same_call_with_a_key_is_one_call,
    ]
}

/// The state of a step, and the code of its cause.
fn step(answer: &Value, name: &str) -> Result<(String, String)> {
    let steps = answer["steps"].as_array().into_iter().flatten();
    let step = steps.into_iter().find(|step| step["name"] == name);
    let step = step.with_context(|| format!("no step {name} in {answer}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok((text(&step["state"]), text(&step["cause"]["code"])))
}

async fn listed(world: &World, bot: &str) -> Result<Vec<Value>> {
    let mut page = world.admin().get(&format!("{CLIENTS}?botId={bot}")).await?.ok()?;
    Ok(serde_json::from_value(page["items"].take())?)
}

async fn registrations(world: &World, signup: &Signup) -> Result<Value> {
    Ok(world.sim().waba(&signup.waba).await?["numbers"][0]["registerCalls"].clone())
}

async fn an_active_client_is_listed(world: &World) -> Result<()> {
    let client = world.client().await?;
    let items = listed(world, &client.bot).await?;
    ensure!(items.len() == 1, "{items:?}");
    let item = &items[0];
    let expected = json!({
        "id": client.phone(), "botId": client.bot, "wabaId": client.signup.waba,
        "phoneNumberId": client.phone(), "businessId": client.signup.business, "status": "active",
        "onboardingId": client.onboarding,
    });
    for (name, value) in expected.as_object().into_iter().flatten() {
        ensure!(item[name] == *value, "{name} should be {value}: {item}");
    }
    for name in ["displayPhoneNumber", "verifiedName", "onboardedAt", "createdAt", "updatedAt"] {
        ensure!(item[name].is_string(), "{name} is missing: {item}");
    }
    Ok(())
}

async fn a_wrong_pin_is_said_and_the_right_one_continues(world: &World) -> Result<()> {
    const PIN: &str = "604193";
    world.must_stay_secret(PIN);
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({"numbers": [{"pin": PIN}]})).await?;
    let onboarding = world.exchange(&api, &bot, &signup).await?;

    let open = api.onboard(&onboarding, &signup).await?.with_status(202)?;
    ensure!(step(&open, "phone_registered")? == ("failed".to_owned(), "pin_mismatch".to_owned()), "{open}");

    let body = json!({"onboardingId": onboarding, "pin": PIN});
    let answer = api.post(ONBOARD, &body).await?;
    ensure!(!answer.text.contains(PIN), "the PIN is repeated: {answer}");
    let active = answer.with_status(200)?;
    ensure!(active["status"] == "active", "{active}");
    ensure!(registrations(world, &signup).await? == 2, "one refused registration, one that counts");
    Ok(())
}

async fn an_unverified_number_waits_and_continues(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({"numbers": [{"verified": false}]})).await?;
    let onboarding = world.exchange(&api, &bot, &signup).await?;
    let open = api.onboard(&onboarding, &signup).await?.with_status(202)?;
    ensure!(
        step(&open, "phone_registered")? == ("failed".to_owned(), "number_unverified".to_owned()),
        "{open}"
    );
    ensure!(registrations(world, &signup).await? == 0, "a registration was wasted");

    world.sim().post(&format!("numbers/{}", signup.phone), &json!({"verified": true})).await?;
    world.onboard(&api, &signup, &onboarding).await?;
    ensure!(registrations(world, &signup).await? == 1, "registered more than once");
    Ok(())
}

async fn a_signup_without_a_number_waits_for_one(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let signup = world.sim().sign_up(json!({"event": "FINISH_ONLY_WABA"})).await?;
    let onboarding = world.exchange(&api, &bot, &signup).await?;
    let open = api.onboard(&onboarding, &signup).await?.with_status(202)?;
    ensure!(step(&open, "pin_stored")? == ("failed".to_owned(), "number_missing".to_owned()), "{open}");
    ensure!(listed(world, &bot).await?.is_empty(), "a client without a number is listed");

    let more = json!({"wabaId": signup.waba, "numbers": [{}]});
    let added = world.sim().sign_up(more).await?;
    let active = world.onboard(&api, &signup, &onboarding).await?;
    ensure!(active["client"]["phoneNumberId"] == added.phone, "{active}");
    Ok(())
}

async fn a_coexistence_number_is_not_registered(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let spec = json!({"event": "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING", "numbers": [{"onBizApp": true}]});
    let signup = world.sim().sign_up(spec).await?;
    let onboarding = world.exchange(&api, &bot, &signup).await?;
    let active = world.onboard(&api, &signup, &onboarding).await?;
    ensure!(step(&active, "pin_stored")?.0 == "skipped", "{active}");
    ensure!(registrations(world, &signup).await? == 0, "a number of the app was registered");
    ensure!(listed(world, &bot).await?[0]["coexistence"] == true, "not shown as coexistence");
    Ok(())
}

async fn ids_that_the_token_does_not_cover_are_refused(world: &World) -> Result<()> {
    let api = world.admin();
    let victim = world.client().await?;
    for claim in ["waba", "phone", "business"] {
        let bot = world.new_bot();
        let own = world.sim().sign_up(json!({})).await?;
        let onboarding = world.exchange(&api, &bot, &own).await?;
        let mut body = own.event(&onboarding);
        match claim {
            "waba" => body["wabaId"] = json!(victim.signup.waba),
            "phone" => body["phoneNumberId"] = json!(victim.phone()),
            _ => body["businessId"] = json!(victim.signup.business),
        }
        let answer = api.post(ONBOARD, &body).await?;
        answer.refused(403, "grant_mismatch").with_context(|| format!("a foreign {claim}"))?;
        ensure!(listed(world, &bot).await?.is_empty(), "a foreign {claim} made a client");
        // A slip of the page is not the end: the right ids continue.
        world.onboard(&api, &own, &onboarding).await?;
    }
    let items = listed(world, &victim.bot).await?;
    ensure!(items.len() == 1 && items[0]["status"] == "active", "the other client suffered: {items:?}");
    Ok(())
}

async fn the_same_bot_signs_up_again_as_an_update(world: &World) -> Result<()> {
    let client = world.client().await?;
    let before = listed(world, &client.bot).await?;
    let again = world.sim().sign_up(json!({"phoneNumberId": client.phone()})).await?;
    let onboarding = world.exchange(&client.api, &client.bot, &again).await?;
    world.onboard(&client.api, &again, &onboarding).await?;

    let after = listed(world, &client.bot).await?;
    ensure!(after.len() == 1, "a second client: {after:?}");
    ensure!(after[0]["onboardedAt"] == before[0]["onboardedAt"], "before {before:?}, after {after:?}");
    ensure!(after[0]["onboardingId"] == onboarding, "the newest onboarding is named: {after:?}");
    let waba = world.sim().waba(&again.waba).await?;
    ensure!(waba["allocations"].as_array().map(Vec::len) == Some(1), "credit was shared again: {waba}");
    ensure!(registrations(world, &again).await? == 1, "registered again");
    Ok(())
}

async fn another_bot_does_not_take_an_active_number(world: &World) -> Result<()> {
    let client = world.client().await?;
    let before = listed(world, &client.bot).await?;
    let other = world.new_bot();
    let grant = world.sim().sign_up(json!({"phoneNumberId": client.phone()})).await?;
    let onboarding = world.exchange(&client.api, &other, &grant).await?;
    client.api.onboard(&onboarding, &grant).await?.refused(409, "number_in_use")?;
    ensure!(listed(world, &other).await?.is_empty(), "the other bot has the client");
    ensure!(listed(world, &client.bot).await? == before, "the first bot's client changed");
    Ok(())
}

async fn all_numbers_of_one_signup_share_its_grant(world: &World) -> Result<()> {
    let (api, bot) = (world.admin(), world.new_bot());
    let made = world.sim().post("signups", &json!({"numbers": 2})).await?;
    let signup = world.sim().sign_up(json!({"wabaId": made["wabaId"]})).await?;
    let onboarding = world.exchange(&api, &bot, &signup).await?;
    let mut body = signup.event(&onboarding);
    body.as_object_mut().context("an object")?.remove("phoneNumberId");
    let open = api.post(ONBOARD, &body).await?.with_status(202)?;
    ensure!(step(&open, "grant_verified")?.1 == "number_ambiguous", "{open}");

    let second = made["phoneNumberIds"][1].clone();
    let active = eventually("the number that was named is active", async || {
        let body = json!({"onboardingId": onboarding, "phoneNumberId": second});
        api.post(ONBOARD, &body).await?.with_status(200)
    })
    .await?;
    ensure!(active["client"]["phoneNumberId"] == second, "{active}");

    let again = world.sim().sign_up(json!({"wabaId": made["wabaId"]})).await?;
    let first = Signup { phone: made["phoneNumberIds"][0].as_str().unwrap_or_default().to_owned(), ..again };
    let onboarding = world.exchange(&api, &bot, &first).await?;
    world.onboard(&api, &first, &onboarding).await?;
    ensure!(listed(world, &bot).await?.len() == 2, "not both numbers are clients");
    let waba = world.sim().waba(&first.waba).await?;
    ensure!(waba["allocations"].as_array().map(Vec::len) == Some(1), "credit was shared twice: {waba}");
    Ok(())
}

async fn a_finished_onboarding_answers_the_same_again(world: &World) -> Result<()> {
    let client = world.client().await?;
    let read = client.api.onboarding(&client.onboarding).await?.ok()?;
    let called = client.api.onboard(&client.onboarding, &client.signup).await?.ok()?;
    ensure!(read == called, "read {read}, called {called}");
    ensure!(read["client"]["ready"] == true && read["status"] == "active", "{read}");
    Ok(())
}

async fn the_same_call_with_a_key_is_one_call(world: &World) -> Result<()> {
    let client = world.client().await?;
    let key = format!("key-{}", world.unique());
    let body = client.signup.event(&client.onboarding);
    let first = client.api.post_with_key(ONBOARD, &key, &body).await?.ok()?;
    let again = client.api.post_with_key(ONBOARD, &key, &body).await?.ok()?;
    ensure!(first == again, "{first} and then {again}");
    let other = client.signup.event("ob_other");
    client.api.post_with_key(ONBOARD, &key, &other).await?.refused(422, "idempotency_key_reused")?;
    Ok(())
}
