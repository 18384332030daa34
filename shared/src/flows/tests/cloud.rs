//! Lambda, SQS, Meta and callers around the flows, one thing after the other: what failed comes again, a dead
//! process is replaced.

use std::time::Duration;

use serde_json::json;

use crate::domain::answer::Nudge;
use crate::domain::ids::{OnboardingId, PhoneNumberId, WabaId};
use crate::domain::media::{Fetch, MediaState};
use crate::domain::onboarding::OnboardingStatus;
use crate::domain::parcel::Parcel;
use crate::domain::secret::{AppSecret, Pin};
use crate::domain::template::{Shown, Status};
use crate::flows::exchange::ExchangeError;
use crate::flows::invariants::{Broken, Held, Outside, Watch, always, at_rest, nothing_shown};
use crate::flows::receive::receive;
use crate::flows::send::Receipt;
use crate::flows::testing::{
    Order, PAST_ALL_CLAIMS, Process, bot, claims, exchange, offboard, onboard, reconcile, signature,
    solution_partner, status, token_care, token_settings, until_due, webhook,
};
use crate::kept::Kept;
use crate::ports::Clock;
use crate::testing::{Fault, SignedUp, World};

const SECRET: &str = "not-a-real-app-secret";
/// What a person typed.
const PIN: &str = "738291";
/// More turns than any two faults need.
const TURNS: usize = 60;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who continues an onboarding after its process died.
#[derive(Debug, Clone, Copy)]
pub(super) enum Continues {
    ByRequest,
    BySchedule,
}

pub(super) struct Cloud {
    pub(super) world: World,
    pub(super) process: Process,
    pub(super) outside: Outside,
    pub(super) inbound: Vec<Parcel>,
    pub(super) answers: Vec<Nudge>,
    pub(super) media: Vec<Fetch>,
    nudges_first: bool,
    watch: Watch,
    /// The first promise that was broken on the way.
    held: Held,
    /// The call at which counting began.
    first: usize,
}

impl Cloud {
    pub(super) fn new(world: World, nudges_first: bool) -> Self {
        let outside = Outside { secrets: vec![SECRET.to_owned(), PIN.to_owned()], ..Outside::default() };
        Self {
            world,
            process: Process::default(),
            outside,
            inbound: Vec::new(),
            answers: Vec::new(),
            media: Vec::new(),
            nudges_first,
            watch: Watch::default(),
            held: Ok(()),
            first: 0,
        }
    }

    /// From here on calls are counted, and these go wrong.
    pub(super) fn begin(&mut self, faults: &[(usize, Fault)]) {
        self.first = self.world.steps.count();
        for (call, fault) in faults {
            self.world.steps.fault_at(self.first + call, *fault);
        }
    }

    /// The calls since [`Self::begin`].
    pub(super) fn calls(&self) -> Vec<&'static str> {
        self.world.steps.log().split_off(self.first)
    }

    /// Remembers the first promise that was broken.
    fn note(&mut self, held: Held) {
        if self.held.is_ok() {
            self.held = held;
        }
    }

    fn never(&mut self, what: &str) {
        self.note(Err(Broken { promise: "P9", what: format!("{what} never ended") }));
    }

    /// Meta delivers a webhook until it is answered 200.
    pub(super) async fn deliver(&mut self, body: &[u8]) {
        let secret = Kept::fixed(AppSecret::try_from(SECRET.to_owned()).unwrap());
        let header = signature(SECRET, body);
        for _ in 0..TURNS {
            let world = &self.world;
            let taken = receive(&world.queues, &world.clock, &secret, Some(&header), body).await;
            if taken.is_ok() && !world.steps.is_dead() {
                return self.outside.webhooks.push(body.to_vec());
            }
            self.replace_the_dead();
        }
        self.never("a delivery");
    }

    /// A new process, when everything that the dead one held has run out.
    fn replace_the_dead(&mut self) {
        if self.world.steps.is_dead() {
            self.world.steps.restart();
            self.process = Process::default();
        }
        self.world.clock.advance(PAST_ALL_CLAIMS);
    }

    /// Until nothing is on a queue and nothing is due.
    pub(super) async fn come_to_rest(&mut self) {
        for _ in 0..TURNS {
            if self.nudges_first {
                self.work_on_answers().await;
                self.work_on_inbound().await;
            } else {
                self.work_on_inbound().await;
                self.work_on_answers().await;
            }
            self.work_on_media().await;
            self.replace_the_dead();
            // The schedules: a run that fails is made good by the next.
            let reply = self.process.reply(&self.world);
            let swept = reply.sweep(100).await.and(reply.report_unresolved(100).await);
            let swept = swept.and(self.process.media(&self.world).sweep(100).await);
            let queued = !self.world.queues.inbound().is_empty() || !self.world.queues.answers().is_empty();
            let fetching = self.world.store.with(|tables| {
                tables.media.values().any(|file| matches!(file.state, MediaState::Pending { .. }))
            });
            let queued = queued || fetching || !self.media.is_empty();
            let working = queued || !self.inbound.is_empty() || !self.answers.is_empty();
            if !working && swept.is_ok() && !self.world.steps.is_dead() {
                return;
            }
        }
        self.never("the work on the queues");
    }

    pub(super) async fn work_on_inbound(&mut self) {
        self.inbound.extend(self.world.queues.take_inbound().into_iter().map(|delayed| delayed.item));
        for parcel in std::mem::take(&mut self.inbound) {
            if let Err(error) = self.process.ingest(&self.world).parcel(&parcel).await {
                self.outside.said.push(format!("{error:?}"));
                self.inbound.push(parcel);
            }
        }
    }

    pub(super) async fn work_on_media(&mut self) {
        self.media.extend(self.world.queues.take_media());
        for fetch in std::mem::take(&mut self.media) {
            if let Err(error) = self.process.media(&self.world).fetch(&fetch).await {
                self.outside.said.push(format!("{error:?}"));
                self.media.push(fetch);
            }
        }
    }

    pub(super) async fn work_on_answers(&mut self) {
        self.answers.extend(self.world.queues.take_answers().into_iter().map(|delayed| delayed.item));
        for nudge in std::mem::take(&mut self.answers) {
            until_due(&self.world, &nudge.message_id);
            let glance = self.watch.begin(&self.world);
            if let Err(error) = self.process.reply(&self.world).nudge(&nudge).await {
                self.outside.said.push(format!("{error:?}"));
                self.answers.push(nudge);
            }
            let held = self.watch.step(&self.world, &glance);
            self.note(held);
            self.watch.end(&glance);
        }
    }

    /// Meta's statuses of everything that it took.
    pub(super) async fn deliver_statuses(&mut self, phone: &PhoneNumberId) {
        let sent = self.world.graph.sent();
        let statuses: Vec<_> = sent
            .iter()
            .flat_map(|sent| [status(&self.world, sent, "sent"), status(&self.world, sent, "delivered")])
            .collect();
        self.deliver(webhook(phone, json!({ "statuses": statuses })).as_bytes()).await;
        self.come_to_rest().await;
    }

    /// A caller asks until it has an answer.
    pub(super) async fn order(&mut self, order: &Order) {
        let request = order.request();
        let mut all = Vec::new();
        for _ in 0..TURNS {
            let told = self.process.order(&self.world, order, &request).await;
            let heard = !self.world.steps.is_dead();
            self.replace_the_dead();
            if heard {
                let ended = !matches!(told.0, 409 | 429 | 500..);
                all.push(told);
                if ended {
                    break;
                }
            }
        }
        if all.last().is_none_or(|told| told.0 >= 429) {
            self.never("an order");
        }
        self.outside.orders.push((order.clone(), order.message_id(&request), all));
    }

    /// A caller marks a message as read until it hears that it is.
    pub(super) async fn mark_read(&mut self, phone: &PhoneNumberId, wamid: &str) {
        let wamid = wamid.parse().unwrap();
        for _ in 0..TURNS {
            let client = self.world.store.with(|tables| tables.clients[phone].clone());
            let receipt = self.process.sender(&self.world).mark_read(&client, &wamid, true).await;
            if matches!(receipt, Ok(Receipt::Given)) && !self.world.steps.is_dead() {
                return;
            }
            self.replace_the_dead();
        }
        self.never("a read receipt");
    }

    /// The page sends its code until it has an answer.
    pub(super) async fn send_code(&mut self, it: &SignedUp) {
        self.outside.signups.push(it.clone());
        for _ in 0..TURNS {
            match exchange(&self.world).run(&it.code, &bot(), claims(it)).await {
                _ if self.world.steps.is_dead() => {}
                Ok(_) | Err(ExchangeError::CodeSpent(_)) => return,
                Err(error) => self.outside.said.push(format!("{error:?}")),
            }
            self.replace_the_dead();
        }
        self.never("an exchange");
    }

    /// The ledger is brought to its end, by whom ever; then the page looks at it.
    pub(super) async fn finish_signup(&mut self, it: &SignedUp, continues: Continues) {
        let settings = solution_partner();
        let id = OnboardingId::of_code(&it.code);
        for _ in 0..TURNS {
            let held = always(&self.world);
            self.note(held);
            let engine = onboard(&self.world, &settings);
            let Ok(Some(stored)) = engine.find(&id).await else {
                self.replace_the_dead();
                continue;
            };
            if stored.status != OnboardingStatus::Open {
                return;
            }
            // What fails here is continued by the next turn.
            let ended = match continues {
                Continues::ByRequest => {
                    let pin = Pin::try_from(PIN.to_owned()).unwrap();
                    match engine.hear(&stored, claims(it), Some(pin)).await {
                        Ok(()) => engine.run(&id).await,
                        failed => failed,
                    }
                }
                Continues::BySchedule => engine.run_due(20).await.map(drop),
            };
            if let Err(error) = ended {
                self.outside.said.push(format!("{error:?}"));
            }
            self.replace_the_dead();
        }
        self.never("an onboarding");
    }

    /// What was promised, now that nothing moves.
    pub(super) fn rests(&mut self) -> Held {
        std::mem::replace(&mut self.held, Ok(()))?;
        at_rest(&self.world, &self.outside)
    }

    /// A client leaves: its off-boarding is brought to its end.
    pub(super) async fn finish_leaving(&mut self) {
        let settings = solution_partner();
        for _ in 0..TURNS {
            self.work_on_inbound().await;
            // What fails here is continued by the next turn.
            let ran = offboard(&self.world, &settings).run_due(20).await;
            let open = self.world.store.with(|tables| {
                tables.offboardings.is_empty()
                    || tables.offboardings.values().any(|it| it.next_try_at.is_some())
            });
            if ran.is_ok() && !open && self.inbound.is_empty() && !self.world.steps.is_dead() {
                return;
            }
            self.replace_the_dead();
        }
        self.never("an off-boarding");
    }

    /// Somebody asks for a client to be mended until nothing is left.
    pub(super) async fn finish_repair(&mut self, phone: &PhoneNumberId) {
        let settings = solution_partner();
        for _ in 0..TURNS {
            let repair = reconcile(&self.world, &settings, &self.process.tokens).repair(phone).await;
            match repair {
                Ok(repair) if repair.check.drifts.is_empty() && !self.world.steps.is_dead() => return,
                Ok(_) => {}
                Err(error) => self.outside.said.push(format!("{error:?}")),
            }
            self.replace_the_dead();
        }
        self.never("a mending");
    }

    /// Night after night, until the client was looked at.
    pub(super) async fn finish_nights(&mut self, phone: &PhoneNumberId) {
        let settings = solution_partner();
        for _ in 0..TURNS {
            let ran = reconcile(&self.world, &settings, &self.process.tokens).run_round().await;
            let (is_checked, due_at) = self.world.store.with(|tables| {
                let due_at = tables.check_round.as_ref().map(|round| round.due_at);
                (tables.clients[phone].check.is_some(), due_at)
            });
            if ran.is_ok() && is_checked && !self.world.steps.is_dead() {
                return;
            }
            self.replace_the_dead();
            if let Some(due_at) = due_at.filter(|due| *due > self.world.clock.now()) {
                self.world.clock.set(due_at);
            }
        }
        self.never("a round");
    }

    /// Meta has these templates on the account, all approved.
    pub(super) fn meta_lists(&self, waba: &WabaId, ids: &[&str]) {
        let shown = |id: &&str| Shown {
            id: id.parse().unwrap(),
            name: "ready".parse().unwrap(),
            language: format!("x{id}"),
            status: Some(Status::of("APPROVED")),
            category: None,
            quality: None,
            content: None,
        };
        self.world.graph.with(|meta| *meta.templates_of(waba) = ids.iter().map(shown).collect());
    }

    /// The schedule reads the lists of templates until none is due.
    pub(super) async fn read_templates(&mut self) {
        for _ in 0..TURNS {
            let ran = self.process.templates(&self.world).run_due(20).await;
            let now = self.world.clock.now();
            let is_read = self.world.store.with(|tables| {
                tables
                    .template_syncs
                    .values()
                    .all(|sync| sync.state.synced_at.is_some() && sync.due_at.is_none_or(|due| due > now))
            });
            if ran.is_ok() && is_read && !self.world.steps.is_dead() {
                return;
            }
            self.replace_the_dead();
        }
        self.never("the reading of templates");
    }

    /// The schedules look after tokens until none is due.
    pub(super) async fn look_after_tokens(&mut self) {
        let settings = token_settings();
        for _ in 0..TURNS {
            let care = token_care(&self.world, &settings);
            let ran = care.run_due(20).await.and(care.look_after_system_token().await);
            let soon = self.world.clock.now() + DAY / 2;
            let is_quiet = self.world.store.with(|t| {
                t.grants.values().all(|it| it.care_at.is_none_or(|at| at > soon) && it.previous.is_none())
            });
            if ran.is_ok() && is_quiet && !self.world.steps.is_dead() {
                return;
            }
            self.replace_the_dead();
            self.world.clock.advance(DAY / 48);
        }
        self.never("looking after tokens");
    }

    /// Everything that was promised, now that all is over.
    pub(super) fn judge(&mut self) -> Held {
        self.rests()?;
        nothing_shown(&self.world, &self.outside)
    }
}
