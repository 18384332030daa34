//! The endings of a signup by what its number is, and PINs.

use super::*;

#[tokio::test]
async fn a_coexistence_number_is_not_registered_and_has_no_pin_of_ours() {
    let signup = Signup::new().await;
    signup.number(|number| number.number.is_on_biz_app = true);
    let claims =
        Claims { event: Some(SignupEvent::FinishWhatsappBusinessAppOnboarding), ..Claims::default() };
    let ended = signup.hear(claims, None).await;
    assert_eq!(ended.status, OnboardingStatus::Active);
    assert_eq!(ended.step(Step::PinStored).state, StepState::Skipped);
    assert_eq!((signup.registers(), signup.stored_pin().await), (0, None));
    assert!(signup.client().on_biz_app);
}

#[tokio::test]
async fn a_signup_without_a_number_waits_for_one_and_goes_on_by_itself() {
    let signup = Signup::new().await;
    let waba = signup.it.waba_id.clone();
    signup.world.graph.with(|meta| meta.wabas.get_mut(&waba).unwrap().numbers.clear());
    let claims = Claims { event: Some(SignupEvent::FinishOnlyWaba), ..Claims::default() };
    assert_eq!(stopped_by(&signup.hear(claims, None).await), (Some(Step::PinStored), "number_missing"));
    assert!(signup.world.store.with(|t| t.clients.is_empty()));
    let phone = signup.it.phone_number_id.clone();
    signup.world.graph.with(|meta| meta.wabas.get_mut(&waba).unwrap().numbers.push(phone));
    assert_eq!(signup.schedule(PAST_ALL_CLAIMS).await.status, OnboardingStatus::Active);
}

#[tokio::test]
async fn an_unverified_number_is_not_registered_until_it_is_verified() {
    let signup = Signup::new().await;
    signup.number(|number| number.number.code_verification_status = Some("NOT_VERIFIED".to_owned()));
    assert_eq!(stopped_by(&signup.run().await), (Some(Step::PhoneRegistered), "number_unverified"));
    assert_eq!(signup.registers(), 0);
    signup.number(|number| number.number.code_verification_status = Some("VERIFIED".to_owned()));
    assert_eq!(signup.schedule(PAST_ALL_CLAIMS).await.status, OnboardingStatus::Active);
}

#[tokio::test]
async fn with_several_numbers_the_page_must_name_one_and_they_share_the_grant() {
    let first = Signup::new().await;
    let other = first.world.graph.sign_up(2).phone_number_id;
    first.world.graph.with(|meta| meta.wabas.get_mut(&first.it.waba_id).unwrap().numbers.push(other.clone()));
    assert_eq!(stopped_by(&first.run().await), (Some(Step::GrantVerified), "number_ambiguous"));
    let named = Claims { phone_number_id: Some(first.it.phone_number_id.clone()), ..Claims::default() };
    assert_eq!(first.hear(named, None).await.status, OnboardingStatus::Active);
    let second = Signup::of(first.world.clone(), first.world.graph.sign_up(1), &bot()).await;
    let named = Claims { phone_number_id: Some(other), ..Claims::default() };
    assert_eq!(second.hear(named, None).await.status, OnboardingStatus::Active);
    assert_eq!(first.world.store.with(|t| (t.clients.len(), t.grants.len())), (2, 1));
    assert_eq!(first.world.graph.with(|meta| meta.allocations.len()), 1);
}

#[tokio::test]
async fn a_connected_number_is_not_registered_again() {
    let signup = Signup::new().await;
    signup.number(|number| number.number.status = Some("CONNECTED".to_owned()));
    assert_eq!(signup.run().await.status, OnboardingStatus::Active);
    assert_eq!(signup.registers(), 0);
}

#[tokio::test]
async fn the_pin_that_a_person_typed_is_the_one_that_is_registered_and_stored() {
    let signup = Signup::new().await;
    assert_eq!(signup.hear(Claims::default(), Some("738291")).await.status, OnboardingStatus::Active);
    assert_eq!(signup.stored_pin().await.as_deref(), Some("738291"));
    assert_eq!(signup.number(|number| number.pin.clone()).as_deref(), Some("738291"));
}

#[tokio::test]
async fn a_wrong_pin_waits_for_the_right_one_and_the_schedule_burns_no_register_calls() {
    let signup = Signup::new().await;
    signup.number(|number| number.pin = Some("738291".to_owned()));
    let open = signup.run().await;
    assert_eq!(stopped_by(&open), (Some(Step::PhoneRegistered), "pin_mismatch"));
    assert_eq!(open.next_try_at, None);
    for _ in 0..5 {
        signup.schedule(Duration::from_secs(60 * 60)).await;
    }
    assert_eq!(signup.registers(), 1);
    assert_eq!(stopped_by(&signup.hear(Claims::default(), Some("111111")).await).1, "pin_mismatch");
    assert_eq!(signup.hear(Claims::default(), Some("738291")).await.status, OnboardingStatus::Active);
    assert_eq!((signup.registers(), signup.stored_pin().await.as_deref()), (3, Some("738291")));
}

#[tokio::test]
async fn register_that_acted_without_an_answer_is_not_called_again() {
    let signup = Signup::new().await;
    signup.world.graph.fail_next("register", GraphFault::UnclearAfter);
    assert_eq!(stopped_by(&signup.run().await), (Some(Step::PhoneRegistered), "meta_unavailable"));
    let pin = signup.stored_pin().await;
    assert_eq!(signup.schedule(PAST_ALL_CLAIMS).await.status, OnboardingStatus::Active);
    assert_eq!((signup.registers(), signup.stored_pin().await), (1, pin.clone()));
    assert_eq!(signup.number(|number| number.pin.clone()), pin);
}

#[tokio::test]
async fn metas_limit_of_registrations_is_waited_out() {
    let signup = Signup::new().await;
    signup.number(|number| number.register_calls = 10);
    let open = signup.run().await;
    assert_eq!(stopped_by(&open), (Some(Step::PhoneRegistered), "meta_limit"));
    let wait = open.next_try_at.unwrap().duration_since(open.updated_at).as_hours();
    assert!((72..=73).contains(&wait), "{wait} hours");
    signup.number(|number| number.register_calls = 0);
    assert_eq!(signup.schedule(Duration::from_secs(73 * 60 * 60)).await.status, OnboardingStatus::Active);
}

#[tokio::test]
async fn a_number_that_meta_does_not_show_as_connected_is_not_active() {
    let signup = Signup::new().await;
    signup
        .world
        .graph
        .fail_next("register", GraphFault::Refused(refusal(400, 133_008, "Too many PIN guesses")));
    let open = signup.run().await;
    assert_eq!(stopped_by(&open), (Some(Step::PhoneRegistered), "pin_locked"));
    assert_eq!(signup.client().status(), ClientStatus::Onboarding);
}
