//! The one gate that every outside call of every fake passes.

use std::sync::{Arc, Mutex};

use super::lock;

/// What happens to one outside call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails without effect; later calls work.
    FailBefore,
    /// It takes effect, but its answer is lost; later calls work.
    FailAfter,
    /// The process dies before it: it and all later calls fail without effect until
    /// [`Steps::restart`].
    CrashBefore,
    /// The process dies after its effect: its answer is lost and all later calls fail without effect
    /// until [`Steps::restart`].
    CrashAfter,
}

/// The error of a call that a test made fail.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the test made this call fail")]
pub struct Injected {
    /// Whether the call took effect nevertheless.
    pub acted: bool,
}

/// Counts and names the outside calls, and makes chosen ones fail. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Steps(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    log: Vec<&'static str>,
    at: Vec<(usize, Fault)>,
    next: Vec<(&'static str, Fault)>,
    dead: bool,
}

impl Steps {
    /// The names of all calls so far, in order; also those that failed. A call's name is its port's
    /// method, with the part of it in brackets where one call writes more than one record.
    #[must_use]
    pub fn log(&self) -> Vec<&'static str> {
        lock(&self.0).log.clone()
    }

    /// How many calls were made so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.0).log.len()
    }

    /// Makes the call with this number fail, counted from 0 since the beginning.
    pub fn fault_at(&self, call: usize, fault: Fault) {
        lock(&self.0).at.push((call, fault));
    }

    /// Makes the next call of this name fail. Said twice, the next two fail.
    pub fn fault_next(&self, name: &'static str, fault: Fault) {
        lock(&self.0).next.push((name, fault));
    }

    /// Forgets all faults that did not happen yet.
    pub fn clear_faults(&self) {
        let mut state = lock(&self.0);
        state.at.clear();
        state.next.clear();
    }

    /// Whether a crash happened and nobody restarted the process since.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        lock(&self.0).dead
    }

    /// A new process: calls work again.
    pub fn restart(&self) {
        lock(&self.0).dead = false;
    }

    /// Lets one outside call pass, or not. Between two calls other tasks get their turn, so that races
    /// which services allow happen here too.
    ///
    /// # Errors
    /// [`Injected`] where a test asked for it.
    pub async fn pass<T>(&self, name: &'static str, act: impl FnOnce() -> T) -> Result<T, Injected> {
        tokio::task::yield_now().await;
        match self.begin(name) {
            Some(Fault::FailBefore | Fault::CrashBefore) => Err(Injected { acted: false }),
            Some(Fault::FailAfter | Fault::CrashAfter) => {
                act();
                Err(Injected { acted: true })
            }
            None => Ok(act()),
        }
    }

    fn begin(&self, name: &'static str) -> Option<Fault> {
        let mut state = lock(&self.0);
        let number = state.log.len();
        state.log.push(name);
        if state.dead {
            return Some(Fault::CrashBefore);
        }
        let fault = state.fault(number, name);
        state.dead = matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter));
        fault
    }
}

impl State {
    fn fault(&mut self, number: usize, name: &str) -> Option<Fault> {
        if let Some(index) = self.at.iter().position(|(at, _)| *at == number) {
            return Some(self.at.remove(index).1);
        }
        let index = self.next.iter().position(|(next, _)| *next == name)?;
        Some(self.next.remove(index).1)
    }
}
