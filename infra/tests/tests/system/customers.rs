//! What is kept of a customer, and how it goes.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::support::{Case, World, cases, eventually};

pub(crate) fn cases() -> Vec<Case> {
    cases!["customers":
        Beside an_erased_customer_is_unknown_and_may_come_back,
    ]
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
