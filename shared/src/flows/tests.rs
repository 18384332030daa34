//! Promises that hold across flows, with every outside call going wrong in every way.

mod answering;
mod cloud;
mod corpus;
mod crashes;
mod guards;
mod leaving;
mod onboarding;
mod secrets;
mod splits;
mod statuses;
