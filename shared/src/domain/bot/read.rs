//! Settings as a caller writes them, read strictly: what a caller means and we do not know must not be lost
//! in silence.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::hours::zone;
use super::rule::{compiled, words};
use super::{BotSettings, BusinessHours, Day, HandOver, OpenRange, Rule, Saying, TimeOfDay, When};
use crate::domain::draft::member::{Checked, Member, invalid};
use crate::domain::draft::{Draft, InvalidDraft};
use crate::domain::ids::ModelName;
use crate::domain::money::{InvalidAmount, Usd};

/// Settings that are refused, and the member that makes them so.
pub type InvalidSettings = InvalidDraft;

/// How large settings may be, as JSON in bytes: a quarter of what an item of DynamoDB holds (400 KB).
pub const LARGEST_SETTINGS: usize = 100_000;

const MEMBERS: [&str; 11] = [
    "enabled",
    "languages",
    "instructions",
    "rules",
    "modelEnabled",
    "model",
    "monthlyBudgetUsd",
    "businessHours",
    "handOver",
    "burstSeconds",
    "historyMessages",
];
const LONGEST_INSTRUCTIONS: usize = 8_000;
const MOST_LANGUAGES: usize = 20;
const MOST_RULES: usize = 200;
const MOST_KEYWORDS: usize = 50;
const LONGEST_KEYWORD: usize = 200;
const LONGEST_PATTERN: usize = 500;
/// Meta's limit of a button's id; of a list row's it is 200, of a payload 128.
const LONGEST_CHOICE: usize = 256;
const MOST_RANGES: usize = 50;
/// Five minutes to a week.
const HAND_OVER_MINUTES: RangeInclusive<u64> = 5..=10_080;
const BURST_SECONDS: RangeInclusive<u64> = 1..=60;
const HISTORY_MESSAGES: RangeInclusive<u64> = 0..=50;

impl BotSettings {
    /// Reads all settings; a member that is missing or null has its default.
    ///
    /// # Errors
    /// [`InvalidSettings`] names the first member that is unknown, not of its form or out of its bounds.
    pub fn read(body: &Map<String, Value>) -> Result<Self, InvalidSettings> {
        let body = Value::Object(body.clone());
        let at = Member::new("", &body);
        at.only(&MEMBERS)?;
        let default = Self::default();
        let settings = Self {
            enabled: at.flag_or("enabled", default.enabled)?,
            languages: languages(&at)?,
            instructions: at
                .optional_text("instructions", LONGEST_INSTRUCTIONS)?
                .map_or(default.instructions, str::to_owned),
            rules: each(&at, "rules", MOST_RULES, rule)?,
            model_enabled: at.flag_or("modelEnabled", default.model_enabled)?,
            model: model(&at)?,
            monthly_budget_usd: budget(&at)?,
            business_hours: at.optional("businessHours")?.map(|hours| business_hours(&hours)).transpose()?,
            hand_over: at
                .optional("handOver")?
                .map_or_else(|| Ok(HandOver::default()), |it| hand_over(&it))?,
            burst_seconds: whole(&at, "burstSeconds", BURST_SECONDS)?,
            history_messages: whole(&at, "historyMessages", HISTORY_MESSAGES)?
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(default.history_messages),
        };
        let size = serde_json::to_vec(&settings).map_or(usize::MAX, |json| json.len());
        if size > LARGEST_SETTINGS {
            return invalid("", format!("the settings are larger than {LARGEST_SETTINGS} bytes"));
        }
        Ok(settings)
    }
}

fn whole(at: &Member<'_>, name: &str, range: RangeInclusive<u64>) -> Checked<Option<u64>> {
    at.has(name).then(|| at.whole(name, range)).transpose()
}

fn each<T>(
    at: &Member<'_>,
    name: &str,
    most: usize,
    read: impl Fn(&Member<'_>) -> Checked<T>,
) -> Checked<Vec<T>> {
    at.optional_list(name, most)?.iter().map(read).collect()
}

/// Whether the deployment has it, is not known here.
fn model(at: &Member<'_>) -> Checked<Option<ModelName>> {
    let Some(name) = at.optional_text("model", 64)? else { return Ok(None) };
    match name.parse() {
        Ok(name) => Ok(Some(name)),
        Err(_) => at.refuse_member("model", "must be the name of a model"),
    }
}

fn budget(at: &Member<'_>) -> Checked<Option<Usd>> {
    if !at.has("monthlyBudgetUsd") {
        return Ok(None);
    }
    let amount = at.member("monthlyBudgetUsd")?.value().as_f64().map(Usd::try_from);
    match amount {
        Some(Ok(budget)) => Ok(Some(budget)),
        _ => at.refuse_member("monthlyBudgetUsd", InvalidAmount.to_string()),
    }
}

fn languages(at: &Member<'_>) -> Checked<Vec<String>> {
    each(at, "languages", MOST_LANGUAGES, |language| match language.as_text() {
        Some(tag) if is_language_tag(tag) => Ok(tag.to_owned()),
        _ => language.refuse("must be a BCP 47 language tag, as en or pt-BR"),
    })
}

/// The form of a tag (RFC 5646), not whether it is registered.
fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let letters = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let rest = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() <= 35 && parts.next().is_some_and(letters) && parts.all(rest)
}

fn rule(at: &Member<'_>) -> Checked<Rule> {
    at.only(&["keyword", "pattern", "choice", "answer", "text"])?;
    let when = match one(at, &["keyword", "pattern", "choice"])? {
        "keyword" => When::Keyword(keyword(&at.member("keyword")?)?),
        "pattern" => When::Pattern(pattern(at)?),
        _ => When::Choice(at.text("choice", 1..=LONGEST_CHOICE)?.to_owned()),
    };
    let answer = one(at, &["answer", "text"])?;
    Ok(Rule { when, answer: saying(&at.member(answer)?)? })
}

/// The one of these members that is there.
fn one<'n>(at: &Member<'_>, names: &[&'n str]) -> Checked<&'n str> {
    let mut given = names.iter().filter(|name| at.has(name));
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name),
        _ => at.refuse(format!("must have exactly one of {}", names.join(", "))),
    }
}

fn keyword(at: &Member<'_>) -> Checked<String> {
    match at.as_text() {
        Some(text) if text.chars().count() <= LONGEST_KEYWORD && !words(text).is_empty() => {
            Ok(text.to_owned())
        }
        _ => at.refuse(format!("must be text of at most {LONGEST_KEYWORD} characters with a word in it")),
    }
}

fn pattern(at: &Member<'_>) -> Checked<String> {
    let pattern = at.text("pattern", 1..=LONGEST_PATTERN)?;
    match compiled(pattern) {
        Ok(_) => Ok(pattern.to_owned()),
        Err(why) => at.refuse_member("pattern", format!("is no regular expression that can be used: {why}")),
    }
}

/// A message in Meta's form, or a text.
fn saying(at: &Member<'_>) -> Checked<Saying> {
    let Ok(saying) = Saying::try_from(at.value().clone()) else {
        return at.refuse("must be a message object or text");
    };
    at.value().is_object().then(|| at.only(&["type", saying.kind()])).transpose()?;
    match Draft::check(saying.message()) {
        Ok(()) => Ok(saying),
        Err(e) if at.value().is_object() => invalid(at.at(&e.member), e.problem),
        Err(e) => at.refuse(e.problem),
    }
}

fn optional_saying(at: &Member<'_>, name: &str) -> Checked<Option<Saying>> {
    at.has(name).then(|| saying(&at.member(name)?)).transpose()
}

fn hand_over(at: &Member<'_>) -> Checked<HandOver> {
    at.only(&["keywords", "minutes", "answer", "byModel"])?;
    Ok(HandOver {
        keywords: each(at, "keywords", MOST_KEYWORDS, keyword)?,
        minutes: whole(at, "minutes", HAND_OVER_MINUTES)?.unwrap_or(HandOver::default().minutes),
        answer: optional_saying(at, "answer")?,
        by_model: at.flag_or("byModel", HandOver::default().by_model)?,
    })
}

fn business_hours(at: &Member<'_>) -> Checked<BusinessHours> {
    at.only(&["timeZone", "weekly", "away"])?;
    let time_zone = at.text("timeZone", 1..=64)?;
    if zone(time_zone).is_none() {
        return at.refuse_member("timeZone", "must be the IANA name of a time zone, as Europe/Berlin");
    }
    let weekly = at.list("weekly", 0..=MOST_RANGES)?;
    Ok(BusinessHours {
        time_zone: time_zone.to_owned(),
        weekly: weekly.iter().map(range).collect::<Checked<_>>()?,
        away: optional_saying(at, "away")?,
    })
}

fn range(at: &Member<'_>) -> Checked<OpenRange> {
    at.only(&["days", "from", "to"])?;
    let days = at.list("days", 1..=7)?.iter().map(day).collect::<Checked<_>>()?;
    let time = |name: &str| {
        TimeOfDay::try_from(at.text(name, 5..=5)?.to_owned())
            .or_else(|_| at.refuse_member(name, "must be a time of day, as 09:30"))
    };
    let (from, to) = (time("from")?, time("to")?);
    if from >= to {
        return at
            .refuse_member("to", "must be later than from; a night is two ranges, and 24:00 ends the day");
    }
    Ok(OpenRange { days, from, to })
}

fn day(at: &Member<'_>) -> Checked<Day> {
    let found = Day::ALL.iter().find(|(word, _)| at.as_text() == Some(word));
    found.map_or_else(
        || at.refuse(format!("must be one of {}", Day::ALL.map(|(word, _)| word).join(", "))),
        |(_, day)| Ok(*day),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<BotSettings, InvalidSettings> {
        BotSettings::read(body.as_object().unwrap())
    }

    fn full() -> Value {
        let buttons = json!([{"type": "reply", "reply": {"id": "menu-hours", "title": "Hours"}}]);
        let menu = json!({"type": "interactive", "interactive": {"type": "button",
            "body": {"text": "What may it be?"}, "action": {"buttons": buttons}}});
        json!({
            "enabled": false,
            "languages": ["en", "pt-BR", "zh-Hant-TW"],
            "instructions": "You sell bread.",
            "rules": [
                {"keyword": "menu", "answer": menu},
                {"pattern": "(?i)order #?\\d+", "text": "We look it up."},
                {"choice": "menu-hours", "answer": {"type": "text", "text": {"body": "9 to 5"}}},
                {"keyword": "offer", "answer": {"type": "template",
                    "template": {"name": "spring", "language": {"code": "en"}}}},
            ],
            "modelEnabled": false,
            "businessHours": {
                "timeZone": "Europe/Berlin",
                "weekly": [{"days": ["monday", "friday"], "from": "09:00", "to": "24:00"}],
                "away": "We are back on Monday.",
            },
            "handOver": {"keywords": ["human"], "minutes": 90, "answer": "Somebody comes.", "byModel": true},
            "model": "deep.2",
            "monthlyBudgetUsd": 12.5,
            "burstSeconds": 10,
            "historyMessages": 0,
        })
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let settings = read(full()).unwrap();
        assert_eq!(settings.rules.len(), 4);
        assert_eq!(settings.rules[1].answer, Saying::text("We look it up."));
        assert_eq!(settings.history_messages, 0);
        assert_eq!(read(serde_json::to_value(&settings).unwrap()).unwrap(), settings);
        assert_eq!(read(json!({})).unwrap(), BotSettings::default());
        assert_eq!(read(json!({"rules": null, "handOver": {}})).unwrap(), BotSettings::default());
    }

    #[test]
    fn every_member_that_is_wrong_is_named_with_its_path() {
        let rule = |rule: Value| json!({ "rules": [{"keyword": "a", "text": "b"}, rule] });
        let hours = |range: Value| json!({"businessHours": {"timeZone": "UTC", "weekly": [range]}});
        for (body, member) in [
            (json!({"enabeld": true}), "enabeld"),
            (json!({"enabled": "yes"}), "enabled"),
            (json!({"languages": ["english language"]}), "languages[0]"),
            (json!({"languages": ["en", 7]}), "languages[1]"),
            (json!({"instructions": "x".repeat(8001)}), "instructions"),
            (json!({"rules": {}}), "rules"),
            (json!({"rules": vec![json!({"keyword": "a", "text": "b"}); 201]}), "rules"),
            (json!({"rules": ["hello"]}), "rules[0]"),
            (rule(json!({"text": "b"})), "rules[1]"),
            (rule(json!({"keyword": "a", "choice": "b", "text": "c"})), "rules[1]"),
            (rule(json!({"keyword": "a"})), "rules[1]"),
            (rule(json!({"keyword": "a", "text": "b", "answer": "c"})), "rules[1]"),
            (rule(json!({"keyword": "a", "text": "b", "colour": 1})), "rules[1].colour"),
            (rule(json!({"keyword": "?!", "text": "b"})), "rules[1].keyword"),
            (rule(json!({"pattern": "(", "text": "b"})), "rules[1].pattern"),
            (rule(json!({"pattern": "x".repeat(501), "text": "b"})), "rules[1].pattern"),
            (rule(json!({"choice": "", "text": "b"})), "rules[1].choice"),
            (rule(json!({"choice": "a", "text": "x".repeat(4097)})), "rules[1].text"),
            (rule(json!({"choice": "a", "answer": 7})), "rules[1].answer"),
            (rule(json!({"choice": "a", "answer": {"type": "hologram"}})), "rules[1].answer.type"),
            (
                rule(json!({"choice": "a", "answer": {"type": "text", "text": {"body": "b"}, "to": "1"}})),
                "rules[1].answer.to",
            ),
            (
                rule(
                    json!({"choice": "a", "answer": {"type": "interactive", "interactive": {"type": "button"}}}),
                ),
                "rules[1].answer.interactive.body",
            ),
            (json!({"businessHours": {"weekly": []}}), "businessHours.timeZone"),
            (json!({"businessHours": {"timeZone": "Mars/Olympus", "weekly": []}}), "businessHours.timeZone"),
            (json!({"businessHours": {"timeZone": "UTC"}}), "businessHours.weekly"),
            (hours(json!({"days": [], "from": "09:00", "to": "10:00"})), "businessHours.weekly[0].days"),
            (
                hours(json!({"days": ["Mon"], "from": "09:00", "to": "10:00"})),
                "businessHours.weekly[0].days[0]",
            ),
            (
                hours(json!({"days": ["monday"], "from": "9 am.", "to": "10:00"})),
                "businessHours.weekly[0].from",
            ),
            (
                hours(json!({"days": ["monday"], "from": "22:00", "to": "02:00"})),
                "businessHours.weekly[0].to",
            ),
            (
                json!({"businessHours": {"timeZone": "UTC", "weekly": [], "away": {}}}),
                "businessHours.away.type",
            ),
            (json!({"handOver": {"minutes": 4}}), "handOver.minutes"),
            (json!({"handOver": {"minutes": 10_081}}), "handOver.minutes"),
            (json!({"handOver": {"keywords": [""]}}), "handOver.keywords[0]"),
            (json!({"handOver": {"until": 1}}), "handOver.until"),
            (json!({"handOver": {"byModel": "yes"}}), "handOver.byModel"),
            (json!({"model": 7}), "model"),
            (json!({"model": "a model"}), "model"),
            (json!({"monthlyBudgetUsd": -1}), "monthlyBudgetUsd"),
            (json!({"monthlyBudgetUsd": "5"}), "monthlyBudgetUsd"),
            (json!({"monthlyBudgetUsd": 0.000_000_1}), "monthlyBudgetUsd"),
            (json!({"burstSeconds": 0}), "burstSeconds"),
            (json!({"burstSeconds": 61}), "burstSeconds"),
            (json!({"historyMessages": 51}), "historyMessages"),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().member, member, "{body}");
        }
    }

    #[test]
    fn settings_that_are_too_large_together_are_refused() {
        let long = vec![json!({"keyword": "a", "text": "x".repeat(4096)}); 25];
        assert!(read(json!({ "rules": long[..23] })).is_ok());
        assert!(read(json!({ "rules": long })).unwrap_err().problem.contains("100000"));
    }

    #[test]
    fn a_pattern_is_refused_with_its_reason() {
        let refused = read(json!({"rules": [{"pattern": "a{2", "text": "b"}]})).unwrap_err();
        assert!(refused.problem.len() > 50, "{refused}");
    }
}
