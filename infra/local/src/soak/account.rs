//! The account: everything that was taken, what became of it, and what the customers' phones show.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::load::{Done, Outcome, Sent};
use super::watch::Seen;

/// The states of a delivered and read message.
const STATES: [&str; 3] = ["sent", "delivered", "read"];

/// What is known after a soak.
pub(super) struct Evidence<'a> {
    pub(super) done: &'a Done,
    pub(super) seen: &'a Seen,
    /// All messages of all clients, as list-messages gives them.
    pub(super) records: &'a [Value],
    /// What each customer's phone shows.
    pub(super) phones: &'a BTreeMap<String, Vec<Value>>,
}

/// What is wrong with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// It was taken, and is nowhere.
    Lost,
    /// It is there more than once.
    Doubled,
    /// What we say of it is not what happened.
    Untrue,
    /// It still waits for something.
    Open,
}

/// One element with which something is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) fault: Fault,
    pub(super) what: String,
}

/// The account.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) written: usize,
    pub(super) accepted: usize,
    /// Messages whose every delivery was refused: Meta would go on for days, the simulator gives up.
    pub(super) never_taken: usize,
    pub(super) stored: usize,
    pub(super) answered: usize,
    /// Messages without an answer, by the reason that is recorded.
    pub(super) reasons: BTreeMap<String, usize>,
    /// Sends of the partner's software by how they ended.
    pub(super) sends: BTreeMap<String, usize>,
    pub(super) on_phones: usize,
    /// Statuses of what the phones show that we took, and those that the message has.
    pub(super) statuses_accepted: usize,
    pub(super) statuses_stored: usize,
    pub(super) findings: Vec<Finding>,
}

impl Account {
    /// Draws it up.
    pub(super) fn of(evidence: &Evidence<'_>) -> Self {
        let mut account = Self { written: evidence.done.written.len(), ..Self::default() };
        let records = Records::of(evidence.records);
        let phones = Phones::of(evidence.phones);
        account.messages(evidence, &records);
        account.answers(&records, &phones);
        account.phones(&records, &phones);
        account.statuses(evidence.seen, &records, &phones);
        for sent in &evidence.done.sent {
            account.send(sent, &records, &phones);
        }
        account
    }

    pub(super) fn count(&self, fault: Fault) -> usize {
        self.findings.iter().filter(|finding| finding.fault == fault).count()
    }

    fn find(&mut self, fault: Fault, what: String) {
        self.findings.push(Finding { fault, what });
    }

    /// Every message that a webhook brought is stored once.
    fn messages(&mut self, evidence: &Evidence<'_>, records: &Records<'_>) {
        let known: BTreeSet<&str> = evidence.done.written.iter().map(|w| w.wamid.as_str()).collect();
        for written in &evidence.done.written {
            let wamid = written.wamid.as_str();
            let copies = records.inbound.get(wamid).map_or(0, Vec::len);
            self.stored += usize::from(copies > 0);
            if copies > 1 {
                self.find(Fault::Doubled, format!("{wamid} is listed {copies} times"));
            }
            if evidence.seen.accepted.contains(wamid) {
                self.accepted += 1;
                if copies == 0 {
                    self.find(Fault::Lost, format!("{wamid} was answered 200 and is not listed"));
                }
            } else if evidence.seen.given_up.contains(wamid) {
                self.never_taken += 1;
            } else {
                self.find(Fault::Open, format!("{wamid} was not delivered yet"));
            }
        }
        for wamid in records.inbound.keys().filter(|wamid| !known.contains(*wamid)) {
            self.find(Fault::Untrue, format!("{wamid} is listed, and nobody wrote it"));
        }
    }

    /// Every stored message was answered by one message on the phone, or says why not.
    fn answers(&mut self, records: &Records<'_>, phones: &Phones<'_>) {
        for (wamid, message) in records.inbound.iter().filter_map(|(wamid, all)| Some((wamid, all.first()?)))
        {
            let answer = &message["answer"];
            let sent = answer["messageId"].as_str().and_then(|id| records.outbound.get(id));
            let shown = sent.and_then(|sent| sent["wamid"].as_str()).map_or(0, |id| phones.count(id));
            match (answer["state"].as_str(), answer["reason"].as_str()) {
                (Some("answered"), _) => {
                    self.answered += 1;
                    if shown == 0 {
                        self.find(
                            Fault::Lost,
                            format!("{wamid} counts as answered, and no phone shows the answer"),
                        );
                    }
                }
                (Some("none"), Some(reason)) => {
                    *self.reasons.entry(reason.to_owned()).or_default() += 1;
                    // The answer to another message of the burst is what a superseded one names.
                    if shown > 0 && reason != "superseded" {
                        let what = format!("{wamid} has no answer ({reason}), but the phone shows one");
                        self.find(Fault::Untrue, what);
                    }
                }
                (Some("pending"), _) => self.find(Fault::Open, format!("{wamid} waits for its answer")),
                _ => self.find(Fault::Untrue, format!("{wamid} has neither an answer nor a reason")),
            }
        }
    }

    /// Every message on a phone is one that we know, and the only answer to its question.
    fn phones(&mut self, records: &Records<'_>, phones: &Phones<'_>) {
        self.on_phones = phones.shown.values().sum();
        let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
        for (wamid, times) in &phones.shown {
            if *times > 1 {
                self.find(Fault::Doubled, format!("{wamid} is {times} times on a phone"));
            }
            match records.by_wamid.get(wamid) {
                None => self.find(Fault::Doubled, format!("{wamid} is on a phone, and no record has it")),
                Some(record) => {
                    if record["sending"] != "accepted" {
                        let sending = &record["sending"];
                        self.find(Fault::Untrue, format!("{wamid} is on a phone and recorded as {sending}"));
                    }
                    if record["origin"] == "bot" {
                        *answers.entry(record["replyTo"].as_str().unwrap_or_default()).or_default() += 1;
                    }
                }
            }
        }
        for (question, count) in answers.into_iter().filter(|(_, count)| *count > 1) {
            self.find(Fault::Doubled, format!("{question} was answered {count} times"));
        }
        for (wamid, record) in &records.by_wamid {
            if record["sending"] == "accepted" && phones.count(wamid) == 0 {
                self.find(Fault::Lost, format!("{wamid} counts as accepted, and no phone shows it"));
            }
        }
    }

    /// Every status that a webhook brought is on its message.
    fn statuses(&mut self, seen: &Seen, records: &Records<'_>, phones: &Phones<'_>) {
        for wamid in phones.shown.keys() {
            let Some(record) = records.by_wamid.get(wamid) else { continue };
            for state in STATES {
                let element = format!("{wamid}:{state}");
                let stored = record["statuses"][state].is_string();
                self.statuses_stored += usize::from(stored);
                if seen.accepted.contains(&element) {
                    self.statuses_accepted += 1;
                    if !stored {
                        self.find(
                            Fault::Lost,
                            format!("{element} was answered 200 and is not on its message"),
                        );
                    }
                } else if !seen.is_settled(&element) {
                    self.find(Fault::Open, format!("{element} was not delivered yet"));
                }
            }
        }
    }

    /// What the partner's software heard is what happened.
    fn send(&mut self, sent: &Sent, records: &Records<'_>, phones: &Phones<'_>) {
        let shown = phones.texts.get(sent.text.as_str()).copied().unwrap_or_default();
        if shown > 1 {
            self.find(Fault::Doubled, format!("\"{}\" is {shown} times on the phone", sent.text));
        }
        let outcome = match &sent.outcome {
            Outcome::Accepted(id) => {
                if shown == 0 {
                    self.find(Fault::Lost, format!("{id} was accepted, and the phone does not show it"));
                }
                "accepted".to_owned()
            }
            Outcome::Unclear(id, word) => match records.outbound.get(id.as_str()) {
                None => {
                    self.find(Fault::Lost, format!("{id} was answered {word} and is not listed"));
                    format!("{word}, not listed")
                }
                // That it is true of what the phone shows was looked at above.
                Some(record) => match record["sending"].as_str() {
                    Some("accepted") => format!("{word}, then accepted"),
                    Some(state) => format!("{word}, stays {state}"),
                    None => format!("{word}, without a state"),
                },
            },
            Outcome::Refused(code) => {
                if shown > 0 {
                    let what = format!("\"{}\" was refused ({code}), and the phone shows it", sent.text);
                    self.find(Fault::Untrue, what);
                }
                format!("refused: {code}")
            }
            Outcome::Contradicted(answers) => {
                self.find(Fault::Untrue, format!("one Idempotency-Key was answered twice: {answers}"));
                "contradicted".to_owned()
            }
            Outcome::GaveUp(last) => {
                self.find(Fault::Open, format!("\"{}\" was never answered but by {last}", sent.text));
                "never answered".to_owned()
            }
        };
        *self.sends.entry(outcome).or_default() += 1;
    }
}

/// The listed messages by their names.
struct Records<'a> {
    inbound: BTreeMap<&'a str, Vec<&'a Value>>,
    /// By message id.
    outbound: BTreeMap<&'a str, &'a Value>,
    /// Outbound ones that have a wamid.
    by_wamid: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Records<'a> {
    fn of(records: &'a [Value]) -> Self {
        let mut all = Self { inbound: BTreeMap::new(), outbound: BTreeMap::new(), by_wamid: BTreeMap::new() };
        for record in records {
            let wamid = record["wamid"].as_str();
            if record["direction"] == "inbound" {
                all.inbound.entry(wamid.unwrap_or_default()).or_default().push(record);
            } else {
                all.outbound.insert(record["messageId"].as_str().unwrap_or_default(), record);
                all.by_wamid.extend(wamid.map(|wamid| (wamid, record)));
            }
        }
        all
    }
}

/// What the phones show of the clients.
struct Phones<'a> {
    /// How often, by wamid.
    shown: BTreeMap<&'a str, usize>,
    /// How often, by text.
    texts: BTreeMap<&'a str, usize>,
}

impl<'a> Phones<'a> {
    fn of(phones: &'a BTreeMap<String, Vec<Value>>) -> Self {
        let mut all = Self { shown: BTreeMap::new(), texts: BTreeMap::new() };
        for (customer, messages) in phones {
            for message in messages.iter().filter(|message| message["from"] != customer.as_str()) {
                *all.shown.entry(message["wamid"].as_str().unwrap_or_default()).or_default() += 1;
                if let Some(text) = message["message"]["text"]["body"].as_str() {
                    *all.texts.entry(text).or_default() += 1;
                }
            }
        }
        all
    }

    fn count(&self, wamid: &str) -> usize {
        self.shown.get(wamid).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::load::Written;
    use super::*;

    const CUSTOMER: &str = "15550000001";

    /// A question that was answered, and a send of the partner's software, both as they should be.
    struct Case {
        done: Done,
        seen: Seen,
        records: Vec<Value>,
        phones: BTreeMap<String, Vec<Value>>,
    }

    impl Case {
        fn good() -> Self {
            let written = Written { wamid: "q".into(), customer: CUSTOMER.into() };
            let outcome = Outcome::Accepted("m2".into());
            let sent = Sent { customer: CUSTOMER.into(), text: "offer".into(), outcome, calls: 1 };
            let mut seen = Seen::default();
            seen.accepted.insert("q".into());
            for wamid in ["a", "b"] {
                seen.accepted.extend(STATES.map(|state| format!("{wamid}:{state}")));
            }
            let statuses = json!({"sent": "t", "delivered": "t", "read": "t"});
            let records = vec![
                json!({"messageId": "q", "wamid": "q", "direction": "inbound",
                       "answer": {"state": "answered", "messageId": "m1"}}),
                json!({"messageId": "m1", "wamid": "a", "direction": "outbound", "origin": "bot",
                       "replyTo": "q", "sending": "accepted", "statuses": statuses}),
                json!({"messageId": "m2", "wamid": "b", "direction": "outbound", "origin": "api",
                       "sending": "accepted", "statuses": statuses}),
            ];
            let shown = |from: &str, wamid: &str, text: &str| json!({"from": from, "wamid": wamid, "message": {"text": {"body": text}}});
            let phone = vec![shown(CUSTOMER, "q", "hi"), shown("1", "a", "hello"), shown("1", "b", "offer")];
            Self {
                done: Done { written: vec![written], sent: vec![sent], copies: 1 },
                seen,
                records,
                phones: BTreeMap::from([(CUSTOMER.to_owned(), phone)]),
            }
        }

        fn account(&self) -> Account {
            let Self { done, seen, records, phones } = self;
            Account::of(&Evidence { done, seen, records, phones })
        }

        /// The only fault that the account finds, once or several times.
        fn fault(&self) -> Fault {
            let findings = self.account().findings;
            let fault = findings.first().expect("nothing was found").fault;
            assert!(findings.iter().all(|finding| finding.fault == fault), "{findings:?}");
            fault
        }

        fn phone(&mut self) -> &mut Vec<Value> {
            self.phones.get_mut(CUSTOMER).unwrap()
        }
    }

    #[test]
    fn what_is_as_it_should_be_has_no_finding() {
        let account = Case::good().account();
        assert_eq!(account.findings, []);
        assert_eq!((account.accepted, account.stored, account.answered, account.on_phones), (1, 1, 1, 2));
        assert_eq!((account.statuses_accepted, account.statuses_stored), (6, 6));
        assert_eq!(account.sends["accepted"], 1);
    }

    #[test]
    fn a_message_that_was_taken_and_is_not_listed_is_lost() {
        let mut case = Case::good();
        case.records.remove(0);
        assert_eq!(case.fault(), Fault::Lost);
    }

    #[test]
    fn a_message_that_no_delivery_brought_is_not_lost() {
        let mut case = Case::good();
        case.records.drain(..2);
        case.phone().drain(..2);
        case.seen.accepted.remove("q");
        case.seen.given_up.insert("q".into());
        let account = case.account();
        assert_eq!((account.findings.len(), account.never_taken), (0, 1));
    }

    #[test]
    fn a_second_answer_on_the_phone_is_doubled() {
        let mut case = Case::good();
        let mut second = case.phone()[1].clone();
        second["wamid"] = json!("a2");
        case.phone().push(second);
        assert_eq!(case.fault(), Fault::Doubled);
    }

    #[test]
    fn two_recorded_answers_to_one_question_are_doubled() {
        let mut case = Case::good();
        let mut second = case.records[1].clone();
        (second["messageId"], second["wamid"]) = (json!("m3"), json!("c"));
        case.records.push(second);
        let mut shown = case.phone()[1].clone();
        shown["wamid"] = json!("c");
        case.phone().push(shown);
        case.seen.accepted.extend(STATES.map(|state| format!("c:{state}")));
        assert_eq!(case.fault(), Fault::Doubled);
    }

    #[test]
    fn an_answer_or_a_send_that_no_phone_shows_is_lost() {
        for at in [1, 2] {
            let mut case = Case::good();
            case.phone().remove(at);
            assert_eq!(case.fault(), Fault::Lost);
        }
    }

    #[test]
    fn a_message_listed_twice_is_doubled() {
        let mut case = Case::good();
        case.records.push(case.records[0].clone());
        assert_eq!(case.fault(), Fault::Doubled);
    }

    #[test]
    fn a_pending_answer_is_open_and_one_without_a_reason_untrue() {
        let mut case = Case::good();
        case.records.remove(1);
        case.phone().remove(1);
        case.records[0]["answer"] = json!({"state": "pending"});
        assert_eq!(case.fault(), Fault::Open);
        case.records[0]["answer"] = json!({"state": "none"});
        assert_eq!(case.fault(), Fault::Untrue);
        case.records[0]["answer"] = json!({"state": "none", "reason": "superseded"});
        assert_eq!(case.account().findings, []);
        assert_eq!(case.account().reasons["superseded"], 1);
    }

    #[test]
    fn a_message_on_the_phone_that_we_call_uncertain_is_untrue() {
        let mut case = Case::good();
        case.records[1]["sending"] = json!("uncertain");
        case.records[0]["answer"] = json!({"state": "none", "reason": "send_uncertain", "messageId": "m1"});
        assert_eq!(case.fault(), Fault::Untrue);
    }

    #[test]
    fn a_status_that_was_taken_and_is_not_on_its_message_is_lost() {
        let mut case = Case::good();
        case.records[1]["statuses"] = json!({"sent": "t", "read": "t"});
        assert_eq!(case.fault(), Fault::Lost);
        case.seen.accepted.remove("a:delivered");
        assert_eq!(case.fault(), Fault::Open);
    }

    #[test]
    fn a_refused_send_that_the_phone_shows_is_untrue() {
        let mut case = Case::good();
        case.done.sent[0].outcome = Outcome::Refused("409 window_closed".into());
        assert_eq!(case.fault(), Fault::Untrue);
    }

    #[test]
    fn a_send_that_stayed_unclear_is_named_by_its_record() {
        let mut case = Case::good();
        case.done.sent[0].outcome = Outcome::Unclear("m2".into(), "uncertain".into());
        assert_eq!(case.account().sends["uncertain, then accepted"], 1);
        case.records[2]["sending"] = json!("uncertain");
        case.records[2]["wamid"] = Value::Null;
        case.phone().remove(2);
        let account = case.account();
        assert_eq!((account.findings.len(), account.sends["uncertain, stays uncertain"]), (0, 1));
    }
}
