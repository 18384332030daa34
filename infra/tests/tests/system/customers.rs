//! What is kept of a customer, and how it goes.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shared::domain::Timestamp;

use crate::large::noise;
use crate::support::{Case, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["customers":
        Beside everything_of_a_customer_can_be_taken_away,
        Beside an_erased_customer_is_unknown_and_may_come_back,
        Beside what_is_large_and_an_accounts_events_are_told_and_erased_with_the_customer,
    ]
}

async fn everything_of_a_customer_can_be_taken_away(world: &World) -> Result<()> {
    let client = world.client().await?;
    let (customer, other) = (world.new_customer(), world.new_customer());
    for name in [&customer, &other] {
        client.hears(name, &format!("My number is {name}")).await?;
        client.answers(name, 1).await?;
        client.settled(name).await?;
    }
    let path = format!("/api/whatsapp/conversations/{}/{customer}/export", client.bot);
    eventually("the lists know the latest", async || {
        let answer = client.api.get(&path).await?;
        ensure!(answer.status == 200, "{answer}");
        let lines: Vec<Value> = answer.text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let told: Vec<&str> = lines.iter().filter_map(|line| line["record"].as_str()).collect();
        ensure!(told == ["conversation", "message", "message", "end"], "{told:?}");
        ensure!(lines[1]["direction"] == "outbound" && lines[1]["raw"]["type"] == "text", "{}", lines[1]);
        ensure!(lines[1]["rawStatuses"].as_array().is_some_and(|all| !all.is_empty()), "{}", lines[1]);
        ensure!(lines[2]["raw"]["object"] == "whatsapp_business_account", "{}", lines[2]);
        ensure!(!answer.text.contains(&other), "somebody else's number is in it");
        Ok(())
    })
    .await
}

async fn an_erased_customer_is_unknown_and_may_come_back(world: &World) -> Result<()> {
    let client = world.client().await?;
    let (customer, other) = (world.new_customer(), world.new_customer());
    for name in [&customer, &other] {
        client.hears(name, "Please remember me").await?;
        client.answers(name, 1).await?;
        client.settled(name).await?;
    }
    let path = format!("/api/whatsapp/conversations/{}/{customer}", client.bot);
    let receipt = client.api.delete(&path).await?.ok()?;
    ensure!(receipt["done"] == true && receipt["erased"]["messages"] == 2, "{receipt}");
    ensure!(receipt["erased"]["names"] == 2, "phone and BSUID: {receipt}");
    eventually("nothing is listed of the customer", async || {
        let history = client.history(&customer).await?;
        ensure!(history.is_empty(), "{history:?}");
        Ok(())
    })
    .await?;
    ensure!(client.history(&other).await?.len() == 2, "somebody else lost something");
    let again = client.api.delete(&path).await?;
    ensure!(again.status == 404 && again.text.contains("customer_not_found"), "{again}");

    client.hears(&customer, "Hello again").await?;
    client.answers(&customer, 2).await?;
    let history = client.settled(&customer).await?;
    ensure!(history.len() == 2 && history[1]["text"] == json!("Hello again"), "{history:?}");
    Ok(())
}

async fn what_is_large_and_an_accounts_events_are_told_and_erased_with_the_customer(
    world: &World,
) -> Result<()> {
    let client = world.client().await?;
    let customer = world.new_customer();
    client.hears(&customer, "Please remember me").await?;
    client.answers(&customer, 1).await?;
    client.settled(&customer).await?;
    // More than one item of the store holds, compressed.
    let name = noise(world.unique(), 700_000);
    let contact = json!({"full_name": name, "phone_number": customer});
    let synced = json!({"state_sync": [{"type": "contact", "action": "add", "contact": contact}]});
    // What came before the client signed up is another's.
    let entry = json!({"id": client.signup.waba, "time": Timestamp::now().as_second() + 1,
        "changes": [{"field": "smb_app_state_sync", "value": synced}]});
    let body = json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string();
    ensure!(world.deliver(body).await? == 200, "not taken");

    let path = format!("/api/whatsapp/conversations/{}/{customer}", client.bot);
    eventually("the event is told", async || {
        let told = client.api.get(&format!("{path}/export")).await?;
        ensure!(told.status == 200 && told.text.contains(&name), "{} bytes are told", told.text.len());
        Ok(())
    })
    .await?;
    let receipt = client.api.delete(&path).await?.ok()?;
    ensure!(receipt["erased"]["events"] == 1 && receipt["erased"]["large"] == 1, "{receipt}");
    Ok(())
}
