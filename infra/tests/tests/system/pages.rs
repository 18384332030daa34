//! The signup page in a real browser.

use anyhow::Result;
use tokio::sync::Semaphore;

use crate::browser;
use crate::support::{Case, World, cases};

const BOT: &str = "demo-bakery";

/// A browser takes a processor for itself: more of them only wait for each other.
static BROWSERS: Semaphore = Semaphore::const_new(2);

pub(crate) fn cases() -> Vec<Case> {
    cases!["pages":
        Beside signup_in_a_real_browser_ends_with_an_active_client,
        Beside a_signup_without_the_event_ends_with_an_active_client,
        Beside cancel_names_the_step,
        Beside a_reported_error_is_shown_with_its_code_and_session,
        Beside a_wrong_pin_is_asked_for_and_the_right_one_continues,
        Beside a_reload_shows_the_same_onboarding,
        Beside the_token_leaves_the_address,
        Beside a_foreign_window_cannot_speak_as_meta,
    ]
}

macro_rules! with_a_signup_window {
    ($($test:ident),* $(,)?) => {$(
        async fn $test(world: &World) -> Result<()> {
            let _browser = BROWSERS.acquire().await?;
            browser::$test(&world.info.web_url, &world.info.meta_url, BOT).await
        }
    )*};
}

with_a_signup_window! {
    signup_in_a_real_browser_ends_with_an_active_client,
    a_signup_without_the_event_ends_with_an_active_client,
    cancel_names_the_step,
    a_reported_error_is_shown_with_its_code_and_session,
    a_wrong_pin_is_asked_for_and_the_right_one_continues,
    a_reload_shows_the_same_onboarding,
}

async fn the_token_leaves_the_address(world: &World) -> Result<()> {
    let _browser = BROWSERS.acquire().await?;
    let token = world.page_token(BOT).await?;
    browser::the_token_leaves_the_address(&world.info.web_url, BOT, &token).await
}

async fn a_foreign_window_cannot_speak_as_meta(world: &World) -> Result<()> {
    let _browser = BROWSERS.acquire().await?;
    browser::a_foreign_window_cannot_speak_as_meta(&world.info.web_url, BOT).await
}
