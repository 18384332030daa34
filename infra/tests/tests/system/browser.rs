//! The signup page in a real browser, against the simulator's signup window.
//!
//! Each test starts its own browser with an empty profile, so they may run side by side. `web_url` and
//! `meta_url` are the stack's origins.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::chromium::Browser;

/// From the button to the connected number: the three notices, each step done, and no token on the page.
pub(crate) async fn signup_in_a_real_browser_ends_with_an_active_client(
    web_url: &str,
    meta_url: &str,
    bot_id: &str,
) -> anyhow::Result<()> {
    for order in ["event-first", "code-first"] {
        let browser = open(web_url, bot_id).await?;
        record_notices(&browser).await?;
        let number = sign_up(&browser, meta_url, &Signup { order, ..Signup::default() }).await?;

        let shown = browser.see("#done-number").await?.text().await?;
        ensure!(digits_of(&shown) == digits_of(&number), "connected {number}, but the page shows {shown}");
        browser.see(r#"#steps li[data-step="active"][data-state="done"]"#).await?;
        let open_steps = steps_not_settled(&browser).await?;
        ensure!(open_steps.is_empty(), "{order}: shown as connected with open steps: {open_steps:?}");
        ensure!(notices(&browser).await? == NOTICES, "{order}: notices {:?}", notices(&browser).await?);
        let page = browser.client().source().await?;
        ensure!(!page.contains("EAA"), "{order}: the page holds a business token");
    }
    Ok(())
}

/// Without the event the page still goes on, and the server finds the ids.
pub(crate) async fn a_signup_without_the_event_ends_with_an_active_client(
    web_url: &str,
    meta_url: &str,
    bot_id: &str,
) -> anyhow::Result<()> {
    let browser = open(web_url, bot_id).await?;
    sign_up(&browser, meta_url, &Signup { order: "no-event", ..Signup::default() }).await?;
    browser.see("#done").await?;
    Ok(())
}

/// Whoever leaves the window is told where, and can go on.
pub(crate) async fn cancel_names_the_step(web_url: &str, meta_url: &str, bot_id: &str) -> anyhow::Result<()> {
    let browser = open(web_url, bot_id).await?;
    to_signup_window(&browser, meta_url).await?;
    browser.click("#next").await?;
    browser.see("#display-phone-number").await?;
    browser.click("#cancel").await?;
    browser.to_newest_window(1).await?;

    browser.read("#problem", "entering your phone number").await?;
    browser.see("#continue:enabled").await?;
    Ok(())
}

/// An error that Meta's window reports is shown with what support needs.
pub(crate) async fn a_reported_error_is_shown_with_its_code_and_session(
    web_url: &str,
    meta_url: &str,
    bot_id: &str,
) -> anyhow::Result<()> {
    let browser = open(web_url, bot_id).await?;
    to_signup_window(&browser, meta_url).await?;
    choose(&browser, "#scenario", "error").await?;
    browser.click("#next").await?;
    browser.see("#display-phone-number").await?;
    browser.click("#next").await?;
    let session = browser.see("#failure dd:last-of-type").await?.text().await?;
    browser.click("#next").await?;
    browser.to_newest_window(1).await?;

    browser.read("#problem", "could not be added").await?;
    browser.read("#problem-facts", "2593035").await?;
    browser.read("#problem-facts", &session).await
}

/// A number with a PIN of its own: the page asks for it, refuses half a PIN, and goes on with the right one.
pub(crate) async fn a_wrong_pin_is_asked_for_and_the_right_one_continues(
    web_url: &str,
    meta_url: &str,
    bot_id: &str,
) -> anyhow::Result<()> {
    let browser = open(web_url, bot_id).await?;
    sign_up(&browser, meta_url, &Signup { pin: Some("271828"), ..Signup::default() }).await?;

    browser.see(r#"#steps li[data-step="phone_registered"][data-state="failed"]"#).await?;
    browser.fill("#pin", "2718").await?;
    browser.click("#retry").await?;
    browser.read("#pin-error", "six digits").await?;
    browser.fill("#pin", "271828").await?;
    browser.click("#retry").await?;
    browser.see("#done").await?;
    Ok(())
}

/// A reload forgets nothing: the connected number is shown again.
pub(crate) async fn a_reload_shows_the_same_onboarding(
    web_url: &str,
    meta_url: &str,
    bot_id: &str,
) -> anyhow::Result<()> {
    let browser = open(web_url, bot_id).await?;
    sign_up(&browser, meta_url, &Signup::default()).await?;
    browser.see("#steps li").await?;
    let reference = text_content(&browser, "#reference").await?;
    browser.client().refresh().await?;
    browser.see("#done").await?;
    ensure!(text_content(&browser, "#reference").await? == reference, "another onboarding than before");
    Ok(())
}

/// A token in the address is used and gone from it at once.
pub(crate) async fn the_token_leaves_the_address(
    web_url: &str,
    bot_id: &str,
    token: &str,
) -> anyhow::Result<()> {
    let browser = Browser::start().await?;
    browser.client().goto(&format!("{}#token={token}", page(web_url, bot_id))).await?;
    browser.see("#continue:enabled").await?;
    let address = browser.client().current_url().await?;
    ensure!(address.fragment().is_none(), "the address still has a fragment");
    ensure!(!browser.client().source().await?.contains(token), "the page shows the token");
    Ok(())
}

/// Events are believed from Meta's origin only, and never from one that merely ends like it.
pub(crate) async fn a_foreign_window_cannot_speak_as_meta(web_url: &str, bot_id: &str) -> anyhow::Result<()> {
    let browser = open(web_url, bot_id).await?;
    browser.see("#continue:enabled").await?;
    let script = "const done = arguments[arguments.length - 1];
        import('/assets/signup.js').then(({ isFromMeta }) => done(arguments[0].filter((o) => isFromMeta(o, null))));";
    let origins = json!([
        "https://www.facebook.com",
        "https://facebook.com",
        "https://notfacebook.com",
        "https://facebook.com.attacker.example",
        "http://www.facebook.com",
        "null"
    ]);
    let believed = strings(browser.client().execute_async(script, vec![origins]).await?)?;
    ensure!(believed == ["https://www.facebook.com", "https://facebook.com"], "believed: {believed:?}");

    // The page's own listener is the older one, so it has run when this one is called.
    let forged = "const done = arguments[arguments.length - 1];
        addEventListener('message', () => done(document.getElementById('problem').hidden), { once: true });
        postMessage(JSON.stringify({ type: 'WA_EMBEDDED_SIGNUP', event: 'CANCEL', data: { current_step: 'X' } }), '*');";
    let ignored = browser.client().execute_async(forged, vec![]).await?;
    ensure!(ignored == json!(true), "a message of another origin was believed");
    Ok(())
}

/// In this order, as a person sees them.
const NOTICES: [&str; 3] = [
    "WhatsApp Business Account connected!",
    "Completing onboarding steps...",
    "Client onboarded successfully!",
];

/// What the person chooses in the window.
struct Signup<'a> {
    /// Which of the window's two messages the page hears, and in which order.
    order: &'a str,
    /// A two-step PIN that the number has already.
    pin: Option<&'a str>,
}

impl Default for Signup<'_> {
    fn default() -> Self {
        Self { order: "event-first", pin: None }
    }
}

fn page(web_url: &str, bot_id: &str) -> String {
    format!("{web_url}/chatbot/{bot_id}/integration")
}

async fn open(web_url: &str, bot_id: &str) -> anyhow::Result<Browser> {
    let browser = Browser::start().await?;
    browser.client().goto(&page(web_url, bot_id)).await?;
    Ok(browser)
}

/// Opens the signup window and goes to its first screen.
async fn to_signup_window(browser: &Browser, meta_url: &str) -> anyhow::Result<()> {
    browser.click("#continue").await?;
    browser.to_newest_window(2).await?;
    browser.see("#business-name").await?;
    let address = browser.client().current_url().await?;
    ensure!(address.as_str().starts_with(meta_url), "the window is not the simulator's");
    Ok(())
}

/// Goes through the window and comes back to the page. Answers the number.
async fn sign_up(browser: &Browser, meta_url: &str, signup: &Signup<'_>) -> anyhow::Result<String> {
    to_signup_window(browser, meta_url).await?;
    choose(browser, "#order", signup.order).await?;
    browser.click("#next").await?;
    let field = browser.see("#display-phone-number").await?;
    let number = field.prop("value").await?.unwrap_or_default();
    if let Some(pin) = signup.pin {
        browser.fill("#two-step-pin", pin).await?;
    }
    browser.click("#next").await?;
    browser.see("#review").await?;
    browser.click("#next").await?;
    browser.see(r#"[data-screen="final"]"#).await?;
    browser.click("#next").await?;
    browser.to_newest_window(1).await?;
    Ok(number)
}

async fn choose(browser: &Browser, css: &str, value: &str) -> anyhow::Result<()> {
    Ok(browser.see(css).await?.select_by_value(value).await?)
}

/// Keeps each notice's text: they disappear after some seconds.
async fn record_notices(browser: &Browser) -> anyhow::Result<()> {
    let script = "window.notices = [];
        new MutationObserver((changes) => {
            for (const change of changes) {
                for (const note of change.addedNodes) window.notices.push(note.textContent);
            }
        }).observe(document.getElementById('toasts'), { childList: true });";
    browser.client().execute(script, vec![]).await?;
    Ok(())
}

async fn notices(browser: &Browser) -> anyhow::Result<Vec<String>> {
    strings(browser.client().execute("return window.notices", vec![]).await?)
}

async fn steps_not_settled(browser: &Browser) -> anyhow::Result<Vec<String>> {
    let script = "return [...document.querySelectorAll('#steps li')]
        .filter((step) => !['done', 'skipped'].includes(step.dataset.state))
        .map((step) => step.dataset.step + ' ' + step.dataset.state);";
    strings(browser.client().execute(script, vec![]).await?)
}

async fn text_content(browser: &Browser, css: &str) -> anyhow::Result<String> {
    Ok(browser.see(css).await?.text().await?)
}

fn strings(value: Value) -> anyhow::Result<Vec<String>> {
    Ok(serde_json::from_value(value)?)
}

fn digits_of(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}
