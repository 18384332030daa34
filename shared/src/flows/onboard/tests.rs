//! One test for each rule of the onboarding.

mod credit;
mod grants;
mod numbers;
mod steps;

use secrecy::ExposeSecret;

use super::*;
use crate::domain::client::{Client, ClientStatus};
use crate::domain::ids::BotId;
use crate::domain::onboarding::{SignupEvent, StepState};
use crate::flows::testing::{PAST_ALL_CLAIMS, bot, exchange, onboard, settings, solution_partner};
use crate::testing::{Fault, GraphFault, MetaNumber, SignedUp, World, refusal};

/// A signup whose code is exchanged, and the engine's settings.
struct Signup {
    world: World,
    it: SignedUp,
    settings: Settings,
    id: OnboardingId,
}

impl Signup {
    async fn new() -> Self {
        let world = World::new();
        let it = world.graph.sign_up(1);
        Self::of(world, it, &bot()).await
    }

    async fn of(world: World, it: SignedUp, bot: &BotId) -> Self {
        exchange(&world).run(&it.code, bot, Claims::default()).await.unwrap();
        let id = OnboardingId::of_code(&it.code);
        Self { world, it, settings: solution_partner(), id }
    }

    /// A request that says this.
    async fn hear(&self, claims: Claims, pin: Option<&str>) -> Onboarding {
        let engine = onboard(&self.world, &self.settings);
        let pin = pin.map(|pin| Pin::try_from(pin.to_owned()).unwrap());
        engine.hear(&self.ledger(), claims, pin).await.unwrap();
        engine.run(&self.id).await.unwrap();
        self.ledger()
    }

    /// A request that says nothing new.
    async fn run(&self) -> Onboarding {
        self.hear(Claims::default(), None).await
    }

    /// The schedule, `after` some time.
    async fn schedule(&self, after: Duration) -> Onboarding {
        self.world.clock.advance(after);
        onboard(&self.world, &self.settings).run_due(20).await.unwrap();
        self.ledger()
    }

    fn ledger(&self) -> Onboarding {
        self.world.store.with(|t| t.onboardings[&self.id].clone())
    }

    fn client(&self) -> Client {
        self.world.store.with(|t| t.clients[&self.it.phone_number_id].clone())
    }

    /// Changes what Meta knows of the number.
    fn number<T>(&self, change: impl FnOnce(&mut MetaNumber) -> T) -> T {
        self.world.graph.with(|meta| change(meta.numbers.get_mut(&self.it.phone_number_id).unwrap()))
    }

    fn registers(&self) -> u32 {
        self.number(|number| number.register_calls)
    }

    async fn stored_pin(&self) -> Option<String> {
        let sealed = self.client().sealed_pin?;
        let context = SealContext::ClientPin(&self.it.phone_number_id);
        Some(self.world.seal.open(&sealed, context).await.unwrap().expose_secret().to_owned())
    }
}

/// The code of the cause of the step that is next, with the step.
fn stopped_by(onboarding: &Onboarding) -> (Option<Step>, &str) {
    let failed = onboarding.steps.iter().find(|record| record.state == StepState::Failed);
    (
        failed.map(|record| record.step),
        failed.and_then(|r| r.cause.as_ref()).map_or("-", |cause| cause.code.as_str()),
    )
}
