//! Plays a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lambda_http::Request;
use serde_json::json;

use super::hosts::{self, Done, Function, Host, Job, SECRET, Task, Working};
use super::plan::{BEGINNING, Behaviour, Element, Event, Item, Millis, Plan, Trouble, body, phone};
use super::queue::{Queue, Receipt};
use super::rng::Rng;
use crate::domain::Timestamp;
use crate::domain::answer::{Answer, Nudge};
use crate::domain::bot::BotSettings;
use crate::domain::ids::BotId;
use crate::domain::onboarding::{OnboardingStatus, Step};
use crate::domain::parcel::Parcel;
use crate::error::ModelError;
use crate::flows::invariants::{Broken, Held, Outside, Watch, always, at_rest, nothing_shown};
use crate::flows::testing::Order;
use crate::testing::{GraphFault, SignedUp, World, refusal};

/// How long everything may take once nothing goes wrong any more.
const PATIENCE: Millis = 26 * 60 * 60 * 1000;
const MINUTE: Millis = 60_000;
/// Every so many seeds everything is searched for secrets.
const SEARCHED: u64 = 8;

/// A history in which all promises were kept.
#[derive(Debug)]
pub(super) struct Played {
    pub calls: usize,
    pub took: Millis,
    pub messages: usize,
    pub sent: usize,
    pub history: Vec<String>,
}

/// One in which a promise was broken.
#[derive(Debug)]
pub(super) struct Failure {
    pub broken: Broken,
    pub history: Vec<String>,
}

/// Something that will happen.
#[derive(Debug, Clone)]
enum Todo {
    Event(Event),
    Deliver(usize),
    Ask(usize),
    Page(usize),
    CatchUp,
    Schedules,
}

/// A webhook on its way.
struct Delivery {
    body: Rc<Vec<u8>>,
    tries: u32,
    taken: bool,
}

/// A caller with an order.
struct Asking {
    order: Order,
    request: Rc<Request>,
    ended: bool,
}

/// A page in a browser.
struct Page {
    it: SignedUp,
    stays: bool,
    ended: bool,
}

struct Engine<'p> {
    plan: &'p Plan,
    rng: Rng,
    now: Millis,
    world: World,
    outside: Outside,
    watch: Watch,
    hosts: Vec<Host>,
    tasks: Vec<Task>,
    agenda: BTreeMap<(Millis, u64), Todo>,
    planned: u64,
    inbound: Queue<Parcel>,
    answers: Queue<Nudge>,
    deliveries: Vec<Delivery>,
    asking: Vec<Asking>,
    pages: Vec<Page>,
    stalls: BTreeMap<usize, Millis>,
    /// How many of Meta's messages got their statuses planned.
    reported: usize,
    /// Since when nothing goes wrong any more.
    calm_since: Option<Millis>,
    history: Option<Vec<String>>,
}

/// Plays it to the end.
pub(super) fn play(plan: &Plan, with_history: bool) -> Result<Played, Failure> {
    // Time for the limits that flows set themselves; real time never passes here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _here = runtime.enter();
    let mut engine = Engine::new(plan, with_history);
    let held = engine.prepare().and_then(|()| engine.run());
    let history = engine.history.take().unwrap_or_default();
    match held {
        Ok(()) => Ok(Played {
            calls: engine.world.steps.count(),
            took: engine.now,
            messages: engine.world.store.with(|tables| tables.messages.len()),
            sent: engine.world.graph.with(|meta| meta.sent.len()),
            history,
        }),
        Err(broken) => Err(Failure { broken, history }),
    }
}

fn bot_of(name: &str) -> BotId {
    name.parse().expect("a bot's name")
}

/// What becomes of a future that nothing can hold up.
fn at_once<T>(working: impl Future<Output = T>) -> T {
    let mut working = std::pin::pin!(working);
    loop {
        if let Poll::Ready(done) = working.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

impl<'p> Engine<'p> {
    fn new(plan: &'p Plan, with_history: bool) -> Self {
        Self {
            plan,
            rng: Rng::new(plan.seed, 2),
            now: 0,
            world: World::new(),
            outside: Outside { secrets: vec![SECRET.to_owned()], ..Outside::default() },
            watch: Watch::default(),
            hosts: Vec::new(),
            tasks: Vec::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            inbound: Queue::default(),
            answers: Queue::default(),
            deliveries: Vec::new(),
            asking: Vec::new(),
            pages: Vec::new(),
            stalls: BTreeMap::new(),
            reported: 0,
            calm_since: None,
            history: with_history.then(Vec::new),
        }
    }

    /// Clients, and what is planned.
    fn prepare(&mut self) -> Held {
        for (n, shop) in (1..).zip(&self.plan.shops) {
            let bot = bot_of(shop.bot);
            let (client, _) = at_once(self.world.active_client(&bot, n));
            assert_eq!(client.phone_number_id.as_ref(), phone(n as usize - 1));
            let settings = BotSettings {
                enabled: shop.behaviour != Behaviour::Off,
                model_enabled: shop.behaviour == Behaviour::Answers,
                ..BotSettings::default()
            };
            self.world.store.with(|tables| {
                tables.bots.entry(bot).or_insert(settings);
            });
        }
        let (functions, first) = ([(Function::Ingest, 3), (Function::Reply, 3)], self.world.steps.count());
        for (function, hosts) in functions {
            for _ in 0..hosts {
                self.new_host(function);
            }
        }
        for item in &self.plan.items {
            match item {
                Item::At(at, event) => self.plan_at(*at, Todo::Event(event.clone())),
                Item::Call(call, Trouble::Goes(fault)) => self.world.steps.fault_at(first + call, *fault),
                Item::Call(call, Trouble::Stalls(millis)) => {
                    self.stalls.insert(first + call, *millis);
                }
            }
        }
        self.plan_at(MINUTE, Todo::Schedules);
        Ok(())
    }

    fn new_host(&mut self, function: Function) -> usize {
        self.hosts.push(Host { function, process: Rc::default(), skew: 0, busy: false });
        self.hosts.len() - 1
    }

    fn plan_at(&mut self, at: Millis, todo: Todo) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), todo);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:>9.3} {}", self.now as f64 / 1000.0, line()));
        }
    }

    /// The true time.
    fn time(&self, skew: i64) -> Timestamp {
        let millis = i64::try_from(self.now).expect("days") + skew;
        Timestamp::from_millisecond(BEGINNING * 1000 + millis).expect("a time")
    }

    fn run(&mut self) -> Held {
        loop {
            self.happen();
            self.receive();
            let ready: Vec<usize> =
                (0..self.tasks.len()).filter(|index| self.tasks[*index].wakes_at <= self.now).collect();
            if !ready.is_empty() {
                let index = self.rng.pick(&ready);
                self.turn(index)?;
                self.now += self.rng.below(6);
                continue;
            }
            if self.calm_since.is_none() && !self.something_is_planned() {
                self.calm();
            }
            if self.calm_since.is_some() && self.rests() {
                break;
            }
            self.wait()?;
        }
        self.world.clock.set(self.time(0));
        let dead = self.inbound.dead() + self.answers.dead();
        if dead > 0 {
            return Err(Broken {
                promise: "P8",
                what: format!("{dead} dead letters although nothing goes wrong"),
            });
        }
        at_rest(&self.world, &self.outside)?;
        if self.plan.seed.is_multiple_of(SEARCHED) {
            nothing_shown(&self.world, &self.outside)
        } else {
            Ok(())
        }
    }

    /// On to the next thing that happens.
    fn wait(&mut self) -> Held {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        let task = self.tasks.iter().map(|task| task.wakes_at.min(task.ends_at)).min();
        let queues = [self.inbound.next_at(), self.answers.next_at()].into_iter().flatten().min();
        let next = [agenda, task, queues].into_iter().flatten().filter(|at| *at > self.now).min();
        self.now = next.unwrap_or(self.now + 1000);
        match self.calm_since {
            Some(since) if self.now > since + PATIENCE => {
                Err(Broken { promise: "P9", what: format!("it never comes to rest: {}", self.restless()) })
            }
            _ => Ok(()),
        }
    }

    fn something_is_planned(&self) -> bool {
        self.agenda.values().any(|todo| matches!(todo, Todo::Event(_) | Todo::CatchUp))
    }

    /// From here on nothing goes wrong any more, and somebody looks at the dead letters.
    fn calm(&mut self) {
        self.note(|| "-- from here on nothing goes wrong".to_owned());
        self.calm_since = Some(self.now);
        self.world.steps.clear_faults();
        self.world.store.catch_up();
        self.stalls.clear();
        self.hosts.iter_mut().for_each(|host| host.skew = 0);
        self.world.graph.with(crate::testing::Meta::clear_faults);
        self.world.model.forget_script();
        self.redrive();
        self.inbound.forgive();
        self.answers.forgive();
    }

    fn redrive(&mut self) {
        self.inbound.redrive(self.now);
        self.answers.redrive(self.now);
    }

    /// Whether nothing is on its way any more.
    fn rests(&self) -> bool {
        self.tasks.is_empty()
            && self.inbound.is_empty()
            && self.answers.is_empty()
            && self.deliveries.iter().all(|delivery| delivery.taken)
            && self.asking.iter().all(|asking| asking.ended)
            && self.pages.iter().all(|page| page.ended)
            && self.agenda.values().all(|todo| matches!(todo, Todo::Schedules))
            && self.waiting() == 0
    }

    /// Answers and onboardings that are still to come.
    fn waiting(&self) -> usize {
        self.world.store.with(|tables| {
            let answers =
                tables.messages.values().filter(|m| matches!(m.answer, Some(Answer::Pending { .. })));
            let lost = |o: &crate::domain::onboarding::Onboarding| {
                o.step(Step::TokenStored).cause.as_ref().is_some_and(|cause| cause.code == "code_spent")
                    && !tables.events.values().any(|event| event.business_id.is_some())
            };
            let open = tables.onboardings.values().filter(|o| o.status == OnboardingStatus::Open && !lost(o));
            answers.count() + open.count()
        })
    }

    fn restless(&self) -> String {
        format!(
            "tasks {}, inbound {}, answers {}, deliveries {}, orders {}, pages {}, due {}",
            self.tasks.len(),
            !self.inbound.is_empty(),
            !self.answers.is_empty(),
            self.deliveries.iter().filter(|delivery| !delivery.taken).count(),
            self.asking.iter().filter(|asking| !asking.ended).count(),
            self.pages.iter().filter(|page| !page.ended).count(),
            self.waiting()
        )
    }

    /// What is due, happens; what ran too long, ends.
    fn happen(&mut self) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let todo = entry.remove();
            self.todo(todo);
        }
        let late: Vec<usize> =
            (0..self.tasks.len()).rev().filter(|index| self.tasks[*index].ends_at <= self.now).collect();
        for index in late {
            self.kill(index, "ran too long");
        }
    }

    fn todo(&mut self, todo: Todo) {
        match todo {
            Todo::Event(event) => self.event(event),
            Todo::Deliver(index) => {
                let working = hosts::deliver(self.world.clone(), self.deliveries[index].body.clone());
                self.start(Function::Receive, Job::Deliver(index), |_| working);
            }
            Todo::Ask(index) => {
                let asking = &self.asking[index];
                let (world, order, request) =
                    (self.world.clone(), asking.order.clone(), asking.request.clone());
                self.start(Function::Send, Job::Ask(index), |process| {
                    hosts::ask(world, process, order, request)
                });
            }
            Todo::Page(index) => {
                let page = &self.pages[index];
                let working = hosts::page(self.world.clone(), page.it.clone(), bot_of("tailor"), page.stays);
                self.start(Function::Onboard, Job::Page(index), |_| working);
            }
            Todo::CatchUp => self.world.store.catch_up(),
            Todo::Schedules => {
                let (world, again) = (self.world.clone(), self.world.clone());
                self.start(Function::Reply, Job::Schedule, |process| hosts::sweep(world, process));
                self.start(Function::Onboard, Job::Schedule, |_| hosts::resume(again));
                self.plan_at(self.now + MINUTE, Todo::Schedules);
            }
        }
    }

    fn event(&mut self, event: Event) {
        self.note(|| format!("{event:?}"));
        match event {
            Event::Webhook(elements) => self.tell(&elements),
            Event::Order { key, shop, foreign, asks } => self.order(key, shop, foreign, asks),
            Event::SignUp { n, page_stays, told } => self.sign_up(n, page_stays, told),
            Event::Lag(millis) => {
                self.world.store.lag();
                self.plan_at(self.now + millis, Todo::CatchUp);
            }
            Event::ClockStep { host, to } => {
                let hosts = self.hosts.len();
                self.hosts[host % hosts].skew = to;
            }
            Event::Refuse(code) => {
                self.world.graph.fail_next("send", GraphFault::Refused(refusal(400, code, "Refused")));
            }
            Event::AcceptAndDrop => self.world.graph.fail_next("send", GraphFault::UnclearAfter),
            Event::DropBefore => self.world.graph.fail_next("send", GraphFault::UnclearBefore),
            Event::NotReached => self.world.graph.fail_next("send", GraphFault::NotSent),
            Event::ModelDown(calls) => {
                for _ in 0..calls {
                    self.world.model.script(Err(ModelError::Unavailable("down".into())));
                }
            }
            Event::Redrive => self.redrive(),
        }
    }

    fn tell(&mut self, elements: &[Element]) {
        self.deliver(body(elements));
    }

    fn deliver(&mut self, body: Vec<u8>) {
        self.deliveries.push(Delivery { body: Rc::new(body), tries: 0, taken: false });
        self.plan_at(self.now, Todo::Deliver(self.deliveries.len() - 1));
    }

    fn order(&mut self, key: u64, shop: usize, foreign: bool, asks: u64) {
        let bot = if foreign { "stranger" } else { self.plan.shops[shop].bot };
        let from = phone(shop).parse().expect("a number's id");
        let order = Order::new(bot_of(bot), Some(from), &format!("key-{key}"));
        let request = Rc::new(order.request());
        self.outside.orders.push((order.clone(), order.message_id(&request), Vec::new()));
        self.asking.push(Asking { order, request, ended: false });
        for _ in 0..asks {
            let at = self.now + self.rng.below(40);
            self.plan_at(at, Todo::Ask(self.asking.len() - 1));
        }
    }

    fn sign_up(&mut self, n: u32, stays: bool, told: bool) {
        let it = self.world.graph.sign_up(n);
        if told {
            let added = json!({"event": "PARTNER_ADDED", "waba_info":
                {"waba_id": it.waba_id, "owner_business_id": it.business_id}});
            let time = self.time(0).as_second();
            let body = json!({"object": "whatsapp_business_account", "entry": [{"id": it.business_id,
                "time": time, "changes": [{"field": "account_update", "value": added}]}]});
            self.deliver(body.to_string().into_bytes());
        }
        self.outside.signups.push(it.clone());
        self.pages.push(Page { it, stays, ended: false });
        self.plan_at(self.now, Todo::Page(self.pages.len() - 1));
    }

    /// Queues hand out what is visible to who is free.
    fn receive(&mut self) {
        let (visibility, twice) =
            (self.plan.visibility, if self.calm_since.is_some() { 0 } else { self.plan.twice });
        while self.is_free(Function::Ingest) && self.inbound.next_at().is_some_and(|at| at <= self.now) {
            let most = self.rng.index(10) + 1;
            let batch = self.inbound.receive(self.now, most, visibility, twice, &mut self.rng);
            if batch.is_empty() {
                break;
            }
            let (receipts, parcels): (Vec<Receipt>, Vec<Parcel>) = batch.into_iter().unzip();
            let world = self.world.clone();
            self.start(Function::Ingest, Job::Inbound(receipts), |p| hosts::ingest(world, p, parcels));
        }
        while self.is_free(Function::Reply) && self.answers.next_at().is_some_and(|at| at <= self.now) {
            let batch = self.answers.receive(self.now, 1, visibility, twice, &mut self.rng);
            if batch.is_empty() {
                break;
            }
            let (receipts, nudges): (Vec<Receipt>, Vec<Nudge>) = batch.into_iter().unzip();
            let world = self.world.clone();
            self.start(Function::Reply, Job::Answers(receipts), |p| hosts::reply(world, p, nudges));
        }
    }

    fn is_free(&self, function: Function) -> bool {
        self.hosts.iter().any(|host| host.function == function && !host.busy)
    }

    fn start(
        &mut self,
        function: Function,
        job: Job,
        work: impl FnOnce(Rc<crate::flows::testing::Process>) -> Working,
    ) {
        let free: Vec<usize> = (0..self.hosts.len())
            .filter(|index| self.hosts[*index].function == function && !self.hosts[*index].busy)
            .collect();
        let host = if free.is_empty() { self.new_host(function) } else { self.rng.pick(&free) };
        self.hosts[host].busy = true;
        let working = work(self.hosts[host].process.clone());
        let glance = self.watch.begin(&self.world);
        self.note(|| format!("host {host} begins {job:?}"));
        let (wakes_at, ends_at) = (self.now, self.now + function.limit());
        self.tasks.push(Task { job, host, working, wakes_at, ends_at, glance });
    }

    /// One process goes on to its next outside call.
    fn turn(&mut self, index: usize) -> Held {
        let host = self.tasks[index].host;
        self.world.clock.set(self.time(self.hosts[host].skew));
        let before = self.world.steps.count();
        let polled = self.tasks[index].working.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let after = self.world.steps.count();
        self.world.clock.set(self.time(0));
        if self.history.is_some() && after > before {
            let calls = self.world.steps.log().split_off(before).join(", ");
            self.note(|| format!("host {host}: {calls} (call {before})"));
        }
        self.collect();
        if after > before {
            self.watch.step(&self.world, &self.tasks[index].glance)?;
            self.report();
            if matches!(self.tasks[index].job, Job::Page(_) | Job::Schedule) {
                always(&self.world)?;
            }
        }
        if self.world.steps.is_dead() {
            self.world.steps.restart();
            self.kill(index, "dies");
        } else if let Poll::Ready(done) = polled {
            let task = self.tasks.swap_remove(index);
            self.watch.end(&task.glance);
            self.hosts[task.host].busy = false;
            self.note(|| format!("host {host} ends: {done:?}"));
            self.done(task.job, done);
        } else if let Some((_, millis)) = self.stalls.range(before..after).next() {
            let millis = *millis;
            self.note(|| format!("host {host} stands still for {millis} ms"));
            self.tasks[index].wakes_at = self.now + millis;
        }
        Ok(())
    }

    /// What was sent to queues is on them.
    fn collect(&mut self) {
        let millis = |delay: Duration| Millis::try_from(delay.as_millis()).expect("minutes");
        for sent in self.world.queues.take_inbound() {
            if self.plan.seed.is_multiple_of(SEARCHED) {
                self.outside.said.push(format!("{:?}", sent.item));
            }
            self.inbound.send(sent.item, self.now + millis(sent.delay));
        }
        for sent in self.world.queues.take_answers() {
            self.answers.send(sent.item, self.now + millis(sent.delay));
        }
    }

    /// Meta's statuses of what it took: some never, in any order, some twice.
    fn report(&mut self) {
        let sent = self.world.graph.with(|meta| meta.sent[self.reported..].to_vec());
        for sent in sent {
            self.reported += 1;
            let mut rng = Rng::new(self.plan.seed, 1000 + self.reported as u64);
            if rng.percent(15) {
                continue;
            }
            for state in ["sent", "delivered", "read"] {
                if rng.percent(20) {
                    continue;
                }
                let at = self.now + rng.below(4000);
                let status = json!({"id": sent.wamid, "status": state, "recipient_id": sent.message["to"],
                    "timestamp": (BEGINNING + i64::try_from(at / 1000).expect("minutes")).to_string(),
                    "biz_opaque_callback_data": sent.message["biz_opaque_callback_data"]});
                let metadata = json!({"phone_number_id": sent.phone_number_id});
                let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
                    {"field": "messages", "value": {"metadata": metadata, "statuses": [status]}}]}]});
                let body = Rc::new(body.to_string().into_bytes());
                for _ in 0..if rng.percent(20) { 2 } else { 1 } {
                    self.deliveries.push(Delivery { body: body.clone(), tries: 0, taken: false });
                    // At once, before the call's own answer is recorded, or much later.
                    let late = rng.pick(&[0, 0, 3, 500, 20_000]);
                    self.plan_at(self.now + rng.below(late + 1), Todo::Deliver(self.deliveries.len() - 1));
                }
            }
        }
    }

    /// A process is gone with all that it had in memory.
    fn kill(&mut self, index: usize, how: &str) {
        let task = self.tasks.swap_remove(index);
        self.note(|| format!("host {} {how}", task.host));
        self.watch.end(&task.glance);
        let host = &mut self.hosts[task.host];
        (host.process, host.busy) = (Rc::default(), false);
        match task.job {
            Job::Deliver(index) => self.deliver_again(index),
            Job::Ask(index) => self.later(Todo::Ask(index)),
            Job::Page(index) => self.later(Todo::Page(index)),
            // Its messages come again when they are visible again; a schedule comes again anyway.
            Job::Inbound(_) | Job::Answers(_) | Job::Schedule => {}
        }
    }

    fn later(&mut self, todo: Todo) {
        let at = self.now + self.rng.between(500, 30_000);
        self.plan_at(at, todo);
    }

    /// Meta repeats for days, ever more rarely.
    fn deliver_again(&mut self, index: usize) {
        let delivery = &mut self.deliveries[index];
        delivery.tries += 1;
        let pause = 1000 << delivery.tries.min(8);
        self.plan_at(self.now + pause, Todo::Deliver(index));
    }

    fn done(&mut self, job: Job, done: Done) {
        match (job, done) {
            (Job::Deliver(index), Done::Taken(true)) => {
                let delivery = &mut self.deliveries[index];
                delivery.taken = true;
                self.outside.webhooks.push(delivery.body.to_vec());
            }
            (Job::Deliver(index), _) => self.deliver_again(index),
            (Job::Inbound(receipts), Done::Batch(failed)) => {
                for receipt in kept_apart(&receipts, &failed) {
                    self.inbound.delete(receipt, &mut self.rng);
                }
            }
            (Job::Answers(receipts), Done::Batch(failed)) => {
                for receipt in kept_apart(&receipts, &failed) {
                    self.answers.delete(receipt, &mut self.rng);
                }
            }
            (Job::Ask(index), Done::Told(told)) => {
                let again = matches!(told.0, 409 | 429 | 500..);
                self.outside.orders[index].2.push(told);
                if !again {
                    self.asking[index].ended = true;
                } else if !self.asking[index].ended {
                    self.later(Todo::Ask(index));
                }
            }
            (Job::Page(index), Done::Page(ended)) => {
                self.pages[index].ended |= ended;
                if !self.pages[index].ended {
                    self.later(Todo::Page(index));
                }
            }
            _ => {}
        }
    }
}

/// The receipts of what did not fail.
fn kept_apart(receipts: &[Receipt], failed: &[usize]) -> Vec<Receipt> {
    let failed: BTreeSet<&usize> = failed.iter().collect();
    (0..).zip(receipts).filter(|(index, _)| !failed.contains(index)).map(|(_, receipt)| *receipt).collect()
}
