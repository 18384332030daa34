//! What is going to happen: who writes what and when, and what goes wrong. Everything in a plan can be left
//! out, so that a history that fails can be made shorter.

use serde_json::{Value, json};

use super::rng::Rng;
use crate::testing::Fault;

/// Milliseconds since the beginning.
pub(super) type Millis = u64;

/// A history to be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Where it came from, and what the scheduler's choices come from.
    pub seed: u64,
    pub shops: Vec<Shop>,
    /// SQS: how long a message that was received stays hidden.
    pub visibility: Millis,
    /// SQS: how many of a hundred messages are delivered again at once.
    pub twice: u64,
    pub items: Vec<Item>,
}

/// One client of one bot.
#[derive(Debug, Clone)]
pub(super) struct Shop {
    pub bot: &'static str,
    pub behaviour: Behaviour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Asks the model.
    Answers,
    Off,
    /// No model, and no rule that matches.
    Mute,
}

/// Something that may be left out.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// It happens at this time.
    At(Millis, Event),
    /// It happens to the outside call with this number.
    Call(usize, Trouble),
}

#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Meta has something to tell, and repeats it until it is taken.
    Webhook(Vec<Element>),
    /// A caller orders a message, and asks so many times at once.
    Order {
        key: u64,
        shop: usize,
        foreign: bool,
        asks: u64,
    },
    /// A business signs up; the page may go away after the exchange, Meta may not tell us.
    SignUp {
        n: u32,
        page_stays: bool,
        told: bool,
    },
    /// Indexes lag for a while.
    Lag(Millis),
    /// The clock of one host is set.
    ClockStep {
        host: usize,
        to: i64,
    },
    /// The next send goes wrong.
    Refuse(i64),
    AcceptAndDrop,
    DropBefore,
    NotReached,
    /// The next so many calls of the model fail.
    ModelDown(usize),
    /// Somebody puts dead letters back.
    Redrive,
}

#[derive(Debug, Clone)]
pub(super) enum Trouble {
    Goes(Fault),
    /// Whoever makes the call stands still so long afterwards.
    Stalls(Millis),
}

/// One thing in a webhook.
#[derive(Debug, Clone)]
pub(super) enum Element {
    Text { id: u64, shop: usize, customer: u64, at: Millis },
    Reaction { id: u64, shop: usize, customer: u64, at: Millis },
    Unknown { id: u64, shop: usize },
    WithoutId { id: u64, shop: usize },
    OtherList { id: u64, shop: usize },
    StatusOfOthers { id: u64, shop: usize, at: Millis },
    Change { id: u64 },
}

/// Seconds of Meta's at the beginning: 2026-11-21T12:00:00Z.
pub(super) const BEGINNING: i64 = 1_795_262_400;

fn second(at: Millis) -> String {
    (BEGINNING + i64::try_from(at / 1000).expect("minutes")).to_string()
}

pub(super) fn phone(shop: usize) -> String {
    format!("1170000{:05}", shop + 1)
}

impl Element {
    /// The change of a webhook in which it stands alone.
    fn change(&self) -> Value {
        match self {
            Self::Text { id, shop, customer, at } => list(
                *shop,
                "messages",
                json!({
                "from": format!("1555010{shop}{customer:03}"), "id": format!("wamid.M{id:04}"),
                "timestamp": second(*at), "type": "text", "text": {"body": format!("Question {id}")}}),
            ),
            Self::Reaction { id, shop, customer, at } => list(
                *shop,
                "messages",
                json!({
                "from": format!("1555010{shop}{customer:03}"), "id": format!("wamid.R{id:04}"),
                "timestamp": second(*at), "type": "reaction", "reaction": {"emoji": "+", "message_id": "wamid.0"}}),
            ),
            Self::Unknown { id, shop } => list(
                *shop,
                "messages",
                json!({
                "from": "15550109999", "id": format!("wamid.U{id:04}"), "type": "hologram", "hologram": {"n": id}}),
            ),
            Self::WithoutId { id, shop } => list(
                *shop,
                "messages",
                json!({
                "from": "15550109999", "type": "text", "text": {"body": format!("no id {id}")}}),
            ),
            Self::StatusOfOthers { id, shop, at } => list(
                *shop,
                "statuses",
                json!({
                "id": format!("wamid.O{id:04}"), "status": "read", "timestamp": second(*at)}),
            ),
            Self::OtherList { id, shop } => list(*shop, "holograms", json!({ "n": id })),
            Self::Change { id } => json!({"field": "something_new", "value": {"n": id}}),
        }
    }
}

fn list(shop: usize, name: &str, item: Value) -> Value {
    let metadata = json!({"display_phone_number": "15550100199", "phone_number_id": phone(shop)});
    json!({"field": "messages",
           "value": {"messaging_product": "whatsapp", "metadata": metadata, name: [item]}})
}

/// A webhook with these elements.
pub(super) fn body(elements: &[Element]) -> Vec<u8> {
    let changes: Vec<Value> = elements.iter().map(Element::change).collect();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "228800000000002", "changes": changes}]})
        .to_string()
        .into_bytes()
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let bots = ["bakery", "florist", "garage", "bakery"];
        let shops = (0..rng.between(2, 5))
            .map(|n| Shop {
                bot: bots[usize::try_from(n).expect("few")],
                behaviour: if n % 3 == 0 {
                    Behaviour::Answers
                } else {
                    rng.pick(&[Behaviour::Answers, Behaviour::Answers, Behaviour::Off, Behaviour::Mute])
                },
            })
            .collect::<Vec<_>>();
        let mut plan = Self {
            seed,
            visibility: rng.pick(&[180_000, 20_000, 5_000]),
            twice: rng.pick(&[0, 0, 5, 30]),
            shops,
            items: Vec::new(),
        };
        let horizon = rng.between(60_000, 360_000);
        plan.traffic(&mut rng, horizon);
        plan.callers(&mut rng, horizon);
        plan.weather(&mut rng, horizon);
        plan.faults(&mut rng);
        plan
    }

    fn at(&mut self, at: Millis, event: Event) {
        self.items.push(Item::At(at, event));
    }

    /// Customers write in bursts; Meta gathers, repeats and reorders.
    fn traffic(&mut self, rng: &mut Rng, horizon: Millis) {
        let mut id = 0;
        let mut told: Vec<Element> = Vec::new();
        for _ in 0..rng.between(1, 6) {
            let burst = rng.below(horizon);
            let (shop, customer) = (rng.index(self.shops.len()), rng.below(2));
            for _ in 0..rng.between(1, 4) {
                let at = burst + rng.below(6000);
                let mut elements = Vec::new();
                for _ in 0..rng.between(1, 4) {
                    id += 1;
                    elements.push(self.element(rng, id, (shop, customer), at));
                }
                if rng.percent(20) && !told.is_empty() {
                    elements.push(rng.pick(&told));
                }
                told.extend(elements.iter().cloned());
                let late = if rng.percent(15) { rng.below(60_000) } else { rng.below(700) };
                self.at(at + late, Event::Webhook(elements.clone()));
                if rng.percent(15) {
                    self.at(at + late + rng.below(30_000), Event::Webhook(elements));
                }
            }
        }
    }

    fn element(&self, rng: &mut Rng, id: u64, (shop, customer): (usize, u64), at: Millis) -> Element {
        let other = rng.index(self.shops.len());
        match rng.below(12) {
            0..=6 => Element::Text { id, shop, customer, at: at + rng.below(3000) },
            7 => Element::Text { id, shop: other, customer: rng.below(2), at },
            8 => Element::Reaction { id, shop, customer, at },
            9 => Element::StatusOfOthers { id, shop: other, at },
            10 => rng.pick(&[
                Element::Unknown { id, shop: other },
                Element::WithoutId { id, shop: other },
                Element::OtherList { id, shop: other },
            ]),
            _ => Element::Change { id },
        }
    }

    fn callers(&mut self, rng: &mut Rng, horizon: Millis) {
        for key in 0..rng.below(4) {
            let (shop, foreign) = (rng.index(self.shops.len()), rng.percent(15));
            let event = Event::Order { key, shop, foreign, asks: rng.between(1, 4) };
            self.at(rng.below(horizon), event);
        }
        if rng.percent(25) {
            let (page_stays, told) = (rng.percent(70), rng.percent(70));
            self.at(rng.below(horizon), Event::SignUp { n: 50, page_stays, told });
        }
    }

    /// What Meta, the model, indexes and clocks do.
    fn weather(&mut self, rng: &mut Rng, horizon: Millis) {
        for _ in 0..rng.below(4) {
            let event = match rng.below(9) {
                0 => Event::Refuse(130_429),
                1 => Event::Refuse(131_056),
                2 => Event::Refuse(131_000),
                3 => Event::Refuse(131_026),
                4 | 5 => Event::AcceptAndDrop,
                6 => Event::DropBefore,
                7 => Event::NotReached,
                _ => Event::ModelDown(rng.index(3) + 1),
            };
            self.at(rng.below(horizon), event);
        }
        for _ in 0..rng.below(3) {
            self.at(rng.below(horizon), Event::Lag(rng.between(100, 8000)));
        }
        for _ in 0..rng.below(3) {
            let to = i64::try_from(rng.below(16_000)).expect("seconds") - 8000;
            self.at(rng.below(horizon), Event::ClockStep { host: rng.index(12), to });
        }
        if rng.percent(20) {
            self.at(rng.below(horizon), Event::Redrive);
        }
    }

    fn faults(&mut self, rng: &mut Rng) {
        let reach = 200 + rng.below(600);
        let many = match rng.below(4) {
            0 => 0,
            1 => rng.between(1, 6),
            _ => rng.between(4, 20),
        };
        for _ in 0..many {
            let fault = rng.pick(&[
                Fault::FailBefore,
                Fault::FailAfter,
                Fault::CrashBefore,
                Fault::CrashAfter,
                Fault::FailAfter,
            ]);
            self.items
                .push(Item::Call(usize::try_from(rng.below(reach)).expect("few"), Trouble::Goes(fault)));
        }
        // A storm: throttled for some time.
        if rng.percent(15) {
            let first = usize::try_from(rng.below(reach)).expect("few");
            for call in first..first + usize::try_from(rng.between(10, 60)).expect("few") {
                self.items.push(Item::Call(call, Trouble::Goes(Fault::FailBefore)));
            }
        }
        for _ in 0..rng.below(4) {
            let call = usize::try_from(rng.below(reach)).expect("few");
            self.items
                .push(Item::Call(call, Trouble::Stalls(rng.pick(&[300, 3000, 12_000, 40_000, 100_000]))));
        }
    }
}
