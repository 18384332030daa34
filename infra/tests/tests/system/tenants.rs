//! A caller sees and acts on its own bots only; a foreign thing answers as an unknown one.

mod matrix;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::api::{CLIENTS, EXCHANGE, MARK_READ, MESSAGES, ONBOARD, SEND};
use crate::support::{Answer, Api, Case, World, cases};
use matrix::{
    each_operation_answers_a_foreign_id_as_an_unknown_one,
    the_matrix_names_every_operation_and_every_id_that_it_takes,
};

pub(crate) fn cases() -> Vec<Case> {
    cases!["tenants":
        Beside no_route_tells_a_foreign_bot_from_an_unknown_one,
        Beside a_foreign_number_is_unknown,
        Beside a_foreign_onboarding_is_unknown,
        Beside a_forged_cursor_opens_nothing,
        Beside a_list_shows_own_clients_only,
        Beside the_pages_token_opens_its_signup_only,
        Beside without_a_good_token_nothing_opens,
        Beside a_token_opens_the_bots_that_it_names,
        Beside claims_of_another_form_open_nothing,
        Beside the_matrix_names_every_operation_and_every_id_that_it_takes,
        Beside each_operation_answers_a_foreign_id_as_an_unknown_one,
    ]
}

const OURS: &str = "demo-bakery";
const THEIRS: &str = "demo-florist";

fn send_body(bot: &str, phone: Option<&str>) -> Value {
    let mut body = json!({"botId": bot, "to": "15550100999", "type": "text", "text": {"body": "Hello"}});
    if let Some(phone) = phone {
        body["phoneNumberId"] = json!(phone);
    }
    body
}

/// What of an answer may differ between two refusals: nothing but the request's own words.
fn shape(answer: Answer, named: &str) -> Result<(u16, String)> {
    ensure!(answer.status >= 400, "not refused: {answer}");
    Ok((answer.status, answer.text.replace(named, "…")))
}

async fn no_route_tells_a_foreign_bot_from_an_unknown_one(world: &World) -> Result<()> {
    world.client_of(world.bot(THEIRS), THEIRS).await?;
    let api = world.bot(OURS);
    for path in [EXCHANGE, SEND, MARK_READ, CLIENTS, MESSAGES] {
        let ask = async |bot: &str| match path {
            EXCHANGE => api.post(path, &json!({"botId": bot, "code": "AQinvented"})).await,
            SEND => api.post(path, &send_body(bot, None)).await,
            MARK_READ => api.post(path, &json!({"botId": bot, "messageId": "wamid.A"})).await,
            CLIENTS => api.get(&format!("{path}?botId={bot}")).await,
            _ => api.get(&format!("{path}/{bot}")).await,
        };
        let foreign = ask(THEIRS).await?;
        ensure!(foreign.status == 404, "{foreign}");
        let foreign = shape(foreign, THEIRS)?;
        let unknown = shape(ask("no-such-bot").await?, "no-such-bot")?;
        ensure!(foreign == unknown, "{path}: foreign {foreign:?}, unknown {unknown:?}");
    }
    Ok(())
}

async fn a_foreign_number_is_unknown(world: &World) -> Result<()> {
    let theirs = world.client_of(world.bot(THEIRS), THEIRS).await?;
    let customer = world.new_customer();
    theirs.hears(&customer, "A secret for the florist").await?;
    theirs.answers(&customer, 1).await?;
    let api = world.bot(OURS);
    for phone in [theirs.phone(), "117999999999999"] {
        api.post(SEND, &send_body(OURS, Some(phone))).await?.refused(404, "client_not_found")?;
        let path = format!("{MESSAGES}/{OURS}?phoneNumberId={phone}");
        api.get(&path).await?.refused(404, "client_not_found")?;
    }
    let page = api.get(&format!("{MESSAGES}/{OURS}?customer={customer}")).await?.ok()?;
    ensure!(page["items"] == json!([]), "a foreign conversation: {page}");
    Ok(())
}

async fn a_foreign_onboarding_is_unknown(world: &World) -> Result<()> {
    let theirs = world.client_of(world.bot(THEIRS), THEIRS).await?;
    let api = world.bot(OURS);
    for id in [theirs.onboarding.as_str(), "ob_0000000000000000000000", "nonsense"] {
        api.onboarding(id).await?.refused(404, "onboarding_not_found")?;
        let event = theirs.signup.event(id);
        api.post(ONBOARD, &event).await?.refused(404, "onboarding_not_found")?;
    }
    Ok(())
}

async fn a_forged_cursor_opens_nothing(world: &World) -> Result<()> {
    let theirs = world.client_of(world.bot(THEIRS), THEIRS).await?;
    let customer = world.new_customer();
    theirs.hears(&customer, "Only for the florist").await?;
    theirs.answers(&customer, 1).await?;
    let api = world.bot(OURS);
    for cursor in
        [format!("{THEIRS}."), format!("{THEIRS}.1"), format!(".{}", theirs.phone()), ".".to_owned()]
    {
        let answer = api.get(&format!("{CLIENTS}?cursor={cursor}")).await?;
        ensure!(answer.status == 200 || answer.status == 400, "{answer}");
        ensure!(!answer.text.contains(THEIRS) && !answer.text.contains(theirs.phone()), "{cursor}: {answer}");
    }
    let cursor = "999999999999999%23wamid.X";
    let answer = api.get(&format!("{MESSAGES}/{OURS}?cursor={cursor}")).await?;
    ensure!(!answer.text.contains("Only for the florist"), "{answer}");
    Ok(())
}

async fn numbers(api: &Api<'_>, path: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("{path}{cursor}")).await?.ok()?;
        all.extend(page["items"].as_array().context("no items")?.iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

async fn a_list_shows_own_clients_only(world: &World) -> Result<()> {
    world.client_of(world.bot(OURS), OURS).await?;
    world.client_of(world.bot(THEIRS), THEIRS).await?;
    let ours = numbers(&world.bot(OURS), &format!("{CLIENTS}?limit=1")).await?;
    ensure!(!ours.is_empty() && ours.iter().all(|client| client["botId"] == OURS), "{ours:?}");
    let all = numbers(&world.admin(), &format!("{CLIENTS}?limit=100")).await?;
    for bot in [OURS, THEIRS] {
        ensure!(all.iter().any(|client| client["botId"] == bot), "the admin does not see {bot}");
    }
    Ok(())
}

async fn the_pages_token_opens_its_signup_only(world: &World) -> Result<()> {
    let api = Api::new(world, Some(world.page_token(OURS).await?));
    for answer in [
        api.get(CLIENTS).await?,
        api.get(&format!("{MESSAGES}/{OURS}")).await?,
        api.post(SEND, &send_body(OURS, None)).await?,
    ] {
        answer.refused(403, "scope_insufficient")?;
    }
    let signup = world.sim().sign_up(json!({})).await?;
    api.exchange(THEIRS, &signup.code).await?.refused(404, "bot_not_found")?;
    let onboarding = world.exchange(&api, OURS, &signup).await?;
    world.onboard(&api, &signup, &onboarding).await?;
    api.onboarding(&onboarding).await?.ok()?;
    Ok(())
}

async fn without_a_good_token_nothing_opens(world: &World) -> Result<()> {
    let good = world.page_token(OURS).await?;
    let (unsigned, signature) = good.rsplit_once('.').context("a token has three parts")?;
    let reversed: String = signature.chars().rev().collect();
    let tokens = [None, Some("nonsense".to_owned()), Some(format!("{unsigned}.{reversed}"))];
    for token in tokens {
        let api = Api::new(world, token);
        for answer in [
            api.get(CLIENTS).await?,
            api.get(&format!("{MESSAGES}/{OURS}")).await?,
            api.post(SEND, &send_body(OURS, None)).await?,
            api.post(EXCHANGE, &json!({})).await?,
            api.post(ONBOARD, &json!({})).await?,
            api.onboarding("ob_0000000000000000000000").await?,
        ] {
            ensure!(answer.status == 401, "expected 401; {answer}");
        }
    }
    Ok(())
}

async fn a_token_opens_the_bots_that_it_names(world: &World) -> Result<()> {
    let (one, two, other) = (world.client().await?, world.client().await?, world.client().await?);
    // Twice the same, and an unknown one: neither opens more.
    let bots = json!([one.bot, two.bot, one.bot, "no-such-bot"]);
    let api = Api::new(world, Some(world.token_of(&json!({"sub": "several", "bots": bots}))?));
    let listed = numbers(&api, &format!("{CLIENTS}?limit=1")).await?;
    let mut phones: Vec<_> = listed.iter().filter_map(|client| client["phoneNumberId"].as_str()).collect();
    phones.sort_unstable();
    let mut own = [one.phone(), two.phone()];
    own.sort_unstable();
    ensure!(phones == own, "{listed:?}");
    for client in [&one, &two] {
        api.get(&format!("{MESSAGES}/{}", client.bot)).await?.ok()?;
    }
    api.get(&format!("{MESSAGES}/{}", other.bot)).await?.refused(404, "bot_not_found")?;
    // The page's scope opens the signups of just these.
    let claims = json!({"sub": "page", "bots": [one.bot, two.bot], "scope": "openid onboard"});
    let page = Api::new(world, Some(world.token_of(&claims)?));
    for client in [&one, &two] {
        page.onboarding(&client.onboarding).await?.ok()?;
    }
    page.onboarding(&other.onboarding).await?.refused(404, "onboarding_not_found")?;
    page.get(CLIENTS).await?.refused(403, "scope_insufficient")?;
    for client in [&one, &two, &other] {
        world.admin().get(&format!("{MESSAGES}/{}", client.bot)).await?.ok()?;
    }
    Ok(())
}

async fn claims_of_another_form_open_nothing(world: &World) -> Result<()> {
    for claims in [
        json!({}),
        json!({"bots": OURS.to_owned() + " " + THEIRS}),
        json!({"bots": {"a": OURS}}),
        json!({"bots": ["a/b"]}),
        json!({"bots": format!("[{OURS},{THEIRS}]")}),
        json!({"role": "administrator"}),
        json!({"role": ["admin"]}),
        json!({"role": {"admin": true}}),
        json!({"bots": null, "scope": "onboard"}),
    ] {
        let api = Api::new(world, Some(world.token_of(&claims)?));
        for path in [CLIENTS.to_owned(), format!("{MESSAGES}/{OURS}")] {
            let answer = api.get(&path).await?;
            ensure!(answer.status == 401, "{claims} opens something: {answer}");
        }
    }
    Ok(())
}
