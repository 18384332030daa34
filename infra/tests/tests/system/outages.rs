//! Meta fails in the middle of an onboarding. It continues where it stopped and ends the same: credit is
//! shared once, the number registered at most once.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::support::sim::{lost_answer, outage, silence};
use crate::support::{Api, Case, Signup, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["outages":
        Alone an_outage_at_debug_token_is_overcome,
        Alone an_outage_at_credit_sharing_is_overcome,
        Alone a_lost_answer_of_credit_sharing_shares_nothing_twice,
        Beside the_schedule_alone_continues_after_an_outage,
        Beside the_schedule_alone_finishes_when_the_browser_goes_away,
        Beside an_outage_at_subscribed_apps_is_overcome,
        Beside an_outage_at_assigned_users_is_overcome,
        Beside an_outage_at_register_is_overcome,
        Beside an_outage_while_details_are_read_is_overcome,
        Beside a_silent_meta_is_overcome,
        Beside a_lost_answer_of_register_registers_nothing_twice,
        Beside many_calls_at_once_onboard_once,
    ]
}

/// A signup whose onboarding is about to run.
struct Begun<'w> {
    world: &'w World,
    api: Api<'w>,
    signup: Signup,
    onboarding: String,
}

impl<'w> Begun<'w> {
    async fn new(world: &'w World) -> Result<Self> {
        let api = world.admin();
        let signup = world.sim().sign_up(json!({})).await?;
        let onboarding = world.exchange(&api, &world.new_bot(), &signup).await?;
        Ok(Self { world, api, signup, onboarding })
    }

    /// The next call of onboard-client stops at this step, and says that Meta is to blame.
    async fn stops_at(&self, step: &str) -> Result<()> {
        let open = self.api.onboard(&self.onboarding, &self.signup).await?.with_status(202)?;
        let record = step_of(&open, step)?;
        ensure!(record["state"] == "failed" && record["cause"]["code"] == "meta_unavailable", "{record}");
        ensure!(record["action"].as_str().is_some_and(|action| !action.is_empty()), "no action: {record}");
        Ok(())
    }

    /// Calling again continues, and everything was done at Meta exactly once.
    async fn continues(&self) -> Result<()> {
        let active = self.world.onboard(&self.api, &self.signup, &self.onboarding).await?;
        all_done(&active)?;
        done_once(self.world, &self.signup).await
    }
}

fn step_of<'a>(answer: &'a Value, name: &str) -> Result<&'a Value> {
    let steps = answer["steps"].as_array().into_iter().flatten();
    steps.into_iter().find(|step| step["name"] == name).with_context(|| format!("no step {name} in {answer}"))
}

fn all_done(answer: &Value) -> Result<()> {
    let steps = answer["steps"].as_array().with_context(|| format!("no steps: {answer}"))?;
    match steps.iter().find(|step| step["state"] != "done") {
        Some(open) => bail!("active, but a step is not done: {open}"),
        None => Ok(()),
    }
}

/// One allocation and one registration, by Meta's own account.
async fn done_once(world: &World, signup: &Signup) -> Result<()> {
    let waba = world.sim().waba(&signup.waba).await?;
    ensure!(waba["allocations"].as_array().map(Vec::len) == Some(1), "allocations: {waba}");
    ensure!(waba["refusedCreditCalls"] == 0, "credit was asked for in vain: {waba}");
    let number = &waba["numbers"][0];
    ensure!(number["registered"] == true && number["registerCalls"] == 1, "registrations: {number}");
    Ok(())
}

async fn an_outage_at_debug_token_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault("debug_token", &outage()).await?;
    begun.stops_at("grant_verified").await?;
    begun.continues().await
}

async fn an_outage_at_credit_sharing_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault("whatsapp_credit_sharing_and_attach", &outage()).await?;
    begun.stops_at("credit_shared").await?;
    begun.continues().await
}

async fn a_lost_answer_of_credit_sharing_shares_nothing_twice(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault("whatsapp_credit_sharing_and_attach", &lost_answer()).await?;
    begun.stops_at("credit_shared").await?;
    begun.continues().await
}

async fn an_outage_at_subscribed_apps_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault(&format!("{}/subscribed_apps", begun.signup.waba), &outage()).await?;
    begun.stops_at("app_subscribed").await?;
    begun.continues().await
}

async fn an_outage_at_assigned_users_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault(&format!("{}/assigned_users", begun.signup.waba), &outage()).await?;
    begun.stops_at("system_user_assigned").await?;
    begun.continues().await
}

async fn an_outage_at_register_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault(&format!("{}/register", begun.signup.phone), &outage()).await?;
    begun.stops_at("phone_registered").await?;
    begun.continues().await
}

/// The number is read before its PIN is stored, before it is registered and once more afterwards.
async fn an_outage_while_details_are_read_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().faults(&begun.signup.phone, 2, &outage()).await?;
    begun.stops_at("pin_stored").await?;
    begun.continues().await
}

async fn a_silent_meta_is_overcome(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault(&format!("{}/register", begun.signup.phone), &silence()).await?;
    begun.stops_at("phone_registered").await?;
    begun.continues().await
}

async fn a_lost_answer_of_register_registers_nothing_twice(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault(&format!("{}/register", begun.signup.phone), &lost_answer()).await?;
    begun.stops_at("phone_registered").await?;
    begun.continues().await
}

async fn many_calls_at_once_onboard_once(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    let call = async || begun.api.onboard(&begun.onboarding, &begun.signup).await;
    let (a, b, c) = tokio::join!(call(), call(), call());
    for answer in [a?, b?, c?] {
        ensure!(matches!(answer.status, 200 | 202), "{answer}");
    }
    begun.continues().await
}

async fn the_schedule_alone_continues_after_an_outage(world: &World) -> Result<()> {
    let begun = Begun::new(world).await?;
    world.sim().fault(&format!("{}/register", begun.signup.phone), &outage()).await?;
    begun.stops_at("phone_registered").await?;
    finishes_by_itself(&begun).await
}

async fn the_schedule_alone_finishes_when_the_browser_goes_away(world: &World) -> Result<()> {
    finishes_by_itself(&Begun::new(world).await?).await
}

async fn finishes_by_itself(begun: &Begun<'_>) -> Result<()> {
    let active = eventually("the schedule finishes the onboarding", async || {
        let answer = begun.api.onboarding(&begun.onboarding).await?.ok()?;
        ensure!(answer["status"] == "active", "{answer}");
        Ok(answer)
    })
    .await?;
    all_done(&active)?;
    done_once(begun.world, &begun.signup).await
}
