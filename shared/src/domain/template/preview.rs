//! What a customer would see of a template with these parameters. Nothing is checked with Meta, and nothing fails:
//! what is missing stays as its placeholder, and is named.
//!
//! Forms: Meta, template components and `messages` reference (2026-05-21 to 2026-08-25).

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::kind_of;

/// What Meta writes where an authentication template's body has no text of its own (Meta, authentication
/// templates, 2026).
const CODE_BODY: &str = "{{1}} is your verification code.";
const CODE_ADVICE: &str = " For your security, do not share this code.";

/// The parameters: `template.components` of a message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filling(Vec<Value>);

impl Filling {
    /// Of a message's `components`.
    #[must_use]
    pub fn of_message(components: &[Value]) -> Self {
        Self(components.to_vec())
    }

    /// Texts for the body alone: by position, or by name.
    #[must_use]
    pub fn of_body(texts: &Value) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let parameters: Vec<Value> = match texts {
            Value::Array(texts) => texts.iter().map(|v| json!({"type": "text", "text": text(v)})).collect(),
            Value::Object(texts) => texts
                .iter()
                .map(|(name, v)| json!({"type": "text", "parameter_name": name, "text": text(v)}))
                .collect(),
            _ => Vec::new(),
        };
        Self(vec![json!({"type": "body", "parameters": parameters})])
    }

    /// The parameters of a part.
    fn of(&self, kind: &str) -> &[Value] {
        list(self.component(kind), "parameters")
    }

    fn component(&self, kind: &str) -> Option<&Value> {
        self.0.iter().find(|component| kind_of(component) == kind)
    }

    /// The parameters of the button at this place. Meta takes its index as text and as a number.
    fn of_button(&self, index: usize) -> &[Value] {
        let is_it = |component: &&Value| {
            let given = &component["index"];
            let given = given.as_str().and_then(|text| text.parse().ok()).or_else(|| given.as_u64());
            kind_of(component) == "BUTTON" && given == u64::try_from(index).ok()
        };
        list(self.0.iter().find(is_it), "parameters")
    }

    /// What is given for a card.
    fn of_card(&self, index: usize) -> Self {
        let cards = list(self.component("CAROUSEL"), "cards");
        let numbered = cards.iter().find(|card| card["card_index"].as_u64() == u64::try_from(index).ok());
        let unnumbered = || cards.get(index).filter(|card| card.get("card_index").is_none());
        Self(list(numbered.or_else(unnumbered), "components").to_vec())
    }
}

fn list<'v>(value: Option<&'v Value>, member: &str) -> &'v [Value] {
    value.and_then(|value| value[member].as_array()).map_or(&[], Vec::as_slice)
}

/// What a customer would see.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// `{format, text}`, or `{format}` and an object of the format's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Value>,
    /// The body's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The footer's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// The buttons: `{type, text, …}`.
    pub buttons: Vec<Value>,
    /// The offer of a limited time: `{text, expiresAtMs?}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<Value>,
    /// The cards of a carousel; what is missing of them is named by the whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<Preview>,
    /// The texts from top to bottom, as a notification would show them.
    pub text: String,
    /// Parameters that the template needs and nobody gave, as `body.1`, `header.image`, `buttons.0.1`,
    /// `cards.2.body.name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Parameters that the template has no place for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unexpected: Vec<String>,
}

/// Shows the components of a template with these parameters.
#[must_use]
pub fn preview(components: &Value, filling: &Filling) -> Preview {
    let mut preview = Preview::default();
    for component in components.as_array().into_iter().flatten() {
        match kind_of(component).as_str() {
            "HEADER" => preview.header = Some(header(component, filling, &mut preview)),
            "BODY" => preview.body = Some(body(component, filling, &mut preview)),
            "FOOTER" => preview.footer = footer(component),
            "BUTTONS" => preview.buttons = buttons(component, filling, &mut preview),
            "LIMITED_TIME_OFFER" => preview.offer = Some(offer(component, filling)),
            "CAROUSEL" => cards(component, filling, &mut preview),
            _ => {}
        }
    }
    let header = preview.header.as_ref().and_then(|header| header["text"].as_str());
    let texts = [header, preview.body.as_deref(), preview.footer.as_deref()];
    preview.text = texts.into_iter().flatten().collect::<Vec<_>>().join("\n");
    preview
}

fn text_of(component: &Value) -> &str {
    component["text"].as_str().unwrap_or_default()
}

fn header(component: &Value, filling: &Filling, preview: &mut Preview) -> Value {
    let format = component["format"].as_str().unwrap_or("TEXT").to_uppercase();
    if format == "TEXT" {
        let text = fill(text_of(component), filling.of("HEADER"), "header", preview);
        return json!({"format": format, "text": text});
    }
    let name = format.to_lowercase();
    let mut header = json!({ "format": format });
    match filling.of("HEADER").iter().find_map(|parameter| parameter.get(&name)) {
        Some(media) => header[&name] = media.clone(),
        None => {
            preview.missing.push(format!("header.{name}"));
            // The sample that the template was reviewed with.
            if let Some(sample) = component.pointer("/example/header_handle/0") {
                header["example"] = sample.clone();
            }
        }
    }
    header
}

fn body(component: &Value, filling: &Filling, preview: &mut Preview) -> String {
    let own = component["text"].as_str().map(str::to_owned);
    let text = own.unwrap_or_else(|| match component["add_security_recommendation"].as_bool() {
        Some(true) => format!("{CODE_BODY}{CODE_ADVICE}"),
        _ => CODE_BODY.to_owned(),
    });
    fill(&text, filling.of("BODY"), "body", preview)
}

fn footer(component: &Value) -> Option<String> {
    let expires = component["code_expiration_minutes"].as_u64();
    let expires = expires.map(|minutes| format!("This code expires in {minutes} minutes."));
    component["text"].as_str().map(str::to_owned).or(expires)
}

fn offer(component: &Value, filling: &Filling) -> Value {
    let mut offer = json!({"text": text_of(&component["limited_time_offer"])});
    let ends = filling.of("LIMITED_TIME_OFFER").first();
    if let Some(ends) = ends.and_then(|it| it.pointer("/limited_time_offer/expiration_time_ms")) {
        offer["expiresAtMs"] = ends.clone();
    }
    offer
}

fn cards(component: &Value, filling: &Filling, whole: &mut Preview) {
    for (index, card) in list(Some(component), "cards").iter().enumerate() {
        let mut card = preview(&card["components"], &filling.of_card(index));
        let of_card = |names: &mut Vec<String>| -> Vec<String> {
            std::mem::take(names).into_iter().map(|name| format!("cards.{index}.{name}")).collect()
        };
        whole.missing.extend(of_card(&mut card.missing));
        whole.unexpected.extend(of_card(&mut card.unexpected));
        whole.cards.push(card);
    }
}

fn buttons(component: &Value, filling: &Filling, preview: &mut Preview) -> Vec<Value> {
    let buttons = list(Some(component), "buttons").iter().enumerate();
    buttons.map(|(index, button)| self::button(button, index, filling.of_button(index), preview)).collect()
}

fn button(button: &Value, index: usize, given: &[Value], preview: &mut Preview) -> Value {
    let kind = kind_of(button);
    let mut shown =
        Map::from_iter([("type".to_owned(), json!(kind)), ("text".to_owned(), json!(text_of(button)))]);
    let first = |member: &str| given.first().and_then(|parameter| parameter.get(member)).cloned();
    let path = format!("buttons.{index}");
    match kind.as_str() {
        "URL" => {
            let url = button["url"].as_str().unwrap_or_default();
            shown.insert("url".to_owned(), json!(fill(url, given, &path, preview)));
        }
        "PHONE_NUMBER" => {
            shown.insert("phoneNumber".to_owned(), button["phone_number"].clone());
        }
        "QUICK_REPLY" => {
            if let Some(payload) = first("payload") {
                shown.insert("payload".to_owned(), payload);
            }
        }
        "COPY_CODE" => match first("coupon_code") {
            Some(code) => drop(shown.insert("code".to_owned(), code)),
            None => preview.missing.push(format!("{path}.coupon_code")),
        },
        _ => {}
    }
    Value::Object(shown)
}

/// Puts the parameters into a text's `{{1}}` or `{{name}}`.
fn fill(text: &str, parameters: &[Value], path: &str, preview: &mut Preview) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut used = Vec::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_placeholder(rest) {
        filled.push_str(before);
        let found = position(parameters, name);
        match found.map(|index| value_of(&parameters[index])) {
            Some(value) => filled.push_str(&value),
            None => {
                filled.push_str(&rest[before.len()..rest.len() - after.len()]);
                let missing = format!("{path}.{name}");
                if !preview.missing.contains(&missing) {
                    preview.missing.push(missing);
                }
            }
        }
        used.extend(found);
        rest = after;
    }
    filled.push_str(rest);
    let unused = (0..parameters.len()).filter(|index| !used.contains(index));
    for index in unused {
        let name = parameters[index]["parameter_name"].as_str().map(str::to_owned);
        preview.unexpected.push(format!("{path}.{}", name.unwrap_or_else(|| (index + 1).to_string())));
    }
    filled
}

/// The text before a placeholder, its name, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name.trim(), after))
}

/// Which parameter a placeholder takes: the one of its name, else the one at its place.
fn position(parameters: &[Value], name: &str) -> Option<usize> {
    let named = parameters.iter().position(|parameter| parameter["parameter_name"].as_str() == Some(name));
    let placed = || {
        let index = name.parse::<usize>().ok()?.checked_sub(1)?;
        parameters.get(index).filter(|parameter| parameter.get("parameter_name").is_none()).map(|_| index)
    };
    named.or_else(placed)
}

/// What a parameter shows. Amounts and dates show their fallback.
fn value_of(parameter: &Value) -> String {
    let of = |member: &str| parameter[member]["fallback_value"].as_str().map(str::to_owned);
    let text = parameter["text"].as_str().map(str::to_owned);
    text.or_else(|| of("currency")).or_else(|| of("date_time")).unwrap_or_default()
}
